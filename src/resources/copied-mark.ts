import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Filter, Link } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-conventions.ts'
import { type BridgeMark, bridgeMac, mirrorHandle, readCookie, readMark, sealHandle } from './marks.ts'

/** The mark of a span's bridge; null for a foreign bridge, and for one with a copy of a mark: see {@link isMarkCopied}. */
export function markOf(host: HostIndex, link: Link | undefined): BridgeMark | null {
  const mark = readMark(link)
  return mark !== null && link !== undefined && isMarkCopied(host, link) ? null : mark
}

/**
 * Whether somebody has given a bridge of their own the alias of a span's: the copy claims nothing. What spanplan has made also has a
 * MAC address of its name, a seal of its name, a mirror into it or a network: all of them go, and come back by an apply, but not all
 * at once.
 */
export function isMarkCopied(host: HostIndex, link: Link): boolean {
  const owner = readMark(link)?.owner
  if (owner === undefined) return false
  const { name, mac } = link
  return (
    mac !== bridgeMac(owner, name) &&
    host.filtersOf(name).every(({ handle }) => handle !== sealHandle(name)) &&
    !host.filters.some((filter) => isMirrorInto(name, owner, filter)) &&
    host.networksOn(name).every(({ labels }) => labels[label.name] !== owner || labels[label.span] !== name)
  )
}

/** Whether a filter is a mirror of ours into a bridge, by its cookie or, where that is lost, by its handle. */
function isMirrorInto(bridge: string, owner: string, { device, tcHook, handle, pref, chain, mirror }: Filter): boolean {
  if (mirror?.target !== bridge || pref !== mirrorPref || chain !== 0) return false
  return readCookie(mirror.cookie) !== null || handle === mirrorHandle({ owner, span: bridge, device, tcHook })
}

/** The command that takes the mark off a bridge. */
export function takeMarkOff({ name }: Link): string {
  return shellLine(['ip', 'link', 'set', 'dev', name, 'alias', ''])
}

import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Filter, Link } from '../host/snapshot.ts'
import { bridgeMac, readMark, sealHandle } from './marks.ts'

/**
 * Whether somebody has given a bridge of their own the alias of a span's. What spanplan has made also has a MAC address of its name,
 * a seal of its name, a mirror into it or a network: all of them go, and come back by an apply, but not all at once.
 *
 * @param mirrors those that bear a mark, of every owner.
 */
export function isMarkCopied(link: Link, mirrors: ReadonlyMap<Filter, unknown>, host: HostIndex): boolean {
  const { name, mac } = link
  const owner = readMark(link)?.owner
  return (
    owner !== undefined &&
    mac !== bridgeMac(owner, name) &&
    host.filtersOf(name).every(({ handle }) => handle !== sealHandle(name)) &&
    [...mirrors.keys()].every(({ mirror }) => mirror?.target !== name) &&
    host.networksOn(name).every(({ labels }) => labels[label.name] !== owner || labels[label.span] !== name)
  )
}

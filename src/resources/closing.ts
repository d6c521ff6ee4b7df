import { type Diagnostic, diagnostic } from '../errors.ts'
import type { Argv } from '../host/exec.ts'
import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Filter, Link, TcHook } from '../host/snapshot.ts'
import { closingPref, dropProgram } from '../host/tc-syntax.ts'
import { deleteFilter, writeClosing } from '../host/write-filters.ts'
import { describeFilter } from './foreign/describe-filter.ts'
import { hashOf, type InterfaceSetting, readCookie } from './marks.ts'
import { isTransparent } from './seal.ts'

/**
 * A dedicated interface is closed to the host by a filter at each hook, which drops every frame after the mirrors have copied
 * the frame. Packet sockets of the host still get what is received: the kernel hands frames to them before tc.
 */

/** The settings that such a filter switches off, with the filter's hook. */
export const closingHooks = {
  'host-receives': 'ingress',
  'host-sends': 'egress'
} as const satisfies Partial<Record<InterfaceSetting, TcHook>>

/** One of these settings. */
export type ClosingSetting = keyof typeof closingHooks

// Object.keys forgets that its keys are the table's own.
export const closingSettings = Object.keys(closingHooks) as ClosingSetting[]

/** The same on each interface: whoever renames one does not hide the filter. */
const handle = hashOf('closing')

/** Whether a filter is one that closes an interface. The filter is its own mark. */
export function isClosing(filter: Filter): boolean {
  const { pref, chain, kind, protocol, directAction, program } = filter
  const isInPlace = pref === closingPref && chain === 0 && kind === 'bpf' && filter.handle === handle
  return isInPlace && protocol === 'all' && directAction && program === dropProgram
}

/** The settings that are off because of such a filter. */
export function closedSettings(host: HostIndex, device: string): ClosingSetting[] {
  return closingSettings.filter((setting) => host.filtersAt(device, closingHooks[setting]).some(isClosing))
}

/** The command that switches one of these settings. */
export function closingCommand(device: string, setting: ClosingSetting, on: boolean): Argv {
  const tcHook = closingHooks[setting]
  return ['tc', ...(on ? deleteFilter(device, tcHook, closingPref, handle) : writeClosing({ device, tcHook }, handle))]
}

/** The settings that can be switched off on a dedicated interface, and warnings of what keeps the interface open. */
export function closableSettings(
  link: Link,
  host: HostIndex
): { readonly settings: readonly ClosingSetting[]; readonly warnings: readonly Diagnostic[] } {
  const { name } = link
  const [user] = [
    ...(link.master === null ? [] : [link.master]),
    ...host.uppersOf(link).map((upper) => upper.name),
    ...host.networksAbove(name).map((network) => `the Docker network ${network.name}`)
  ]
  if (user !== undefined) {
    const message = `${name} is dedicated to capture, but stays open to the host: ${user} gets its frames from ${name}`
    return {
      settings: [],
      warnings: [diagnostic('DEDICATED_OPEN', message, `take ${name} out of ${user}, or remove ${user}`)]
    }
  }
  // While Docker is left for later, its networks are not known: on an interface that is mirrored already, what is open stays open.
  const isMirrored = host.filtersOf(name).some(({ mirror }) => readCookie(mirror?.cookie ?? null) !== null)
  const isUnread = host.docker.state === 'deferred' && isMirrored
  const candidates = isUnread ? closedSettings(host, name) : closingSettings
  const settings = candidates.filter((setting) => findTaken(host, name, closingHooks[setting]) === undefined)
  const warnings = closingSettings.flatMap((setting) => warnOfOpen(host, name, closingHooks[setting]))
  return { settings, warnings }
}

/** A foreign filter at the preference of ours. */
function findTaken(host: HostIndex, device: string, tcHook: TcHook): Filter | undefined {
  const filters = host.filtersAt(device, tcHook).filter(({ chain, pref }) => chain === 0 && pref === closingPref)
  return filters.some(isClosing) ? undefined : filters[0]
}

/** Warns of a foreign filter in the place of ours, and of one that may end a frame's classification before ours. */
function warnOfOpen(host: HostIndex, device: string, tcHook: TcHook): Diagnostic[] {
  const taken = findTaken(host, device, tcHook)
  const before = host
    .filtersAt(device, tcHook)
    .find((filter) => filter.chain === 0 && !isClosing(filter) && !isTransparent(filter))
  const filter = taken ?? before
  if (filter === undefined) return []
  const { pref } = filter
  const place = taken ? ', which the one that closes it takes' : ''
  const what = tcHook === 'ingress' ? 'what it lets in reaches the host' : 'what it lets out is sent'
  return [
    diagnostic(
      'DEDICATED_OPEN',
      `${device} is dedicated to capture, but its ${tcHook} has a filter at preference ${pref}${place}: ${describeFilter(filter)}; ${what}`,
      `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, tcHook])}`
    )
  ]
}

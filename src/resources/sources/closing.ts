import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Filter, Link, TcHook } from '../../host/snapshot.ts'
import { closingPref } from '../../host/tc-conventions.ts'
import { filterWords } from '../foreign/filter-words.ts'
import { readCookie } from '../marks.ts'
import { isTransparent } from '../seal-commands.ts'
import { closingSettings, type InterfaceSetting, isClosing, sourceSettings } from '../settings.ts'

/** The settings that can be switched off on a dedicated interface, and warnings of what keeps the interface open. */
export function closableSettings(
  link: Link,
  host: HostIndex
): { readonly settings: readonly InterfaceSetting[]; readonly warnings: readonly Diagnostic[] } {
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
  const settings = closingSettings.flatMap(([setting, tcHook]) => {
    const isOpen = isUnread && sourceSettings[setting].read(link, host)
    return isOpen || findTaken(host, name, tcHook) !== undefined ? [] : [setting]
  })
  const warnings = closingSettings.flatMap(([, tcHook]) => warnOfOpen(host, name, tcHook))
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
      `${device} is dedicated to capture, but its ${tcHook} has a filter at preference ${pref}${place}: ${filterWords(filter)}; ${what}`,
      `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, tcHook])}`
    )
  ]
}

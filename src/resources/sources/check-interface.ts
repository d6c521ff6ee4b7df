import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { batchWord, shellLine } from '../../host/quote-command.ts'
import type { Filter, Link, TcHook } from '../../host/snapshot.ts'
import { closingPref } from '../../host/tc-conventions.ts'
import { printable } from '../../printable.ts'
import type { Spec } from '../../spec/spec.ts'
import { filterWords } from '../foreign/filter-words.ts'
import { readCookie } from '../marks.ts'
import { markOf } from '../ownership.ts'
import { isTransparent } from '../seal-commands.ts'
import { closingSettings, isClosing, sourceSettings } from '../settings.ts'

/**
 * Why frames cannot be copied from an interface; undefined: they can.
 *
 * @param isSet more is set of the interface than that it is up and promiscuous.
 */
export function checkInterface(link: Link, isSet: boolean): Diagnostic | undefined {
  const named = checkName(link, isSet)
  if (named !== undefined) return named
  if (link.type !== 'ether') {
    return diagnostic(
      'INTERFACE_NOT_ETHERNET',
      `${link.name} is not Ethernet but "${link.type}": its frames have no MAC header, and sensors would misread them`,
      'mirror the Ethernet interface below it'
    )
  }
  return undefined
}

/**
 * Why the name of an interface cannot be passed to all programs; undefined: it can.
 *
 * @param isSet more is set of the interface than that it is up and promiscuous.
 */
export function checkName(link: Link, isSet: boolean): Diagnostic | undefined {
  const program = findConfused(link.name, isSet)
  if (program === undefined) return undefined
  return diagnostic(
    'INTERFACE_NAME',
    `the name of interface ${link.name} cannot be passed to ${program}`,
    `${link.name.isWellFormed() ? '' : 'it is not UTF-8; '}rename it: ${renameCommand(link)}`
  )
}

/**
 * Why an interface cannot be dedicated to capture; undefined: it can. A dedicated interface has neither ARP nor IPv6, and is closed to
 * the host: any other use would be cut off. What closes it would also drop the copies that the bridge of a span hands on, and the port
 * of a sensor is closed by its span.
 */
export function checkDedicated(link: Link, { spans }: Spec, host: HostIndex): Diagnostic | undefined {
  const refuse = (code: Code, why: string, remedy = '') => {
    const message = `${link.name} is to be dedicated to capture, but ${why}`
    return diagnostic(code, message, `remove "dedicated" from the file${remedy}`)
  }
  if (markOf(host, link) !== null || spans.some(({ bridge }) => bridge === link.name)) {
    return refuse('DEDICATED_SPAN', 'is the bridge of a span, which hands on what it gets')
  }
  const bridge = host.linkOf(link.master)
  if (link.foreignPeer && markOf(host, bridge) !== null) {
    return refuse(
      'DEDICATED_SPAN',
      `is a port of ${link.master}, the bridge of a span, by which a container hears that`
    )
  }
  const address = link.addresses.find(({ automatic }) => !automatic)
  if (address !== undefined) {
    const why = `has the address ${address.address}/${address.prefix}`
    return refuse('DEDICATED_HAS_ADDRESS', why, ', or remove the address')
  }
  const [route, ...others] = host.routesOf(link)
  if (route === undefined) return undefined
  const more = others.length === 0 ? '' : `, and ${others.length} more`
  const all =
    more === '' ? '' : `; all of them: ${shellLine(['ip', 'route', 'show', 'table', 'all', 'dev', link.name])}`
  const remedy = `, or remove the route: ${shellLine(route.removal)}${all}`
  return refuse('DEDICATED_HAS_ROUTE', `the host has a route through it: ${route.text}${more}`, remedy)
}

/** An altname finds the interface whatever bytes its name has. */
function renameCommand({ name, altnames: [altname = name] }: Link): string {
  return shellLine(['ip', 'link', 'set', 'dev', altname, 'name', 'new0'])
}

/** The program that would misread the interface's name; undefined: none. */
function findConfused(name: string, isSet: boolean): string | undefined {
  if (batchWord(name) === null || printable(name) !== name) return 'tc'
  if (!isSet) return undefined
  if (name.includes('=')) return 'sysctl'
  return name === '*' ? 'ethtool' : undefined
}

/** The settings that can be switched off on a dedicated interface, and warnings of what keeps the interface open. */
export function closableSettings(link: Link, host: HostIndex) {
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
function warnOfOpen(host: HostIndex, device: string, tcHook: TcHook): Diagnostic | [] {
  const taken = findTaken(host, device, tcHook)
  const before = host
    .filtersAt(device, tcHook)
    .find((filter) => filter.chain === 0 && !isClosing(filter) && !isTransparent(filter))
  const filter = taken ?? before
  if (filter === undefined) return []
  const { pref } = filter
  const place = taken ? ', which the one that closes it takes' : ''
  const what = tcHook === 'ingress' ? 'what it lets in reaches the host' : 'what it lets out is sent'
  return diagnostic(
    'DEDICATED_OPEN',
    `${device} is dedicated to capture, but its ${tcHook} has a filter at preference ${pref}${place}: ${filterWords(filter)}; ${what}`,
    `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, tcHook])}`
  )
}

import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex, LinkIndex } from '../../host/host-index.ts'
import { batchWord, shellLine } from '../../host/quote-command.ts'
import type { IpLink, Link } from '../../host/snapshot.ts'
import { printable } from '../../printable.ts'
import type { InterfaceMatch } from '../../spec/interfaces.ts'
import { suggestSlips } from '../../spec/schema/did-you-mean.ts'
import type { SourceOf, SpanSpec, Spec } from '../../spec/spec.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { columnOf, type InterfaceSetting, sourceSettings } from '../settings.ts'
import { closableSettings } from './closing.ts'
import {
  type Context,
  type HostSourceKind,
  nothingResolved,
  type Resolved,
  type ResolvedSource,
  type SourceHook,
  type TcHooks,
  waitForMirrors
} from './host-source-kind.ts'

/** The settings that a span manages on an interface that it copies from. */
const everyInterface = columnOf(sourceSettings, 'wanted').map(([setting]) => setting)
const dedicatedInterface = columnOf(sourceSettings, 'bit').flatMap(([setting]) =>
  'tcHook' in sourceSettings[setting] ? [] : [setting]
)

/** The host sees its own interfaces as they are. */
export const interfaceHooks: TcHooks = { received: 'ingress', sent: 'egress' }

/** An interface of the host. Its directions are those that the host sees. */
export const interfaceSource: HostSourceKind<SourceOf<'interface'>> = {
  containers: () => [],
  resolve: (source, span, context) =>
    resolveOpaque(source, span, context) ?? {
      ...resolveInterface(source, span, context),
      isUnread: false
    }
}

/** The interface of a source, if it is there, or may be, and its record is not understood: its mirrors are kept. */
function resolveOpaque(
  source: SourceOf<'interface'>,
  span: SpanSpec,
  { spec, host, patient }: Context
): ResolvedSource | null {
  const match = matchOf(spec, source.interface)
  const isFound = !('code' in findInterface(match, host))
  const opaque = isFound ? undefined : 'name' in match ? host.findOpaque(match.name) : host.opaque[0]
  if (opaque === undefined) return null
  const isNamed = 'name' in match && (opaque.name === match.name || opaque.altnames.includes(match.name))
  const which = isNamed ? 'it is a source' : `it may be the source ${describeMatch(match)}`
  const found = explainOpaque(opaque, `${which} of the span ${span.name}`)
  if (!patient) return { ...nothingResolved, errors: [{ ...found, origin: source.origin }], isUnread: true }
  return { ...nothingResolved, waits: waitForMirrors(span, source, [source.interface], found), isUnread: true }
}

function resolveInterface(
  source: SourceOf<'interface'>,
  span: SpanSpec,
  { spec, host, patient, goingDown }: Context
): Resolved<SourceHook> {
  const match = matchOf(spec, source.interface)
  const link = findInterface(match, host)
  const { origin } = source
  if ('code' in link) {
    if (!patient) {
      return { ...nothingResolved, errors: [{ ...link, message: `span ${span.name}: ${link.message}`, origin }] }
    }
    if (link.code !== 'INTERFACE_MISSING') {
      const candidates = findCandidates(match, host)
      const hooks = candidates.flatMap((one) =>
        hooksOf(source, one, settingsOf(one, spec, host).settings, { ...link, origin })
      )
      return { ...nothingResolved, items: hooks }
    }
    const hint = suggestInterface(match, spec, host)
    const missing = diagnostic(link.code, `waits for the interface ${describeMatch(match)}`, hint)
    return { ...nothingResolved, waits: waitForMirrors(span, source, [source.interface], missing) }
  }
  const { name } = link
  if (goingDown.has(name)) {
    // Bare, apply finds ./spans.yaml; and /etc/spanplan only where there is no ./spans.yaml.
    const files = spec.files.length === 1 && spec.files[0] === 'spans.yaml' ? [] : spec.files
    const hint = writeStaysUp(shellLine(['spanplan', 'apply', ...files.flatMap((path) => ['-f', path])]))
    const going = diagnostic('INTERFACE_GOING_DOWN', `waits for ${name}, which is going down`, hint)
    return { ...nothingResolved, waits: waitForMirrors(span, source, [name], going) }
  }
  const { dedicated, settings, warnings } = settingsOf(link, spec, host)
  const found = checkInterface(link, dedicated, host)
  const problem = found === undefined ? null : { ...found, origin }
  return {
    ...nothingResolved,
    items: hooksOf(source, link, settings, patient ? problem : null),
    errors: problem === null || patient ? [] : [problem],
    warnings: warnings.map((one) => ({ ...one, origin }))
  }
}

/** What a span manages on an interface, and warnings of what it cannot. */
function settingsOf(link: Link, spec: Spec, host: HostIndex) {
  const dedicated = spec.interfaces.some((one) => one.dedicated && isMatch(one.match, link))
  if (!dedicated) return { dedicated, settings: everyInterface, warnings: [] }
  const { settings, warnings } = closableSettings(link, host)
  return {
    dedicated,
    settings: [...dedicatedInterface, ...settings],
    warnings: [...warnOfMerging(link), ...warnings]
  }
}

function hooksOf(
  source: SourceOf<'interface'>,
  link: Link,
  settings: readonly InterfaceSetting[],
  problem: Diagnostic | null
): SourceHook[] {
  const { name } = link
  return source.directions.map((direction) => ({
    source: [name],
    device: { name, link },
    tcHook: interfaceHooks[direction],
    direction,
    settings,
    problem
  }))
}

function describeMatch(match: InterfaceMatch): string {
  return 'name' in match ? match.name : `with the MAC address ${match.macaddress}`
}

/** What to do about an interface that is going down, as hooks say, and that does not. */
export const writeStaysUp = (apply: string): string => `if it is to stay up: ${apply}`

/** How a source's interface is found: by its entry in the file, or by its name. */
export function matchOf({ interfaces }: Spec, source: string): InterfaceMatch {
  return interfaces.find(({ key }) => key === source)?.match ?? { name: source }
}

function isMatch(match: InterfaceMatch, link: Link): boolean {
  return 'name' in match
    ? match.name === link.name || link.altnames.includes(match.name)
    : match.macaddress === link.permanentMac && hasOwnAddress(link)
}

/** The names of the interfaces that are dedicated to capture. Any other use of such an interface would be cut off. */
export function dedicatedInterfaces({ interfaces }: Spec, links: readonly Link[]): readonly string[] {
  const matches = interfaces.filter(({ dedicated }) => dedicated).map(({ match }) => match)
  return links.filter((link) => matches.some((match) => isMatch(match, link))).map(({ name }) => name)
}

/** The test whether a span of the file may copy from a link, however the file names the link. */
export function sourceInterfaces(spec: Spec): (link: Link) => boolean {
  const matches = spec.spans.flatMap(({ sources }) =>
    sources.flatMap((source) => (source.kind === 'interface' ? [matchOf(spec, source.interface)] : []))
  )
  const names = new Set(matches.map((match) => ('name' in match ? match.name : match.macaddress)))
  return ({ name, altnames, permanentMac }) => [name, ...altnames, permanentMac].some((one) => names.has(one))
}

/** The links of this host that the file may mean. */
function findCandidates<One extends IpLink>(match: InterfaceMatch, host: LinkIndex<One>): readonly One[] {
  if ('name' in match) {
    const link = host.findLink(match.name)
    return link === undefined ? [] : [link]
  }
  const all = host.links.filter((link) => link.permanentMac === match.macaddress && link.type === 'ether')
  const interfaces = all.filter(hasOwnAddress)
  return interfaces.length > 0 ? interfaces : all
}

/** The one link of this host that the file means, or why there is none. */
export function findInterface<One extends IpLink>(match: InterfaceMatch, host: LinkIndex<One>): One | Diagnostic {
  if ('name' in match) return host.findLink(match.name) ?? missingName(match.name, host)
  const [link, ...others] = findCandidates(match, host)
  if (link === undefined) {
    return diagnostic(
      'INTERFACE_MISSING',
      `there is no interface with the MAC address ${match.macaddress} on this host`,
      'see the addresses with: ip link'
    )
  }
  if (others.length === 0) return link
  const names = [link, ...others].map(({ name }) => name).join(', ')
  return diagnostic(
    'INTERFACE_AMBIGUOUS',
    `${names} all have the MAC address ${match.macaddress}`,
    'match one by its name'
  )
}

/**
 * A hint for a missing interface, whose name may be a typing error: a similar name that the file has no source of yet;
 * undefined: there is none.
 */
function suggestInterface(match: InterfaceMatch, spec: Spec, host: HostIndex): string | undefined {
  if (!('name' in match)) return undefined
  const used = spec.spans.flatMap(({ sources }) =>
    sources.flatMap((source) => (source.kind === 'interface' ? [matchOf(spec, source.interface)] : []))
  )
  const links = host.links.filter((link) => link.type === 'ether' && !used.some((one) => isMatch(one, link)))
  // Names of interfaces are alike: ens256 is no slip for ens224, but another card, which may be of another network.
  return suggestSlips(
    match.name,
    links.flatMap(({ name, altnames }) => [name, ...altnames])
  )
}

/** Why frames cannot be copied from an interface, or why it cannot be dedicated to capture; undefined: they can. */
export function checkInterface(link: Link, dedicated: boolean, host: HostIndex): Diagnostic | undefined {
  const program = findConfused(link.name, dedicated)
  if (program !== undefined) {
    return diagnostic(
      'INTERFACE_NAME',
      `the name of interface ${link.name} cannot be passed to ${program}`,
      `${link.name.isWellFormed() ? '' : 'it is not UTF-8; '}rename it: ${renameCommand(link)}`
    )
  }
  if (link.type !== 'ether') {
    return diagnostic(
      'INTERFACE_NOT_ETHERNET',
      `${link.name} is not Ethernet but "${link.type}": its frames have no MAC header, and sensors would misread them`,
      'mirror the Ethernet interface below it'
    )
  }
  return dedicated ? checkDedicated(link, host) : undefined
}

/** A dedicated interface has neither ARP nor IPv6: any other use would be cut off. */
function checkDedicated(link: Link, host: HostIndex): Diagnostic | undefined {
  const address = link.addresses.find(({ automatic }) => !automatic)
  if (address !== undefined) {
    return diagnostic(
      'DEDICATED_HAS_ADDRESS',
      `${link.name} is to be dedicated to capture, but has the address ${address.address}/${address.prefix}`,
      'remove "dedicated" from the file, or remove the address'
    )
  }
  const [route, ...others] = host.routesOf(link)
  if (route === undefined) return undefined
  const more = others.length === 0 ? '' : `, and ${others.length} more`
  const all =
    more === '' ? '' : `; all of them: ${shellLine(['ip', 'route', 'show', 'table', 'all', 'dev', link.name])}`
  return diagnostic(
    'DEDICATED_HAS_ROUTE',
    `${link.name} is to be dedicated to capture, but the host has a route through it: ${route.text}${more}`,
    `remove "dedicated" from the file, or remove the route: ${shellLine(route.removal)}${all}`
  )
}

/** An altname finds the interface whatever bytes its name has. */
function renameCommand({ name, altnames: [altname = name] }: Link): string {
  return shellLine(['ip', 'link', 'set', 'dev', altname, 'name', 'new0'])
}

/** The program that would misread the interface's name; undefined: none. */
function findConfused(name: string, dedicated: boolean): string | undefined {
  if (batchWord(name) === null || printable(name) !== name) return 'tc'
  if (!dedicated) return undefined
  if (name.includes('=')) return 'sysctl'
  return name === '*' ? 'ethtool' : undefined
}

/** Warns of an interface that merges frames, and whose driver cannot stop that: sensors do not see these frames as on the wire. */
function warnOfMerging(link: Link): Diagnostic[] {
  return columnOf(sourceSettings, 'offload')
    .filter(([name]) => link.offloads[name]?.active === true && link.offloads[name]?.fixed === true)
    .map(([name]) => diagnostic('OFFLOAD_FIXED', `${link.name}: its driver cannot switch ${name} off`))
}

/** Whether a link has a MAC address of its own: VLANs, bridges and bonds borrow that of an interface below them. */
function hasOwnAddress(link: IpLink): boolean {
  return link.lower === null && !['bridge', 'bond', 'team'].includes(link.kind ?? '')
}

function missingName(name: string, host: LinkIndex<IpLink>): Diagnostic {
  const names = host.links.flatMap((link) => [link.name, ...link.altnames])
  const there = host.links.filter(({ type }) => type === 'ether').map((link) => link.name)
  return diagnostic(
    'INTERFACE_MISSING',
    `there is no interface ${name} on this host`,
    suggestSlips(name, names) ?? `there are: ${there.slice(0, 20).join(', ') || 'none'}`
  )
}

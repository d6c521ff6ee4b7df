import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex, LinkIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { IpLink, Link } from '../../host/snapshot.ts'
import { writeStaysUp } from '../../run-dir/going-down.ts'
import type { InterfaceMatch } from '../../spec/interfaces.ts'
import { suggestNames } from '../../spec/schema/did-you-mean.ts'
import type { Spec } from '../../spec/spec.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'

/** How a source's interface is found: by its entry in the file, or by its name. */
export function matchOf({ interfaces }: Spec, source: string): InterfaceMatch {
  return interfaces.find(({ key }) => key === source)?.match ?? { name: source }
}

/** Whether a link is one that an entry of the file may mean. */
export function isMatch(match: InterfaceMatch, link: Link, host: LinkIndex): boolean {
  // Compared first, for findCandidates() searches all links.
  const isPossible = 'name' in match || match.macaddress === link.permanentMac
  return isPossible && findCandidates(match, host).includes(link)
}

/** The name or the MAC address by which the file calls an interface. */
export const nameIn = (match: InterfaceMatch): string => ('name' in match ? match.name : match.macaddress)

/** The same in words. */
export const writeMatchWords = (match: InterfaceMatch): string =>
  'name' in match ? match.name : `with the MAC address ${match.macaddress}`

/**
 * Why an interface of the file is left as it is, where it is there, or may be, and its record is not understood; undefined: it is
 * not so.
 *
 * @param role what it is in the span, with its article.
 */
export function explainOpaqueMatch(
  match: InterfaceMatch,
  host: HostIndex,
  role: 'a source' | 'an output',
  span: string
): Diagnostic | undefined {
  const isFound = !('code' in findInterface(match, host))
  const opaque = isFound ? undefined : 'name' in match ? host.findOpaque(match.name) : host.opaque[0]
  if (opaque === undefined) return undefined
  const isNamed = 'name' in match && (opaque.name === match.name || opaque.altnames.includes(match.name))
  const which = isNamed ? `it is ${role}` : `it may be ${role}, the one ${writeMatchWords(match)},`
  return explainOpaque(opaque, `${which} of the span ${span}`)
}

/** The wait for an interface that is going down. */
export function explainGoingDown(name: string, { files: all }: Spec): Diagnostic {
  // Bare, apply finds ./spans.yaml; and /etc/spanplan only where there is no ./spans.yaml.
  const files = all.length === 1 && all[0] === 'spans.yaml' ? [] : all
  const hint = writeStaysUp(shellLine(['spanplan', 'apply', ...files.flatMap((path) => ['-f', path])]))
  return diagnostic('INTERFACE_GOING_DOWN', `waits for ${name}, which is going down`, hint)
}

/** The names of the interfaces that are dedicated to capture. Any other use of such an interface would be cut off. */
export function dedicatedInterfaces({ interfaces }: Spec, host: LinkIndex): readonly string[] {
  const dedicated = interfaces.filter((one) => one.dedicated)
  return dedicated.flatMap(({ match }) => findCandidates(match, host)).map(({ name }) => name)
}

/** The names of the interfaces whose receive rings the file sets. */
export function ringedInterfaces({ interfaces }: Spec, host: LinkIndex): readonly string[] {
  const ringed = interfaces.filter((one) => one.ring !== null)
  return ringed.flatMap(({ match }) => findCandidates(match, host)).map(({ name }) => name)
}

/** The links of this host that the file may mean. */
export function findCandidates<One extends IpLink>(match: InterfaceMatch, host: LinkIndex<One>): readonly One[] {
  if ('name' in match) {
    const link = host.findLink(match.name)
    return link === undefined ? [] : [link]
  }
  const all = host.links.filter((link) => link.permanentMac === match.macaddress && link.type === 'ether')
  const interfaces = all.filter(hasOwnAddress)
  return interfaces.length > 0 ? interfaces : all
}

/** Whether the file means the interface of a name or altname; where there is none, only that name is compared. */
export function isMeant(match: InterfaceMatch, name: string, host: LinkIndex<IpLink>): boolean {
  const link = host.findLink(name)
  if (link === undefined) return 'name' in match && match.name === name
  const found = findInterface(match, host)
  return !('code' in found) && found.index === link.index
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
    suggestNames(name, names) ?? `there are: ${there.slice(0, 20).join(', ') || 'none'}`
  )
}

/**
 * A hint for a missing interface, whose name may be a typing error: a similar name that the file does not use yet;
 * undefined: there is none.
 */
export function suggestInterface(match: InterfaceMatch, spec: Spec, host: HostIndex): string | undefined {
  if (!('name' in match)) return undefined
  const used = spec.spans.flatMap(({ sources, outputs }) =>
    [...sources, ...outputs].flatMap((one) => (one.kind === 'interface' ? [matchOf(spec, one.interface)] : []))
  )
  const links = host.links.filter((link) => link.type === 'ether' && !used.some((one) => isMatch(one, link, host)))
  const names = links.flatMap(({ name, altnames }) => [name, ...altnames])
  return suggestNames(match.name, names)
}

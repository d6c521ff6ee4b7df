import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Address, Link } from '../../host/snapshot.ts'
import { namesOf } from '../../spec/scope.ts'
import { tunnelKinds } from '../interface-use.ts'
import { sysctlCommand } from '../kind.ts'
import { isOutputOf } from '../marks.ts'
import { isInScope, markOf } from '../ownership.ts'
import { isAttached, readPortMark } from '../port-role.ts'
import { findSeal } from '../seal-commands.ts'
import { switchIpv6 } from '../settings.ts'
import { checkName } from '../sources/check-interface.ts'
import { isMatch } from '../sources/find-interface.ts'
import type { Context } from '../sources/host-source-kind.ts'

/** Why an interface cannot be an output of the span with this bridge; undefined: it can. A port of a bridge serves nothing else. */
export function checkOutput(link: Link, bridge: string, context: Context): Diagnostic | undefined {
  const { name } = link
  const { spec, host } = context
  const named = checkName(link, true)
  if (named !== undefined) return named
  if (link.type !== 'ether') {
    const message = `${name} is not Ethernet but "${link.type}": the frames of a span cannot leave by it`
    return diagnostic('INTERFACE_NOT_ETHERNET', message, 'use an Ethernet interface')
  }
  if (spec.interfaces.some((one) => one.dedicated && isMatch(one.match, link, host))) {
    return refuse(name, 'is dedicated to capture, so nothing leaves by it', 'remove "dedicated" from the file')
  }
  const use = findKind(link, host) ?? findMaster(link, bridge, context) ?? findUse(link, host)
  return use && refuse(name, use.words, use.remedy)
}

/** What uses an interface, and what helps. */
interface Use {
  readonly words: string
  readonly remedy: string
}

function refuse(name: string, words: string, remedy: string): Diagnostic {
  return diagnostic('OUTPUT_IN_USE', `${name} cannot be an output: it ${words}`, `use another interface; or ${remedy}`)
}

/** Of kinds that cannot be ports, or whose frames may come back to a source where nobody follows them. */
function findKind({ name, kind, foreignPeer, ...rest }: Link, host: HostIndex): Use | undefined {
  if (kind === 'bridge') return { words: 'is a bridge', remedy: `name a port of ${name}` }
  if (tunnelKinds.has(kind)) {
    return { words: `is a tunnel (${kind}), whose packets a source may copy again`, remedy: 'name no tunnel' }
  }
  const container = host.attachmentOf({ name, kind, foreignPeer, ...rest })?.container.name
  if (container === undefined) return undefined
  return { words: `leads to the container ${container}`, remedy: 'list the container under "sensors"' }
}

/** One that spanplan has put on the bridge of a span of this run may go over to another. */
function findMaster(link: Link, bridge: string, { spec, scope, names, host }: Context): Use | undefined {
  const { name, master } = link
  const ours = readPortMark(host, link)?.wasPort === false
  const isOff = ours && markOf(host, host.linkOf(master)) === null
  const other = isOff ? findOwner(link, namesOf(spec), host) : undefined
  if (other !== undefined) return other
  if (master === null || isAttached(host, link, bridge)) return undefined
  const owner = markOf(host, host.linkOf(master))?.owner
  if (owner !== undefined && ours) {
    if (!namesOf(spec).includes(owner)) {
      const words = `is an output of span ${master} already, of the name ${owner}`
      return { words, remedy: 'take it out of the file of that name' }
    }
    if (isInScope({ scope, names }, owner, master)) return undefined
    const span = names.nameOf(master)
    return { words: `is an output of span ${span} already`, remedy: `apply ${span} too, without that output` }
  }
  const remedy = `take it off: ${shellLine(['ip', 'link', 'set', 'dev', name, 'nomaster'])}`
  return { words: `belongs to ${master} already`, remedy }
}

/** Whose output an interface is that somebody has taken off the bridge: its seal says so. */
function findOwner({ name }: Link, own: readonly string[], host: HostIndex): Use | undefined {
  const handle = findSeal(host, name)?.handle
  if (handle == null || own.some((one) => isOutputOf(one, handle))) return undefined
  const owner = host.links.flatMap((link) => markOf(host, link)?.owner ?? []).find((one) => isOutputOf(one, handle))
  const whose = owner === undefined ? 'another name' : `the name ${owner}`
  const remedy = 'take it out of the file of that name, and apply that'
  return { words: `is an output of ${whose}, which somebody has taken off its bridge`, remedy }
}

/** What the host itself would send by the link of a tunnel that is an output, with what helps; undefined: nothing. */
export function explainUse(link: Link, output: string, host: HostIndex): Diagnostic | undefined {
  const use = findUse(link, host)
  return use && diagnostic('OUTPUT_IN_USE', `${link.name}, the interface of ${output}, ${use.words}`, use.remedy)
}

function findUse(link: Link, host: HostIndex): Use | undefined {
  const { name, addresses } = link
  const address = addresses.find(({ automatic }) => !automatic)
  if (address !== undefined) {
    const written = `${address.address}/${address.prefix}`
    const remedy = removalOf(name, address.family, ['ip', 'addr', 'del', written, 'dev', name])
    return { words: `has the address ${written}, so the host uses it`, remedy }
  }
  const [route] = host.routesOf(link)
  if (route !== undefined) {
    return { words: `has a route of the host: ${route.text}`, remedy: removalOf(name, route.family, route.removal) }
  }
  const [user] = [
    ...host.uppersOf(link).map((upper) => upper.name),
    ...host.links.filter(({ tunnel }) => tunnel?.interface === name).map((tunnel) => tunnel.name),
    ...host.networksAbove(name).map((network) => `the Docker network ${network.name}`)
  ]
  return user === undefined ? undefined : { words: `carries ${user}`, remedy: `remove ${user}` }
}

/** While the interface has IPv6, whoever is on its cable can give it addresses and routes, by router advertisements. */
function removalOf(device: string, family: Address['family'], removal: readonly string[]): string {
  if (family === 'inet') return `remove it: ${shellLine(removal)}`
  const command = sysctlCommand([switchIpv6(device, false)])
  return `if the host does not need IPv6 there, switch it off, so that no router advertisement of the cable brings it back: ${shellLine(command)}`
}

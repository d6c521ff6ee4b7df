import { type Diagnostic, diagnostic } from '../../errors.ts'
import { referTo } from '../../host/docker/docker-names.ts'
import { groupsOf, type HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link, Manager } from '../../host/snapshot.ts'
import { joinAnd, listFew } from '../../text-lines.ts'
import { destroyOf, markOf } from '../ownership.ts'

/** As many names as a sentence takes. */
const mostNames = 4

/** The names that tools give to the interfaces they make, and whose these are; the first match counts. */
const makers: readonly (readonly [RegExp, string])[] = [
  [/^(vnet|virbr)\d/, "libvirt's"],
  [/^docker(0$|_gwbridge$)|^br-[0-9a-f]{12}$/, "Docker's"],
  [/^(vmbr|fwbr|fwln|fwpr)\d|^(tap|veth)\d+i\d+$/, "Proxmox's"],
  [/^tap/, "virtual machines'"],
  [/^(lxc|lxd|incus)br\d/, "LXC's"],
  [/^cali/, "Calico's"],
  [/^(cilium_|lxc)/, "Cilium's"],
  [/^(cni|flannel)/, "Kubernetes'"],
  [/^podman\d/, "Podman's"],
  [/^veth/, "containers'"]
]

function guessMaker(name: string): string | null {
  return makers.find(([pattern]) => pattern.test(name))?.[1] ?? null
}

/** How each tool removes an interface of its own, and the configuration from which it would make the interface again. */
const removals: Readonly<Record<Manager, { readonly words: readonly string[]; readonly place: string }>> = {
  ifupdown: { words: ['ifdown'], place: '/etc/network/interfaces' },
  'systemd-networkd': { words: ['networkctl', 'delete'], place: '/etc/systemd/network' },
  NetworkManager: { words: ['nmcli', 'device', 'delete'], place: "NetworkManager's connections" }
}

/** What a foreign interface with the name of a span's bridge is, whose it seems to be, and what to do. */
export function explainDevice(host: HostIndex, name: string): Diagnostic {
  const link = host.findLink(name)
  if (link && link.name !== name) {
    return diagnostic(
      'LINK_FOREIGN',
      `the interface ${link.name} has ${name} as another name (altname)`,
      `give the span another bridge (bridge: NAME), or take that name off the interface: ${shellLine(['ip', 'link', 'property', 'del', 'dev', link.name, 'altname', name])}`
    )
  }
  const owner = markOf(host, link)?.owner
  if (owner !== undefined) {
    const message = `the bridge ${name} belongs to another spans.yaml (name: ${owner})`
    const hint = `if the "name" of this file was ${owner} before, write "formerly: ${owner}" beside "name": then the span stays as it is, with the new name; else give the span another bridge (bridge: NAME), or remove the other: ${shellLine(destroyOf(owner))}`
    return diagnostic('BRIDGE_OTHER_NAME', message, hint)
  }
  if (link?.bridge) {
    return diagnostic(
      'BRIDGE_FOREIGN',
      `a bridge ${name} already exists, and spanplan did not create it${useClause(host, link)}`,
      `give the span another bridge (bridge: NAME), or remove that one if nothing needs it: ${removeDevice(host, link)}`
    )
  }
  const what = link ? ` but ${kindClause(host, link)}${useClause(host, link)}` : ''
  return diagnostic(
    'LINK_FOREIGN',
    `an interface ${name} already exists, and is not a bridge${what}`,
    `give the span another bridge (bridge: NAME); see that interface with: ${shellLine(['ip', '-details', 'link', 'show', 'dev', name])}`
  )
}

/** Whose an interface seems to be, and what is on it; empty where nothing tells. */
function useClause(host: HostIndex, link: Link): string {
  const maker = link.manager === null ? guessMaker(link.name) : `${link.manager}'s`
  const networks = host.networksOn(link.name).map(({ name }) => name)
  const what = networks.length === 1 ? 'network' : 'networks'
  const facts = [
    ...(maker === null ? [] : [`it seems to be ${maker}`]),
    ...(networks.length === 0 ? [] : [`the Docker ${what} ${listFew(networks, mostNames)} ${isAre(networks)} on it`]),
    ...portClauses(host, link)
  ]
  return facts.length === 0 ? '' : `; ${joinAnd(facts)}`
}

function removeDevice(host: HostIndex, link: Link): string {
  const [network] = host.networksOn(link.name)
  if (network !== undefined) return shellLine([host.engine, 'network', 'rm', referTo(network)])
  if (link.manager === null) return shellLine(['ip', 'link', 'del', 'dev', link.name])
  const { words, place } = removals[link.manager]
  return `${shellLine([...words, link.name])} (and take it out of ${place})`
}

function kindClause(host: HostIndex, { kind, type, lower }: Link): string {
  const below = host.linkAt(lower)
  const what = kind ?? (type === 'ether' ? 'physical interface' : `${type} interface`)
  return `${/^[aeio]/.test(what) ? 'an' : 'a'} ${what}${below ? ` on ${below.name}` : ''}`
}

/** One fact for each maker of ports, and one for the ports of unknown makers. */
function portClauses(host: HostIndex, bridge: Link): string[] {
  const ports = host.membersOf(bridge.name).map(({ name }) => name)
  return [...groupsOf(ports, guessMaker)].map(([maker, names]) => {
    const what = `its ${names.length === 1 ? 'port' : 'ports'}`
    if (maker === null) return `${what} ${isAre(names)} ${listFew(names, mostNames)}`
    return `${what} ${listFew(names, mostNames)} ${names.length === 1 ? 'seems' : 'seem'} to be ${maker}`
  })
}

function isAre(names: readonly string[]): string {
  return names.length === 1 ? 'is' : 'are'
}

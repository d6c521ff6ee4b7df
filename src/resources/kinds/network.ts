import { type Diagnostic, diagnostic } from '../../errors.ts'
import { composeLabel, label, networkOption, referTo } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { DockerNetwork, Pool } from '../../host/snapshot.ts'
import { readSubnet, type Subnet, subnetsOverlap, writeSubnet } from '../../spec/values/subnet.ts'
import type { DesiredState } from '../desired-state.ts'
import { joinAnd } from '../foreign/device-origin.ts'
import { adoptUnless, type Kind, type Resource, yesNo } from '../kind.ts'
import { hashOf, readMark } from '../marks.ts'
import { isInScope, leftNotes, ownsBridge, ownsNetwork } from '../ownership.ts'

/** The Docker network that hands a span out. Docker cannot change a network: any difference recreates it. */
export interface Network extends Resource {
  readonly kind: 'network'
  /** The network's name. For a foreign network, the id is that of the desired network in whose place it is. */
  readonly name: string
  /** The reference to the network in a call of Docker. */
  readonly reference: string
  readonly bridge: string
  readonly driver: string
  readonly internal: boolean
  readonly ipv6: boolean
  /** Docker gives the bridge an address for the host, which sensors could reach. */
  readonly hostAddress: boolean
  /** Bytes, of both ends of each interface. */
  readonly mtu: number
  readonly subnet: string
  /** The owner, from the labels. */
  readonly mark: string
  readonly labels: Readonly<Record<string, string>>
  /** Further options and labels that it takes to create the network again. */
  readonly attachable: boolean
  readonly pools: readonly Pool[]
  readonly options: Readonly<Record<string, string>>
}

/** How Docker networks are desired, observed, created and recreated. */
export const network: Kind<Network> = {
  kind: 'network',
  fields: {
    bridge: { label: 'bridge', words: (bridge) => (bridge === '' ? 'none' : bridge), immutable: true },
    driver: { label: 'driver', words: String, immutable: true },
    internal: { label: 'internal', words: yesNo, immutable: true },
    ipv6: { label: 'IPv6', words: yesNo, immutable: true },
    hostAddress: { label: 'host address', words: yesNo, immutable: true },
    mtu: { label: 'mtu', words: (mtu) => (Number.isNaN(mtu) ? 'no number' : String(mtu)), immutable: true },
    subnet: { label: 'subnet', words: (subnet) => (subnet === '' ? 'none' : subnet), immutable: true },
    mark: { label: 'mark', words: (mark) => (mark === '' ? 'none' : mark), immutable: true }
  },
  desire: desireNetworks,
  observe: (desired, host) => liveNetworks(desired, host).map((live) => observeNetwork(desired, live)),
  evidence: () => ['docker'],
  create: ({ id, driver, internal, ipv6, attachable, pools, options, labels }) => {
    const request = { network: id, driver, internal, ipv6, attachable, pools, options, labels }
    return [{ summary: `create the network ${id}`, docker: { call: 'createNetwork', ...request } }]
  },
  remove: ({ id, reference }) => [
    { summary: `remove the network ${id}`, docker: { call: 'removeNetwork', network: reference } }
  ],
  summary: ({ subnet, mtu }) => `internal, ${subnet}, mtu ${mtu}, no host address`,
  replaceNote: 'Docker cannot change a network: it is recreated',
  conflict: explainConflict,
  adoptNote: 'a later destroy removes it'
}

function explainConflict(live: Network, desired: Network, host: HostIndex): Diagnostic {
  const { name, reference, bridge, labels } = live
  const project = labels[composeLabel.project]
  const use = describeMembers(live, host)
  const away = project === undefined ? 'remove' : `take it out of the Compose project ${project} and remove`
  const removal = shellLine(['docker', 'network', 'rm', reference])
  if (labels[label.name] !== undefined) {
    return diagnostic(
      'NETWORK_OTHER_SPAN',
      `the Docker network ${name} belongs to the span ${labels[label.span]} (name: ${labels[label.name]})`,
      'give the network another name, or destroy that span first'
    )
  }
  return name === desired.name
    ? diagnostic(
        'NETWORK_FOREIGN',
        `a Docker network ${name} already exists, and spanplan did not create it; ${use}`,
        `give the span's network another name (network: NAME), or ${away} that one: ${removal}`
      )
    : diagnostic(
        'NETWORK_BRIDGE_TAKEN',
        `the Docker network ${name} already uses the bridge ${bridge}, and spanplan did not create it; ${use}`,
        `give the span another name, or ${away} that network: ${removal}`
      )
}

/** Whose a network seems to be, and which containers are on it. */
function describeMembers({ name, subnet, labels }: Network, host: HostIndex): string {
  const project = labels[composeLabel.project]
  const members = host.containers.filter(({ endpoints }) => endpoints.some(({ network }) => network === name))
  return joinAnd([
    ...(project === undefined ? [] : [`it belongs to the Compose project ${project}`]),
    `it has ${subnet === '' ? 'no subnet' : `the subnet ${subnet}`}`,
    members.length > 1
      ? `${members.length} containers are on it`
      : `${members.length === 1 ? '1' : 'no'} container is on it`
  ])
}

/** How the labels of our network describe the bridge below it: a bridge that Docker has recreated bears no mark itself. */
export function dockerBridgeMark(desired: Pick<DesiredState, 'scope'>, host: HostIndex, bridge: string): string | null {
  const ours = host.networksOn(bridge).find(({ labels, options }) => {
    // Else the bridge is one of Docker's own, which goes with its network.
    return options[networkOption.bridge] === bridge && isInScope(desired, labels[label.name], bridge)
  })
  return ours?.labels[label.bridge] ?? null
}

/** Our networks, and foreign networks in the place of ours. */
export function liveNetworks(desired: DesiredState, host: HostIndex): readonly DockerNetwork[] {
  return host.networks.filter((network) => {
    const bridge = network.options[networkOption.bridge] ?? ''
    const isPlace = desired.spanOfNetwork(network.name) !== undefined || desired.spanOf(bridge)?.network != null
    const isNote = network.labels[label.note] !== undefined
    return !isNote && (isPlace || ownsNetwork(desired, network))
  })
}

/** Bytes; 1500 is Docker's own default. */
export function networkMtu(live: DockerNetwork): number {
  return Number(live.options[networkOption.mtu] ?? 1500)
}

function observeNetwork(desired: DesiredState, live: DockerNetwork): Network {
  const bridge = live.options[networkOption.bridge] ?? ''
  const user = desired.spanOfNetwork(live.name) ?? desired.spanOf(bridge)
  const ours = ownsNetwork(desired, live)
  return {
    kind: 'network',
    // A foreign network on the bridge of a span is in the place of that span's network, whatever its name.
    id: !ours && user?.network ? user.network.name : live.name,
    name: live.name,
    reference: referTo(live),
    spans: [live.labels[label.span] ?? user?.name ?? ''],
    owner: ours ? 'ours' : 'foreign',
    ...(!ours && user?.network && { adoption: adoptUnless(findObjection(live, user.network.name, user.name)) }),
    bridge,
    driver: live.driver,
    internal: live.internal,
    ipv6: live.ipv6,
    hostAddress: live.options[networkOption.noAddress] !== 'true',
    mtu: networkMtu(live),
    subnet: live.pools.map(({ subnet }) => subnet).join(' '),
    mark: [label.name, label.span, label.bridge]
      .map((key) => live.labels[key] ?? '')
      .join(' ')
      .trim(),
    labels: live.labels,
    attachable: live.attachable,
    pools: live.pools,
    options: live.options
  }
}

function desireNetworks(desired: DesiredState, host: HostIndex): Network[] {
  const taken = takenSubnets(desired, host)
  const notes = leftNotes(desired, host)
  const noted = (name: string) => notes.find(({ place }) => place.network === name)?.place.subnet
  return desired.spans.flatMap((span): Network[] => {
    if (span.network === null) return []
    const live = host.networkOf(span.network.name)
    const ours = live && isInScope(desired, live.labels[label.name], span.name)
    const kept = live && (ours || findMismatch(live, span.name) === undefined) ? live : undefined
    const subnet =
      span.network.subnet ?? kept?.pools[0]?.subnet ?? noted(span.network.name) ?? findFreeSubnet(span.name, taken)
    taken.push(...readSubnets([subnet]))
    const how = (ours && live.labels[label.bridge]) || (isAdopted(desired, host, span.name) ? 'adopted' : 'owned')
    const labels = { [label.name]: desired.owner, [label.span]: span.name, [label.bridge]: how }
    return [
      {
        kind: 'network',
        id: span.network.name,
        name: span.network.name,
        reference: span.network.name,
        spans: [span.name],
        owner: 'ours',
        origin: span.network.origin,
        bridge: span.name,
        driver: 'bridge',
        internal: true,
        ipv6: false,
        hostAddress: false,
        mtu: span.mtu,
        subnet,
        mark: Object.values(labels).join(' '),
        // Other options and labels are foreign: they stay.
        labels: { ...kept?.labels, ...labels },
        attachable: kept?.attachable ?? false,
        pools: [
          kept?.pools.find((one) => one.subnet === subnet) ?? { subnet, gateway: null, range: null, reserved: {} }
        ],
        options: {
          ...kept?.options,
          [networkOption.bridge]: span.name,
          [networkOption.noAddress]: 'true',
          [networkOption.mtu]: String(span.mtu)
        }
      }
    ]
  })
}

/** Whether the bridge was adopted, or is being adopted. */
function isAdopted(desired: DesiredState, host: HostIndex, span: string): boolean {
  const link = host.linkOf(span)
  if (link === undefined) return false
  const mark = readMark(link)
  return mark === null ? !ownsBridge(desired, link) : mark.original !== null
}

/** Why a network may not be adopted as the network of a span. */
function findObjection(live: DockerNetwork, name: string, span: string): string | undefined {
  if (live.labels[label.name] !== undefined) return "it is another span's"
  // Its users know the network by its name.
  if (live.name !== name) return `its name is ${live.name}: write that in the file (network: ${live.name})`
  return findMismatch(live, span)
}

/** Why a network is none that a span could have: only a network on that span's bridge is. */
function findMismatch({ driver, internal, options, pools }: DockerNetwork, span: string): string | undefined {
  const bridge = options[networkOption.bridge]
  if (driver !== 'bridge') return `its driver is ${driver}`
  if (bridge !== span) return `it is on ${bridge ? `the bridge ${bridge}` : "a bridge of Docker's own"}`
  if (!internal) return 'it is not internal: its containers would lose their way to other networks'
  return pools.length === 1 ? undefined : 'it has more than one subnet'
}

/** 198.18.0.0/15 is for benchmarks of networks (RFC 2544): no real hosts have addresses there. */
const pool = { base: 198 * 2 ** 24 + 18 * 2 ** 16, length: 15 } as const
const length = 26
const size = 2 ** (32 - length)
const poolSize = 2 ** (length - pool.length)

/** A free /26 of the pool: the first after a place that is a hash of the span's name. */
function findFreeSubnet(span: string, taken: readonly Subnet[]): string {
  const first = hashOf('subnet', span) % poolSize
  for (let offset = 0; offset < poolSize; offset++) {
    const subnet = { base: pool.base + ((first + offset) % poolSize) * size, length }
    if (!taken.some((other) => subnetsOverlap(other, subnet))) return writeSubnet(subnet)
  }
  // All 2,048 are taken. Docker then says what is wrong.
  return writeSubnet({ base: pool.base + first * size, length })
}

function takenSubnets(desired: DesiredState, host: HostIndex): Subnet[] {
  const networks = host.networks.flatMap(({ pools }) => pools.map(({ subnet }) => subnet))
  const addresses = host.links.flatMap((link) =>
    link.addresses.filter(({ family }) => family === 'inet').map(({ address, prefix }) => networkOf(address, prefix))
  )
  const asked = desired.spans.flatMap((span) => span.network?.subnet ?? [])
  return readSubnets([...networks, ...addresses, ...asked])
}

/** Prefixes of any length: a single address of the host is taken too. */
function readSubnets(texts: readonly string[]): Subnet[] {
  return texts.flatMap((text) => readSubnet(text) ?? [])
}

function networkOf(address: string, prefix: number): string {
  const base = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  return writeSubnet({ base: base - (base % 2 ** (32 - prefix)), length: prefix })
}

import { type Diagnostic, diagnostic } from '../../errors.ts'
import {
  announcementsOption,
  composeLabel,
  label,
  networkOption,
  referTo,
  supportsApi
} from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { DockerNetwork, Pool } from '../../host/snapshot.ts'
import { joinAnd } from '../../text-lines.ts'
import type { DesiredState } from '../desired-state.ts'
import { adoptUnless, type Kind, type Resource } from '../kind.ts'
import { ownMark } from '../marks.ts'
import { chooseSubnet, findFreeSubnet, readSubnets, takenSubnets, writeOverlap } from '../network-subnets.ts'
import {
  destroyOf,
  isInScope,
  isLiveNetwork,
  leftNotes,
  markOf,
  ownsBridge,
  ownsNetwork,
  type Scoped
} from '../ownership.ts'
import { yesNo } from '../settings.ts'

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
    mark: { label: 'mark', words: (mark) => (mark === '' ? 'none' : ownMark), immutable: true }
  },
  desire: ({ desired, host }) => desireNetworks(desired, host),
  observe: ({ desired, host }) => liveNetworks(desired, host).map((live) => observeNetwork(desired, live)),
  evidence: () => ['docker'],
  create: ({ id, driver, internal, ipv6, attachable, pools, options, labels }) => {
    const request = { network: id, driver, internal, ipv6, attachable, pools, options, labels }
    return [{ summary: `create the network ${id}`, docker: { call: 'createNetwork', ...request } }]
  },
  remove: ({ id, reference }) => [
    { summary: `remove the network ${id}`, docker: { call: 'removeNetwork', network: reference } }
  ],
  summary: ({ subnet, mtu }) => `internal, ${subnet}, mtu ${mtu}, no host address`,
  replaceNote: () => 'Docker cannot change a network: it is recreated',
  disconnects: ({ name }, host) => findListeners(host, name),
  holdNote: (before, after) =>
    before.mtu < after.mtu ? `until then, frames larger than ${before.mtu} bytes do not reach the sensors` : '',
  conflict: explainConflict,
  // The containers on a foreign network are no sensors: nothing of theirs is sealed or closed.
  conflictCosts: () => 'span',
  obstacles: findSubnetsTaken,
  adoptNote: 'a later destroy removes it'
}

function explainConflict(live: Network, desired: Network, host: HostIndex): Diagnostic {
  const { name, reference, bridge, labels, spans } = live
  const project = labels[composeLabel.project]
  const use = useOf(live, host)
  const away = project === undefined ? 'remove' : `take it out of the Compose project ${project} and remove`
  const removal = shellLine([host.engine, 'network', 'rm', reference])
  const owner = labels[label.name]
  if (owner !== undefined && labels[label.span] === desired.bridge && bridge === desired.bridge) {
    return diagnostic(
      'NETWORK_OTHER_NAME',
      `the Docker network ${name} bears the name ${owner}, and Docker changes no label of a network`,
      `if the "name" of this file was ${owner} before, have "formerly: ${owner}" beside "name" for as long as the network is there; else remove the other span: ${shellLine(destroyOf(owner, desired.bridge))}`
    )
  }
  if (owner !== undefined) {
    return diagnostic(
      'NETWORK_OTHER_SPAN',
      `the Docker network ${name} belongs to the span ${spans[0]} (name: ${owner})`,
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
        `give the span another bridge (bridge: NAME), or ${away} that network: ${removal}`
      )
}

/** Docker refuses a subnet that overlaps another network's: here before anything is changed, and by name. */
function findSubnetsTaken(desired: DesiredState, host: HostIndex): Diagnostic[] {
  const going = new Set(liveNetworks(desired, host))
  // Networks of the driver overlay have an address space of their own.
  const staying = host.networks.filter((live) => !going.has(live) && live.driver !== 'overlay')
  const foreign = staying.flatMap(({ name, pools }) =>
    pools.map(({ subnet }) => ({ subnet, user: `the Docker network ${name}` }))
  )
  const networks = desireNetworks(desired, host)
  return networks.flatMap(({ name, bridge, subnet, origin }) => {
    const span = desired.spanOn(bridge)
    if (span?.network?.subnet == null) return []
    const kept = networks
      .filter((other) => other.name !== name)
      .map((other) => ({ subnet: other.subnet, user: `the Docker network ${other.name} of span ${other.spans[0]}` }))
    const overlap = writeOverlap(span.name, subnet, [...foreign, ...kept])
    if (overlap === null) return []
    const subject = { span: span.name, kind: 'network', id: [name] }
    return [{ ...diagnostic('SUBNET_TAKEN', overlap, chooseSubnet, origin), subject }]
  })
}

/** Whose a network seems to be, and which containers are on it. */
function useOf({ name, subnet, labels }: Network, host: HostIndex): string {
  const project = labels[composeLabel.project]
  const members = host.endpointsOn(name)
  return joinAnd([
    ...(project === undefined ? [] : [`it belongs to the Compose project ${project}`]),
    `it has ${subnet === '' ? 'no subnet' : `the subnet ${subnet}`}`,
    members.length > 1
      ? `${members.length} containers are on it`
      : `${members.length === 1 ? '1' : 'no'} container is on it`
  ])
}

/** How the labels of our network describe the bridge below it: a bridge that Docker has recreated bears no mark itself. */
export function dockerBridgeMark(desired: Scoped, host: HostIndex, bridge: string): string | null {
  const ours = host.networksOn(bridge).find(({ labels, options }) => {
    // Else the bridge is one of Docker's own, which goes with its network.
    return options[networkOption.bridge] === bridge && isInScope(desired, labels[label.name], bridge)
  })
  return ours?.labels[label.bridge] ?? null
}

/** Our networks, and foreign networks in the place of ours. */
export function liveNetworks(desired: DesiredState, host: HostIndex): readonly DockerNetwork[] {
  return host.networks.filter((network) => isLiveNetwork(desired, network))
}

/** The names of the running containers that would lose a working interface if the Docker network of this name were recreated. */
export function findListeners(host: HostIndex, network: string): readonly string[] {
  const live = host.networkOf(network)
  return host.endpointsOn(network).flatMap(({ container, endpoint }) => {
    const { name, running, restarting } = container
    const isThere = endpoint.networkId === live?.id && endpoint.port !== 'absent'
    return running && !restarting && isThere ? [name] : []
  })
}

/** Bytes; 1500 is Docker's own default. */
export function networkMtu(live: DockerNetwork): number {
  return Number(live.options[networkOption.mtu] ?? 1500)
}

/** What the labels say of whose a network is. Labels of any other key are no part of that. */
function readLabels(labels: Network['labels']): string {
  const keys = [label.name, label.span, label.bridge]
  return keys
    .map((key) => labels[key] ?? '')
    .join(' ')
    .trim()
}

/** Docker changes no label of a network: one with that of a former name is as good as one with that of the name now. */
const ownLabel = ({ owner, scope }: DesiredState) => (scope.name === null ? {} : { [label.name]: owner })

function observeNetwork(desired: DesiredState, live: DockerNetwork): Network {
  const bridge = live.options[networkOption.bridge] ?? ''
  const user = desired.spanOfNetwork(live.name) ?? desired.spanOn(bridge)
  const ours = ownsNetwork(desired, live)
  return {
    kind: 'network',
    // A foreign network on the bridge of a span is in the place of that span's network, whatever its name.
    id: !ours && user?.network ? user.network.name : live.name,
    name: live.name,
    reference: referTo(live),
    spans: [desired.names.nameOf(live.labels[label.span] ?? user?.bridge ?? '')],
    owner: ours ? 'ours' : 'foreign',
    ...(!ours && user?.network && { adoption: adoptUnless(findObjection(live, user.network.name, user.bridge)) }),
    bridge,
    driver: live.driver,
    internal: live.internal,
    ipv6: live.ipv6,
    hostAddress: live.options[networkOption.noAddress] !== 'true',
    mtu: networkMtu(live),
    subnet: live.pools.map(({ subnet }) => subnet).join(' '),
    mark: readLabels(ours ? { ...live.labels, ...ownLabel(desired) } : live.labels),
    labels: live.labels,
    attachable: live.attachable,
    pools: live.pools,
    options: live.options
  }
}

function desireNetworks(desired: DesiredState, host: HostIndex): Network[] {
  // Docker can be kept from announcing each endpoint.
  const isSilent = host.docker.state === 'read' && supportsApi(host.docker.api, announcementsOption.api)
  const taken = takenSubnets(desired, host)
  const notes = leftNotes(desired, host)
  const noted = (name: string) => notes.find(({ place }) => place.network === name)?.place.subnet
  return desired.spans.flatMap((span): Network | [] => {
    if (span.network === null) return []
    const live = host.networkOf(span.network.name)
    const ours = live && isInScope(desired, live.labels[label.name], span.bridge)
    const kept = live && (ours || findMismatches(live, span.bridge).length === 0) ? live : undefined
    const subnet =
      span.network.subnet ??
      kept?.pools[0]?.subnet ??
      noted(span.network.name) ??
      findFreeSubnet(desired.subnetSeed, span.bridge, taken)
    taken.push(...readSubnets([subnet]))
    const how = (ours && live.labels[label.bridge]) || (isAdopted(desired, host, span.bridge) ? 'adopted' : 'owned')
    const labels = { [label.name]: desired.owner, [label.span]: span.bridge, [label.bridge]: how }
    return {
      kind: 'network',
      id: span.network.name,
      name: span.network.name,
      reference: span.network.name,
      spans: [span.name],
      owner: 'ours',
      origin: span.network.origin,
      bridge: span.bridge,
      driver: 'bridge',
      internal: true,
      ipv6: false,
      hostAddress: false,
      mtu: span.wantedMtu,
      subnet,
      mark: readLabels(labels),
      // Other options and labels are foreign: they stay.
      labels: { ...kept?.labels, ...labels },
      attachable: kept?.attachable ?? false,
      pools: [kept?.pools.find((one) => one.subnet === subnet) ?? { subnet, gateway: null, range: null, reserved: {} }],
      options: {
        ...kept?.options,
        [networkOption.bridge]: span.bridge,
        [networkOption.noAddress]: 'true',
        [networkOption.mtu]: String(span.wantedMtu),
        // No field of its own: a network that lacks this option is not recreated for it.
        ...(isSilent && { [announcementsOption.key]: '0' })
      }
    }
  })
}

/** Whether the bridge was adopted, or is being adopted. */
function isAdopted(desired: DesiredState, host: HostIndex, bridge: string): boolean {
  const link = host.linkOf(bridge)
  if (link === undefined) return false
  const mark = markOf(host, link)
  return mark === null ? !ownsBridge(desired, host, link) : mark.original !== null
}

/** Why a network may not be adopted as the network of a span: all that has to be changed before. */
function findObjection(live: DockerNetwork, name: string, bridge: string): string | undefined {
  if (live.labels[label.name] !== undefined) return "it is another span's"
  // Its users know the network by its name.
  const rename = live.name === name ? [] : [`its name is ${live.name}: write that in the file (network: ${live.name})`]
  const reasons = [...rename, ...findMismatches(live, bridge)]
  return reasons.length === 0 ? undefined : reasons.join('; ')
}

/** Why a network is none that the span with this bridge could have: only a network on that bridge is. */
export function findMismatches({ driver, internal, options, pools }: DockerNetwork, bridge: string): string[] {
  const its = options[networkOption.bridge]
  if (driver !== 'bridge') return [`its driver is ${driver}`]
  return [
    ...(options[networkOption.ownBridge] === undefined
      ? []
      : ['Podman manages its bridge, and removes the bridge with the last container (mode=unmanaged leaves it alone)']),
    ...(its === bridge ? [] : [`it is on ${its ? `the bridge ${its}` : "a bridge of Docker's own"}`]),
    ...(internal ? [] : ['it is not internal: its containers would lose their way to other networks']),
    ...(pools.length === 1 ? [] : [pools.length === 0 ? 'it has no subnet' : 'it has more than one subnet'])
  ]
}

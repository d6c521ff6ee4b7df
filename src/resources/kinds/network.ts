import { type Diagnostic, diagnostic } from '../../errors.ts'
import { composeLabel, label, networkOption, referTo } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { DockerNetwork, Pool } from '../../host/snapshot.ts'
import { readSubnet, type Subnet, subnetsOverlap, writeSubnet } from '../../spec/values/subnet.ts'
import type { DesiredState } from '../desired-state.ts'
import type { Adoption } from '../foreign/bridge.ts'
import { joinAnd } from '../foreign/device-origin.ts'
import { type Kind, type Resource, type Step, type Transition, yesNo } from '../kind.ts'
import { hashOf, readMark } from '../marks.ts'
import { isInScope, leftNotes, ownsBridge } from '../ownership.ts'

/** The Docker network that hands a span out. Docker can change nothing of one: what differs, it is recreated for. */
export interface Network extends Resource {
  readonly kind: 'network'
  /** As Docker calls it; the id is that of the wanted network in whose way a foreign one stands. */
  readonly name: string
  /** What it is called in a request. */
  readonly reference: string
  readonly bridge: string
  readonly driver: string
  readonly internal: boolean
  readonly ipv6: boolean
  /** Docker gives the bridge an address of the host's, which sensors could reach. */
  readonly hostAddress: boolean
  /** Bytes, of the host's and the container's end alike. */
  readonly mtu: number
  readonly subnet: string
  /** Whose it is, by its labels. */
  readonly mark: string
  readonly labels: Readonly<Record<string, string>>
  /** With the rest, what it takes to make it again. */
  readonly attachable: boolean
  readonly pools: readonly Pool[]
  readonly options: Readonly<Record<string, string>>
}

/** How Docker networks are wanted, found, made and made anew. */
export const network: Kind<Network> = {
  kind: 'network',
  fields: {
    bridge: { label: 'bridge', words: (bridge) => (bridge === '' ? 'none' : bridge), immutable: true },
    driver: { label: 'driver', words: String, immutable: true },
    internal: { label: 'internal', words: yesNo, immutable: true },
    ipv6: { label: 'IPv6', words: yesNo, immutable: true },
    hostAddress: { label: "address of the host's", words: yesNo, immutable: true },
    mtu: { label: 'mtu', words: (mtu) => (Number.isNaN(mtu) ? 'no number' : String(mtu)), immutable: true },
    subnet: { label: 'subnet', words: (subnet) => (subnet === '' ? 'none' : subnet), immutable: true },
    mark: { label: 'mark', words: (mark) => (mark === '' ? 'none' : mark), immutable: true }
  },
  desire: desireNetworks,
  observe: (wanted, host) => liveNetworks(wanted, host).map((live) => observeNetwork(wanted, live)),
  evidence: () => ['docker'],
  steps: networkSteps,
  title: (resource) => resource.id,
  summary: ({ subnet, mtu }) => `internal, ${subnet}, mtu ${mtu}, no address of the host's`,
  address: (resource) => [resource.id],
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
      `the Docker network ${name} belongs to the span ${labels[label.span]} of the name ${labels[label.name]}`,
      'give the network another name, or destroy that span first'
    )
  }
  return name === desired.name
    ? diagnostic(
        'NETWORK_FOREIGN',
        `a Docker network ${name} exists already, and spanplan did not make it; ${use}`,
        `give the span's network another name (network: NAME), or ${away} that one: ${removal}`
      )
    : diagnostic(
        'NETWORK_BRIDGE_TAKEN',
        `the Docker network ${name} is on the bridge ${bridge} already, and spanplan did not make it; ${use}`,
        `give the span another name, or ${away} that network: ${removal}`
      )
}

/** Whose a network seems to be, and who is on it. */
function describeMembers({ name, subnet, labels }: Network, host: HostIndex): string {
  const project = labels[composeLabel.project]
  const members = host.containers.filter(({ endpoints }) => endpoints.some(({ network }) => network === name))
  return joinAnd([
    ...(project === undefined ? [] : [`it is of the Compose project ${project}`]),
    `it has ${subnet === '' ? 'no subnet' : `the subnet ${subnet}`}`,
    members.length > 1
      ? `${members.length} containers are on it`
      : `${members.length === 1 ? '1' : 'no'} container is on it`
  ])
}

/** As what a network with our labels knows the bridge below it: whatever made that anew left no mark on it. */
export function dockerBridgeMark(wanted: Pick<DesiredState, 'scope'>, host: HostIndex, bridge: string): string | null {
  if (host.docker.state !== 'read') return null
  const ours = host.docker.networks.find(
    (live) => live.options[networkOption.bridge] === bridge && isInScope(wanted, live.labels[label.name], bridge)
  )
  return ours?.labels[label.bridge] ?? null
}

/** Our networks, and what stands where one of ours should be. */
export function liveNetworks(wanted: DesiredState, host: HostIndex): readonly DockerNetwork[] {
  if (host.docker.state !== 'read') return []
  const networks = host.docker.networks.filter(({ labels }) => labels[label.note] === undefined)
  return networks.filter(
    ({ labels, name, options }) =>
      isInScope(wanted, labels[label.name], labels[label.span] ?? '') ||
      wanted.spans.some(
        (span) => span.network !== null && (span.network.name === name || span.name === options[networkOption.bridge])
      )
  )
}

/** Bytes; 1500 is Docker's own default. */
export function networkMtu(live: DockerNetwork): number {
  return Number(live.options[networkOption.mtu] ?? 1500)
}

function observeNetwork(wanted: DesiredState, live: DockerNetwork): Network {
  const bridge = live.options[networkOption.bridge] ?? ''
  const user = wanted.spans.find((span) => span.network?.name === live.name || span.name === bridge)
  const ours = isInScope(wanted, live.labels[label.name], live.labels[label.span] ?? '')
  return {
    kind: 'network',
    // On the bridge of a span whose network has another name, a foreign network stands in that one's way.
    id: !ours && user?.network ? user.network.name : live.name,
    name: live.name,
    reference: referTo(live),
    spans: [live.labels[label.span] ?? user?.name ?? ''],
    owner: ours ? 'ours' : 'foreign',
    ...(!ours && user?.network && { adoption: judgeFor(live, user.network.name, user.name) }),
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

function desireNetworks(wanted: DesiredState, host: HostIndex): Network[] {
  const taken = takenSubnets(wanted, host)
  const notes = leftNotes(wanted, host)
  const noted = (name: string) => notes.find(({ place }) => place.network === name)?.place.subnet
  return wanted.spans.flatMap((span): Network[] => {
    if (span.network === null) return []
    const live = host.networkOf(span.network.name)
    const ours = live && isInScope(wanted, live.labels[label.name], span.name)
    const kept = live && (ours || judgeNetwork(live, span.name).possible) ? live : undefined
    const subnet =
      span.network.subnet ?? kept?.pools[0]?.subnet ?? noted(span.network.name) ?? findFreeSubnet(span.name, taken)
    taken.push(...readSubnets([subnet]))
    const how = (ours && live.labels[label.bridge]) || (isAdopted(wanted, host, span.name) ? 'adopted' : 'owned')
    const labels = { [label.name]: wanted.owner, [label.span]: span.name, [label.bridge]: how }
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
        // What others have set besides is none of the span's business, and is there for a reason.
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

/** Whether the bridge was, or is being, taken over from others. */
function isAdopted(wanted: DesiredState, host: HostIndex, span: string): boolean {
  const link = host.linkOf(span)
  if (link === undefined) return false
  const mark = readMark(link)
  return mark === null ? !ownsBridge(wanted, link) : mark.original !== null
}

function judgeFor(live: DockerNetwork, name: string, span: string): Adoption {
  if (live.labels[label.name] !== undefined) return { possible: false, reason: "it is another span's" }
  // Whoever uses it knows it by its name.
  if (live.name !== name)
    return { possible: false, reason: `its name is ${live.name}: write that in the file (network: ${live.name})` }
  return judgeNetwork(live, span)
}

/** Whether a span may take a network over: only one that hands out that span's bridge. */
function judgeNetwork({ driver, internal, options, pools }: DockerNetwork, span: string): Adoption {
  const bridge = options[networkOption.bridge]
  if (driver !== 'bridge') return { possible: false, reason: `its driver is ${driver}` }
  if (bridge !== span)
    return { possible: false, reason: `it is on ${bridge ? `the bridge ${bridge}` : "a bridge of Docker's own"}` }
  if (!internal) return { possible: false, reason: 'it is not internal: its containers would lose their way out' }
  if (pools.length !== 1) return { possible: false, reason: 'it has more than one subnet' }
  return { possible: true }
}

/** 198.18.0.0/15 is for benchmarks of networks (RFC 2544), so nobody's hosts are there. */
const pool = { base: 198 * 2 ** 24 + 18 * 2 ** 16, length: 15 } as const
const length = 26
const size = 2 ** (32 - length)
const poolSize = 2 ** (length - pool.length)

/** A /26 of the pool that nobody has, the first from a place that the span's name says. */
function findFreeSubnet(span: string, taken: readonly Subnet[]): string {
  const first = hashOf('subnet', span) % poolSize
  for (let offset = 0; offset < poolSize; offset++) {
    const subnet = { base: pool.base + ((first + offset) % poolSize) * size, length }
    if (!taken.some((other) => subnetsOverlap(other, subnet))) return writeSubnet(subnet)
  }
  // Docker then says what is wrong: 2,048 networks are there.
  return writeSubnet({ base: pool.base + first * size, length })
}

function takenSubnets(wanted: DesiredState, host: HostIndex): Subnet[] {
  const networks = host.networks.flatMap(({ pools }) => pools.map(({ subnet }) => subnet))
  const addresses = host.links.flatMap((link) =>
    link.addresses.filter(({ family }) => family === 'inet').map(({ address, prefix }) => networkOf(address, prefix))
  )
  const asked = wanted.spans.flatMap((span) => span.network?.subnet ?? [])
  return readSubnets([...networks, ...addresses, ...asked])
}

/** Of any length: a single address of the host's is taken too. */
function readSubnets(texts: readonly string[]): Subnet[] {
  return texts.flatMap((text) => readSubnet(text) ?? [])
}

/** The prefix that an address with a prefix length is in. */
function networkOf(address: string, prefix: number): string {
  const base = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  return writeSubnet({ base: base - (base % 2 ** (32 - prefix)), length: prefix })
}

function networkSteps(transition: Transition<Network>): Step[] {
  switch (transition.action) {
    case 'create': {
      const { id, driver, internal, ipv6, attachable, pools, options, labels } = transition.after
      const request = { network: id, driver, internal, ipv6, attachable, pools, options, labels }
      return [{ summary: `create the network ${id}`, docker: { call: 'createNetwork', ...request } }]
    }
    case 'remove': {
      const { id, reference } = transition.before
      return [{ summary: `remove the network ${id}`, docker: { call: 'removeNetwork', network: reference } }]
    }
    case 'update':
      return []
  }
}

import { dockerBridge, isPortName, label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Container, DockerNetwork, Link } from '../host/snapshot.ts'
import { directionAt, hostHooks, peerHooks } from '../resources/sources/host-source-kind.ts'
import type { SampleSpec } from '../spec/items/share-keys.ts'
import { type Direction, directionKeys } from '../spec/values/direction.ts'

/** What a source of a file is, by the key that the file has for it. */
type SourceName = { readonly interface: string } | { readonly network: string } | { readonly container: string }

/** A source of a discovered span, with remarks for the user. */
export interface DiscoveredSource<Name extends SourceName = SourceName> {
  readonly name: Name
  readonly directions: readonly Direction[]
  readonly filter: string | null
  readonly sample: SampleSpec | null
  /** Bits per second; null: no limit. */
  readonly limit: number | null
  readonly remarks: readonly string[]
}

/** The mirrors at one hook of a device. */
export interface HookSource extends DiscoveredSource<{ readonly interface: string }> {
  readonly direction: Direction
}

/** The mirrors that one source of a file would make, by the directions of that source. */
interface Candidate {
  readonly name: SourceName
  readonly ends: Readonly<Record<Direction, readonly Link[]>>
  /** It is one only where frames of all these directions are copied. */
  readonly needs: readonly Direction[]
}

/**
 * Calls what Docker has made by Docker's names, which last: those of its interfaces change, and "interface" sets one promiscuous. Where
 * that is no whole network and no whole container, a remark says so.
 *
 * @param isName whether a file can have it.
 */
export function nameDockerSources(
  hooks: readonly HookSource[],
  host: HostIndex,
  isName: (name: SourceName) => boolean
): DiscoveredSource[] {
  let rest = hooks
  const named: DiscoveredSource[] = []
  for (const { name, ends, needs } of findCandidates(host).filter((one) => isName(one.name))) {
    const found = directionKeys.both.flatMap((direction): DiscoveredSource[] => {
      const own = ends[direction].map((link) => rest.find((one) => isAt(one, link, direction)))
      const [first] = own
      const isWhole = first !== undefined && own.every((one) => one !== undefined && copiesSame(one, first))
      const remarks = own.flatMap((one) => one?.remarks ?? [])
      if (!isWhole) return []
      const { filter, sample, limit } = first
      return [{ name, directions: [direction], filter, sample, limit, remarks: [...new Set(remarks)] }]
    })
    const isMeant = needs.every((one) => found.some(({ directions }) => directions.includes(one)))
    if (!isMeant) {
      rest = remarkOnNetwork(rest, name, ends)
      continue
    }
    const taken = found.flatMap(({ directions }) => directions)
    rest = rest.filter((one) => !taken.some((direction) => ends[direction].some((link) => isAt(one, link, direction))))
    named.push(...joinDirections(found))
  }
  const devices = [...new Set(rest.map((one) => one.name.interface))]
  return [
    ...named,
    ...devices.flatMap((device) => {
      const own = joinDirections(rest.filter((one) => one.name.interface === device))
      return own.map((one) => ({ ...one, remarks: [...one.remarks, ...remarksOf(device, host)] }))
    })
  ]
}

/** Says where all that is sent on a network is copied, and nothing that is received: the network may have been meant. */
function remarkOnNetwork(
  hooks: readonly HookSource[],
  name: SourceName,
  ends: Candidate['ends']
): readonly HookSource[] {
  const isCopied = (direction: Direction) => (link: Link) => hooks.some((one) => isAt(one, link, direction))
  const [first] = ends.sent
  if (first === undefined || !ends.sent.every(isCopied('sent')) || ends.sent.some(isCopied('received'))) return hooks
  const network = 'network' in name ? name.network : ''
  const remark = `each port of the network ${network} has this mirror; one that comes later has none. "network: ${network}" copies each frame on it once.`
  return hooks.map((one) => (isAt(one, first, 'sent') ? { ...one, remarks: [...one.remarks, remark] } : one))
}

/** Whether mirrors are at the hook where a link has what comes in this direction of the network or the container that it leads to. */
function isAt(one: HookSource, { name }: Link, direction: Direction): boolean {
  return one.name.interface === name && one.direction === directionAt(hostHooks, peerHooks[direction])
}

type Copied = Pick<DiscoveredSource, 'filter' | 'sample' | 'limit'>

function copiesSame(one: Copied, other: Copied): boolean {
  const [first, second] = [one.sample, other.sample]
  const isSampledSame = first?.kind === second?.kind && first?.take === second?.take && first?.of === second?.of
  return one.filter === other.filter && one.limit === other.limit && isSampledSame
}

/** Joins both directions of a source into one item, where they copy the same. */
function joinDirections(sources: readonly DiscoveredSource[]): DiscoveredSource[] {
  const [one, other] = sources
  if (one === undefined || other === undefined || !copiesSame(one, other)) return [...sources]
  return [{ ...one, directions: directionKeys.both, remarks: [...new Set([...one.remarks, ...other.remarks])] }]
}

function findCandidates(host: HostIndex): Candidate[] {
  const networks = host.networks.flatMap((network): Candidate[] => {
    const bridge = host.linkOf(dockerBridge(network))
    if (bridge === undefined || isOfSpan(network)) return []
    const name = { network: network.name }
    // What its containers send alone may be copied of each container: that the network was meant, the mirror on its bridge tells.
    return [{ name, ends: { received: [bridge], sent: host.membersOf(bridge.name) }, needs: directionKeys.both }]
  })
  const containers = host.containers.map((container): Candidate => {
    const links = linksOf(container, host)
    return { name: { container: container.name }, ends: { received: links, sent: links }, needs: [] }
  })
  return [...networks, ...containers]
}

const isOfSpan = ({ labels }: DockerNetwork) => labels[label.span] !== undefined

/** The host's ends of a container's interfaces, but for those by which it is a sensor. */
function linksOf({ veths }: Container, host: HostIndex): Link[] {
  return (veths ?? [])
    .flatMap((pair) => host.linkAt(pair.host) ?? [])
    .filter((link) => host.attachmentOf(link) !== undefined)
    .filter(({ master }) => master === null || !host.networksOn(master).some(isOfSpan))
}

function remarksOf(device: string, host: HostIndex): string[] {
  const link = host.linkOf(device)
  const container = host.attachmentOf(link)?.container.name
  const whole = 'is not copied whole. The name of this interface changes each time the container starts.'
  if (container !== undefined) return [`it leads into the container ${container}, which ${whole}`]
  if (link?.foreignPeer && isPortName(host.engine, device)) {
    return ['it leads into a container perhaps. Which one is not known, and its name changes each time that starts.']
  }
  return host
    .networksOn(device)
    .filter((network) => !isOfSpan(network))
    .map(
      ({ name }) => `it is the bridge of the Docker network ${name}: "network: ${name}" copies each frame on that once.`
    )
}

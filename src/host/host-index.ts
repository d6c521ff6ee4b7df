import type { ContainerSelector } from '../spec/values/container-selector.ts'
import { matchesContainer } from './docker/container-match.ts'
import { dockerBridge, type Engine, label, networkOption } from './docker/docker-names.ts'
import type {
  AttachedProgram,
  ClassFilter,
  Container,
  Endpoint,
  Filter,
  InnerEnd,
  Input,
  IpLink,
  Link,
  OpaqueLink,
  Reading,
  Snapshot,
  TcHook,
  VethPair
} from './snapshot.ts'
import { isSealProgram } from './xdp/seal-program.ts'

/** The container that a veth leads into. */
export interface Attachment {
  readonly container: Container
  /** Its place on a network; null where the veth belongs to none, or to which one cannot be told. */
  readonly endpoint: Endpoint | null
}

/** Links, and how they are found by their names. */
export interface LinkIndex<One extends IpLink = Link> {
  readonly links: readonly One[]
  /** The link that has exactly this name. */
  linkOf(name: string | null): One | undefined
  /** The link of this name; altnames count. */
  findLink(name: string): One | undefined
  /** The link that has this name, or may have it, and whose record is not understood. */
  findOpaque(name: string): OpaqueLink | undefined
}

/** Makes the indexes of links. */
export function indexLinks<One extends IpLink>(
  links: readonly One[],
  opaque: readonly OpaqueLink[] = []
): LinkIndex<One> {
  const byName = new Map(links.map((link) => [link.name, link]))
  const byAltname = new Map(links.flatMap((link) => link.altnames.map((name) => [name, link] as const)))
  const findLink = (name: string) => byName.get(name) ?? byAltname.get(name)
  return {
    links,
    linkOf: (name) => (name === null ? undefined : byName.get(name)),
    findLink,
    findOpaque: (wanted) => {
      if (findLink(wanted) !== undefined) return undefined
      const named = opaque.find(({ name, altnames }) => name === wanted || altnames.includes(wanted))
      return named ?? opaque.find(({ name }) => name === null)
    }
  }
}

/** What tc knows of devices, and how it is found by their names. */
export type TcIndex = Readonly<ReturnType<typeof indexTc>>

/** Makes the indexes of queueing disciplines and filters, of this namespace or of another one. */
export function indexTc({ qdiscs, filters }: InnerEnd) {
  const filtersOf = groupBy(filters, ({ device }) => device)
  const qdiscsOf = groupBy(qdiscs, ({ device }) => device)
  return {
    /** The queueing disciplines of a device. */
    qdiscsOf,
    /** Whether a device has a queueing discipline of this kind. */
    hasQdisc: (device: string, kind: string) => qdiscsOf(device).some((qdisc) => qdisc.kind === kind),
    /** The filters on both hooks of a device. */
    filtersOf,
    /** The filters on one hook of a device. */
    filtersAt: (device: string, tcHook: TcHook) => filtersOf(device).filter((filter) => filter.tcHook === tcHook)
  }
}

/** The index of the other end of a veth pair, if that is in this network namespace. */
export function peerHere({ peer, foreignPeer }: Link): number | null {
  return foreignPeer ? null : peer
}

/** A snapshot with its indexes: what a plan asks of the host again and again is looked up, and not searched for. */
export type HostIndex = Readonly<ReturnType<typeof indexHost>>

/** Makes the indexes of a snapshot. */
export function indexHost(read: Snapshot) {
  const { docker, links, opaque } = read
  const index = indexLinks(links, opaque)
  const snapshot = withoutLost(read, index)
  const { networks, containers } = docker.state === 'read' ? docker : { networks: [], containers: [] }
  const engine: Engine = docker.state === 'read' && docker.podman !== undefined ? 'podman' : 'docker'
  const byIndex = new Map(links.map((link) => [link.index, link]))
  const membersOf = groupBy(links, ({ master }) => master)
  const uppersAt = groupBy(links, ({ lower }) => lower)
  const routesVia = groupBy(snapshot.routes, ({ device }) => device)
  // Docker allows two networks of one name: the first counts.
  const networkByName = new Map(networks.map((network) => [network.name, network] as const).reverse())
  const containerByName = new Map(containers.map((container) => [container.name, container]))
  const attachments = new Map(containers.flatMap(attachmentsOf))

  /** The container that a veth leads into. Both ends have to be those that the kernel told of that container's namespace. */
  const attachmentOf = (link: Link | undefined) =>
    link?.foreignPeer && link.peer !== null
      ? attachments.get(keyOf({ host: link.index, inside: link.peer }))
      : undefined

  return {
    ...snapshot,
    /** What was read, without what is made of it here. */
    snapshot,
    ...index,
    ...indexTc(snapshot),
    /** The engine that has answered; where none has, Docker. A command for a person begins with it. */
    engine,
    /** Whether each input was read. */
    readings: readingsOf(read),
    /** Docker's networks; none where Docker was not read. */
    networks,
    /** The containers that were read. */
    containers,
    /** The containers that Docker failed to describe. */
    unreadContainers: docker.state === 'read' ? docker.unread : [],
    /** The tables of nftables; none where nftables was not read, or cannot be used. */
    tables: read.nftables?.state === 'usable' ? read.nftables.tables : [],

    /** Whether a device of this name exists, or may exist. */
    mayExist: (name: string | null) =>
      name !== null && (index.linkOf(name) !== undefined || index.findOpaque(name) !== undefined),
    /** Whether the link of this index exists, and its record is not understood. */
    isOpaque: (one: number) => opaque.some(({ index }) => index === one),
    /** The link of this index. */
    linkAt: (index: number | null) => (index === null ? undefined : byIndex.get(index)),
    /** The links that a bridge, a bond or a VRF is the master of. */
    membersOf,
    /** The ports of a bridge. */
    portsOf: (bridge: string) => membersOf(bridge).filter(({ port }) => port !== null),
    /** The links that are built on a link, as VLANs and macvlans are: without it, they carry nothing. */
    uppersOf: ({ index }: Pick<Link, 'index'>) => uppersAt(index),
    /** The routes that use a link. */
    routesOf: ({ name }: Pick<Link, 'name'>) => routesVia(name),

    /** The filters that copy or redirect to a device, of all devices. */
    filtersInto: groupBy([...snapshot.filters, ...snapshot.classFilters].flatMap(targetsOf), ({ target }) => target),
    /** The filters of a device's root queueing disciplines. */
    classFiltersOf: groupBy(snapshot.classFilters, ({ device }) => device),
    /** The eBPF programs that see a link's frames before its filters do. */
    programsBefore: (link: Link) => findProgramsBefore(link, snapshot.attached),

    /** The Docker network of this name. */
    networkOf: (name: string) => networkByName.get(name),
    /** The Docker networks whose label names a span. */
    networksOfSpan: groupBy(networks, ({ labels }) => labels[label.span]),
    /** The Docker networks that hand a bridge out. */
    networksOn: groupBy(networks, dockerBridge),
    /** Docker's macvlan and ipvlan networks on a link. Their interfaces are in containers: the host has no links of them. */
    networksAbove: (link: string) =>
      networks.filter(({ driver, options }) => driver !== 'bridge' && options[networkOption.parent] === link),
    /** The container of this name. */
    containerOf: (name: string) => containerByName.get(name),
    /** The containers that a selector matches. */
    matchContainers: (selector: ContainerSelector): readonly Container[] => {
      if (!('container' in selector)) return containers.filter((container) => matchesContainer(selector, container))
      const named = containerByName.get(selector.container)
      return named === undefined ? [] : [named]
    },
    /** The endpoints on the Docker network of this name, each with its container. */
    endpointsOn: groupBy(
      containers.flatMap((container) => container.endpoints.map((endpoint) => ({ container, endpoint }))),
      ({ endpoint }) => endpoint.network
    ),
    attachmentOf,
    /** The veth that leads to a container's endpoint: the other way round than attachmentOf(). */
    vethTo: (endpoint: Endpoint) => {
      const link = typeof endpoint.port === 'string' ? undefined : byIndex.get(endpoint.port.host)
      return attachmentOf(link)?.endpoint === endpoint ? link : undefined
    }
  }
}

function readingsOf({ docker, nftables }: Snapshot): Readonly<Record<Input, Reading>> {
  return {
    docker: docker.state === 'read' ? 'read' : { unread: docker.state === 'deferred' ? 'deferred' : docker.reason },
    nftables: nftables?.state === 'unread' ? { unread: nftables.reason } : nftables ? 'read' : { unread: 'deferred' }
  }
}

/** ip and tc are asked side by side: what tc told of a device that ip does not know any more has gone with that device. */
function withoutLost(snapshot: Snapshot, { linkOf, findOpaque }: LinkIndex): Snapshot {
  const isThere = ({ device }: { readonly device: string }) =>
    linkOf(device) !== undefined || findOpaque(device) !== undefined
  const { qdiscs, filters, classFilters } = snapshot
  return {
    ...snapshot,
    qdiscs: qdiscs.filter(isThere),
    filters: filters.filter(isThere),
    classFilters: classFilters.filter(isThere)
  }
}

/** Whether the kernel's links are of another moment than Docker's containers: one of these has a port that is none of them. */
export function isTorn({ containers, linkAt, isOpaque }: HostIndex): boolean {
  const isMissing = ({ host, inside }: VethPair) => !isOpaque(host) && linkAt(host)?.peer !== inside
  return containers.some(({ endpoints }) => endpoints.some(({ port }) => typeof port !== 'string' && isMissing(port)))
}

/** Spanplan's own hides nothing. ip shows a foreign one also where bpftool is missing. */
function findProgramsBefore({ index, xdp }: Link, attached: readonly AttachedProgram[]): AttachedProgram[] {
  const found = attached.filter(({ link, id }) => link === index && !(xdp?.id === id && isSealProgram(xdp)))
  if (xdp === null || xdp.name === null || isSealProgram(xdp) || found.some(({ id }) => id === xdp.id)) return found
  return [{ link: index, tcHook: 'ingress', layer: 'xdp', name: xdp.name, id: xdp.id }, ...found]
}

/** Its veths, by their ends. Those of an endpoint come last, and so prevail. */
function attachmentsOf(container: Container): (readonly [string, Attachment])[] {
  return [
    ...(container.veths ?? []).map((pair) => [keyOf(pair), { container, endpoint: null }] as const),
    ...container.endpoints.flatMap((endpoint) =>
      typeof endpoint.port === 'string' ? [] : [[keyOf(endpoint.port), { container, endpoint }] as const]
    )
  ]
}

function keyOf({ host, inside }: VethPair): string {
  return `${host} ${inside}`
}

/** Each device that a filter copies or redirects to. */
function targetsOf<One extends Filter | ClassFilter>(filter: One): { readonly filter: One; readonly target: string }[] {
  const targets = [...filter.copies.map(({ target }) => target), ...(filter.redirects ?? [])]
  return [...new Set(targets)].map((target) => ({ filter, target }))
}

/** Groups items by their key, and returns the look-up of a group. */
export function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): (key: Key) => readonly Item[] {
  const groups = groupsOf(items, keyOf)
  return (key) => groups.get(key) ?? []
}

/** The groups of items with equal keys, in the order in which the keys first come. */
export function groupsOf<Item, Key>(
  items: readonly Item[],
  keyOf: (item: Item) => Key
): ReadonlyMap<Key, readonly [Item, ...Item[]]> {
  const groups = new Map<Key, [Item, ...Item[]]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

import type { TcHook } from '../spec/spec.ts'
import { dockerBridge } from './docker/docker-names.ts'
import type {
  AttachedProgram,
  ClassFilter,
  Container,
  DockerNetwork,
  DockerState,
  Endpoint,
  Filter,
  Input,
  Link,
  Qdisc,
  Reading,
  Route,
  Snapshot,
  VethPair
} from './snapshot.ts'

/** The container that a veth leads into. */
export interface Attachment {
  readonly container: Container
  /** Its place on a network; null where the veth belongs to none, or to which one cannot be told. */
  readonly endpoint: Endpoint | null
}

/** A snapshot with its indexes: what a plan asks of the host again and again is looked up, and not searched for. */
export class HostIndex implements Snapshot {
  readonly bootId: string
  readonly links: readonly Link[]
  readonly qdiscs: readonly Qdisc[]
  readonly filters: readonly Filter[]
  readonly classFilters: readonly ClassFilter[]
  readonly attached: readonly AttachedProgram[]
  readonly routes: readonly Route[]
  readonly docker: DockerState
  /** Docker's networks; none where Docker was not read. */
  readonly networks: readonly DockerNetwork[]
  /** The containers that were read. */
  readonly containers: readonly Container[]
  readonly #byName: ReadonlyMap<string, Link>
  readonly #byAltname: ReadonlyMap<string, Link>
  readonly #byIndex: ReadonlyMap<number, Link>
  readonly #members: ReadonlyMap<string | null, readonly Link[]>
  readonly #uppers: ReadonlyMap<number | null, readonly Link[]>
  readonly #qdiscs: ReadonlyMap<string, readonly Qdisc[]>
  readonly #filters: ReadonlyMap<string, readonly Filter[]>
  readonly #classFilters: ReadonlyMap<string, readonly ClassFilter[]>
  readonly #routes: ReadonlyMap<string, readonly Route[]>
  readonly #networksOn: ReadonlyMap<string | null, readonly DockerNetwork[]>
  readonly #attachments: ReadonlyMap<string, Attachment>

  constructor(snapshot: Snapshot) {
    const { docker, links } = snapshot
    this.bootId = snapshot.bootId
    this.links = links
    this.qdiscs = snapshot.qdiscs
    this.filters = snapshot.filters
    this.classFilters = snapshot.classFilters
    this.attached = snapshot.attached
    this.routes = snapshot.routes
    this.docker = docker
    this.networks = docker.state === 'read' ? docker.networks : []
    this.containers = docker.state === 'read' ? docker.containers : []
    this.#byName = new Map(links.map((link) => [link.name, link]))
    this.#byAltname = new Map(links.flatMap((link) => link.altnames.map((name) => [name, link] as const)))
    this.#byIndex = new Map(links.map((link) => [link.index, link]))
    this.#members = groupBy(links, ({ master }) => master)
    this.#uppers = groupBy(links, ({ lower }) => lower)
    this.#qdiscs = groupBy(snapshot.qdiscs, ({ device }) => device)
    this.#filters = groupBy(snapshot.filters, ({ device }) => device)
    this.#classFilters = groupBy(snapshot.classFilters, ({ device }) => device)
    this.#routes = groupBy(snapshot.routes, ({ device }) => device)
    this.#networksOn = groupBy(this.networks, dockerBridge)
    this.#attachments = new Map(
      this.containers.flatMap((container): (readonly [string, Attachment])[] => [
        ...(container.veths ?? []).map((pair) => [keyOf(pair), { container, endpoint: null }] as const),
        ...container.endpoints.flatMap((endpoint) =>
          typeof endpoint.port === 'string' ? [] : [[keyOf(endpoint.port), { container, endpoint }] as const]
        )
      ])
    )
  }

  /** Whether an input was read. */
  readingOf(input: Input): Reading {
    const { docker } = this
    const readings: Record<Input, Reading> = {
      docker: docker.state === 'read' ? 'read' : { unread: docker.state === 'deferred' ? 'deferred' : docker.reason }
    }
    return readings[input]
  }

  /** The link that has exactly this name. */
  linkOf(name: string | null): Link | undefined {
    return name === null ? undefined : this.#byName.get(name)
  }

  /** The link of this name; altnames count. */
  findLink(name: string): Link | undefined {
    return this.#byName.get(name) ?? this.#byAltname.get(name)
  }

  /** The link of this index. */
  linkAt(index: number): Link | undefined {
    return this.#byIndex.get(index)
  }

  /** The links that a bridge, a bond or a VRF is the master of. */
  membersOf(master: string): readonly Link[] {
    return this.#members.get(master) ?? []
  }

  /** The ports of a bridge. */
  portsOf(bridge: string): readonly Link[] {
    return this.membersOf(bridge).filter(({ port }) => port !== null)
  }

  /** The links that are built on a link, as VLANs and macvlans are: without it, they carry nothing. */
  uppersOf({ index }: Pick<Link, 'index'>): readonly Link[] {
    return this.#uppers.get(index) ?? []
  }

  /** The queueing disciplines of a device. */
  qdiscsOf(device: string): readonly Qdisc[] {
    return this.#qdiscs.get(device) ?? []
  }

  /** Whether a device has a queueing discipline of this kind. */
  hasQdisc(device: string, kind: string): boolean {
    return this.qdiscsOf(device).some((qdisc) => qdisc.kind === kind)
  }

  /** The filters on both hooks of a device. */
  filtersOf(device: string): readonly Filter[] {
    return this.#filters.get(device) ?? []
  }

  /** The filters on one hook of a device. */
  filtersAt(device: string, tcHook: TcHook): readonly Filter[] {
    return this.filtersOf(device).filter((filter) => filter.tcHook === tcHook)
  }

  /** The filters of a device's root queueing disciplines. */
  classFiltersOf(device: string): readonly ClassFilter[] {
    return this.#classFilters.get(device) ?? []
  }

  /** The routes that use a link. */
  routesOf({ name }: Pick<Link, 'name'>): readonly Route[] {
    return this.#routes.get(name) ?? []
  }

  /** The eBPF programs that see a link's frames before its filters do. */
  programsBefore({ index }: Pick<Link, 'index'>): readonly AttachedProgram[] {
    return this.attached.filter(({ link }) => link === index)
  }

  /** The Docker network of this name. */
  networkOf(name: string): DockerNetwork | undefined {
    return this.networks.find((network) => network.name === name)
  }

  /** The Docker networks that hand a bridge out. */
  networksOn(bridge: string): readonly DockerNetwork[] {
    return this.#networksOn.get(bridge) ?? []
  }

  /** The container of this name. */
  containerOf(name: string): Container | undefined {
    return this.containers.find((container) => container.name === name)
  }

  /** The container that a veth leads into. Both ends have to be those that the kernel told of that container's namespace. */
  attachmentOf({ index, peer, foreignPeer }: Link): Attachment | undefined {
    return foreignPeer && peer !== null ? this.#attachments.get(keyOf({ host: index, inside: peer })) : undefined
  }

  /** The veth that leads to a container's endpoint: the other way round than attachmentOf(). */
  vethTo(endpoint: Endpoint): Link | undefined {
    const link = typeof endpoint.port === 'string' ? undefined : this.linkAt(endpoint.port.host)
    return link && this.attachmentOf(link)?.endpoint === endpoint ? link : undefined
  }
}

function keyOf({ host, inside }: VethPair): string {
  return `${host} ${inside}`
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

import type { ItemId, Origin } from '../errors.ts'
import type { Container, Filter, HookPlace, Link, Program, TcHook } from '../host/snapshot.ts'
import type { SampleSpec } from '../spec/items/share-keys.ts'
import type { SpanSpec } from '../spec/items/span-item.ts'
import type { StatsSpec } from '../spec/items/stats-key.ts'
import type { Scope } from '../spec/scope.ts'
import type { TunnelSpec, TunnelWay } from '../spec/sources/tunnel-spec.ts'
import type { SpanNames } from '../spec/span-names.ts'
import type { Direction } from '../spec/values/direction.ts'
import type { InterfaceMark } from './marks.ts'
import type { Share } from './programs/share-program.ts'
import type { InterfaceSetting } from './settings.ts'

/**
 * The name of a source, in parts: an interface's name; a container's name, and the Docker network of its interface; or a tunnel's.
 */
export type SourceId = readonly [string, ...string[]]

/** A network device of this host: one that is there, one that this plan makes, or one whose record is not understood. */
export type Device = { readonly name: string } & (
  | { readonly link: Link }
  /** The settings that are on once the bridge of a span, or the link of a tunnel, is made. */
  | { readonly planned: ReadonlySet<InterfaceSetting> }
  | { readonly opaque: true }
)

/** The links of the devices that are there and understood. */
export function linksOf(points: readonly Pick<CopyPoint, 'device'>[]): Link[] {
  return points.flatMap(({ device }) => linkOf(device) ?? [])
}

/** The link of a device; undefined: it is not there yet, or not understood. */
export function linkOf(device: Device): Link | undefined {
  return 'link' in device ? device.link : undefined
}

/** Which frames of a source are copied. */
export interface Selection {
  /** The pcap-filter(7) expression; null: there is none, or only the program of a live mirror is known. */
  readonly expression: string | null
  /** What people read in its place: a part of it is spanplan's own. */
  readonly words?: string
  /** Nothing is left out: a frame that is not copied is lost. */
  readonly everyFrame: boolean
}

/** One hook of one device, whose frames are copied into a span. */
export interface CopyPoint {
  readonly source: SourceId
  /** The container that the source is of, by name; null: of none that is known. */
  readonly serves: string | null
  readonly device: Device
  readonly tcHook: TcHook
  readonly direction: Direction
  readonly selection: Selection
  /** The program of the filter; of a live mirror, its whole program. null: not known. A live program stays as it is. */
  readonly program: Program | null
  /** null: all that the filter lets through. */
  readonly sample: SampleSpec | null
  /** What the device needs besides its clsact qdisc. */
  readonly settings: readonly InterfaceSetting[]
  /** The size that the receive ring of the device is to have. Missing: as it is. */
  readonly ring?: number
  /** Bytes: the largest frame, less its MAC header, that may come. Missing: the MTU of the device says it. */
  readonly mtu?: number
  /** Milliseconds without a frame after which the source is unhealthy; null: no limit. */
  readonly maxIdle: number | null
  /** Bits per second that are copied at most; null: no limit. */
  readonly limit: number | null
  /** The source in the file: all copy points that it ends in have the same. */
  readonly item: ItemId
  readonly origin: Origin
}

/** What mirrors at the sources feed, beside the bridge: the link of a tunnel, the port of a sensor, or an output that is a port. */
export interface FeedId {
  readonly kind: 'tunnel' | 'sensor' | 'output'
  /** The name that the link was made with, or that of the container. */
  readonly name: string
}

/** A receiver that mirrors of a span feed, or may have fed. */
export interface SpanReceiver {
  readonly bridge: string
  readonly feed: FeedId
}

/** What a receiver takes of the frames that the sources' filters let through. */
export interface Part {
  /** The pcap-filter(7) expression; null: there is none. */
  readonly expression: string | null
  /** The program of the filter; null: not known. A live mirror stays as it is. */
  readonly program: Program | null
  /** null: all flows; or it is not known. */
  readonly share: Share | null
  /** With whom it shares the flows; null: with nobody, or that is not known. */
  readonly balance: {
    readonly id: ItemId
    /** How many share them, whether they can take frames now or not. */
    readonly members: number
  } | null
}

/** Why a receiver takes no frames now. */
export type Absence =
  | 'missing'
  | 'stopped'
  | 'paused'
  | 'disconnected'
  // Several interfaces of its container are on the bridge.
  | 'ambiguous'
  | 'detached'
  | 'no_carrier'
  | 'no_route'
  | 'underlay_down'
  // Its container's health check says so, and another member is healthy.
  | 'starting'
  | 'unhealthy'
  | 'unread'

/** A receiver that gets nothing of what the bridge hands to its ports, but what mirrors at the sources hand to it. */
export interface DesiredFeed extends FeedId {
  /** The name of the link that gets the frames; null: it takes none now. */
  readonly target: string | null
  /** Why it takes none; null: it takes some, or its program is too long. */
  readonly absence: Absence | null
  /** null: it gets all that the sources' filters let through. */
  readonly part: Part | null
  readonly item: ItemId
  readonly origin: Origin
}

/** The hook of a copy point. */
export function placeOf({ device, tcHook }: Pick<CopyPoint, 'device' | 'tcHook'>): HookPlace {
  return { device: device.name, tcHook }
}

/** A container to connect. */
export interface DesiredSensor {
  readonly container: Container
  /** The name for its interface; null: as it is, or as Docker chooses. */
  readonly interfaceName: string | null
  /** Where its tool says what it has received and dropped; null: not known. Nothing on the host depends on it. */
  readonly stats: StatsSpec | null
  readonly item: ItemId
  readonly origin: Origin
}

/** A tunnel that ends in a link which spanplan makes. */
export interface DesiredTunnel extends TunnelSpec {
  /** The name of the link. */
  readonly name: string
  readonly way: TunnelWay
  /** The prefixes and addresses of those who may send into it; none: anybody may. */
  readonly from: readonly string[]
  readonly item: ItemId
  readonly origin: Origin
}

/** A link that the frames of a span leave by. */
export interface DesiredOutput {
  /**
   * It is a port of the span's bridge. Else a mirror at the bridge feeds it: for a port that is a tunnel, the kernel answers frames that are
   * too large with ICMP, and drops them (skb_tunnel_check_pmtu() in net/ipv4/ip_tunnel_core.c).
   */
  readonly isPort: boolean
  /** The name of the link. */
  readonly device: string
  /** What the output is called. */
  readonly name: string
  /** Of a tunnel: why nothing leaves now. There is no route to its remote host, or the interface that leads there has no carrier. */
  readonly cut?: 'no_route' | 'underlay_down'
  /** What the packets of a tunnel have below: missing for an interface of the host. */
  readonly below?: {
    /** The name of the interface that leads there; null: it is not understood. */
    readonly device: string | null
    /** Bytes: the MTU on the way to the remote host. */
    readonly mtu: number
    /** Bytes: what the tunnel adds to a frame of the span, from the MAC header of that on. */
    readonly added: number
    /** Frames that are too large for the way leave in fragments. The kernel makes none of packets over IPv6 (measured, Linux 6.18). */
    readonly fragments: boolean
    /** What carries them inside packets of its own, which nobody can tell from others; null: nothing of this host. */
    readonly inside: string | null
  }
  readonly item: ItemId
  readonly origin: Origin
}

/** One span of the file, with its names resolved on this host. */
export interface DesiredSpan extends Omit<SpanSpec, 'sources' | 'sensors' | 'outputs' | 'balances' | 'mtu'> {
  /** The owner in its marks. */
  readonly owner: string
  /** Bytes. */
  readonly mtu: number
  /** Bytes: the MTU that the span would have if no running sensor were in the way. */
  readonly wantedMtu: number
  readonly mirrors: readonly CopyPoint[]
  /** The tunnels that its sources end in. */
  readonly tunnels: readonly DesiredTunnel[]
  /** A source was not read, so any interface that the span's bridge remembers may be of that source. */
  readonly isUnread: boolean
  /** The names of the devices of sources that wait: what is live on these stays as it is. */
  readonly untouched: readonly string[]
  /** The containers that exist. Those that do not are waits. */
  readonly sensors: readonly DesiredSensor[]
  /** The outputs that can be had. */
  readonly outputs: readonly DesiredOutput[]
  /** The receivers that mirrors feed. */
  readonly feeds: readonly DesiredFeed[]
  /** Whether mirrors feed the bridge, too: somebody gets what it hands to its ports. */
  readonly feedsBridge: boolean
}

/** The desired spans of a command. */
export interface DesiredSpans {
  /** The owner in the marks of what is made. */
  readonly owner: string
  readonly scope: Scope
  readonly spans: readonly DesiredSpan[]
  /** What the spans of the file are called, in scope or not. */
  readonly names: SpanNames
  /** The bridges of all spans of the file and of the host: a mirror whose target is gone may belong to any of them. */
  readonly known: readonly string[]
  /**
   * The receivers that the spans of the file name or select, in scope or not: a mirror whose target is gone may have led to any of
   * them.
   */
  readonly receivers: readonly SpanReceiver[]
  /** By index: interfaces to consider though no span copies from them and no mark describes them. */
  readonly also: ReadonlySet<number>
  /** The names of interfaces that are going down: spanplan does not set these up. */
  readonly goingDown: ReadonlySet<string>
  /** Chooses the subnets of new networks. */
  readonly subnetSeed: string
}

/** The desired spans, and how they are found. Nothing of the host's marks is in it. */
export type DesiredState = Readonly<ReturnType<typeof indexDesired>>

/** Makes the indexes of desired spans. */
export function indexDesired(desired: DesiredSpans) {
  const spans = new Map(desired.spans.map((span) => [span.name, span]))
  const bridges = new Map(desired.spans.map((span) => [span.bridge, span]))
  const outputs = new Map(
    desired.spans.flatMap((span) => span.outputs.map((output) => [output.device, { ...output, span }] as const))
  )
  const networks = new Map(desired.spans.flatMap((span) => (span.network ? [[span.network.name, span] as const] : [])))
  return {
    ...desired,
    /** The span of this name. */
    spanOf: (name: string) => spans.get(name),
    /** The span that has the bridge of this name. */
    spanOn: (bridge: string) => bridges.get(bridge),
    /** The output that has the link of this name, with its span. */
    outputOf: (device: string) => outputs.get(device),
    /** The span whose Docker network has this name. */
    spanOfNetwork: (network: string) => networks.get(network)
  }
}

/** What the host's marks say, compared with the desired spans. */
export interface MarkInventory {
  /** Every mirror that bears a mark. */
  readonly mirrors: ReadonlyMap<Filter, MirrorMark>
  /** Every interface that a desired mirror copies from or a mark describes, by name. */
  readonly interfaces: ReadonlyMap<string, MarkedInterface>
}

/** The size of an interface's receive ring, with what the marks say. */
export interface MarkedRing {
  /** null: it was not read, or its driver has none that can be set. So it stays as it is. */
  readonly now: number | null
  /** Before a span managed it; where none does, as it is now. */
  readonly before: number | null
  /** A live mark manages it. */
  readonly live: boolean
  /** The desired spans manage it; their marks will say so. */
  readonly own: boolean
  /** Once all is in sync. */
  readonly desired: number | null
}

/** An interface with its marks: which settings it had before, and which settings spans manage now and will manage. */
export interface MarkedInterface {
  readonly device: Device
  /** The settings with which spanplan has made the device, or this plan does; null: others have made it, so only marks say what it was like before. */
  readonly made: ReadonlySet<InterfaceSetting> | null
  /** The copy points on the interface, of all desired spans. */
  readonly points: readonly CopyPoint[]
  readonly spans: readonly string[]
  /** A mark in scope describes the interface: its settings may be given back. */
  readonly ours: boolean
  /** The settings that are on. */
  readonly now: ReadonlySet<InterfaceSetting>
  /** The settings that were on before a span managed them; an unmanaged setting is taken as it is now. */
  readonly before: ReadonlySet<InterfaceSetting>
  /** The settings that live marks manage. */
  readonly live: ReadonlySet<InterfaceSetting>
  /** The settings that the desired spans manage; their marks will say so. */
  readonly own: ReadonlySet<InterfaceSetting>
  /** The settings that spans of any name manage once all is in sync; empty for an interface that is given back. */
  readonly desired: ReadonlySet<InterfaceSetting>
  /** The settings that foreign things have come to depend on: they are not switched off. */
  readonly needed: ReadonlySet<InterfaceSetting>
  readonly ring: MarkedRing
}

/** The mark of a mirror. */
export interface MirrorMark extends OwnedMark {
  /** The hash of the owner. */
  readonly owner: number
  /** The handle that it would be made with now: which mirror it is, whatever the name of its file was when it was made. */
  readonly identity: number
  /** What it feeds; null: the bridge of a span. */
  readonly feed: FeedId | null
}

/** A mark of any owner: the cookie of a mirror, or what a bridge remembers of an interface. */
export interface OwnedMark {
  /** What the interface was like before. */
  readonly mark: InterfaceMark
  /** The bridge of the span that the mark belongs to; null where neither the target nor the handle of a mirror tells. */
  readonly bridge: string | null
  /** The mark belongs to the owner and the spans of this run. */
  readonly inScope: boolean
}

import type { Diagnostic } from '../errors.ts'
import type { TunnelSpec } from '../spec/sources/tunnel-spec.ts'

/** A hook of tc, as the host sees the frames of a device: it receives them, or sends them. */
export type TcHook = 'ingress' | 'egress'

/** A classic BPF program as tc writes it: the number of instructions, then each instruction, separated by commas. */
export type Program = string

/** An offload of an interface. `fixed`: the driver does not let it be changed. */
export interface Offload {
  readonly active: boolean
  readonly fixed: boolean
}

/** The offloads that spanplan reads and writes: ethtool's short name, and the name that `ethtool -k` prints. */
export const offloadNames = {
  tx: 'tx-checksumming',
  tso: 'tcp-segmentation-offload',
  gso: 'generic-segmentation-offload',
  gro: 'generic-receive-offload',
  'rx-gro-hw': 'rx-gro-hw',
  lro: 'large-receive-offload'
} as const

/** ethtool's short name of an offload. */
export type OffloadName = keyof typeof offloadNames

/** An address of a link. */
export interface Address {
  readonly family: 'inet' | 'inet6'
  readonly address: string
  readonly prefix: number
  /** The link-local address that the kernel itself has set: nobody has configured it. */
  readonly automatic: boolean
}

/** A bridge's options, in the kernel's units: times in hundredths of a second. */
export interface BridgeOptions {
  readonly ageing: number
  readonly forwardDelay: number
  readonly stp: boolean
  readonly snooping: boolean
  readonly vlanFiltering: boolean
  /** group_fwd_mask: one bit for each of the 16 link-local groups 01:80:c2:00:00:0X whose frames go on to the other ports. */
  readonly groupForward: number
}

/** A bridge port's options. */
export interface PortOptions {
  readonly isolated: boolean
  readonly learning: boolean
  /** The bridge sends unknown unicast, multicast and broadcast to the port. */
  readonly flooding: boolean
  /** It sends some of these kinds alone. `flooding` is false then. */
  readonly floodsSome?: true
  /** ip has no word for the flooding of broadcasts alone, as iproute2 5.15: it is neither seen nor set. Left out: ip has. */
  readonly lacksBroadcast?: true
  /** The bridge hands it no frame, and takes none from it, as where it has no carrier. Missing: it does. */
  readonly isDisabled?: true
}

/** The end of a tunnel, as its link is made. */
export interface TunnelEnd extends TunnelSpec {
  /** The link gets what is sent to no other link (`external`, as Open vSwitch has it). */
  readonly external: boolean
  /** ip's words for what else changes which frames arrive: the link learns MAC addresses, wants checksums, or packets in order. */
  readonly options: readonly string[]
  /** ip's words for what changes how the frames of an output leave. Missing: nothing does. */
  readonly sendOptions?: readonly string[]
}

/** The frames that a ring of an interface has room for, and the most that its driver takes. */
export interface RingSize {
  readonly now: number
  readonly most: number
}

/** The receive ring of an interface, as ethtool prints it. */
export interface Ring {
  /** null: the driver has none whose size can be set. */
  readonly size: RingSize | null
  /** The name of the driver; null: it has none. */
  readonly driver: string | null
}

/** A tool of network configuration. */
export type Manager = 'ifupdown' | 'systemd-networkd' | 'NetworkManager'

/** A network device, as `ip`, `bridge` and `ethtool` describe it. */
export interface Link {
  readonly index: number
  readonly name: string
  readonly altnames: readonly string[]
  /** The hardware type, as `ip` names it: `ether`, `loopback`, `none`… */
  readonly type: string
  /** The link's kind, such as `bridge`, `veth`, `vlan`; null: a physical interface. */
  readonly kind: string | null
  readonly mac: string
  readonly permanentMac: string
  readonly mtu: number
  /** Bytes: the largest MTU that its driver takes. Missing: the driver does not say. */
  readonly largestMtu?: number
  readonly up: boolean
  /** The link is connected: it receives what the other end sends. */
  readonly carrier: boolean
  /**
   * The kernel has not told others of the carrier yet, which it does once a second at the most (net/core/link_watch.c): only then, what is
   * sent on the link leaves, and a bridge has its port forward, whatever was set before. Missing: it has.
   */
  readonly carrierIsLate?: true
  readonly promiscuous: boolean
  readonly arp: boolean
  readonly alias: string | null
  readonly master: string | null
  /** The index of the lower link of a vlan, macvlan…, if that is in this network namespace. */
  readonly lower: number | null
  /** The index of the other end of a veth pair, in the network namespace of that end. */
  readonly peer: number | null
  /** The other end of the veth pair is in another network namespace, most often a container's. */
  readonly foreignPeer: boolean
  readonly addresses: readonly Address[]
  /** The kernel adds an IPv6 link-local address by itself. */
  readonly generatesAddress: boolean
  /** /proc/sys/net/ipv6/conf/NAME/disable_ipv6 is 0. */
  readonly ipv6: boolean
  readonly bridge: BridgeOptions | null
  readonly port: PortOptions | null
  /** Missing: the link is the end of no tunnel that spanplan could make. */
  readonly tunnel?: TunnelEnd
  /** The forwarding database has the link's own MAC address: frames to that address are not flooded. */
  readonly ownMacEntry: boolean
  readonly offloads: Readonly<Partial<Record<OffloadName, Offload>>>
  /** How many queues the link may have for what it receives. */
  readonly receiveQueues: number
  /** Missing: nobody asked. */
  readonly ring?: Ring
  /** The XDP program on the link; null: there is none. */
  readonly xdp: XdpProgram | null
  /** The tool that manages the link; null: no tool says so, or nobody asked. */
  readonly manager: Manager | null
}

/** The part of a link that `ip` prints; the rest is in sysctl, the forwarding database, ethtool and files of other tools. */
export type IpLink = Omit<Link, 'ipv6' | 'ownMacEntry' | 'offloads' | 'ring' | 'manager'>

/**
 * A link that is there, and whose record is not understood. It is never taken for missing, and nothing is done with it.
 * null: that is not understood either.
 */
export interface OpaqueLink extends Pick<Link, 'altnames' | 'alias' | 'master'> {
  readonly index: number | null
  readonly name: string | null
}

/** A queueing discipline of a device; clsact and ingress, which have no queue, are among them. */
export interface Qdisc {
  readonly device: string
  readonly kind: string
  /** Such as `1:`. `0:`: the kernel has added the queueing discipline by itself. */
  readonly handle: string
  readonly root: boolean
  /** The parent class, such as `1:10`; `ffff:fff1` for clsact and ingress; null: the root. */
  readonly parent: string | null
  /** A `prio` with tc's defaults, which does the same as the kernel's default queueing discipline. */
  readonly plainPrio: boolean
  /** The shared block that has the filters, instead of the device; null: none. */
  readonly block: number | null
}

/** A mirred action that copies a frame to a device's egress. */
export interface MirrorAction {
  /** The device that gets the copy; `*`: that device is gone. */
  readonly target: string
  readonly control: string
  readonly cookie: string | null
  /**
   * Bits per second: copies above are left out, and the frame goes on. `unknown`: a policer that spanplan has not written stands before
   * it. Missing: no policer does.
   */
  readonly limit?: number | 'unknown'
}

/** Matches four bytes of a frame, at an offset in bytes from the network header: `value`, where `mask` has ones. */
export interface U32Key {
  readonly offset: number
  readonly value: number
  readonly mask: number
}

/** The frames of its protocol that a filter matches; `bpf`: those that its program matches. */
export type Selection =
  | { readonly kind: 'bpf' }
  | { readonly kind: 'matchall' }
  | { readonly kind: 'u32'; readonly keys: readonly U32Key[] }
  /** By tc's names, all of which tc prints and reads alike. */
  | { readonly kind: 'flower'; readonly keys: Readonly<Record<string, string | number>> }
  | { readonly kind: 'unknown' }

/** A tc filter, on a hook or on a queueing discipline. */
export interface TcFilter {
  /** A frame begins at chain 0. It reaches other chains only by a jump. */
  readonly chain: number
  readonly pref: number
  readonly protocol: string
  readonly kind: string
  readonly handle: number | null
  /** The class of its frames, such as `1:10`. */
  readonly classId: string | null
  readonly program: Program | null
  readonly directAction: boolean
  readonly selects: Selection
  /** Its mirror actions. */
  readonly copies: readonly MirrorAction[]
  /** The devices that its redirect actions send frames out of; without it: none. */
  readonly redirects?: readonly string[]
  /** It does more than `copies`: other actions, a policer, hardware flags, or something that spanplan does not know. */
  readonly others: boolean
  /** Its only action besides a policer before it, if that is a mirror. */
  readonly mirror: MirrorAction | null
}

/** A hook of a device. */
export interface HookPlace {
  readonly device: string
  readonly tcHook: TcHook
}

/** The same for the same hook of the same device. */
export function hookKey({ device, tcHook }: HookPlace): string {
  return `${device} ${tcHook}`
}

/** A queueing discipline with classes. Its filters assign frames that the device sends to a class. */
export interface ClassPlace {
  readonly device: string
  /** The handle of the queueing discipline. */
  readonly parent: string
}

/** A tc filter on a hook of a device. */
export type Filter = TcFilter & HookPlace

/** A tc filter of a queueing discipline with classes. */
export type ClassFilter = TcFilter & ClassPlace

/** An eBPF program on a device, which runs before all filters. */
export interface AttachedProgram {
  /** The device's index. */
  readonly link: number
  readonly tcHook: TcHook
  readonly layer: 'xdp' | 'tcx'
  /** Empty: bpftool does not print it. */
  readonly name: string
  /** The kernel's number of it. */
  readonly id: number
}

/** An XDP program, as `ip` prints it. */
export interface XdpProgram {
  /** The kernel's number of it. */
  readonly id: number
  /** null: the reader lacks CAP_SYS_ADMIN. */
  readonly name: string | null
  /** The kernel's digest of its instructions; null: as for the name. */
  readonly tag: string | null
  /** The driver runs it, before there is a packet of the kernel's; else the kernel does, for a driver that cannot (generic XDP). */
  readonly isNative: boolean
}

/** A range of addresses of a Docker network. */
export interface Pool {
  readonly subnet: string
  /** The bridge's address; null: Docker chooses one if it needs one. */
  readonly gateway: string | null
  /** The part of the subnet for containers' addresses; null: all of the subnet. */
  readonly range: string | null
  /** Addresses that Docker does not hand out, by name. */
  readonly reserved: Readonly<Record<string, string>>
}

/** A Docker network. */
export interface DockerNetwork {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly internal: boolean
  readonly ipv6: boolean
  readonly attachable: boolean
  readonly pools: readonly Pool[]
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
}

/** The two ends of a veth pair, by index: one in a container's network namespace, one on the host. */
export interface VethPair {
  readonly inside: number
  readonly host: number
}

/** An interface in a container. */
export interface ContainerInterface {
  /** Docker's file of the container's network namespace. */
  readonly sandbox: string
  /** The interface's index in that namespace. */
  readonly index: number
}

/** What tc says of an interface inside a container. */
export type InnerEnd = Pick<KernelState, 'qdiscs' | 'filters'>

/** A container's endpoint on a network. */
export interface Endpoint {
  readonly network: string
  readonly networkId: string
  readonly aliases: readonly string[]
  readonly driverOptions: Readonly<Record<string, string>>
  /** The address that the user has asked for; null: Docker has chosen it. */
  readonly fixedAddress: string | null
  /**
   * The index of the container's interface in the container, and that of the host's end. `absent`: there is no interface, or none
   * that certainly belongs to the network. `unknown`: the container does not run, or the kernel does not tell.
   */
  readonly port: VethPair | 'absent' | 'unknown'
  /**
   * The container's end, or why that could not be read. Missing: nobody asked, or the interface has just gone. The device in it
   * is {@link innerDevice}.
   */
  readonly inner?: InnerEnd | { readonly unread: Diagnostic }
  /** The interface's name in the container, where a plan is to keep it. */
  readonly keptName?: string
}

/** A container that is on a network of a span, or that a selector matches. */
export interface Container {
  readonly id: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly running: boolean
  /** The container exits again and again, and Docker restarts it. This stays so until the container has run for a while. */
  readonly restarting: boolean
  /** How often Docker has restarted the container since somebody started it. */
  readonly restarts: number
  /** The container's processes are frozen: docker pause. */
  readonly paused: boolean
  /** When the container was started last, as ISO 8601; null: never. */
  readonly startedAt: string | null
  /** When the container ended last, as ISO 8601; null: never. */
  readonly finishedAt: string | null
  /** The exit status with which the container ended last. */
  readonly exitStatus: number
  readonly networkMode: string
  /** Docker's file of the container's network namespace; null: the container does not run, or uses another container's. */
  readonly sandbox: string | null
  /** The veth pairs into its network namespace; null where that cannot be told: it has none of its own, or a right is missing. */
  readonly veths: readonly VethPair[] | null
  /** The file of its namespace is there, and no namespace is mounted on it where this process runs. Missing: it is seen. */
  readonly isHidden?: true
  /** It does not run just now, and has no network namespace, so no port either. Missing: it may have one, as while it starts or stops. */
  readonly isUnplugged?: true
  /** What its health check says, while it runs. Missing: it has none. */
  readonly health?: 'starting' | 'healthy' | 'unhealthy'
  readonly endpoints: readonly Endpoint[]
}

/** What a plan rests on, besides the kernel, without which there is no snapshot. What depends on an input that is not read stays as it is. */
export type Input = 'docker' | 'nftables'

/** Whether an input was read, or why not: it was left for later, or it failed. */
export type Reading = 'read' | { readonly unread: 'deferred' | Diagnostic }

/** A container that may belong to a span and that Docker failed to describe. What the host has of it is kept. */
export interface UnreadContainer {
  readonly name: string
  readonly reason: Diagnostic
}

/** Docker's part of the snapshot. */
export type DockerState =
  | {
      /** Docker was not asked. */
      readonly state: 'deferred'
      /** What it answered to the same question before. Missing: it has not been asked that. */
      readonly last?: DockerAnswer
    }
  | { readonly state: 'unreachable'; readonly reason: Diagnostic }
  | DockerAnswer

/** What Docker has answered. */
export interface DockerAnswer {
  readonly state: 'read'
  /** The newest version of its API that the daemon supports, such as `1.45`; empty: the daemon does not say. */
  readonly api: string
  /** Podman, where it answers in Docker's place. */
  readonly podman?: {
    readonly version: string
    /** A user's own: its networks are not the host's. */
    readonly rootless: boolean
  }
  readonly networks: readonly DockerNetwork[]
  readonly containers: readonly Container[]
  readonly unread: readonly UnreadContainer[]
  /** Of all containers, also of those that nobody asked for. */
  readonly names: readonly string[]
  /** Of all containers, each set once: the labels by which the files select containers, and no others. Missing: they select by none. */
  readonly labels?: readonly Readonly<Record<string, string>>[]
}

/** A route through a device that somebody has added. The routes that the kernel itself adds are left out. */
export interface Route {
  readonly device: string
  readonly family: 'inet' | 'inet6'
  /** The route as `ip route show` prints it: its destination, its gateway, its table… */
  readonly text: string
  /** The command that deletes the route. */
  readonly removal: readonly string[]
}

/** A host that something is sent to, by address; `local`: the address that it is sent from, if that is said. */
export interface Remote {
  readonly remote: string
  readonly local: string | null
}

/** The way to a host. */
export interface Way extends Remote {
  /** The device that packets leave by; null: there is no route. */
  readonly device: string | null
  /** Bytes: a smaller MTU than that of the device, if the route has one. Missing: it has none. */
  readonly mtu?: number
  /** The address is the broadcast address of a network of this host. */
  readonly broadcast?: true
}

/** A table of nftables of the bridge family in which something has a name with `spanplan`. */
export interface NftTable {
  readonly name: string
  /** All that is in the table, itself too, as `nft -json` prints it: each under its kind, without its handle. */
  readonly objects: readonly Readonly<Record<string, Readonly<Record<string, unknown>>>>[]
}

/**
 * nftables' part of the snapshot. `unusable`: its program is missing, or the kernel cannot tell a port's bridge. `unread`: a
 * right is missing, or the program has failed.
 */
export type Nftables =
  | { readonly state: 'usable'; readonly tables: readonly NftTable[] }
  | { readonly state: 'unusable' | 'unread'; readonly reason: Diagnostic }

/**
 * Whether the host can have the XDP program that keeps what a port sends from the host's packet sockets, or why not. `unread`: this
 * user may neither attach a program nor read whose a port has.
 */
export type Silence = { readonly state: 'usable' } | { readonly state: 'unusable' | 'unread'; readonly reason: string }

/** The kernel's part of the snapshot. */
export interface KernelState {
  readonly bootId: string
  readonly links: readonly Link[]
  /** The links that `links` lacks. */
  readonly opaque: readonly OpaqueLink[]
  readonly qdiscs: readonly Qdisc[]
  readonly filters: readonly Filter[]
  readonly classFilters: readonly ClassFilter[]
  /** Empty: also where bpftool is missing or needs a right. */
  readonly attached: readonly AttachedProgram[]
  /** The routes through the interfaces of `ReadRequest.routed`. */
  readonly routes: readonly Route[]
  /** The ways to the hosts that were asked for. null: none was. */
  readonly ways: readonly Way[] | null
  /** null: not asked for. */
  readonly nftables: Nftables | null
  /** The tables that choose the senders of tunnels. null: not asked for. */
  readonly senderTables: Nftables | null
  /** The modules that the kernel lacks. null: not asked for. */
  readonly lacking: readonly LackingModule[] | null
  /** null: not asked for. */
  readonly silence: Silence | null
}

/** A module that the kernel does not have: what is wrong, and the command that helps. */
export interface LackingModule {
  readonly name: string
  readonly message: string
  readonly command: string
}

/** The state of the host at one moment: all that a plan depends on. */
export interface Snapshot extends KernelState {
  readonly docker: DockerState
}

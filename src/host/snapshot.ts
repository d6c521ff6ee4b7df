import type { Diagnostic } from '../errors.ts'
import type { TcHook } from '../spec/spec.ts'

/** A classic BPF program in tc's words: the number of instructions, then each, comma separated. */
export type Program = string

/** One offload of a card; `fixed` is one that the driver does not let anyone change. */
export interface Offload {
  readonly active: boolean
  readonly fixed: boolean
}

/** The offloads that spanplan reads and writes, by ethtool's short name, with the name that `ethtool --json -k` prints. */
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
  /** The kernel's own link-local address, which is nobody's configuration. */
  readonly automatic: boolean
}

/** A bridge's options, in the kernel's units: times in hundredths of a second. */
export interface BridgeOptions {
  readonly ageing: number
  readonly forwardDelay: number
  readonly stp: boolean
  readonly snooping: boolean
  readonly vlanFiltering: boolean
}

/** A bridge port's options. */
export interface PortOptions {
  readonly isolated: boolean
  readonly learning: boolean
  /** Unknown unicast, multicast and broadcast are all sent out of it. */
  readonly flooding: boolean
}

/** A tool of network configuration. */
export type Manager = 'ifupdown' | 'systemd-networkd' | 'NetworkManager'

/** A network device, as `ip`, `bridge` and `ethtool` together tell of it. */
export interface Link {
  readonly index: number
  readonly name: string
  readonly altnames: readonly string[]
  /** The hardware type, as `ip` names it: `ether`, `loopback`, `none`… */
  readonly type: string
  /** The link's kind, such as `bridge`, `veth`, `vlan`; null for a card. */
  readonly kind: string | null
  readonly mac: string
  readonly permanentMac: string
  readonly mtu: number
  readonly up: boolean
  readonly promiscuous: boolean
  readonly arp: boolean
  readonly alias: string | null
  readonly master: string | null
  /** The index of the link below (of a vlan, macvlan…) in this namespace. */
  readonly lower: number | null
  /** The index of the other end of a veth pair, in the namespace where that is. */
  readonly peer: number | null
  /** The other end is in another network namespace: a container's, most often. */
  readonly foreignPeer: boolean
  readonly addresses: readonly Address[]
  /** Whether the kernel gives it an IPv6 link-local address by itself. */
  readonly generatesAddress: boolean
  /** /proc/sys/net/ipv6/conf/NAME/disable_ipv6 is 0. */
  readonly ipv6: boolean
  readonly bridge: BridgeOptions | null
  readonly port: PortOptions | null
  /** The forwarding database holds the link's own MAC address: frames to it are not flooded. */
  readonly ownMacEntry: boolean
  readonly offloads: Readonly<Partial<Record<OffloadName, Offload>>>
  /** The tool that has set it up; null where none says so, or where nothing wanted to know. */
  readonly manager: Manager | null
}

/** A queueing discipline of a device, those without a queue (clsact, ingress) among them. */
export interface Qdisc {
  readonly device: string
  readonly kind: string
  /** Such as `1:`; `0:` is one that the kernel chose by itself. */
  readonly handle: string
  readonly root: boolean
  /** The class that it hangs on, such as `1:10`; `ffff:fff1` for clsact and ingress; null at the root. */
  readonly parent: string | null
  /** A `prio` as tc makes it when nothing is asked for: it does what the default does. */
  readonly plainPrio: boolean
  /** A shared block, in which case the filters are not the device's own. */
  readonly block: number | null
}

/** What a mirred action does that copies a frame to a device's egress. */
export interface MirrorAction {
  /** The device that gets the copy; `*` once that has gone. */
  readonly target: string
  readonly control: string
  readonly cookie: string | null
}

/** Four bytes of a frame, at an offset in bytes from its network header, that are `value` where `mask` has ones. */
export interface U32Key {
  readonly offset: number
  readonly value: number
  readonly mask: number
}

/** Which of the frames of its protocol a filter takes; `bpf`: those that its program does. */
export type Selection =
  | { readonly kind: 'bpf' }
  | { readonly kind: 'matchall' }
  | { readonly kind: 'u32'; readonly keys: readonly U32Key[] }
  /** By tc's names, all of which can be written as they were read. */
  | { readonly kind: 'flower'; readonly keys: Readonly<Record<string, string | number>> }
  | { readonly kind: 'unknown' }

/** A tc filter, wherever it hangs. */
export interface TcFilter {
  readonly device: string
  /** 0 is where a frame begins; the others are only jumped to. */
  readonly chain: number
  readonly pref: number
  readonly protocol: string
  readonly kind: string
  readonly handle: number | null
  /** The class that it sorts its frames into, such as `1:10`. */
  readonly classId: string | null
  readonly program: Program | null
  readonly directAction: boolean
  readonly selects: Selection
  /** Each of its actions that is a mirror to a device's egress. */
  readonly copies: readonly MirrorAction[]
  /** It does more than these copies, or what spanplan does not know: other actions, a policer, hardware flags. */
  readonly others: boolean
  /** The filter's only action, if it is a mirror to a device's egress. */
  readonly mirror: MirrorAction | null
}

/** A tc filter on one of the two hooks of a device. */
export interface Filter extends TcFilter {
  readonly tcHook: TcHook
}

/** A tc filter by which a queueing discipline sorts what the device sends into its classes. */
export interface ClassFilter extends TcFilter {
  /** The handle of that queueing discipline. */
  readonly parent: string
}

/** An eBPF program on a device, before all filters. */
export interface AttachedProgram {
  /** The device's index. */
  readonly link: number
  readonly tcHook: TcHook
  readonly layer: 'xdp' | 'tcx'
  /** Empty where it is not told. */
  readonly name: string
  /** The kernel's number of it. */
  readonly id: number
}

/** A range of addresses that a Docker network hands out. */
export interface Pool {
  readonly subnet: string
  /** The address that the bridge gets; null: Docker chooses one where it needs one. */
  readonly gateway: string | null
  /** The part of the subnet that containers get addresses from; null for all of it. */
  readonly range: string | null
  /** Addresses that Docker keeps free, by name. */
  readonly reserved: Readonly<Record<string, string>>
}

/** A network of Docker, as far as a span has to do with it. */
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

/** A container's place on one network. */
export interface Endpoint {
  readonly network: string
  readonly networkId: string
  readonly aliases: readonly string[]
  readonly driverOptions: Readonly<Record<string, string>>
  /** An address that was asked for, not one that Docker chose. */
  readonly fixedAddress: string | null
  /**
   * The interface's index, and that of the host's end; `absent` where there is none, or none that is for certain the network's;
   * `unknown` while the container does not run, or where that cannot be told.
   */
  readonly port: { readonly inside: number; readonly host: number } | 'absent' | 'unknown'
}

/** A container that is on a network of a span, or that the file chooses. */
export interface Container {
  readonly id: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly running: boolean
  /** It ends as soon as it starts, and Docker starts it again and again. */
  readonly restarting: boolean
  readonly networkMode: string
  /** Docker's file of its network namespace; null while it does not run, or has another container's. */
  readonly sandbox: string | null
  readonly endpoints: readonly Endpoint[]
}

/** A container that may concern a span, and why nothing is known of it. What is there of it is kept. */
export interface UnreadContainer {
  readonly name: string
  readonly reason: Diagnostic
}

/** What is known of Docker: nothing was asked, it did not answer, or all that concerns the spans. */
export type DockerState =
  | { readonly state: 'deferred' }
  | { readonly state: 'unreachable'; readonly reason: Diagnostic }
  | {
      readonly state: 'read'
      /** The newest version of its API that the daemon supports, such as `1.45`; empty if it does not say. */
      readonly api: string
      readonly networks: readonly DockerNetwork[]
      readonly containers: readonly Container[]
      readonly unread: readonly UnreadContainer[]
    }

/** What tcpdump made of an expression. */
export type Compiled =
  | { readonly state: 'compiled'; readonly program: Program }
  | { readonly state: 'invalid'; readonly message: string }
  | { readonly state: 'forbidden' }
  /** It is being compiled. */
  | { readonly state: 'pending' }
  /** It took tcpdump longer than the time limit, in seconds. */
  | { readonly state: 'endless'; readonly limit: number }

/** A route that uses a device, and that somebody has added: the kernel's own are left out. */
export interface Route {
  readonly device: string
  readonly family: 'inet' | 'inet6'
  /** As `ip route show` prints it: its destination, its gateway, its table… */
  readonly words: readonly string[]
  /** The command that takes it away. */
  readonly removal: readonly string[]
}

/** What the kernel has at one moment, and what it makes of the filters of the spec. */
export interface KernelState {
  readonly bootId: string
  readonly links: readonly Link[]
  readonly qdiscs: readonly Qdisc[]
  readonly filters: readonly Filter[]
  readonly classFilters: readonly ClassFilter[]
  /** None where bpftool is missing or may not look. */
  readonly attached: readonly AttachedProgram[]
  /** Of the interfaces that the plan depends on in this respect, and of no others. */
  readonly routes: readonly Route[]
  /** By expression: every filter of the spec that was read for. */
  readonly programs: ReadonlyMap<string, Compiled>
}

/** The host at one moment: everything that a plan rests on. */
export interface Snapshot extends KernelState {
  readonly docker: DockerState
}

/** The link of that name; altnames count. */
export function findLink(host: Snapshot, name: string): Link | undefined {
  return host.links.find((link) => link.name === name) ?? host.links.find((link) => link.altnames.includes(name))
}

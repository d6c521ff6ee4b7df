import * as z from 'zod'
import type { Diagnostic } from '../../errors.ts'
import type { TunnelSpec, TunnelWay } from '../../spec/sources/tunnel-spec.ts'
import type { Argv } from '../exec.ts'
import type { Datagram } from '../nftables/passage.ts'
import type { Link, TunnelEnd } from '../snapshot.ts'

/** A module of the kernel that tunnels need. */
export type TunnelModule = 'vxlan' | 'ip_gre'

/** A match of a rule of nftables, as `nft -json` prints it. */
export type Match = Readonly<Record<string, unknown>>

/** What tells the packets of one tunnel from all others that the host receives. */
export interface TunnelPackets {
  /** What nft calls the protocol of the packets' addresses. */
  readonly addresses: 'ip' | 'ip6'
  /** They may be sent to a multicast group. */
  readonly multicast: boolean
  /** What all of them have. */
  readonly all: readonly Match[]
  /** What those of each layout have besides: one or more layouts. */
  readonly layouts: readonly (readonly Match[])[]
}

/** All that is known of the tunnels of one protocol, which nothing else asks for. */
export interface TunnelKind {
  /** Reads what ip prints of a link of this kind as `info_data`. */
  readonly output: z.ZodType<Omit<TunnelEnd, 'protocol'>>
  /** What the tunnel is called. */
  name(tunnel: TunnelSpec, way: TunnelWay): string
  /** What tells the tunnel from all others of its protocol on this host. */
  identity(tunnel: TunnelSpec): readonly (string | number | null)[]
  /** ip's words for a new link, after its type. */
  linkWords(tunnel: TunnelSpec, way: TunnelWay): readonly string[]
  /** Bytes: the MTU of the link of an output. Missing: that of the span. */
  readonly sentMtu?: number
  /** Bytes: what it adds to a frame, with the MAC header of that: all but the headers of IP. */
  headerBytes(tunnel: TunnelSpec): number
  /** What a plan says of the tunnel. */
  facts(tunnel: TunnelSpec): readonly string[]
  /** What is sent into the tunnel. */
  datagram(tunnel: TunnelSpec): Pick<Datagram, 'family' | 'protocol' | 'port'>
  /** What the host's firewall has to let in, after a plan's row with the facts. */
  readonly letIn: string
  /** Shows which program has the tunnel's port. Missing: there is no port. */
  portCommand?(tunnel: TunnelSpec): Argv
  readonly modules: readonly TunnelModule[]
  packets(tunnel: TunnelSpec): TunnelPackets
  /** A link of others because of which this one's does not start, gets nothing, or takes what they get. Missing: there is no such. */
  findObstacle?(tunnel: TunnelSpec, others: readonly Link[], way: TunnelWay): Diagnostic | undefined
  /** What a tunnel and the links of others share, so that either lacks a part. Missing: none share. */
  findOverlaps?(tunnel: TunnelSpec, others: readonly Link[]): readonly Diagnostic[]
}

/** A match of what is equal. */
export function equals(left: unknown, right: unknown): Match {
  return { match: { op: '==', left, right } }
}

/** Bits behind the header of IP, as nft counts them. */
export function bitsAt(offset: number, len: number): object {
  return { payload: { base: 'th', offset, len } }
}

/** A field of a header, as nft names it. */
export function headerField(protocol: string, field: string): object {
  return { payload: { protocol, field } }
}

/** A flag in the JSON of ip, which leaves out what is off. */
export const flag = z.union([z.boolean(), z.number()]).transform(Boolean).default(false)

import * as z from 'zod'
import { keysOf } from '../../keys.ts'
import { judgeOrigins, originOutput } from '../address-origin.ts'
import {
  type Address,
  type BridgeOptions,
  type IpLink,
  type Link,
  type Offload,
  type OffloadName,
  type OpaqueLink,
  offloadNames,
  type PortOptions,
  type XdpProgram
} from '../snapshot.ts'
import { readTunnelEnd } from '../tunnels/registry.ts'
import { parseRecords } from './records.ts'

const flag = z.union([z.boolean(), z.number()]).transform(Boolean)

/** The part of a link in `ip -json -details link show` that is used. */
const linkOutput = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  altnames: z.array(z.string()).default([]),
  flags: z.array(z.string()),
  operstate: z.string().optional(),
  mtu: z.number(),
  max_mtu: z.number().default(0),
  link_type: z.string(),
  address: z.string().default(''),
  permaddr: z.string().optional(),
  ifalias: z.string().optional(),
  master: z.string().optional(),
  // null: a device that could have a lower link, as tunnels can, has none.
  link: z.string().nullish(),
  link_index: z.number().optional(),
  link_netnsid: z.number().optional(),
  inet6_addr_gen_mode: z.string().optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_slave_kind: z.string().optional(),
      info_data: z.unknown().optional(),
      info_slave_data: z.unknown().optional()
    })
    .default({}),
  num_rx_queues: z.number().default(1),
  xdp: z.unknown().optional()
})

/** The mode is XDP_ATTACHED_DRV in linux/if_link.h, or another. */
const xdpOutput = z
  .object({
    mode: z.number(),
    prog: z.object({
      id: z.number(),
      name: z.string().nullable().default(null),
      tag: z.string().nullable().default(null)
    })
  })
  .transform(({ mode, prog: { id, name, tag } }): XdpProgram => ({ id, name, tag, isNative: mode === 1 }))
  // A program in each of several modes, or what is not understood: one of somebody's.
  .catch({ id: 0, name: null, tag: null, isNative: false })

const bridgeOutput = z
  .object({
    ageing_time: z.number(),
    forward_delay: z.number(),
    stp_state: flag,
    mcast_snooping: flag.default(false),
    vlan_filtering: flag.default(false),
    // In hexadecimal, with 0x except for zero.
    group_fwd_mask: z.string().default('0').transform(Number)
  })
  .transform(
    (options): BridgeOptions => ({
      ageing: options.ageing_time,
      forwardDelay: options.forward_delay,
      stp: options.stp_state,
      snooping: options.mcast_snooping,
      vlanFiltering: options.vlan_filtering,
      groupForward: options.group_fwd_mask
    })
  )

const portOutput = z
  .object({
    isolated: flag.default(false),
    learning: flag,
    flood: flag,
    mcast_flood: flag.default(true),
    bcast_flood: flag.optional(),
    state: z.string().optional()
  })
  .transform(
    ({ isolated, learning, flood, mcast_flood, bcast_flood, state }): PortOptions => ({
      isolated,
      learning,
      flooding: flood && mcast_flood && bcast_flood !== false,
      ...((flood !== mcast_flood || flood !== (bcast_flood ?? flood)) && { floodsSome: true }),
      ...(bcast_flood === undefined && { lacksBroadcast: true }),
      ...(state === 'disabled' && { isDisabled: true })
    })
  )

/** The part of a record that says which link it is about. */
const indexOutput = z.object({ ifindex: z.number() })

const identityOutput = indexOutput.extend({ ifname: z.string() })

/** What is still understood of a link whose record is not. */
const opaqueOutput = z
  .object({
    ifindex: z.number().nullable().catch(null),
    ifname: z.string().nullable().catch(null),
    altnames: z.array(z.string()).catch([]),
    ifalias: z.string().nullable().catch(null),
    master: z.string().nullable().catch(null)
  })
  .transform(({ ifindex: index, ifname: name, altnames, ifalias: alias, master }): OpaqueLink => {
    return { index, name, altnames, alias, master }
  })
  // No object at all.
  .catch({ index: null, name: null, altnames: [], alias: null, master: null })

const addressOutput = indexOutput.extend({
  addr_info: z.array(
    z.object({
      ...originOutput.shape,
      family: z.string().optional(),
      prefixlen: z.number().optional()
    })
  )
})

const fdbOutput = z.object({
  mac: z.string(),
  ifname: z.string().optional(),
  state: z.string().optional(),
  vlan: z.number().optional(),
  dst: z.string().optional()
})

/** Parses the documents of the links and of the addresses. */
export function parseLinks(
  linkDocument: unknown,
  addressDocument: unknown
): { readonly links: readonly IpLink[]; readonly opaque: readonly OpaqueLink[] } {
  const records = withoutEmpty(linkDocument)
  const indexOf = new Map(parseRecords(identityOutput, records).map(({ ifname, ifindex }) => [ifname, ifindex]))
  const addressesOf = parseAddresses(addressDocument)
  const links: IpLink[] = []
  const opaque: OpaqueLink[] = []
  for (const record of records) {
    const link = parseLink(record, indexOf, addressesOf)
    if (link === null) opaque.push(opaqueOutput.parse(record))
    else links.push(link)
  }
  return { links, opaque }
}

/** `operstate` says that there is none until the kernel has told others of the carrier, as much as a second later. */
const hasLateCarrier = ({ flags, operstate }: z.output<typeof linkOutput>) =>
  flags.includes('LOWER_UP') && operstate === 'DOWN'

function parseLink(
  record: unknown,
  indexOf: ReadonlyMap<string, number>,
  addressesOf: (index: number) => readonly Address[] | undefined
): IpLink | null {
  const [link] = parseRecords(linkOutput, [record])
  const { info_kind: kind = null, info_slave_kind, info_data, info_slave_data } = link?.linkinfo ?? {}
  const bridge = kind === 'bridge' ? bridgeOutput.safeParse(info_data).data : null
  const port = info_slave_kind === 'bridge' ? portOutput.safeParse(info_slave_data).data : null
  const tunnel = readTunnelEnd(kind, info_data)
  const addresses = link && addressesOf(link.ifindex)
  // Of what is undefined, something is not understood.
  if (link === undefined || bridge === undefined || port === undefined || addresses === undefined) return null
  return {
    ...parseLowerAndPeer(link, indexOf),
    index: link.ifindex,
    name: link.ifname,
    altnames: [...link.altnames].sort(),
    type: link.link_type,
    kind,
    mac: link.address,
    permanentMac: link.permaddr ?? link.address,
    mtu: link.mtu,
    ...(link.max_mtu > 0 && { largestMtu: link.max_mtu }),
    up: link.flags.includes('UP'),
    carrier: link.flags.includes('LOWER_UP'),
    ...(hasLateCarrier(link) && { carrierIsLate: true }),
    promiscuous: link.flags.includes('PROMISC'),
    arp: !link.flags.includes('NOARP'),
    alias: link.ifalias ?? null,
    master: link.master ?? null,
    foreignPeer: link.link_netnsid !== undefined,
    addresses,
    generatesAddress: link.inet6_addr_gen_mode !== undefined && link.inet6_addr_gen_mode !== 'none',
    bridge,
    port,
    ...(tunnel && { tunnel }),
    receiveQueues: link.num_rx_queues,
    xdp: link.xdp === undefined ? null : xdpOutput.parse(link.xdp)
  }
}

/** What `bridge -json fdb show` lists. */
export interface Forwarding {
  /** The links and MAC addresses of permanent entries, each as `NAME MAC`. */
  readonly ownMacs: ReadonlySet<string>
  /** The hosts that a link sends to, which is the end of a tunnel. */
  readonly destinations: ReadonlyMap<string, ReadonlySet<string>>
  /** The names of all links that have an entry. */
  readonly devices: ReadonlySet<string>
}

/** Parses `bridge -json fdb show`. */
export function parseForwarding(document: unknown): Forwarding {
  const entries = parseRecords(fdbOutput, document)
  // A bridge without VLAN filtering looks up frames without a VLAN: it does not use entries with one.
  const used = entries.filter(({ state, vlan }) => state === 'permanent' && vlan === undefined)
  const destinations = new Map<string, Set<string>>()
  for (const { ifname, dst } of entries) {
    if (ifname === undefined || dst === undefined) continue
    destinations.set(ifname, new Set([...(destinations.get(ifname) ?? []), dst]))
  }
  const devices = new Set(entries.flatMap(({ ifname }) => ifname ?? []))
  return { ownMacs: new Set(used.map(({ ifname, mac }) => `${ifname} ${mac}`)), destinations, devices }
}

/** ethtool's name of an offload, and the short one. */
const shortNames: ReadonlyMap<string, OffloadName> = new Map(
  keysOf(offloadNames).map((short) => [offloadNames[short], short])
)

/** What names a link, or one of these offloads, at the beginning of a line: `tx-checksumming: on`, `rx-gro-hw: off [fixed]`. */
const featureLine = new RegExp(
  `^(?:Features for ([^\\n]+):|(${[...shortNames.keys()].join('|')}): (on|off)( \\[fixed\\])?)`,
  'gm'
)

/** Parses `ethtool -k`: the offloads of each link. A driver may lack an offload. */
export function parseOffloads(text: string): ReadonlyMap<string, Link['offloads']> {
  const links = new Map<string, Partial<Record<OffloadName, Offload>>>()
  let offloads: Partial<Record<OffloadName, Offload>> = {}
  for (const [, link, name = '', value, fixed] of text.matchAll(featureLine)) {
    if (link !== undefined) {
      offloads = {}
      links.set(link, offloads)
    }
    const short = shortNames.get(name)
    if (short !== undefined) offloads[short] = { active: value === 'on', fixed: fixed !== undefined }
  }
  return links
}

/** `ip` prints as `link` both the lower link of a vlan and the other end of a veth pair. */
function parseLowerAndPeer(link: z.infer<typeof linkOutput>, indexOf: ReadonlyMap<string, number>) {
  const other = link.link_index ?? indexOf.get(link.link ?? '') ?? null
  if (link.linkinfo.info_kind === 'veth') return { lower: null, peer: other }
  return { lower: link.link_netnsid === undefined ? other : null, peer: null }
}

/** Gives the addresses of a link, by its index; undefined: a record is not understood that is the link's, or may be. */
function parseAddresses(document: unknown): (index: number) => readonly Address[] | undefined {
  const records = withoutEmpty(document)
  const indexes = records.map((record) => indexOutput.safeParse(record).data?.ifindex)
  const understood = new Map(parseRecords(addressOutput, records).map(({ ifindex, addr_info }) => [ifindex, addr_info]))
  const opaque = new Set(indexes.filter((index) => index === undefined || !understood.has(index)))
  const isKernels = judgeOrigins([...understood.values()].flat())
  return (index) => {
    const addresses = understood.get(index)
    if (addresses === undefined) return opaque.has(index) || opaque.has(undefined) ? undefined : []
    return addresses.flatMap((one) => {
      const { family, local, prefixlen } = one
      return (family === 'inet' || family === 'inet6') && local !== undefined && prefixlen !== undefined
        ? [{ family, address: local, prefix: prefixlen, automatic: isKernels(one) }]
        : []
    })
  }
}

/** iproute2 prints `{}` for a link that the command leaves out. */
function withoutEmpty(document: unknown): unknown[] {
  const isEmpty = (entry: unknown) => typeof entry === 'object' && entry !== null && Object.keys(entry).length === 0
  return z
    .array(z.unknown())
    .parse(document)
    .filter((entry) => !isEmpty(entry))
}

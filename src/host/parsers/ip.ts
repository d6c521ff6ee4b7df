import * as z from 'zod'
import { type Address, type IpLink, type Link, type Offload, type OffloadName, offloadNames } from '../snapshot.ts'

/** The alias of the port that a running `capture` has made. Nothing else uses such a port. */
export const captureAlias = 'spanplan:capture'

const flag = z.union([z.boolean(), z.number()]).transform(Boolean)

/** The part of a link in `ip -json -details link show` that is used. */
const linkOutput = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  altnames: z.array(z.string()).default([]),
  flags: z.array(z.string()),
  mtu: z.number(),
  link_type: z.string(),
  address: z.string().default(''),
  permaddr: z.string().optional(),
  ifalias: z.string().optional(),
  master: z.string().optional(),
  link: z.string().optional(),
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
    .default({})
})

const bridgeOutput = z.object({
  ageing_time: z.number(),
  forward_delay: z.number(),
  stp_state: flag,
  mcast_snooping: flag.default(false),
  vlan_filtering: flag.default(false),
  // In hexadecimal, with 0x except for zero.
  group_fwd_mask: z.string().default('0').transform(Number)
})

const portOutput = z.object({
  isolated: flag.default(false),
  learning: flag,
  flood: flag,
  mcast_flood: flag.default(true),
  bcast_flood: flag.default(true)
})

const addressOutput = z.object({
  ifname: z.string(),
  addr_info: z.array(
    z.object({
      family: z.string().optional(),
      local: z.string().optional(),
      prefixlen: z.number().optional(),
      protocol: z.string().optional()
    })
  )
})

const fdbOutput = z.object({
  mac: z.string(),
  ifname: z.string().optional(),
  state: z.string().optional(),
  vlan: z.number().optional()
})

/** The offloads of links, by name. */
export type OffloadsByLink = ReadonlyMap<string, Link['offloads']>

/** Parses the documents of the links and of the addresses, and leaves out the ports of captures. */
export function parseLinks(linkDocument: unknown, addressDocument: unknown): IpLink[] {
  const links = z
    .array(linkOutput)
    .parse(withoutEmpty(linkDocument))
    .filter(({ ifalias }) => ifalias !== captureAlias)
  const indexOf = new Map(links.map((link) => [link.ifname, link.ifindex]))
  const addresses = parseAddresses(addressDocument)
  return links.map((link) => ({
    ...parseLowerAndPeer(link, indexOf),
    index: link.ifindex,
    name: link.ifname,
    altnames: link.altnames,
    type: link.link_type,
    kind: link.linkinfo.info_kind ?? null,
    mac: link.address,
    permanentMac: link.permaddr ?? link.address,
    mtu: link.mtu,
    up: link.flags.includes('UP'),
    promiscuous: link.flags.includes('PROMISC'),
    arp: !link.flags.includes('NOARP'),
    alias: link.ifalias ?? null,
    master: link.master ?? null,
    foreignPeer: link.link_netnsid !== undefined,
    addresses: addresses.get(link.ifname) ?? [],
    generatesAddress: link.inet6_addr_gen_mode !== undefined && link.inet6_addr_gen_mode !== 'none',
    bridge: link.linkinfo.info_kind === 'bridge' ? parseBridge(link.linkinfo.info_data) : null,
    port: link.linkinfo.info_slave_kind === 'bridge' ? parsePort(link.linkinfo.info_slave_data) : null
  }))
}

/** Parses `bridge -json fdb show`: the links and MAC addresses that it lists, each as `NAME MAC`. */
export function parseOwnMacEntries(document: unknown): Set<string> {
  const entries = z.array(fdbOutput).parse(document)
  // A bridge without VLAN filtering looks up frames without a VLAN: it does not use entries with one.
  const used = entries.filter(({ state, vlan }) => state === 'permanent' && vlan === undefined)
  return new Set(used.map(({ ifname, mac }) => `${ifname} ${mac}`))
}

/** ethtool's name of an offload, and the short one. */
const shortNames: ReadonlyMap<string, OffloadName> = new Map(
  // A cast: Object.entries forgets the type of the keys.
  Object.entries(offloadNames).map(([short, long]) => [long, short as OffloadName])
)

/** What names a link, or one of these offloads, at the beginning of a line: `tx-checksumming: on`, `rx-gro-hw: off [fixed]`. */
const featureLine = new RegExp(
  `^(?:Features for ([^\\n]+):|(${[...shortNames.keys()].join('|')}): (on|off)( \\[fixed\\])?)`,
  'gm'
)

/** Parses `ethtool -k`: the offloads of each link. A driver may lack an offload. */
export function parseOffloads(text: string): OffloadsByLink {
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

function parseBridge(data: unknown): Link['bridge'] {
  const options = bridgeOutput.parse(data)
  return {
    ageing: options.ageing_time,
    forwardDelay: options.forward_delay,
    stp: options.stp_state,
    snooping: options.mcast_snooping,
    vlanFiltering: options.vlan_filtering,
    groupForward: options.group_fwd_mask
  }
}

function parsePort(data: unknown): Link['port'] {
  const options = portOutput.parse(data)
  return {
    isolated: options.isolated,
    learning: options.learning,
    flooding: options.flood && options.mcast_flood && options.bcast_flood
  }
}

function parseAddresses(document: unknown): Map<string, Address[]> {
  const links = z.array(addressOutput).parse(withoutEmpty(document))
  return new Map(
    links.map((link) => [
      link.ifname,
      link.addr_info.flatMap(({ family, local, prefixlen, protocol }) =>
        (family === 'inet' || family === 'inet6') && local !== undefined && prefixlen !== undefined
          ? [{ family, address: local, prefix: prefixlen, automatic: protocol === 'kernel_ll' }]
          : []
      )
    ])
  )
}

/** iproute2 prints `{}` for a link that the command leaves out. */
function withoutEmpty(document: unknown): unknown[] {
  const isEmpty = (entry: unknown) => typeof entry === 'object' && entry !== null && Object.keys(entry).length === 0
  return z
    .array(z.unknown())
    .parse(document)
    .filter((entry) => !isEmpty(entry))
}

import * as z from 'zod'
import type { Address, Link, Offload, OffloadName } from '../snapshot.ts'
import { offloadNames } from '../snapshot.ts'

/** The commands, each a list of words, for one `ip -json -details -batch -`, whose output {@link parseLinks} reads. */
export const linkCommands = [
  ['link', 'show'],
  ['addr', 'show']
] as const

/** The alias of a port that `capture` has made, for as long as it runs: nobody's business but its own. */
export const captureAlias = 'spanplan:capture'

const flag = z.union([z.boolean(), z.number()]).transform(Boolean)

/** What `ip -json -details link show` prints of one link, as far as it is of use. */
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
  vlan_filtering: flag.default(false)
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

const offloadOutput = z.object({ active: z.boolean(), fixed: z.boolean().nullish() })

/** What of a link does not come from `ip`: the sysctl, the forwarding database, ethtool, other tools' files. */
export type LinkExtras = Pick<Link, 'ipv6' | 'ownMacEntry' | 'offloads' | 'manager'>

/** The links that the two documents of {@link linkCommands} tell of, each without its extras; ports of captures are left out. */
export function parseLinks(linkDocument: unknown, addressDocument: unknown): Omit<Link, keyof LinkExtras>[] {
  const links = z
    .array(linkOutput)
    .parse(withoutEmpty(linkDocument))
    .filter(({ ifalias }) => ifalias !== captureAlias)
  const indexOf = new Map(links.map((link) => [link.ifname, link.ifindex]))
  const addresses = parseAddresses(addressDocument)
  return links.map((link) => ({
    ...relatives(link, indexOf),
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

/** The links whose own MAC address `bridge -json fdb show` lists; given as `NAME MAC`. */
export function parseOwnMacEntries(document: unknown): Set<string> {
  const entries = z.array(fdbOutput).parse(document)
  // A bridge that does not filter VLANs looks frames up without one; entries with a VLAN lie idle.
  const used = entries.filter(({ state, vlan }) => state === 'permanent' && vlan === undefined)
  return new Set(used.map(({ ifname, mac }) => `${ifname} ${mac}`))
}

/** The offloads of every link that `ethtool --json -k '*'` lists. */
export function parseOffloads(document: unknown): Map<string, Partial<Record<OffloadName, Offload>>> {
  const cards = z.array(z.looseObject({ ifname: z.string() })).parse(document)
  return new Map(
    cards.map((card) => {
      const offloads: Partial<Record<OffloadName, Offload>> = {}
      for (const [short, long] of Object.entries(offloadNames)) {
        const feature = offloadOutput.safeParse(card[long])
        // Object.entries forgets that its keys are the table's own.
        if (feature.success)
          offloads[short as OffloadName] = { active: feature.data.active, fixed: feature.data.fixed === true }
      }
      return [card.ifname, offloads]
    })
  )
}

/** `ip` calls it a link both ways: the card below a vlan, and the other end of a veth pair. */
function relatives(link: z.infer<typeof linkOutput>, indexOf: ReadonlyMap<string, number>) {
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
    vlanFiltering: options.vlan_filtering
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

/** iproute2 prints `{}` for a link that its own filter leaves out. */
function withoutEmpty(document: unknown): unknown[] {
  return z
    .array(z.looseObject({}))
    .parse(document)
    .filter((entry) => Object.keys(entry).length > 0)
}

import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import type { Argv } from '../exec.ts'
import type { NftTable } from '../snapshot.ts'
import { equals, headerField, type TunnelPackets } from '../tunnels/tunnel-kind.ts'
import { transaction } from './seal-table.ts'

/** A table of nftables that drops what others than some senders send into a tunnel. */
export interface SenderTable {
  /** The name of the link that the tunnel ends in. */
  readonly link: string
  /** The name of a chain that holds nothing, which says whose the table is. */
  readonly mark: string
  readonly packets: TunnelPackets
  /** Prefixes and addresses as ip writes them, one or more. */
  readonly senders: readonly string[]
}

const family = 'inet'

/** NF_IP_PRI_RAW in linux/netfilter_ipv4.h: before each chain that filters. Fragments of IPv4 were put together before. */
const priority = -300

/** The chain that looks who has sent what may be for the tunnel, and whether it is. */
const senders = 'senders'

/** The chain that nothing goes through. */
const whole = 'whole'

/** The name of the table of a link. */
export function senderTableName(link: string): string {
  return `spanplan_${link}`
}

/**
 * All that is in the table, as `nft -json list ruleset` prints it, without handles, and with counters that have counted nothing. A rule
 * behind one that names a protocol is printed in that protocol's words, which versions of nft have different ones of: so what tells the
 * tunnel from others is in a chain of its own. Each sender has a rule: the kernel takes 128 expressions in one.
 *
 * The host itself is no sender, whatever its addresses are: what a user of the host sends comes by the loopback interface. What it sends
 * to all or to a group comes back as if by the interface that it left by, over IPv6 even with an address of somebody else
 * (IPV6_FREEBIND): so only what was sent to this host alone is let through, and of a group what has no address of the host.
 */
function tableObjects({
  link,
  mark,
  packets: { addresses, multicast, all, layouts },
  senders: chosen
}: SenderTable): object[] {
  const name = senderTableName(link)
  const place = { family, table: name }
  const rule = (chain: string, ...expr: readonly object[]) => ({ rule: { ...place, chain, expr } })
  const fromOthers = [
    { match: { op: '!=', left: { meta: { key: 'iif' } }, right: 'lo' } },
    multicast
      ? { match: { op: '!=', left: { fib: { result: 'type', flags: ['saddr'] } }, right: 'local' } }
      : equals({ meta: { key: 'pkttype' } }, 'host')
  ]
  const sentBy = (sender: string) => {
    const [addr = '', len] = sender.split('/')
    const right = len === undefined ? addr : { prefix: { addr, len: Number(len) } }
    return { match: { op: '==', left: headerField(addresses, 'saddr'), right } }
  }
  return [
    { table: { family, name } },
    { chain: { ...place, name: mark } },
    ...(addresses === 'ip6' ? [{ chain: { ...place, name: whole } }] : []),
    { chain: { ...place, name: senders } },
    { chain: { ...place, name: 'input', type: 'filter', hook: 'input', prio: priority, policy: 'accept' } },
    ...(addresses === 'ip6' ? [rule(whole, ...defragment)] : []),
    ...chosen.map((sender) => rule(senders, ...fromOthers, sentBy(sender), { return: null })),
    ...layouts.map((layout) => rule(senders, ...layout, { counter: { packets: 0, bytes: 0 } }, { drop: null })),
    rule('input', ...all, { jump: { target: senders } })
  ]
}

/**
 * Of IPv6, the hook gets single fragments, of which the first need not have the tunnel's header, unless something has the kernel put
 * them together before (net/ipv6/netfilter/nf_defrag_ipv6_hooks.c). A rule with tproxy does, also where no packet meets it, and tracks
 * no connections. Measured with Linux 6.18: without it, what a stranger sends in fragments gets into the tunnel.
 */
const defragment = [
  { match: { op: '==', left: { meta: { key: 'l4proto' } }, right: 'udp' } },
  { tproxy: { family: 'ip6', port: 1 } }
]

/** Whether a table, {@link normalizeObjects}, is as {@link writeSenderTable} writes it. */
export function isSenderTable({ objects }: NftTable, table: SenderTable): boolean {
  return isDeepStrictEqual(objects, tableObjects(table))
}

const senderMatch = z
  .object({
    match: z.object({
      op: z.literal('=='),
      left: z.object({ payload: z.object({ field: z.literal('saddr') }) }),
      right: z.union([z.string(), z.object({ prefix: z.object({ addr: z.string(), len: z.number() }) })])
    })
  })
  .transform(({ match: { right } }) => (typeof right === 'string' ? right : `${right.prefix.addr}/${right.prefix.len}`))

/** The senders that a table lets through, as far as its rules tell. */
export function readSenders({ objects }: NftTable): string[] {
  const parts = objects.flatMap(({ rule }) => (rule?.chain === senders && Array.isArray(rule.expr) ? rule.expr : []))
  return parts.flatMap((part) => senderMatch.safeParse(part).data ?? [])
}

const countedRule = z.object({ chain: z.literal(senders), expr: z.array(z.unknown()) })
const counter = z.object({ counter: z.object({ packets: z.number() }) })

/** How many packets a table, as nft prints it, has dropped: it counts nothing else. */
export function countRefused({ objects }: NftTable): number {
  const parts = objects.flatMap(({ rule }) => countedRule.safeParse(rule).data?.expr ?? [])
  return parts.reduce<number>((total, part) => total + (counter.safeParse(part).data?.counter.packets ?? 0), 0)
}

/** A part of the last bits of a payload: nft 1.0 prints it so. */
const maskedBits = z
  .object({
    '&': z.tuple([
      z.object({ payload: z.object({ base: z.string(), offset: z.number(), len: z.number() }) }),
      z.number()
    ])
  })
  .refine(({ '&': [, mask] }) => (mask & (mask + 1)) === 0)
  .transform(({ '&': [{ payload }, mask] }) => {
    const len = mask.toString(2).length
    return { payload: { ...payload, offset: payload.offset + payload.len - len, len } }
  })

/** What has been counted makes no difference, nor does how a version of nft prints bits. */
export function normalizeObjects<Part>(objects: Part): Part {
  const replacer = (key: string, value: unknown) =>
    key === 'counter' ? { packets: 0, bytes: 0 } : (maskedBits.safeParse(value).data ?? value)
  return JSON.parse(JSON.stringify(objects, replacer))
}

/** The command that creates or recreates the table, in one transaction: no datagram passes in between. */
export function writeSenderTable(table: SenderTable): Argv {
  return transaction([...removal(table.link), ...tableObjects(table).map((add) => ({ add }))])
}

/** The command that removes the table of a link, which may be gone. */
export function removeSenderTable(link: string): Argv {
  return transaction(removal(link))
}

/** What is added exists, so that the deletion does not fail. */
function removal(link: string): object[] {
  const table = { family, name: senderTableName(link) }
  return [{ add: { table } }, { delete: { table } }]
}

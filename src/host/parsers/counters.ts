import * as z from 'zod'
import type { TcHook } from '../../spec/spec.ts'
import { mirrorPref } from '../tc-syntax.ts'

/** What the kernel counts of one link. Counters only grow, until the link is made anew. */
export interface LinkCounters {
  readonly index: number
  readonly name: string
  /** Bytes. */
  readonly mtu: number
  /** It is up and has a carrier: what is sent to it goes on. */
  readonly running: boolean
  /** How often its carrier came or went. */
  readonly carrierChanges: number
  readonly rx: ReceiveCounters
  readonly tx: SendCounters
}

/** Frames and bytes that a link has received; the names are those of `struct rtnl_link_stats64` in linux/if_link.h. */
export interface ReceiveCounters {
  readonly packets: number
  readonly bytes: number
  /** Damaged: a wrong checksum, a wrong length, and the like. */
  readonly errors: number
  /** Also frames that nobody on this host wanted, after they were copied: it says nothing of lost copies. */
  readonly dropped: number
  /** Lost because the interface's ring was full; each driver counts it under one of these. */
  readonly missed: number
  readonly over: number
  readonly fifo: number
}

/** Frames and bytes that a link has sent, named likewise. */
export interface SendCounters {
  readonly packets: number
  readonly bytes: number
  readonly errors: number
  readonly dropped: number
}

/** What the kernel counts of one mirror: of its filter's action. */
export interface MirrorCounters {
  readonly device: string
  readonly tcHook: TcHook
  readonly handle: number
  /** The device that gets the copies; `*` once that has gone. */
  readonly target: string
  /** Frames that the filter took; of a merged one, each that is in it. */
  readonly packets: number
  /** With their Ethernet headers. */
  readonly bytes: number
  /** Copies that could not be handed over: the target has gone, is down, or has no carrier. */
  readonly overlimits: number
  /** Frames that the action dropped itself. */
  readonly drops: number
  /** Seconds since the filter was put in place. */
  readonly installed: number
  /** Seconds since its last frame; where it has had none, since it was put in place. */
  readonly idle: number
}

/** A packet socket, by which a tool listens on an interface. */
export interface PacketSocket {
  /** The kernel's own number of it, never given again. */
  readonly cookie: string
  /** The interface that it is bound to; null: all of them. */
  readonly device: string | null
  /** Frames that it lost because its buffer was full; null: it reads from a ring, whose losses the kernel tells only the tool. */
  readonly drops: number | null
}

/** Frames that a link has received and sent, as they are a moment after the other counters were read. */
export interface LinkTotals {
  readonly name: string
  readonly rx: number
  readonly tx: number
}

const count = z.number().default(0)

const linkOutput = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  flags: z.array(z.string()),
  mtu: z.number(),
  stats64: z.object({
    rx: z.object({
      packets: count,
      bytes: count,
      errors: count,
      dropped: count,
      over_errors: count,
      fifo_errors: count,
      missed_errors: count
    }),
    tx: z.object({ packets: count, bytes: count, errors: count, dropped: count, carrier_changes: count })
  })
})

/** tc's words that print what the mirrors on a hook count, with -statistics. */
export function mirrorsCommand(device: string, tcHook: TcHook): string[] {
  return ['filter', 'show', 'dev', device, tcHook, 'pref', String(mirrorPref)]
}

/** What `ip -s -s -json link show` prints: twice, or the kinds of errors are left out. */
export function parseLinkCounters(document: unknown): LinkCounters[] {
  return z
    .array(linkOutput)
    .parse(document)
    .map(({ ifindex, ifname, flags, mtu, stats64: { rx, tx } }) => ({
      index: ifindex,
      name: ifname,
      mtu,
      // The state in words comes up to a second late.
      running: flags.includes('UP') && flags.includes('LOWER_UP'),
      carrierChanges: tx.carrier_changes,
      rx: {
        ...{ packets: rx.packets, bytes: rx.bytes, errors: rx.errors, dropped: rx.dropped },
        ...{ missed: rx.missed_errors, over: rx.over_errors, fifo: rx.fifo_errors }
      },
      tx: { packets: tx.packets, bytes: tx.bytes, errors: tx.errors, dropped: tx.dropped }
    }))
}

/** A filter of a span has one action; tc leaves out a time of 0 seconds, and a preference that it was asked for. */
const filterOutput = z.object({
  options: z.object({
    handle: z.string(),
    actions: z.tuple([
      z.object({
        kind: z.literal('mirred'),
        to_dev: z.string(),
        installed: count,
        last_used: count,
        stats: z.object({ bytes: z.number(), packets: z.number(), drops: z.number(), overlimits: z.number() })
      })
    ])
  })
})

/** ETH_HLEN in linux/if_ether.h, in bytes: at ingress, the kernel counts a frame without it. */
const headerBytes = 14

/** What tc, asked as {@link mirrorsCommand} does, prints. Filters that cannot be mirrors of a span are left out. */
export function parseMirrorCounters(device: string, tcHook: TcHook, document: unknown): MirrorCounters[] {
  return z
    .array(z.unknown())
    .parse(document)
    .flatMap((row): MirrorCounters[] => {
      const filter = filterOutput.safeParse(row)
      if (!filter.success) return []
      const { handle, actions } = filter.data.options
      const [{ to_dev, installed, last_used, stats }] = actions
      const header = tcHook === 'ingress' ? headerBytes * stats.packets : 0
      return [
        {
          ...{ device, tcHook, handle: Number(handle), target: to_dev, installed, idle: last_used },
          ...{ packets: stats.packets, bytes: stats.bytes + header },
          ...{ overlimits: stats.overlimits, drops: stats.drops }
        }
      ]
    })
}

/** What `ss --packet --numeric --memory --extended --oneline --no-header` prints. */
export function parsePacketSockets(text: string): PacketSocket[] {
  return text.split('\n').flatMap((line): PacketSocket[] => {
    const [, device] = /^p_\S+ +\d+ +\d+ +\S+:(\S+) /.exec(line) ?? []
    const [, cookie] = / sk:([0-9a-f]+)/.exec(line) ?? []
    const [, drops] = / skmem:\([^)]*\bd(\d+)\)/.exec(line) ?? []
    if (device === undefined || cookie === undefined || drops === undefined) return []
    const ring = line.includes(' ring_rx(')
    return [{ cookie, device: device === '*' ? null : device, drops: ring ? null : Number(drops) }]
  })
}

/** What /proc/net/dev shows: two lines of headings, then 8 numbers received and 8 sent, packets the second of each. */
export function parseTotals(text: string): LinkTotals[] {
  return text.split('\n').flatMap((line) => {
    const [, name, numbers] = /^ *([^:|]+):(.*)$/.exec(line) ?? []
    const [, rx, , , , , , , , tx] = (numbers ?? '').trim().split(/ +/)
    if (name === undefined || rx === undefined || tx === undefined) return []
    return [{ name, rx: Number(rx), tx: Number(tx) }]
  })
}

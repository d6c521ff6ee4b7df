import * as z from 'zod'
import type { HookPlace } from '../snapshot.ts'
import { mirrorPref, uncountedBytes, writePlace } from '../tc-conventions.ts'
import { parseRecords } from './records.ts'

/** The kernel's counters of a mirror: those of its filter's action. */
export interface MirrorCounters extends HookPlace {
  readonly handle: number
  /** The device that gets the copies; `*`: that device is gone. */
  readonly target: string
  /** Frames that were copied. Each frame within a merged one counts. */
  readonly packets: number
  /** Includes the Ethernet headers. */
  readonly bytes: number
  /** What its policer has counted. Missing: the mirror has no limit, and copies each frame that its filter matches. */
  readonly policer?: PolicerCounters
  /** Copies that could not be delivered: the target is gone, is down, or has no carrier. */
  readonly overlimits: number
  /** Frames that the action itself dropped. */
  readonly drops: number
  /** Seconds since the filter was added. */
  readonly installed: number
  /** Seconds since the last frame; if there was none, since the filter was added. */
  readonly idle: number
}

/** The kernel's counters of the policer that limits a mirror. */
interface PolicerCounters {
  /** Frames that the filter matched, as a mirror counts them. */
  readonly packets: number
  readonly bytes: number
  /** Times that the policer found a frame over the limit. A merged frame is one. */
  readonly exceeded: number
}

/** A packet socket, with which a tool captures on an interface. */
export interface PacketSocket {
  /** The kernel's number for the socket, which is never reused. */
  readonly cookie: string
  /** The interface that the socket is bound to; null: all interfaces. */
  readonly device: string | null
  /** The frames that reach the socket: of every protocol, of one, or none, as of a socket that only sends. */
  readonly hears: 'every' | 'one' | 'none'
  /** Frames lost because the socket's buffer was full; null: the socket has a ring, whose losses the kernel tells only the tool. */
  readonly drops: number | null
}

/** Frames that a link has received and sent, read a moment after the other counters. */
export interface LinkTotals {
  readonly name: string
  readonly rx: number
  readonly tx: number
}

const count = z.number().default(0)

const linkOutput = z
  .object({
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
  .transform(({ ifindex, ifname, flags, mtu, stats64 }) => {
    const { missed_errors, over_errors, fifo_errors, ...received } = stats64.rx
    const { carrier_changes, ...sent } = stats64.tx
    return {
      index: ifindex,
      name: ifname,
      /** Bytes. */
      mtu,
      /** It is set up, whether it has a carrier or not. */
      up: flags.includes('UP'),
      /** The link is up and has a carrier: it forwards what it is sent. `operstate` may be a second late. */
      running: flags.includes('UP') && flags.includes('LOWER_UP'),
      /** The number of times the carrier came or went. */
      carrierChanges: carrier_changes,
      /**
       * What the link has received, with the names of `struct rtnl_link_stats64` in linux/if_link.h. `errors`: damaged frames: a wrong
       * checksum, a wrong length, and so on. `dropped` includes frames that no protocol on this host accepted, after they were copied:
       * the counter does not show lost copies. `missed`, `over`, `fifo`: frames lost because the interface's ring was full. Each driver
       * uses one of these counters.
       */
      rx: { ...received, missed: missed_errors, over: over_errors, fifo: fifo_errors },
      /** What the link has sent, with the same names. */
      tx: sent
    }
  })

/** The kernel's counters of a link. They only grow, until the link is recreated. */
export type LinkCounters = Readonly<z.infer<typeof linkOutput>>

/** tc's arguments that print the mirrors on a hook, with their counters if -statistics is given. */
export function mirrorsCommand(place: HookPlace): string[] {
  return ['filter', 'show', ...writePlace(place), 'pref', String(mirrorPref)]
}

/** Parses `ip -s -s -json link show`. A single -s leaves out the kinds of errors. */
export function parseLinkCounters(document: unknown): LinkCounters[] {
  return parseRecords(linkOutput, document)
}

const actionCounters = {
  installed: count,
  last_used: count,
  stats: z.object({ bytes: z.number(), packets: z.number(), drops: z.number(), overlimits: z.number() })
}

const policerOutput = z.object({ kind: z.literal('police'), ...actionCounters })

const mirrorOutput = z.object({ kind: z.literal('mirred'), to_dev: z.string(), ...actionCounters })

/**
 * A span's filter has one action, with a policer before it where there is a limit. tc leaves out times of 0 seconds, and the preference
 * that the command selects.
 */
const filterOutput = z.object({
  options: z.object({
    handle: z.string(),
    actions: z
      .union([z.tuple([mirrorOutput]), z.tuple([policerOutput, mirrorOutput])])
      .transform((actions) =>
        actions.length === 1 ? { mirror: actions[0] } : { policer: actions[0], mirror: actions[1] }
      )
  })
})

type Stats = z.output<typeof mirrorOutput>['stats']

/** Parses the output of {@link mirrorsCommand}. Filters that cannot be a span's mirrors are left out. */
export function parseMirrorCounters(place: HookPlace, document: unknown): MirrorCounters[] {
  const withHeaders = ({ bytes, packets }: Stats) => ({ packets, bytes: bytes + uncountedBytes(place) * packets })
  return parseRecords(filterOutput, document).map(({ options: { handle, actions } }): MirrorCounters => {
    const { mirror, policer } = actions
    const { drops, overlimits } = mirror.stats
    return {
      ...place,
      handle: Number(handle),
      target: mirror.to_dev,
      installed: mirror.installed,
      // A frame over the limit is one that has come.
      idle: Math.min(mirror.last_used, policer?.last_used ?? mirror.last_used),
      ...withHeaders(mirror.stats),
      drops,
      overlimits,
      ...(policer && { policer: { ...withHeaders(policer.stats), exceeded: policer.stats.overlimits } })
    }
  })
}

/** Parses `ss --packet --numeric --memory --extended --oneline --no-header`. */
export function parsePacketSockets(text: string): PacketSocket[] {
  return text.split('\n').flatMap((line): PacketSocket[] => {
    const [, protocol, device] = /^p_\S+ +\d+ +\d+ +([^\s:]+):(\S+) /.exec(line) ?? []
    const [, cookie] = / sk:([0-9a-f]+)/.exec(line) ?? []
    const [, drops] = / skmem:\([^)]*\bd(\d+)\)/.exec(line) ?? []
    if (device === undefined || cookie === undefined || drops === undefined) return []
    const ring = line.includes(' ring_rx(')
    // packet(7): a socket of protocol 0 gets nothing, and neither does one whose interface is down or gone.
    const isRunning = / flags\([^)]*\brunning\b/.test(line) && protocol !== '[0]'
    const hears = !isRunning ? 'none' : protocol === '*' ? 'every' : 'one'
    return [{ cookie, device: device === '*' ? null : device, hears, drops: ring ? null : Number(drops) }]
  })
}

/** Parses /proc/net/dev: two lines of headings, then 8 numbers received and 8 sent. Packets are the second number of each. */
export function parseTotals(text: string): LinkTotals[] {
  return text.split('\n').flatMap((line) => {
    const [, name, numbers] = /^ *([^:]+):(.*)$/.exec(line) ?? []
    const [, rx, , , , , , , , tx] = (numbers ?? '').trim().split(/ +/)
    if (name === undefined || rx === undefined || tx === undefined) return []
    return [{ name, rx: Number(rx), tx: Number(tx) }]
  })
}

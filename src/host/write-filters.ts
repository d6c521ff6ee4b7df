import { option } from './quote-command.ts'
import type { ClassFilter, ClassPlace, Filter, HookPlace, MirrorAction, Program, TcFilter, TcHook } from './snapshot.ts'
import {
  belowLimit,
  dropProgram,
  mirrorPref,
  nodeOf,
  overLimit,
  uncountedBytes,
  writeKey,
  writeLimitCookie,
  writeU32Handle
} from './tc-conventions.ts'

/** tc's arguments that add a mirror, or change the one that is there. */
export function writeMirror(
  mirror: HookPlace & {
    readonly handle: number
    readonly program: Program
    /** Default: `all`. */
    readonly protocol?: string
    readonly directAction?: boolean
    readonly target: string
    readonly cookie: string
    /** Bits per second; null, and default: no limit. One that spanplan has not written is not written again. */
    readonly limit?: MirrorAction['limit'] | null
    /** Default: none. */
    readonly classId?: string
  }
): string[] {
  const { device, tcHook, handle, protocol = 'all', target, cookie, limit } = mirror
  return [
    ...writeKey('replace', { device, tcHook, protocol, pref: mirrorPref, kind: 'bpf' }, hexadecimal(handle)),
    ...(mirror.directAction === true ? ['da'] : []),
    ...option('classid', mirror.classId),
    ...['bytecode', mirror.program],
    // mirred's own default, "pipe", ends classification: a second mirror would see nothing.
    ...writeAction(mirror, { target, control: 'continue', cookie, ...(typeof limit === 'number' && { limit }) })
  ]
}

/** tc's arguments for a filter of spanplan's whose program drops every frame at a hook, or passes it. */
export function writeDirectAction(
  { device, tcHook }: HookPlace,
  pref: number,
  handle: number,
  program: Program = dropProgram,
  classId?: string
): string[] {
  const key = { device, tcHook, protocol: 'all', pref, kind: 'bpf' }
  return [
    ...writeKey('replace', key, hexadecimal(handle)),
    ...['da', ...option('classid', classId), 'bytecode', program]
  ]
}

/** tc's arguments that delete one of spanplan's filters. */
export function deleteFilter(device: string, tcHook: TcHook, pref: number, handle: number): string[] {
  return writeKey('del', { device, tcHook, pref, kind: 'bpf' }, hexadecimal(handle))
}

/**
 * tc's arguments that add a filter again as it was read, whoever made it. The kernel chooses the table of a u32 filter, and
 * may choose another one.
 *
 * @returns null: the filter was not parsed completely, or the target of a mirror is gone.
 */
export function writeFilter(filter: Filter | ClassFilter): string[] | null {
  const selection = writeSelection(filter)
  const unwritable = filter.copies.some(
    // tc gives an action without a cookie that of the action before (tc/m_action.c).
    ({ target, cookie }, index) =>
      target === '*' || (cookie === null && (filter.copies[index - 1]?.cookie ?? null) !== null)
  )
  if (selection === null || filter.handle === null || filter.others || unwritable) return null
  const handle = filter.kind === 'u32' ? nodeOf(filter.handle) : filter.handle
  return [
    ...writeKey('add', filter, hexadecimal(handle)),
    ...selection,
    ...option('classid', filter.classId),
    ...filter.copies.flatMap((action) => writeAction(filter, action))
  ]
}

/** tc's arguments that delete a filter, whoever made it; null: the filter has no handle. */
export function removeFilter(filter: Filter | ClassFilter): string[] | null {
  const handle = writeHandle(filter)
  return handle === null ? null : writeKey('del', filter, handle)
}

/** A filter's handle as tc reads it; null: the filter has none. */
export function writeHandle({ kind, handle }: TcFilter): string | null {
  if (handle === null) return null
  return kind === 'u32' ? writeU32Handle(handle) : hexadecimal(handle)
}

function hexadecimal(handle: number): string {
  return `0x${handle.toString(16)}`
}

function writeSelection({ selects, program, directAction }: TcFilter): string[] | null {
  switch (selects.kind) {
    case 'bpf':
      return program === null ? null : [...(directAction ? ['da'] : []), 'bytecode', program]
    case 'matchall':
      return []
    case 'u32':
      return selects.keys.flatMap(({ offset, value, mask }) => [
        ...['match', 'u32', `0x${value.toString(16)}`, `0x${mask.toString(16)}`, 'at', String(offset)]
      ])
    case 'flower':
      return Object.entries(selects.keys).flatMap(([key, value]) => (key === 'eth_type' ? [] : [key, String(value)]))
    case 'unknown':
      return null
  }
}

function writeAction(place: HookPlace | ClassPlace, { target, control, cookie, limit }: MirrorAction): string[] {
  return [
    ...(typeof limit === 'number' ? writePolicer(place, limit) : []),
    ...['action', 'mirred', 'egress', 'mirror', 'dev', target, control, ...option('cookie', cookie)]
  ]
}

/**
 * Bytes. tc's own mtu for a policer is 2,040: any larger frame would be over the limit (measured, Linux 6.12). No frame has so many, and
 * of a merged frame each one in it counts.
 */
const policerMtu = 2 ** 20

/** Seconds of the limit that may come at once: it holds the frames of a full ring (4,096 of 1,514 bytes, at 1 Gbit/s). */
const burstTime = 0.05

/** Bytes: what may come at once, however low the limit is. A merged frame has up to 512 KiB (GRO_MAX_SIZE of linux/netdevice.h). */
const leastBurst = 2 ** 20

/** The kernel has the time of a burst in 32 bits, as ticks of 64 ns: 274 seconds. tc takes the bytes in 32 bits, too. */
const [longestBurst, largestBurst] = [256, 1e9]

/** tc's arguments for the policer before a mirror: what is over the limit is not copied, and goes on to the next filter. */
function writePolicer(place: HookPlace | ClassPlace, limit: number): string[] {
  const bytesPerSecond = limit / 8
  const most = Math.min(bytesPerSecond * longestBurst, largestBurst)
  const burst = Math.floor(Math.min(Math.max(bytesPerSecond * burstTime, leastBurst), most))
  return [
    ...['action', 'police', 'rate', `${limit}bit`, 'burst', `${burst}b`, 'mtu', `${policerMtu}b`],
    ...['overhead', String(uncountedBytes(place)), 'conform-exceed', `${overLimit}/${belowLimit}`],
    ...['cookie', writeLimitCookie(limit)]
  ]
}

import { option } from './quote-command.ts'
import type { ClassPlace, HookPlace, Program } from './snapshot.ts'

/** What the writers of tc filters and the parsers of tc's output have to agree on. */

/**
 * The preference (tc's priority) of every mirror. It is low, so that a classifier that ends classification comes later. It is
 * neither 1 nor 49152, which other tools and the kernel choose by default.
 */
export const mirrorPref = 8

/** The preference of the filter that drops what sensors send. It comes after the mirrors, which let a frame go on. */
export const sealPref = 9

/** The preference of the filters that close a dedicated interface to the host: the last that there is (16 bits). */
export const closingPref = 0xffff

/** The handle of these filters. It is the same on each interface: whoever renames one does not hide the filter. */
export const closingHandle = 0xc6ab1f99

/** Returns TC_ACT_SHOT (2, linux/pkt_cls.h): as a direct action, the program drops every frame. */
export const dropProgram: Program = '1,6 0 0 2'

/** Returns TC_ACT_UNSPEC (-1): as a direct action, the program leaves every frame to the next filter. */
export const passProgram: Program = '1,6 0 0 4294967295'

/** Matches every frame: cls_bpf takes -1 as "the filter's own class", and runs the filter's action. */
export const everyFrame: Program = '1,6 0 0 4294967295'

/**
 * An interface in another network namespace, by its index. A container may call its interfaces what it likes; tc takes `if7/` for
 * the index 7 (ll_name_to_index() in lib/ll_map.c), and no interface has a name with a slash (dev_valid_name() in net/core/dev.c).
 */
export function innerDevice(index: number): string {
  return `if${index}/`
}

/** The handle of clsact and of ingress, always: TC_H_CLSACT in linux/pkt_sched.h. */
export const clsactHandle = 'ffff:'

/** Controls of an action that tc prints and reads as one word. */
export const controls: ReadonlySet<string> = new Set(['pipe', 'continue', 'pass', 'reclassify', 'drop'])

/** Bytes: ETH_HLEN in linux/if_ether.h. At ingress, the kernel counts a frame without its header; at egress, with it. */
const headerBytes = 14

/** The bytes that the kernel does not count of each frame at a hook, though they are copied. */
export function uncountedBytes(place: object): number {
  return 'tcHook' in place && place.tcHook === 'ingress' ? headerBytes : 0
}

/** What a policer that limits a mirror does with a frame: over the limit, the next filter has it; below, the next action. */
export const [overLimit, belowLimit] = ['continue', 'pipe'] as const

/** `spanrate` in ASCII: no other cookie of spanplan's begins so. */
const limitMagic = '7370616e72617465'

/**
 * Writes the cookie of a policer: the limit, in bits per second. tc's JSON has the rate of a policer nowhere (iproute2 6.1 to 7.3), and
 * its text has it rounded.
 */
export function writeLimitCookie(limit: number): string {
  return `${limitMagic}${limit.toString(16).padStart(16, '0')}`
}

/** Reads what {@link writeLimitCookie} wrote; null for a foreign cookie. */
export function readLimitCookie(cookie: string): number | null {
  const [, digits] = new RegExp(`^${limitMagic}([0-9a-f]{16})$`).exec(cookie) ?? []
  return digits === undefined ? null : Number.parseInt(digits, 16)
}

/** Keys of flower that tc prints and reads alike. `eth_type` repeats the filter's protocol. */
export const flowerKeys: ReadonlySet<string> = new Set([
  ...['eth_type', 'ip_proto', 'src_ip', 'dst_ip', 'src_port', 'dst_port'],
  ...['vlan_id', 'vlan_prio', 'vlan_ethtype', 'src_mac', 'dst_mac']
])

/** The parts of a u32 handle, TABLE:BUCKET:NODE in hexadecimal: 12, 8 and 12 bits (linux/pkt_cls.h). */
const [bucketSize, tableSize] = [2 ** 12, 2 ** 20]

/** Reads a u32 handle. */
export function parseU32Handle(text: string): number {
  const [table = 0, bucket = 0, node = 0] = text.split(':').map((digits) => Number.parseInt(digits || '0', 16))
  return table * tableSize + bucket * bucketSize + node
}

/** Writes a u32 handle. */
export function writeU32Handle(handle: number): string {
  const parts = [handle / tableSize, (handle % tableSize) / bucketSize, handle % bucketSize]
  return parts.map((part) => Math.floor(part).toString(16)).join(':')
}

/** The node of a u32 handle. The kernel chooses the rest. */
export function nodeOf(handle: number): number {
  return handle % bucketSize
}

/** tc's arguments that say where filters are. */
export function writePlace(place: HookPlace | ClassPlace): string[] {
  return ['dev', place.device, ...('tcHook' in place ? [place.tcHook] : ['parent', place.parent])]
}

/** What a filter is found by, besides its handle. */
export type FilterKey = (HookPlace | ClassPlace) & {
  readonly chain?: number
  /** Without a protocol, tc finds the filter of any protocol. */
  readonly protocol?: string
  readonly pref: number
  readonly kind: string
}

/** tc's arguments that begin a command about one filter. */
export function writeKey(verb: 'add' | 'replace' | 'del' | 'get', filter: FilterKey, handle: string): string[] {
  const { chain = 0, protocol, pref, kind } = filter
  return [
    ...['filter', verb, ...writePlace(filter)],
    ...option('chain', chain || null),
    ...option('protocol', protocol && writeProtocol(protocol)),
    ...['pref', String(pref), 'handle', handle, kind]
  ]
}

/** A protocol as tc reads it: tc prints a number that has no name as `[34997]`, and does not read that. */
function writeProtocol(protocol: string): string {
  return /^\[(\d+)\]$/.exec(protocol)?.[1] ?? protocol
}

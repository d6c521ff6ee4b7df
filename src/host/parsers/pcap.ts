import type { SpanplanError } from '../../errors.ts'
import type { Argv, Output } from '../exec.ts'
import type { Program } from '../snapshot.ts'

/** The result of compiling an expression. */
export type Compiled =
  | { readonly state: 'compiled'; readonly program: Program }
  | { readonly state: 'invalid'; readonly message: string }
  | { readonly state: 'forbidden' }
  /** The loopback interface is down, and the expression has to be compiled for it. */
  | { readonly state: 'down' }
  /** tcpdump has not finished yet. */
  | { readonly state: 'pending' }
  /** tcpdump did not finish within the time limit, in seconds. */
  | { readonly state: 'endless'; readonly limit: number }
  /** tcpdump cannot be run. */
  | { readonly state: 'unavailable'; readonly error: SpanplanError }

/** By expression: the result of compiling each expression. */
export type CompiledFilters = ReadonlyMap<string, Compiled>

/**
 * The largest program, in instructions. tc has one netlink message of 16,384 bytes for a filter: 2,031 instructions of 8 bytes
 * besides the mirror action and its cookie, whatever the names of the devices. tc 7.3 reads back 1,971 of them.
 */
export const longestProgram = 1960

/** The same of a mirror with a limit: the policer takes its part of the message. */
export const longestLimited = 1800

/**
 * The command that compiles a pcap-filter(7) expression.
 *
 * At a tc hook, a VLAN tag is metadata and not part of the frame's bytes. libpcap reads the metadata only if it compiles for a live
 * device: any device will do, and loopback always exists. This needs CAP_NET_RAW and takes ten times as long, so only expressions
 * with `vlan` are compiled this way.
 */
export function compileCommand(expression: string): Argv {
  if (!needsMetadata(expression)) return checkCommand(expression)
  return ['tcpdump', '-ddd', '-p', '-i', 'lo', '--', expression]
}

/** The command that only checks an expression, which needs no right and no interface. */
export function checkCommand(expression: string): Argv {
  return ['tcpdump', '-ddd', '-y', 'EN10MB', '--', expression]
}

/** Parses the output of {@link compileCommand} and {@link checkCommand}. */
export function parseCompiled(expression: string, output: Output): Compiled {
  if (output.status === 0) return { state: 'compiled', program: output.stdout.trim().split('\n').join(',') }
  if (needsMetadata(expression) && /permission|not permitted/i.test(output.stderr)) return { state: 'forbidden' }
  if (needsMetadata(expression) && /device is not up/i.test(output.stderr)) return { state: 'down' }
  return { state: 'invalid', message: output.stderr.replace(/^tcpdump: /gm, '').trim() }
}

/**
 * Whether a live capture with this program misses the first frames that it should show. libpcap itself filters what the kernel hands
 * over first after a filter is set. libpcap 1.11 compiles a VLAN's number to two bytes of metadata (BPF_LD|BPF_H, SKF_AD_VLAN_TAG),
 * and then reads metadata of one byte only, so that it takes none of these frames.
 */
export function missesFirstTagged(program: Program): boolean {
  return program.split(',').includes('40 0 0 4294963244')
}

function needsMetadata(expression: string): boolean {
  return /\bvlan\b/i.test(expression)
}

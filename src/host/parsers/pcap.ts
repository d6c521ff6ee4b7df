import type { Argv, Output } from '../exec.ts'
import type { Compiled } from '../snapshot.ts'

/**
 * The largest program, in instructions. tc has one netlink message of 16,384 bytes for the whole filter: 2,031
 * instructions of 8 bytes with our action and cookie, whatever the devices are called. Some room is left for what other
 * versions of tc may put beside them.
 */
export const longestProgram = 2024

/**
 * The command that compiles a pcap-filter(7) expression.
 *
 * At a tc hook a VLAN tag is metadata, no longer in the frame's bytes. Only for a live device does libpcap read the
 * metadata; any will do, and loopback is always there. That needs CAP_NET_RAW and ten times as long, so it is kept
 * for expressions that mention vlan.
 */
export function compileCommand(expression: string): Argv {
  const link = needsMetadata(expression) ? ['-p', '-i', 'lo'] : ['-y', 'EN10MB']
  return ['tcpdump', '-ddd', ...link, '--', expression]
}

/** What the output of {@link compileCommand} means. */
export function parseCompiled(expression: string, output: Output): Compiled {
  if (output.status === 0) return { state: 'compiled', program: output.stdout.trim().split('\n').join(',') }
  if (needsMetadata(expression) && /permission|not permitted/i.test(output.stderr)) return { state: 'forbidden' }
  return { state: 'invalid', message: output.stderr.replace(/^tcpdump: /gm, '').trim() }
}

function needsMetadata(expression: string): boolean {
  return /\bvlan\b/i.test(expression)
}

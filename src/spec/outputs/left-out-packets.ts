import type { SourceSpec } from '../items/source-item.ts'
import type { SpanSpec } from '../items/span-item.ts'
import type { Spec } from '../spec.ts'
import { type OutputByKind, packetsOf } from './registry.ts'

/**
 * The pcap expression of what is copied of a source; null: every frame. A span that sends its frames out by a tunnel leaves out what any
 * tunnel of the file sends: two spans would send each other's packets.
 */
export function copiedOf({ filter }: SourceSpec, { outputs }: SpanSpec, { spans }: Spec): string | null {
  const own = filter?.expression ?? null
  if (!outputs.some(sendsPackets)) return own
  const others = leaveOut(spans.flatMap((span) => span.outputs))
  // Before the filter of the file: what stands right of "vlan" is looked for behind the tag.
  return own === null ? others : `${others} and (${own})`
}

/** The same in words, where what outputs send is left out; undefined: it is the filter of the file. */
export function wordsOfCopied({ filter }: Pick<SourceSpec, 'filter'>, copied: string | null): string | undefined {
  const own = filter?.expression ?? null
  if (copied === own) return undefined
  return own === null ? 'all but what outputs send' : `${own}, but not what outputs send`
}

/** Whether an output sends packets of its own, which carry the frames. */
export function sendsPackets(output: OutputByKind): boolean {
  return packetsOf(output).length > 0
}

/** The pcap expression of all frames but what outputs send themselves: the same in whatever order a file, or the host, has them. */
export function leaveOut(outputs: readonly OutputByKind[]): string {
  const packets = new Set(outputs.flatMap(packetsOf))
  return [...packets]
    .sort()
    .map((one) => `not (${one})`)
    .join(' and ')
}

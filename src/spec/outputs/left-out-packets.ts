import type { SourceSpec } from '../items/source-item.ts'
import type { SpanSpec } from '../items/span-item.ts'
import type { Spec } from '../spec.ts'
import { packetsOf } from './registry.ts'

/**
 * The pcap expression of what is copied of a source; null: every frame. A span that sends its frames out by a tunnel leaves out what any
 * tunnel of the file sends: two spans would send each other's packets.
 */
export function copiedOf({ filter }: SourceSpec, { outputs }: SpanSpec, { spans }: Spec): string | null {
  const own = filter?.expression ?? null
  if (outputs.every((output) => packetsOf(output).length === 0)) return own
  const packets = spans.flatMap((span) => span.outputs.flatMap(packetsOf))
  // Before the filter of the file: what stands right of "vlan" is looked for behind the tag.
  const others = [...new Set(packets)].map((one) => `not (${one})`).join(' and ')
  return own === null ? others : `${others} and (${own})`
}

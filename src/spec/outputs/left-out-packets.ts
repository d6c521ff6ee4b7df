import type { OutputSpec } from '../items/output-item.ts'
import type { SourceSpec } from '../items/source-item.ts'
import type { SpanSpec } from '../items/span-item.ts'
import type { Spec } from '../spec.ts'
import { type Family, familyOf } from '../values/ip-address.ts'

/** The tunnels that the frames of spans leave by. */
type Tunnel = Extract<OutputSpec, { readonly tunnel: unknown }>

const isTunnel = (output: OutputSpec): output is Tunnel => 'tunnel' in output

/**
 * The pcap expressions of what a tunnel sends, which its span must not copy: each copy would be sent again. Only the first fragment of a
 * packet says which port it is for.
 */
function packetsOf({ tunnel: { remote, port } }: Tunnel): readonly string[] {
  const isFragment = familyOf(remote) === 'inet' ? 'ip[6:2] & 0x1fff != 0' : 'ip6[6] == 44'
  return [`dst host ${remote} and (udp dst port ${port} or ${isFragment})`, errorsOf(familyOf(remote), port)]
}

/** Those who cannot deliver what a tunnel sends say so, with its first bytes: as a copy, that would come of each such message again. */
function errorsOf(family: Family, port: number | null): string {
  return family === 'inet'
    ? `icmp[17] == 17 and icmp[30:2] == ${port} and (icmp[0] == 3 or icmp[0] == 11)`
    : `icmp6 and ip6[40] < 128 and ip6[54] == 17 and ip6[90:2] == ${port}`
}

/**
 * The pcap expression of what is copied of a source; null: every frame. A span that sends its frames out by a tunnel leaves out what any
 * tunnel of the file sends: two spans would send each other's packets.
 */
export function copiedOf({ filter }: SourceSpec, { outputs }: SpanSpec, { spans }: Spec): string | null {
  const own = filter?.expression ?? null
  if (!outputs.some(isTunnel)) return own
  const tunnels = spans.flatMap((span) => span.outputs.filter(isTunnel))
  // Before the filter of the file: what stands right of "vlan" is looked for behind the tag.
  const others = [...new Set(tunnels.flatMap(packetsOf))].map((one) => `not (${one})`).join(' and ')
  return own === null ? others : `${others} and (${own})`
}

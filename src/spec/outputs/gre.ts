import { isUnicastIpv4, type TunnelSpec } from '../sources/tunnel-spec.ts'
import { packetsTo } from './sent-packets.ts'
import { type SentTunnel, sentEnds } from './tunnel-output.ts'

/** The keys that say between which hosts GRE is sent: over IPv4 alone. */
export const greEnds = sentEnds('an IPv4 address', isUnicastIpv4)

/** The number of GRE among the protocols of IP (RFC 2784). Each fragment of a packet has it. */
const protocol = 47

/** GRE has no ports: all of it that is sent to the host is left out. */
export function grePackets({ remote }: SentTunnel): readonly string[] {
  return packetsTo({ remote, protocol, port: null })
}

/**
 * Whether the kernel takes what comes from the remote host of an output for that, where it would be another tunnel's: of those that a packet
 * could be of, it prefers one with both addresses, then one with the sender's; and it has one for the same addresses.
 */
export function takesPackets(output: SentTunnel, other: TunnelSpec): boolean {
  if (other.protocol !== output.protocol || other.identifier !== output.identifier) return false
  const isWithin = other.local === null || other.local === output.local
  return other.remote === null ? isWithin || output.local === null : other.remote === output.remote && isWithin
}

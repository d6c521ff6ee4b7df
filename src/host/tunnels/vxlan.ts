import * as z from 'zod'
import { diagnostic } from '../../errors.ts'
import { plainTunnel, tunnelFamily } from '../../spec/sources/tunnel-spec.ts'
import { vxlanName } from '../../spec/sources/vxlan.ts'
import { option } from '../quote-command.ts'
import { bitsAt, equals, flag, headerField, type TunnelKind } from './tunnel-kind.ts'

/** With `external`, the id is 0 or left out. */
const output = z
  .object({
    external: flag,
    id: z.number().default(0),
    port: z.number(),
    local: z.string().optional(),
    local6: z.string().optional(),
    group: z.string().optional(),
    group6: z.string().optional(),
    remote: z.string().optional(),
    remote6: z.string().optional(),
    link: z.string().optional(),
    learning: flag.default(true)
  })
  .transform(({ external, id, port, local, local6, group, group6, remote, remote6, link, learning }) => ({
    ...plainTunnel,
    external,
    identifier: external ? null : id,
    port,
    local: local ?? local6 ?? null,
    remote: remote ?? remote6 ?? null,
    group: group ?? group6 ?? null,
    interface: link ?? null,
    options: learning ? ['learning'] : []
  }))

/** Bits of the UDP header and of the VXLAN flags, before the id (RFC 7348), and of the id. */
const idPlace = bitsAt(96, 24)

/** VXLAN (RFC 7348). */
export const vxlanTunnel: TunnelKind = {
  output,
  name: vxlanName,
  identity: ({ identifier, port }) => [identifier, port],
  linkWords: ({ identifier, port, local, remote, group, interface: joined }) => [
    ...option('id', identifier),
    ...option('local', local),
    ...option('remote', remote),
    ...option('group', group),
    ...option('dev', joined),
    ...option('dstport', port),
    'nolearning'
  ],
  // The headers of UDP and VXLAN, and the MAC header of the frame.
  headerBytes: () => 8 + 8 + 14,
  facts: ({ identifier, port, local, remote, group, interface: joined }) => [
    `vxlan ${identifier}`,
    `UDP port ${port}`,
    ...(local === null ? [] : [`local ${local}`]),
    ...(remote === null ? [] : [`remote ${remote}`]),
    ...(group === null ? [] : [`group ${group} on ${joined}`])
  ],
  datagram: (tunnel) => ({ family: tunnelFamily(tunnel), protocol: 'udp', port: tunnel.port }),
  letIn: 'that port',
  portCommand: ({ port }) => ['ss', '--udp', '--listening', '--numeric', '--processes', `sport = :${port}`],
  modules: ['vxlan'],
  packets: (tunnel) => ({
    addresses: tunnelFamily(tunnel) === 'inet' ? 'ip' : 'ip6',
    multicast: tunnel.group !== null,
    all: [equals(headerField('udp', 'dport'), tunnel.port)],
    layouts: [[equals(idPlace, tunnel.identifier)]]
  }),
  findObstacle({ identifier, port }, others) {
    // As Open vSwitch has it: such a link shares its port with none.
    const other = others.find(({ up, tunnel }) => up && tunnel?.external && tunnel.port === port)
    if (other === undefined) return undefined
    return diagnostic(
      'TUNNEL_TAKEN',
      `the UDP port ${port} of ${vxlanName({ identifier, port })} is that of the interface ${other.name}, which gets the frames of every id (external)`,
      `have the senders use another port, or copy from that interface: "interface: ${other.name}"`
    )
  }
}

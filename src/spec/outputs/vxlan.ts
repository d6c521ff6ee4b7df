import type * as z from 'zod'
import { plainKey, printKeys, readKeys, shapeOf } from '../items/item-key.ts'
import { mapping } from '../schema/rules.ts'
import { isUnicast, plainTunnel, wholeNumber } from '../sources/tunnel-spec.ts'
import { vxlanName } from '../sources/vxlan.ts'
import { familyOf } from '../values/ip-address.ts'
import type { OutputSyntax } from './output-syntax.ts'
import { packetsTo } from './sent-packets.ts'
import { sentEnds, summarizeSent, type TunnelOutput } from './tunnel-output.ts'

/** A VXLAN network identifier has 24 bits (RFC 7348). */
const largestId = 2 ** 24 - 1
const largestPort = 65535
/** The port that IANA has given VXLAN (RFC 7348). */
const usualPort = 4789

const keys = {
  identifier: plainKey('id', wholeNumber(0, largestId).describe('The VXLAN network identifier (VNI) of what is sent')),
  ...sentEnds('an address', isUnicast),
  port: plainKey('port', wholeNumber(1, largestPort).default(usualPort).describe('The UDP port that it is sent to'))
}

/** `vxlan` of an output. */
export const vxlanOutputMapping = mapping(shapeOf(keys)).check(({ value, issues }) => {
  const { local, remote } = value
  if (local === undefined || familyOf(local) === familyOf(remote)) return
  const message = 'must be of the same kind as "remote": both IPv4, or both IPv6'
  issues.push({ code: 'custom', input: local, path: ['local'], message, params: { hint: 'take "local" out' } })
})

/** The number of UDP among the protocols of IP. */
const udp = 17

export const vxlanOutput = {
  keys: {
    vxlan: vxlanOutputMapping
      .describe('A VXLAN to another host, which gets the frames of the span by it. spanplan makes its interface')
      .optional()
  },
  load: ({ vxlan }): TunnelOutput<'vxlan'> | undefined => {
    if (vxlan === undefined) return undefined
    return { kind: 'vxlan', tunnel: { protocol: 'vxlan', ...plainTunnel, ...readKeys(keys, vxlan, undefined) } }
  },
  // The schema takes what its keys print.
  print: ({ tunnel: { identifier, port, local, remote } }) => ({
    vxlan: vxlanOutputMapping.parse(
      printKeys(keys, { identifier: identifier ?? 0, port: port ?? usualPort, local, remote })
    )
  }),
  summary: ({ tunnel }) => summarizeSent(vxlanName(tunnel), 'id or port'),
  packets: ({ tunnel: { remote, port } }) => packetsTo({ remote, protocol: udp, port })
} satisfies OutputSyntax<{ vxlan?: z.output<typeof vxlanOutputMapping> | undefined }, TunnelOutput<'vxlan'>>

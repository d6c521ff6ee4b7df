import type * as z from 'zod'
import { quote } from '../../printable.ts'
import { optionalKey, plainKey, printKeys, readKeys, shapeOf } from '../items/item-key.ts'
import { mapping } from '../schema/rules.ts'
import { address, isUnicast, plainTunnel, type TunnelSpec, wholeNumber } from '../sources/tunnel-spec.ts'
import { vxlanName } from '../sources/vxlan.ts'
import { familyOf } from '../values/ip-address.ts'
import type { OutputSyntax } from './output-syntax.ts'

/** A VXLAN network identifier has 24 bits (RFC 7348). */
const largestId = 2 ** 24 - 1
const largestPort = 65535
/** The port that IANA has given VXLAN (RFC 7348). */
const usualPort = 4789

const keys = {
  identifier: plainKey('id', wholeNumber(0, largestId).describe('The VXLAN network identifier (VNI) of what is sent')),
  remote: plainKey(
    'remote',
    address('an address of another host, such as 10.0.3.9', isUnicast).describe('The address of the host that gets it')
  ),
  local: optionalKey(
    'local',
    address('an address of this host, such as 10.0.3.7', isUnicast).describe(
      'The address of this host that it is sent from. Default: as the route to the remote host says'
    )
  ),
  port: plainKey('port', wholeNumber(1, largestPort).default(usualPort).describe('The UDP port that it is sent to'))
}

/** `vxlan` of an output. */
export const vxlanOutputMapping = mapping(shapeOf(keys)).check(({ value, issues }) => {
  const { local, remote } = value
  if (local === undefined || familyOf(local) === familyOf(remote)) return
  const message = 'must be of the same kind as "remote": both IPv4, or both IPv6'
  issues.push({ code: 'custom', input: local, path: ['local'], message, params: { hint: 'take "local" out' } })
})

/** A tunnel to another host. */
export interface TunnelOutput {
  readonly kind: 'vxlan'
  readonly tunnel: TunnelSpec & { readonly remote: string }
}

export const vxlanOutput = {
  keys: {
    vxlan: vxlanOutputMapping
      .describe('A VXLAN to another host, which gets every frame of the span by it. spanplan makes its interface')
      .optional()
  },
  load: ({ vxlan }): TunnelOutput | undefined => {
    if (vxlan === undefined) return undefined
    return { kind: 'vxlan', tunnel: { protocol: 'vxlan', ...plainTunnel, ...readKeys(keys, vxlan, undefined) } }
  },
  // The schema takes what its keys print.
  print: ({ tunnel: { identifier, port, local, remote } }) => ({
    vxlan: vxlanOutputMapping.parse(
      printKeys(keys, { identifier: identifier ?? 0, port: port ?? usualPort, local, remote })
    )
  }),
  summary: ({ tunnel }) => ({
    title: quote(vxlanName(tunnel)),
    identity: vxlanName(tunnel),
    device: null,
    apart: 'id or port',
    isDedicated: false
  })
} satisfies OutputSyntax<{ vxlan?: z.output<typeof vxlanOutputMapping> | undefined }, TunnelOutput>

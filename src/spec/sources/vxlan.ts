import type * as z from 'zod'
import { optionalKey, printKeys, readKeys, shapeOf } from '../items/item-key.ts'
import { interfaceName, mapping } from '../schema/rules.ts'
import { familyOf, isMulticast } from '../values/ip-address.ts'
import type { SourceSyntax } from './source-syntax.ts'
import {
  address,
  isUnicast,
  plainTunnel,
  summarizeTunnel,
  type TunnelSource,
  type TunnelSpec,
  tunnelKey,
  wholeNumber
} from './tunnel-spec.ts'

/** A VXLAN network identifier has 24 bits (RFC 7348). */
const largestId = 2 ** 24 - 1
const largestPort = 65535
/** The port that IANA has given VXLAN (RFC 7348). */
const usualPort = 4789

const keys = {
  identifier: tunnelKey(
    'id',
    wholeNumber(0, largestId).describe('The VXLAN network identifier (VNI) that the sender writes')
  ),
  local: optionalKey(
    'local',
    address('an address of this host, such as 10.0.3.7', isUnicast).describe(
      'The address of this host that the sender sends to. Default: any IPv4 address. An IPv6 address makes it a tunnel over IPv6'
    )
  ),
  port: tunnelKey(
    'port',
    wholeNumber(1, largestPort).default(usualPort).describe('The UDP port that the sender sends to')
  ),
  group: optionalKey(
    'group',
    address('a multicast address such as 239.1.1.1', isMulticast).describe(
      'The multicast group that the sender sends to. It needs "interface"'
    )
  ),
  /** A key of `interfaces`, or an interface's name. */
  interface: optionalKey(
    'interface',
    interfaceName.describe(
      'The interface on which the group is joined: a key of interfaces, or a name on the host (an altname too)'
    )
  )
}

/** `vxlan` of a source. */
export const vxlanMapping = mapping(shapeOf(keys)).check(({ value, issues }) => {
  const { local, group, interface: joined } = value
  const refuse = (message: string, hint: string) =>
    issues.push({ code: 'custom', input: group, path: ['group'], message, params: { hint } })
  if (group !== undefined && joined === undefined) {
    refuse('needs "interface", on which this host joins the group', 'write interface: eth1 beside it')
  }
  if (group !== undefined && local !== undefined && familyOf(group) !== familyOf(local)) {
    refuse('must be of the same kind as "local": both IPv4, or both IPv6', 'take "local" out')
  }
})

/** What a VXLAN is called: the port only where it is not the usual one. */
export function vxlanName({ identifier, port }: Pick<TunnelSpec, 'identifier' | 'port'>): string {
  return port === usualPort ? `vxlan ${identifier}` : `vxlan ${identifier} port ${port}`
}

export const vxlanSource = {
  end: 'tunnel',
  keys: {
    vxlan: vxlanMapping
      .describe('A VXLAN that ends on this host: the frames that others mirror into it. spanplan makes its interface')
      .optional()
  },
  load: ({ vxlan }): TunnelSource<'vxlan'> | undefined =>
    vxlan && { kind: 'vxlan', tunnel: { protocol: 'vxlan', ...plainTunnel, ...readKeys(keys, vxlan, undefined) } },
  // The schema takes what its keys print.
  print: ({ tunnel }) => ({ vxlan: vxlanMapping.parse(printKeys(keys, tunnel)) }),
  summary: ({ tunnel }) =>
    summarizeTunnel(tunnel, vxlanName(tunnel), { sharedBy: 'an id and a port', apart: 'two ports' })
} satisfies SourceSyntax<{ vxlan?: z.output<typeof vxlanMapping> | undefined }, TunnelSource<'vxlan'>>

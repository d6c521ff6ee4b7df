import * as z from 'zod'
import { quote } from '../../printable.ts'
import { optionalKey, plainKey, printKeys, readKeys, shapeOf, type ValuesOf } from '../items/item-key.ts'
import { interfaceName, mapping, text } from '../schema/rules.ts'
import { directionKeys } from '../values/direction.ts'
import { type Family, familyOf, isMulticast, normalizeAddress } from '../values/ip-address.ts'
import type { SourceSyntax } from './source-syntax.ts'

/** A VXLAN network identifier has 24 bits (RFC 7348). */
const largestId = 2 ** 24 - 1
const largestPort = 65535
/** The port that IANA has given VXLAN (RFC 7348). */
const usualPort = 4789

/** A whole number, with one message for whatever else is written. */
function wholeNumber(smallest: number, largest: number) {
  const error = { error: `must be a number from ${smallest} to ${largest}` }
  return z.int(error).min(smallest, error).max(largest, error)
}

const anyAddress = /^(?:0\.0\.0\.0|::)$/

/** The schema of an address, which is written as ip prints it. */
const address = (what: string, isRight: (address: string) => boolean) =>
  text(what, [
    {
      broken: (value) => {
        const found = normalizeAddress(value)
        return found === undefined || !isRight(found)
      },
      message: `must be ${what}`
    }
  ]).transform((value) => normalizeAddress(value) ?? value)

const keys = {
  id: plainKey('id', wholeNumber(0, largestId).describe('The VXLAN network identifier (VNI) that the sender writes')),
  /** Of this host. null: every address. */
  local: optionalKey(
    'local',
    address('an address of this host, such as 10.0.3.7', (one) => !isMulticast(one) && !anyAddress.test(one)).describe(
      'The address of this host that the sender sends to. Default: any IPv4 address. An IPv6 address makes it a tunnel over IPv6'
    )
  ),
  port: plainKey(
    'port',
    wholeNumber(1, largestPort).default(usualPort).describe('The UDP port that the sender sends to')
  ),
  /** null: the sender sends to this host alone. */
  group: optionalKey(
    'group',
    address('a multicast address such as 239.1.1.1', isMulticast).describe(
      'The multicast group that the sender sends to. It needs "interface"'
    )
  ),
  /** A key of `interfaces`, or an interface's name; null: any. */
  interface: optionalKey(
    'interface',
    interfaceName.describe(
      'The interface on which the group is joined: a key of interfaces, or a name on the host (an altname too)'
    )
  )
}

/** What tells one VXLAN from another, as the file has it. */
export type VxlanSpec = ValuesOf<typeof keys>

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

/** The family of the datagrams: without an address, IPv4. */
export function vxlanFamily({ local, group }: Pick<VxlanSpec, 'local' | 'group'>): Family {
  return familyOf(local ?? group ?? '')
}

/** The end of a VXLAN: what somebody sends to this host. */
export interface VxlanSource {
  readonly kind: 'vxlan'
  readonly vxlan: VxlanSpec
}

/** What a VXLAN is called: the port only where it is not the usual one. */
export function vxlanName({ id, port }: Pick<VxlanSpec, 'id' | 'port'>): string {
  return port === usualPort ? `vxlan ${id}` : `vxlan ${id} port ${port}`
}

export const vxlanSource = {
  end: 'tunnel',
  keys: {
    vxlan: vxlanMapping
      .describe('A VXLAN that ends on this host: the frames that others mirror into it. spanplan makes its interface')
      .optional()
  },
  load: ({ vxlan }) => (vxlan === undefined ? undefined : { kind: 'vxlan', vxlan: readKeys(keys, vxlan, undefined) }),
  // The schema takes what its keys print.
  print: ({ vxlan }) => ({ vxlan: vxlanMapping.parse(printKeys(keys, vxlan)) }),
  summary: ({ vxlan }) => ({
    title: quote(vxlanName(vxlan)),
    identity: vxlanName(vxlan),
    device: null,
    defaultDirections: directionKeys.ingress,
    isOneWay: true
  })
} satisfies SourceSyntax<{ vxlan?: z.output<typeof vxlanMapping> | undefined }, VxlanSource>

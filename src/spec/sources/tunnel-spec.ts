import * as z from 'zod'
import { quote } from '../../printable.ts'
import { itemKeys } from '../items/item-key.ts'
import { type Rule, text } from '../schema/rules.ts'
import { directionKeys } from '../values/direction.ts'
import { type Family, familyOf, isMulticast, normalizeAddress } from '../values/ip-address.ts'
import type { SourceSummary, TunnelSummary } from './source-syntax.ts'

/** The protocols of tunnels that can end on this host, as the files and ip name them. */
export type TunnelProtocol = 'vxlan' | 'gretap' | 'erspan'

/** Whether what comes out of a tunnel is copied, or the frames of a span are sent into it. */
export type TunnelWay = 'in' | 'out'

/** A tunnel that ends on this host. What its protocol does not have is null. */
export interface TunnelSpec {
  readonly protocol: TunnelProtocol
  /** What the sender writes into each packet: of VXLAN the id (VNI), of gretap the key, of ERSPAN the session. null: nothing. */
  readonly identifier: number | null
  /** The UDP port that the sender sends to. */
  readonly port: number | null
  /** The address of this host that the sender sends to. null: every address. */
  readonly local: string | null
  /** The address of the host at the other end. Of a source: the only one that can send. null: anybody can. */
  readonly remote: string | null
  /** The multicast group that the sender sends to; null: this host alone. */
  readonly group: string | null
  /** The interface on which the group is joined; null: none. */
  readonly interface: string | null
  /** The type of ERSPAN. */
  readonly type: number | null
}

/** What a tunnel has that the files say nothing of. */
export const plainTunnel = {
  identifier: null,
  port: null,
  local: null,
  remote: null,
  group: null,
  interface: null,
  type: null
} as const

/** A source that is a tunnel. */
export interface TunnelSource<Protocol extends TunnelProtocol> {
  readonly kind: Protocol
  readonly tunnel: TunnelSpec
}

/** The family of a tunnel's packets: without an address, IPv4. */
export function tunnelFamily({ local, remote, group }: Pick<TunnelSpec, 'local' | 'remote' | 'group'>): Family {
  return familyOf(local ?? remote ?? group ?? '')
}

/**
 * What a tunnel of GRE is called.
 *
 * @param key what its protocol calls the identifier.
 */
export function greName({ protocol, local, remote, identifier }: TunnelSpec, key: string, way: TunnelWay): string {
  return [
    protocol,
    ...(local === null ? [] : [local]),
    ...(identifier === null ? [] : [`${key} ${identifier}`]),
    ...(remote === null ? [] : [`${way === 'in' ? 'remote' : 'to'} ${remote}`])
  ].join(' ')
}

/** @param name of the tunnel, which no other has. */
export function summarizeTunnel(
  tunnel: TunnelSpec,
  name: string,
  interfaces: Pick<TunnelSummary, 'sharedBy' | 'apart'>
): SourceSummary {
  return {
    title: quote(name),
    identity: name,
    device: null,
    defaultDirections: directionKeys.ingress,
    isOneWay: true,
    tunnel: { family: tunnelFamily(tunnel), ...interfaces }
  }
}

/** The schema of a whole number, with one message for whatever else is written. */
export function wholeNumber(smallest: number, largest: number) {
  const error = { error: `must be a number from ${smallest} to ${largest}` }
  return z.int(error).min(smallest, error).max(largest, error)
}

/** A key of what tunnels of other protocols lack. */
export const tunnelKey = <Key extends string, Data>(key: Key, schema: z.ZodType<Data>) =>
  itemKeys<unknown>()({
    key,
    schema,
    read: (data): NonNullable<Data> | null => data ?? null,
    print: (value) => value ?? undefined
  })

/** The schema of an address, which is written as ip prints it. */
export const address = (what: string, isRight: (address: string) => boolean, more: readonly Rule[] = []) =>
  text(what, [
    ...more,
    {
      broken: (value) => {
        const found = normalizeAddress(value)
        return found === undefined || !isRight(found)
      },
      message: `must be ${what}`
    }
  ]).transform((value) => normalizeAddress(value) ?? value)

/** No address by which hosts reach each other (RFC 6890); of fe80::/10 (RFC 4291), none is whole without its interface. */
const noAddress = /^(?:0|127|24\d|25[0-5])\.|^::1?$|^fe[89ab]/

/** Whether an address can be that of one host. */
export const isUnicast = (one: string) => !isMulticast(one) && !noAddress.test(one)

/** The same, of IPv4. */
export const isUnicastIpv4 = (one: string) => isUnicast(one) && familyOf(one) === 'inet'

/** The kernel has other interfaces (ip6gretap, ip6erspan) for the same over IPv6. */
const overIpv4 = (what: string) =>
  address(what, isUnicastIpv4, [
    {
      broken: (value) => {
        const found = normalizeAddress(value)
        return found !== undefined && familyOf(found) === 'inet6'
      },
      message: `must be ${what}`,
      hint: 'spanplan takes gretap and ERSPAN over IPv4 alone; of tunnels over IPv6, it takes vxlan'
    }
  ])

/** The keys that say between which hosts GRE is sent: over IPv4 alone. */
export const greEnds = {
  local: tunnelKey(
    'local',
    overIpv4('an IPv4 address of this host, such as 10.0.3.7').describe(
      'The address of this host that the sender sends to'
    )
  ),
  remote: tunnelKey(
    'remote',
    overIpv4('an IPv4 address of the sender, such as 10.0.3.9')
      .optional()
      .describe('The address of the only sender. Default: anybody can send')
  )
}

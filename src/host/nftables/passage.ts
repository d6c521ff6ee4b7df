import * as z from 'zod'
import type { TunnelWay } from '../../spec/sources/tunnel-spec.ts'
import {
  type AddressRange,
  type Family,
  isInRange,
  isMulticast,
  normalizeAddress,
  rangeOf
} from '../../spec/values/ip-address.ts'

/** What is sent into a tunnel. */
export interface Datagram {
  /** `in`: others send it to this host. `out`: this host sends it to another. */
  readonly way: TunnelWay
  readonly family: Family
  /** As nft names it. */
  readonly protocol: 'udp' | 'gre'
  /** null: the protocol has no ports. */
  readonly port: number | null
  /** The address that it is sent to, a group's too; null: any of this host. */
  readonly receiver: string | null
  /** Prefixes and addresses of all that may send; none: anybody, or any address of this host if it is the host that sends. */
  readonly senders: readonly string[]
  /** A key of `interfaces`, or the name of the interface that it comes on; null: the files do not tell. */
  readonly interface: string | null
}

/** A datagram as it passes the chains of this host. null: that is not known. */
export interface Passage extends Pick<Datagram, 'way' | 'family' | 'protocol' | 'port'> {
  /** Prefixes and addresses of which the sender has one; null: any that hosts have. */
  readonly senders: readonly string[] | null
  /** The addresses of which it has one. */
  readonly receivers: readonly string[] | null
  /** The names of the interfaces of which it comes on one, or leaves by one. */
  readonly interfaces: readonly string[] | null
  /** Those, and what is below them: the ports of a bridge, the interface below a VLAN. */
  readonly devices: readonly string[] | null
}

/** A datagram as the chains of one hook see it. */
export interface SeenPassage extends Passage {
  readonly hook: string
}

/** Whether something holds for each such datagram (`yes`), for none, or for some, or that it is not known. */
export type Answer = 'yes' | 'no' | 'maybe'

/** Compares what a datagram may have in a field with one value of a rule. */
export type Value = (one: unknown) => Answer

/** What all have; where they differ, `maybe`. */
export function agree(answers: readonly Answer[]): Answer {
  const [first = 'maybe'] = answers
  return answers.every((answer) => answer === first) ? first : 'maybe'
}

/** The numbers that nft prints where it knows no name (IANA's protocol numbers). */
const numbers: Readonly<Record<string, number>> = { udp: 17, gre: 47 }

const yesIf = (holds: boolean): Answer => (holds ? 'yes' : 'no')

const interval = z.object({ range: z.tuple([z.unknown(), z.unknown()]) }).transform(({ range }) => range)

const word =
  (value: string): Value =>
  (one) =>
    typeof one === 'string' || typeof one === 'number' ? yesIf(one === value || one === numbers[value]) : 'maybe'

const number =
  (value: number): Value =>
  (one) => {
    const [first, last] = interval.safeParse(one).data ?? [one, one]
    return typeof first === 'number' && typeof last === 'number' ? yesIf(first <= value && value <= last) : 'maybe'
  }

/** The name of an interface; nft ends what is the beginning of a name with `*`. */
const named =
  (name: string): Value =>
  (one) =>
    typeof one !== 'string' ? 'maybe' : yesIf(one === name || (one.endsWith('*') && name.startsWith(one.slice(0, -1))))

/** Whatever the interface is called, nothing goes from host to host by the loopback interface. */
const notLoopback: Value = (one) => (one === '*' ? 'yes' : one === 'lo' ? 'no' : 'maybe')

/** The host has a way to the sender, as the kernel's own rp_filter wants it. */
const route: Value = (one) =>
  typeof one === 'boolean' ? yesIf(one) : one === 0 || one === '0' || one === '' ? 'no' : 'maybe'

const address = z
  .string()
  .refine((text) => normalizeAddress(text) !== undefined)
  .transform((text) => rangeOf(text))
const addresses = z.union([
  address,
  z
    .object({
      prefix: z.object({ addr: z.string().refine((text) => normalizeAddress(text) !== undefined), len: z.number() })
    })
    .transform(({ prefix: { addr, len } }) => rangeOf(`${addr}/${len}`)),
  z
    .object({ range: z.tuple([address, address]) })
    .transform(({ range: [{ family, first }, { last }] }): AddressRange => ({ family, first, last }))
])

/** One or more addresses. */
const within =
  (prefix: string): Value =>
  (one) => {
    const [own, theirs] = [rangeOf(prefix), addresses.safeParse(one).data]
    if (theirs === undefined) return 'maybe'
    if (isInRange(own, theirs)) return 'yes'
    const isApart = own.family !== theirs.family || own.last < theirs.first || theirs.last < own.first
    return isApart ? 'no' : 'maybe'
  }

/** Nobody sends from such an address to another host (RFC 6890). */
const noSenders = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/127', 'ff00::/8'].map(rangeOf)

/** The address of some host. */
const anybody: Value = (one) => {
  const theirs = addresses.safeParse(one).data
  return theirs !== undefined && noSenders.some((none) => isInRange(theirs, none)) ? 'no' : 'maybe'
}

/** Protocols of nft's payload expressions that no tunnel has around it. */
const otherProtocols = /^(?:tcp|icmp|icmpv6|sctp|dccp|udplite|esp|ah|comp|igmp|arp) /

const field = z.union([
  z.object({ meta: z.object({ key: z.string() }) }).transform(({ meta }) => `meta ${meta.key}`),
  z.object({ ct: z.object({ key: z.string() }) }).transform(({ ct }) => `ct ${ct.key}`),
  z.object({ fib: z.object({ result: z.string(), flags: z.unknown() }) }).transform(({ fib: { result, flags } }) => {
    const [ofSender, ofReceiver] = ['saddr', 'daddr'].map((flag) => [flags].flat().includes(flag))
    return `fib ${ofSender ? 'saddr' : ''}${ofReceiver ? 'daddr' : ''} ${result}`
  }),
  z
    .object({ payload: z.object({ protocol: z.string(), field: z.string() }) })
    .transform(({ payload }) => `${payload.protocol} ${payload.field}`),
  z.object({ exthdr: z.unknown() }).transform(() => 'exthdr')
])

/** Bits of a field: of what there is not, there are no bits. */
const bits = z.object({ '&': z.tuple([z.unknown(), z.unknown()]) }).transform(({ '&': [whole] }) => whole)

/** What the datagram may have in a field, one or more; null: it has no such field; undefined: it may have any value. */
export function readField(left: unknown, passage: SeenPassage): readonly Value[] | null | undefined {
  const whole = bits.safeParse(left)
  if (whole.success) return readField(whole.data, passage) === null ? null : undefined
  const name = field.safeParse(left).data ?? ''
  const { way, family, protocol, port, senders, receivers } = passage
  const isIpv4 = family === 'inet'
  const protocols = [word(protocol)]
  const values: Readonly<Record<string, readonly Value[] | null | undefined>> = {
    'meta l4proto': protocols,
    'meta nfproto': [word(isIpv4 ? 'ipv4' : 'ipv6')],
    'meta protocol': [word(isIpv4 ? 'ip' : 'ip6')],
    'ip protocol': isIpv4 ? protocols : null,
    'ip6 nexthdr': isIpv4 ? null : protocols,
    [`${isIpv4 ? 'ip' : 'ip6'} saddr`]: senders?.map(within) ?? [anybody],
    [`${isIpv4 ? 'ip' : 'ip6'} daddr`]: receivers?.map(within),
    'udp dport': port === null ? null : [number(port)],
    // Without ports, bits of the header.
    'th dport': port === null ? undefined : [number(port)],
    // Nobody answers, so that it stays new, and no address of it is changed on the way.
    'ct state': [word('new')],
    'ct status': [word('')],
    exthdr: null,
    ...wayFields[way](passage)
  }
  if (Object.hasOwn(values, name)) return values[name]
  const isOther = otherProtocols.test(name) || (protocol !== 'udp' && name.startsWith('udp '))
  return isOther || name.startsWith(isIpv4 ? 'ip6 ' : 'ip ') ? null : undefined
}

/** The fields in which what comes to the host differs from what it sends. */
const wayFields: Readonly<
  Record<TunnelWay, (passage: SeenPassage) => Readonly<Record<string, readonly Value[] | undefined>>>
> = {
  in({ receivers, interfaces }) {
    const isGroup = receivers?.every(isMulticast) ?? false
    const devices = interfaces?.map(named) ?? [notLoopback]
    return {
      'meta pkttype': [word(isGroup ? 'multicast' : 'host')],
      'fib daddr type': [word(isGroup ? 'multicast' : 'local')],
      'fib saddr oif': [route],
      'fib saddr oifname': [route],
      'meta iif': devices,
      'meta iifname': devices
    }
  },
  out({ interfaces, hook }) {
    const devices = interfaces?.map(named) ?? [notLoopback]
    // Behind the routing, it is that of the tunnel, or none (ip_output() in net/ipv4/ip_output.c).
    const comesOn = hook === 'output' ? [named('')] : undefined
    return {
      'fib daddr type': [word('unicast')],
      'fib saddr type': [word('local')],
      'meta iif': comesOn,
      'meta iifname': comesOn,
      'meta oif': devices,
      'meta oifname': devices
    }
  }
}

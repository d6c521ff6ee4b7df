import type { Selection, TcFilter, U32Key } from '../host/snapshot.ts'

/** What a tc filter matches, as a pcap-filter(7) expression that {@link joinParts} can join with others. */
export interface PcapPart {
  /** Empty: every frame. */
  readonly text: string
  /**
   * `any`: the part matches frames with and without a VLAN tag. `untagged`: it matches frames without one, which the text
   * does not say. `tagged`: the text says which tag, and no part may come after it, because `vlan` moves the offsets of all
   * that follows (pcap-filter(7)).
   */
  readonly tag: 'any' | 'untagged' | 'tagged'
  /** The bytes that a frame must have for all tests. A shorter frame does not match, whatever the other parts say. */
  readonly reach: number
}

/** The EtherTypes of tc's protocol names (iproute2, lib/ll_proto.c) for which pcap has no name. */
const etherTypes: Readonly<Record<string, string>> = {
  loop: '0x0060',
  rarp: '0x8035',
  aarp: '0x80f3',
  ipx: '0x8137',
  ppp_disc: '0x8863',
  ppp_ses: '0x8864',
  mpls_uc: '0x8847',
  mpls_mc: '0x8848',
  profinet: '0x8892',
  aoe: '0x88a2',
  ethercat: '0x88a4',
  LLDP: '0x88cc'
}

/** pcap's names of tc's protocols. */
const protocolNames: Readonly<Record<string, string>> = { ip: 'ip', ipv4: 'ip', ipv6: 'ip6', arp: 'arp' }

/** tc's protocol names of frames with a VLAN tag. */
const tagProtocols = ['802.1Q', '802.1ad']

/** Bytes. */
const header = { ethernet: 14, ip: 20, ip6: 40 }

/**
 * Expresses what a tc filter matches. To tc, a frame with a VLAN tag is of the protocol 802.1Q, whatever is in it, and its
 * network header comes after the tag. pcap does not look at the tag unless the expression says `vlan`.
 *
 * @returns a text: why there is no expression.
 */
export function filterToPcap(filter: TcFilter): PcapPart | string {
  const { protocol, selects } = filter
  if (tagProtocols.includes(protocol)) return taggedToPcap(selects)
  const layer = protocol === 'all' ? null : layerOf(protocol)
  if (layer === undefined) return `tc's protocol ${protocol} has no name in pcap-filter(7)`
  const tests = testsOf(filter, layer)
  if (typeof tests === 'string') return tests
  const implied = layer !== null && tests.some(({ text }) => text.startsWith(layer))
  const all = [...(layer === null || implied ? [] : [{ text: layer, reach: header.ethernet }]), ...tests]
  return joinTests(all, layer === null ? 'any' : 'untagged')
}

/** One condition, and the bytes that a frame must have for it. */
interface Test {
  readonly text: string
  readonly reach: number
}

function taggedToPcap(selects: Selection): PcapPart | string {
  const isEvery = selects.kind === 'u32' && selects.keys.every(({ mask }) => mask === 0)
  if (selects.kind === 'matchall' || isEvery) return joinTests([{ text: 'vlan', reach: 0 }], 'tagged')
  if (selects.kind !== 'flower') return 'it looks into frames with a VLAN tag'
  const { vlan_id, vlan_ethtype, ...keys } = selects.keys
  const layer = vlan_ethtype === undefined ? null : layerOf(String(vlan_ethtype))
  if (layer === undefined) return `its vlan_ethtype is ${vlan_ethtype}`
  const tests = flowerTests(keys, layer)
  if (typeof tests === 'string') return tests
  const tag = vlan_id === undefined ? 'vlan' : `vlan ${vlan_id}`
  const words = layer === null ? [tag] : [tag, layer]
  return joinTests([...words.map((text) => ({ text, reach: 0 })), ...tests], 'tagged')
}

function layerOf(protocol: string): string | undefined {
  const [, decimal] = /^\[(\d+)\]$/.exec(protocol) ?? []
  const type = decimal === undefined ? etherTypes[protocol] : `0x${Number(decimal).toString(16).padStart(4, '0')}`
  return protocolNames[protocol] ?? (type && `ether proto ${type}`)
}

/** The conditions besides the protocol, or why they cannot be expressed. */
function testsOf({ selects, program, directAction }: TcFilter, layer: string | null): Test[] | string {
  switch (selects.kind) {
    case 'matchall':
      return []
    case 'bpf':
      // A program that always returns a number other than 0 matches every frame.
      return !directAction && /^1,6 0 0 [1-9]/.test(program ?? '')
        ? []
        : `its program of ${Number.parseInt(program ?? '0', 10)} instructions cannot be turned back into an expression`
    case 'u32': {
      const tests = selects.keys.filter(({ mask }) => mask !== 0).map((key) => u32Test(key, layer))
      return tests.every((test) => test !== null) ? tests : 'it reads bytes before the frame'
    }
    case 'flower':
      return flowerTests(selects.keys, layer)
    case 'unknown':
      return 'what it matches could not be understood'
  }
}

function u32Test(key: U32Key, layer: string | null): Test | null {
  const { offset, size, value, mask } = narrow(key)
  const reach = header.ethernet + offset + size
  const named = layer === 'ip' ? ipTest(key) : null
  if (named !== null) return { text: named, reach }
  const isInLayer = (layer === 'ip' || layer === 'ip6') && offset >= 0
  const [base, start] = isInLayer ? [layer, offset] : ['ether', header.ethernet + offset]
  if (start < 0) return null
  const load = `${base}[${size === 1 ? start : `${start}:${size}`}]`
  const digits = size * 2
  const test = mask === 2 ** (8 * size) - 1 ? load : `${load} & ${hex(mask, digits)}`
  return { text: `${test} = ${hex(value, digits)}`, reach }
}

/** The smallest load, of 1, 2 or 4 bytes, that has all bits of the mask. */
function narrow({ offset, value, mask }: U32Key): { offset: number; size: number; value: number; mask: number } {
  for (const size of [1, 2]) {
    for (let skipped = 0; skipped + size <= 4; skipped++) {
      const unit = 2 ** (8 * (4 - skipped - size))
      const part = Math.floor(mask / unit) % 2 ** (8 * size)
      if (part * unit !== mask) continue
      return { offset: offset + skipped, size, mask: part, value: and(Math.floor(value / unit), part) }
    }
  }
  return { offset, size: 4, mask, value: and(value, mask) }
}

/** `&` alone gives a signed number of 32 bits. */
const and = (one: number, other: number) => (one & other) >>> 0

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}`

/** A test of the protocol or an address of the IPv4 header, by name; null: a test of anything else. */
function ipTest({ offset, value, mask }: U32Key): string | null {
  if (offset === 8 && mask === 0x00ff0000) return `ip proto ${and(value, mask) >>> 16}`
  const side = offset === 12 ? 'src' : offset === 16 ? 'dst' : null
  const length = Math.clz32(~mask)
  const isPrefix = mask === (length === 0 ? 0 : (-1 << (32 - length)) >>> 0)
  if (side === null || !isPrefix) return null
  const address = [24, 16, 8, 0].map((shift) => (and(value, mask) >>> shift) & 255).join('.')
  return length === 32 ? `ip ${side} host ${address}` : `ip ${side} net ${address}/${length}`
}

const ipProtocols: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 }

type FlowerKeys = Readonly<Record<string, string | number>>
type FlowerText = (value: string, layer: string | null, transport: string) => string | null

/** How pcap-filter(7) expresses each key of flower; null: it cannot. */
const flowerTexts: Readonly<Record<string, FlowerText>> = {
  ip_proto: (value, layer) => {
    const number = ipProtocols[value] ?? (/^[0-9a-f]{2}$/.test(value) ? Number.parseInt(value, 16) : null)
    return number === null || (layer !== 'ip' && layer !== 'ip6') ? null : `${layer} proto ${number}`
  },
  src_ip: (value, layer) => address('src', value, layer),
  dst_ip: (value, layer) => address('dst', value, layer),
  src_port: (value, _, transport) => `${transport} src port ${value}`,
  dst_port: (value, _, transport) => `${transport} dst port ${value}`,
  src_mac: (value) => mac('src', value),
  dst_mac: (value) => mac('dst', value)
}

/** The conditions of flower's keys on a layer. eth_type is the layer itself. */
function flowerTests({ eth_type, ...keys }: FlowerKeys, layer: string | null): Test[] | string {
  // The ports are the last bytes that flower looks at.
  const reach = header.ethernet + (layer === 'ip6' ? header.ip6 : header.ip) + 4
  const tests: Test[] = []
  const unknownKeys: string[] = []
  for (const [key, value] of Object.entries(keys)) {
    const text = flowerTexts[key]?.(String(value), layer, String(keys.ip_proto)) ?? null
    if (text === null) unknownKeys.push(key)
    else tests.push({ text, reach })
  }
  return unknownKeys.length > 0 ? `pcap-filter(7) has no word for its ${unknownKeys.join(', ')}` : tests
}

function address(side: string, value: string, layer: string | null): string | null {
  if ((layer !== 'ip' && layer !== 'ip6') || !/^[0-9a-f.:]+(\/\d+)?$/.test(value)) return null
  return `${layer} ${side} ${value.includes('/') ? 'net' : 'host'} ${value}`
}

function mac(side: string, value: string): string | null {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(value) ? `ether ${side} ${value}` : null
}

function joinTests(tests: readonly Test[], tag: PcapPart['tag']): PcapPart {
  const text = tests.map((test) => test.text).join(' and ')
  return { text, tag, reach: Math.max(0, ...tests.map(({ reach }) => reach)) }
}

/** Bytes of an ARP packet, the shortest frame that is sent without padding. */
const shortestFrame = 42

/**
 * Joins parts into one expression that matches what any of them matches.
 *
 * @returns null where pcap-filter(7) has no such expression: after `vlan`, all tests look behind the tag.
 */
export function joinParts(parts: readonly PcapPart[]): string | null {
  // With a length test, the other parts are tested too where a frame is too short for one.
  const guard = ({ text, reach }: PcapPart) =>
    parts.length > 1 && reach > shortestFrame ? `greater ${reach} and ${text}` : text
  const of = (tag: PcapPart['tag']) => [...new Set(parts.filter((part) => part.tag === tag).map(guard))]
  const any = of('any')
  const untagged = of('untagged')
  const [tag, ...tooMany] = of('tagged')
  if (tooMany.length > 0 || (tag !== undefined && tag !== 'vlan' && untagged.length > 0)) return null
  if (tag !== undefined) return either([...any, ...untagged, tag])
  if (untagged.length === 0) return either(any)
  return either([...any, `${untagged.length > 1 ? `(${either(untagged)})` : untagged[0]} and not vlan`])
}

function either(texts: readonly string[]): string {
  return texts.length === 1 ? texts.join('') : texts.map((text) => `(${text})`).join(' or ')
}

/** Frames of flows: plain, tagged, in fragments, in tunnels, and as fast-check makes them up. */
import fc from 'fast-check'
import { assemble } from '../../../src/resources/programs/assemble.ts'
import { hashFrames } from '../../../src/resources/programs/hash-frames.ts'
import { type FlowHash, flowHashes } from '../../../src/spec/items/balance.ts'
import { runInstructions, type Seen } from '../../lab/frames/classic-bpf.ts'
import {
  arp,
  ether,
  ipv6Fragments,
  LLDP_GROUP,
  lldp,
  mpls,
  type Payload,
  vxlanHeader
} from '../../lab/frames/frames.ts'

/** A flow, seen from one of its ends. */
export interface Flow {
  /** Of 4 or of 16 bytes, both. */
  readonly source: Buffer
  readonly destination: Buffer
  readonly protocol: number
  readonly sourcePort: number
  readonly destinationPort: number
}

interface PacketOptions {
  readonly data?: Buffer
  /** IPv4's flags and offset. */
  readonly fragment?: number
  /** IPv4's options. */
  readonly options?: Buffer
  /** IPv6's extension headers, by their number; each is of 8 bytes. */
  readonly extensions?: readonly number[]
}

export const tcp = 6
export const udp = 17
const gre = 47
const sctp = 132

/** A flow between addresses as they are written for IPv4. */
export function flow(
  source: number,
  destination: number,
  protocol = udp,
  ports: readonly number[] = [40000, 53]
): Flow {
  const [sourcePort = 0, destinationPort = 0] = ports
  return { source: ipv4(source), destination: ipv4(destination), protocol, sourcePort, destinationPort }
}

function ipv4(address: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(address)
  return bytes
}

export function reverse({ source, destination, sourcePort, destinationPort, protocol }: Flow): Flow {
  return {
    protocol,
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort
  }
}

/** What TCP, UDP, and SCTP begin with, and what follows it. */
export function transportOf({ sourcePort, destinationPort, protocol }: Flow, data: Buffer = Buffer.alloc(16)): Buffer {
  const ports = Buffer.alloc(8)
  ports.writeUInt16BE(sourcePort, 0)
  ports.writeUInt16BE(destinationPort, 2)
  return [tcp, udp, sctp].includes(protocol) ? Buffer.concat([ports, data]) : data
}

/** A packet of a flow. Without a fragment, `data` comes behind the ports. */
export function packet(
  flow: Flow,
  { data, fragment = 0, options = Buffer.alloc(0), extensions = [] }: PacketOptions = {}
): Payload {
  const payload = (fragment & 0x1fff) === 0 ? transportOf(flow, data) : (data ?? Buffer.alloc(16))
  const { source, destination, protocol } = flow
  if (source.length === 4) {
    const header = Buffer.alloc(12)
    header[0] = 0x45 + options.length / 4
    header.writeUInt16BE(20 + options.length + payload.length, 2)
    header.writeUInt16BE(fragment, 6)
    header[8] = 64
    header[9] = protocol
    return { type: 0x0800, bytes: Buffer.concat([header, source, destination, options, payload]) }
  }
  const chain = [...extensions, protocol]
  const between = extensions.map((_, index) => Buffer.from([chain[index + 1] ?? 0, 0, 0, 0, 0, 0, 0, 0]))
  const header = Buffer.from([0x60, 0, 0, 0, 0, 0, chain[0] ?? 0, 64])
  header.writeUInt16BE(8 * between.length + payload.length, 4)
  return { type: 0x86dd, bytes: Buffer.concat([header, source, destination, ...between, payload]) }
}

/** All fragments of a packet. */
export function fragments(flow: Flow): Payload[] {
  if (flow.source.length === 16) return ipv6Fragments(packet(flow, { data: Buffer.alloc(32) }), 16)
  return [packet(flow, { fragment: 0x2000 }), packet(flow, { fragment: 0x2003 }), packet(flow, { fragment: 6 })]
}

const mac = '02:00:00:00:0a:01'

export function frameOf(payload: Payload): Buffer {
  return ether('02:00:00:00:0a:02', mac, payload)
}

/** Who has an address: no packet of IP. */
export const arpQuestion = arp({
  operation: 'request',
  senderMac: mac,
  senderIp: '10.0.0.1',
  targetIp: '10.0.0.2'
})

/** Frames that belong to no flow, whatever is in them. */
export const withoutFlow = (inner: Payload) => [
  frameOf(arpQuestion),
  ether(LLDP_GROUP, mac, lldp(mac, '1')),
  frameOf(mpls([16], inner.bytes)),
  // PPPoE.
  frameOf({ type: 0x8864, bytes: Buffer.concat([Buffer.alloc(8), inner.bytes]) })
]

export const tagTypes = [0x8100, 0x88a8, 0x9100]

/** A payload behind VLAN tags, the outermost first. */
export function tagged(types: readonly number[], payload: Payload): Payload {
  return types.reduceRight<Payload>((inner, type, index) => {
    const tag = Buffer.alloc(4)
    tag.writeUInt16BE(100 + index, 0)
    tag.writeUInt16BE(inner.type, 2)
    return { type, bytes: Buffer.concat([tag, inner.bytes]) }
  }, payload)
}

/** How a flow may be wrapped: what comes between the outer IP header and its packet, or its frame. */
export const tunnels: Readonly<Record<string, (outer: Flow, inner: Payload) => Payload>> = {
  VXLAN: (outer, inner) => {
    const data = Buffer.concat([vxlanHeader(5), frameOf(inner)])
    return packet({ ...outer, protocol: udp, destinationPort: 4789 }, { data })
  },
  GRE: (outer, inner) => greOf(outer, 0, inner.type, inner.bytes),
  'GRE with all its fields': (outer, inner) =>
    greOf(outer, 0xb000, inner.type, Buffer.concat([Buffer.alloc(12), inner.bytes])),
  'GRE with a key': (outer, inner) => greOf(outer, 0x2000, inner.type, Buffer.concat([Buffer.alloc(4), inner.bytes])),
  gretap: (outer, inner) => greOf(outer, 0, 0x6558, frameOf(inner)),
  'ERSPAN I': (outer, inner) => greOf(outer, 0, 0x88be, frameOf(inner)),
  'ERSPAN II': (outer, inner) => greOf(outer, 0x1000, 0x88be, Buffer.concat([Buffer.alloc(12, 0x10), frameOf(inner)])),
  'ERSPAN III': (outer, inner) =>
    greOf(outer, 0x1000, 0x22eb, Buffer.concat([Buffer.alloc(4), Buffer.alloc(12), frameOf(inner)])),
  'ERSPAN III with its subheader': (outer, inner) => {
    const header = Buffer.alloc(24)
    header[15] = 1
    return greOf(outer, 0x1000, 0x22eb, Buffer.concat([header, frameOf(inner)]))
  }
}

function greOf(outer: Flow, flags: number, protocol: number, data: Buffer): Payload {
  const header = Buffer.alloc(4)
  header.writeUInt16BE(flags, 0)
  header.writeUInt16BE(protocol, 2)
  // As Linux does: destination options before GRE in IPv6.
  const extensions = outer.source.length === 16 ? [60] : []
  return packet({ ...outer, protocol: gre }, { data: Buffer.concat([header, data]), extensions })
}

const hashPrograms = new Map(
  flowHashes.map((hash) => [
    hash,
    assemble(`${hashFrames(hash)}\n and #255\n add #1\n ret a\n rest:\n ret #0`).instructions
  ])
)

/** The bucket of a frame, as a program finds it; null: it has none. */
export function bucketOf(hash: FlowHash, seen: Seen): number | null {
  const { result, isCut } = runInstructions(hashPrograms.get(hash) ?? [], seen)
  if (isCut) throw new Error('a load beyond the end')
  return result === 0 ? null : result - 1
}

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array))

const port = fc.oneof(fc.nat(0xffff), fc.constantFrom(4789, 53, 443))

/** A flow of IPv4 or of IPv6. */
export const anyFlow: fc.Arbitrary<Flow> = fc.constantFrom(4, 16).chain((size) =>
  fc.record({
    source: bytes(size),
    destination: bytes(size),
    protocol: fc.oneof(fc.constantFrom(tcp, udp, sctp), fc.nat(255)),
    sourcePort: port,
    destinationPort: port
  })
)

/** A flow whose ports can be read. */
export const anyPortFlow = fc
  .tuple(anyFlow, fc.constantFrom(tcp, udp, sctp))
  .map(([flow, protocol]): Flow => ({ ...flow, protocol, destinationPort: flow.destinationPort & 0xff }))

export const anyTags = (maxLength: number) => fc.array(fc.constantFrom(...tagTypes), { maxLength })

/** What may be in a packet of a flow, well formed. */
const anyPacket: fc.Arbitrary<Payload> = fc
  .record({
    flow: anyFlow,
    extensions: fc.array(fc.constantFrom(0, 43, 44, 60), { maxLength: 2 }),
    options: fc.nat(10).map((words) => Buffer.alloc(4 * words)),
    fragment: fc.oneof(fc.constant(0), fc.nat(0xffff))
  })
  .map(({ flow, ...options }) => packet(flow, options))

const anyTunnel = fc
  .tuple(fc.constantFrom(...Object.values(tunnels)), anyFlow, anyTags(5), anyPacket)
  .map(([wrap, outer, tags, inner]) => wrap(outer, tagged(tags, inner)))

/** Well-formed frames, with a few bytes changed, cut at any length; and just bytes. */
export const anyFrame: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 120 }).map((array) => Buffer.from(array)) },
  {
    weight: 9,
    arbitrary: fc
      .record({
        payload: fc.oneof(anyPacket, anyTunnel),
        tags: anyTags(5),
        changes: fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 3 }),
        length: fc.option(fc.nat(140))
      })
      .map(({ payload, tags, changes, length }) => {
        const frame = frameOf(tagged(tags, payload))
        for (const [place, value] of changes) if (place < frame.length) frame[place] = value
        return frame.subarray(0, length ?? frame.length)
      })
  }
)

/** A frame as a program sees it: its outer tag may be beside it. */
export const anySeen: fc.Arbitrary<Seen> = fc
  .tuple(anyFrame, fc.option(fc.nat(0xffff)), fc.nat(0xffffffff))
  .map(([frame, tag, random]) => ({ frame, random, ...(tag !== null && { tag }) }))

/** Random numbers, the same each time. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

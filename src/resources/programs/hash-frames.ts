import type { FlowHash } from '../../spec/items/balance.ts'
import { asm } from './assemble.ts'

/**
 * The lines that hash a frame to 32 bits. They end at the label `hashed`, with the hash in A. A frame that is not IP, or that is cut
 * before its addresses end, jumps to `rest`. Both directions of a flow have the same hash. It makes no difference whether the outer
 * VLAN tag is in the frame's data or beside it.
 *
 * A load beyond the frame's end would end the program and refuse the frame, in every share. So the length is checked before each load.
 *
 * X is the offset of the headers from their place in a frame without tags: 4 bytes for each VLAN tag. In the scratch memory, M[0] to
 * M[7] are the words of IPv6 addresses, M[8] and M[9] the addresses of both ends, M[10] the ports.
 */
export function hashFrames(hash: FlowHash): string {
  return asm`
    ldx #0
    ${needWithoutTags(etherHeader)}
    ${untagged(hash)}
    ; The outer tag may be beside the frame.
    ld vlan_avail
    jne #0, ether1
    ${findPacket({ name: 'ether', ipv4: 'ipv4', ipv6: 'ipv6', otherwise: 'rest' })}

  ipv4:
    ${need(etherHeader + 20, 'rest')}
    ${loadIpv4(beyondTags)}
  ipv4Loaded:
    ${afterIpv4[hash]}

  ipv6:
    ${need(etherHeader + 40, 'rest')}
    ${loadIpv6(beyondTags)}
  ipv6Loaded:
    ${foldIpv6}
    ${afterIpv6[hash]}
    ${transport[hash]}

  mix:
    ld M[8]
    ${mixWith('ld M[9]')}
  mixed:
    ${hash === 'ports' ? addPorts : ''}
    ${mixBits}
  hashed:`
}

/** In bytes. */
const etherHeader = 14

/** The most VLAN tags before the IP header, whether the outer one is in the data or beside it. */
const mostTags = 4

/** Odd numbers without a pattern: the golden ratio's bits, and those of MurmurHash3's last step. */
const [golden, murmurA, murmurB] = ['0x9e3779b1', '0x85ebca6b', '0xc2b2ae35']

/** Goes on if the frame has so many bytes, and X more. X itself may be beyond the frame's end. */
function need(bytes: number, otherwise: string): string {
  return asm`
    ld len
    jlt x, ${otherwise}
    sub x
    jlt #${bytes}, ${otherwise}`
}

/** The same where X is 0: for most frames. */
const needWithoutTags = (bytes: number): string => asm`
    ld len
    jlt #${bytes}, rest`

function advance(bytes: number): string {
  return asm`
    txa
    add #${bytes}
    tax`
}

interface Ways {
  readonly name: string
  readonly ipv4: string
  readonly ipv6: string
  readonly otherwise: string
}

/** Looks behind the VLAN tags of a frame whose Ethernet header is there. */
function findPacket({ name, ipv4, ipv6, otherwise }: Ways): string {
  const stages = Array.from({ length: mostTags + 1 }, (_, tags) => {
    const behindTag = asm`
    jeq #0x8100, ${name}Tag${tags}
    jeq #0x88a8, ${name}Tag${tags}
    jne #0x9100, ${otherwise}
  ${name}Tag${tags}:
    ${need(etherHeader + 4, otherwise)}
    ${advance(4)}`
    return asm`
  ${name}${tags}:
    ldh [x + 12]
    jeq #0x0800, ${ipv4}
    jeq #0x86dd, ${ipv6}
    ${tags < mostTags ? behindTag : asm`jmp ${otherwise}`}`
  })
  return stages.join('')
}

/** The place of a word, as an operand of a load. */
type Place = (offset: number) => string

/** Where X says. The kernel calls a function for such a load. */
const beyondTags: Place = (offset) => `[x + ${offset}]`

/** In a frame without tags in its data. The kernel compiles such a load in line: convert_bpf_ld_abs() in net/core/filter.c. */
const withoutTags: Place = (offset) => `[${offset}]`

function loadIpv4(place: Place): string {
  return asm`
    ld ${place(26)}
    st M[8]
    ld ${place(30)}
    st M[9]`
}

function loadIpv6(place: Place): string {
  return [0, 1, 2, 3, 4, 5, 6, 7].map((word) => loadWord(word, place)).join('')
}

function loadWord(word: number, place: Place): string {
  return asm`
    ld ${place(22 + 4 * word)}
    st M[${word}]`
}

/**
 * One number of both ends, whichever is the source: (a + g)(b + g). It differs for nearly all pairs of addresses. The sum of the two
 * alone would be the same for many. The one is in A.
 */
const mixWith = (loadOther: string): string => asm`
    add #${golden}
    tax
    ${loadOther}
    add #${golden}
    mul x`

const mixUntagged = asm`
    ld ${withoutTags(26)}
    ${mixWith(asm`ld ${withoutTags(30)}`)}
    jmp mixed`

const keepUntagged = asm`
    ${loadIpv4(withoutTags)}
    jmp ipv4Loaded`

/** Frames without tags in their data, which most are: X is 0. */
const untagged = (hash: FlowHash): string => asm`
    ldh [12]
    jeq #0x0800, untaggedIpv4
    jne #0x86dd, tagged
    ${needWithoutTags(etherHeader + 40)}
    ${loadIpv6(withoutTags)}
    jmp ipv6Loaded
  untaggedIpv4:
    ${needWithoutTags(etherHeader + 20)}
    ${hash === 'addresses' ? mixUntagged : keepUntagged}
  tagged:`

/** Makes a word of each address. It uses X, and restores it. */
const foldIpv6 = asm`
    stx M[14]
    ${foldAddress(0, 8)}
    ${foldAddress(4, 9)}
    ldx M[14]`

/** Makes one word of the four of an address. */
function foldAddress(from: number, to: number): string {
  const rest = [from + 1, from + 2, from + 3].map(foldWord).join('')
  return asm`
    ld M[${from}]
    ${rest}
    st M[${to}]`
}

function foldWord(word: number): string {
  return asm`
    mul #${golden}
    ldx M[${word}]
    add x`
}

/** Stores the protocol in M[13], and adds the length of IPv4's header to X. A fragment goes to `mix`. */
const findIpv4Transport = asm`
    ldh [x + 20]
    jset #0x3fff, mix
    ldb [x + 23]
    st M[13]
    ldb [x + 14]
    and #15
    lsh #2
    jlt #20, mix
    add x
    tax
    jmp transport`

const afterIpv4 = {
  addresses: asm`jmp mix`,
  ports: asm`
    ld #0
    st M[10]
    ${findIpv4Transport}`,
  inner: findIpv4Transport
} as const satisfies Record<FlowHash, string>

const afterIpv6 = {
  addresses: '',
  ports: asm`
    ld #0
    st M[10]
    ldb [x + 20]
    st M[13]
    ${advance(40)}`,
  // Linux puts destination options before GRE (ip6_tnl_xmit() in net/ipv6/ip6_tunnel.c): how often the packet may be wrapped.
  inner: asm`
    ldb [x + 20]
    st M[13]
    jeq #60, options
    ${advance(40)}
    jmp transport
  options:
    ${need(etherHeader + 48, 'mix')}
    ldb [x + 54]
    st M[13]
    ldb [x + 55]
    add #6
    lsh #3
    add x
    tax`
} as const satisfies Record<FlowHash, string>

const addPorts = asm`
    ldx M[10]
    add x`

/** The ports of TCP, UDP and SCTP. */
const loadPorts = asm`
  transport:
    ld M[13]
    jeq #6, ports
    jeq #17, ports
    jne #132, mix
  ports:
    ${need(etherHeader + 4, 'mix')}
    ldh [x + 14]
    add #${golden}
    st M[0]
    ldh [x + 16]
    add #${golden}
    ldx M[0]
    mul x
    st M[10]`

/** VXLAN (RFC 7348), GRE (RFC 2784, 2890), and ERSPAN in GRE. ERSPAN of type I has no sequence number and no header. */
const loadInner = asm`
  transport:
    ld M[13]
    jeq #47, gre
    jne #17, mix
    ${need(etherHeader + 16, 'mix')}
    ldh [x + 16]
    jne #4789, mix
    ldb [x + 22]
    jset #8, vxlan, mix
  vxlan:
    ${advance(16)}
    jmp frame

  gre:
    ${need(etherHeader + 4, 'mix')}
    ldh [x + 14]
    ; With a route, or of another version.
    jset #0x4007, mix
    st M[0]
    ldh [x + 16]
    st M[1]
    ${advance(4)}
    ${[0x8000, 0x2000, 0x1000].map(skipGreField).join('')}
    ld M[1]
    jeq #0x0800, innerIpv4
    jeq #0x86dd, innerIpv6
    jeq #0x6558, frame
    jeq #0x22eb, erspan3
    jne #0x88be, mix
    ld M[0]
    jset #0x1000, erspan2, frame
  erspan2:
    ${advance(8)}
    jmp frame
  erspan3:
    ${need(etherHeader + 12, 'mix')}
    ; What is in it, if not a frame.
    ldb [x + 24]
    jset #0x7c, mix
    ldb [x + 25]
    jset #1, erspan3long
    ${advance(12)}
    jmp frame
  erspan3long:
    ${advance(20)}

  frame:
    ${advance(etherHeader)}
    ${need(etherHeader, 'mix')}
    ${findPacket({ name: 'inner', ipv4: 'innerIpv4', ipv6: 'innerIpv6', otherwise: 'mix' })}
  innerIpv4:
    ${need(etherHeader + 20, 'mix')}
    ${loadIpv4(beyondTags)}
    jmp mix
  innerIpv6:
    ${need(etherHeader + 40, 'mix')}
    ${loadIpv6(beyondTags)}
    ${foldIpv6}`

/** Skips a field of GRE's header, if the bit of its flag is set. */
function skipGreField(bit: number): string {
  return asm`
    ld M[0]
    jset #${bit}, field${bit}, noField${bit}
  field${bit}:
    ${advance(4)}
  noField${bit}:`
}

const transport = { addresses: '', ports: loadPorts, inner: loadInner } as const satisfies Record<FlowHash, string>

/** The last step of MurmurHash3 (fmix32): each bit depends on all. */
const mixBits = asm`
    tax
    rsh #16
    xor x
    mul #${murmurA}
    tax
    rsh #13
    xor x
    mul #${murmurB}
    tax
    rsh #16
    xor x`

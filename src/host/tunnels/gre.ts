import * as z from 'zod'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { erspanName } from '../../spec/sources/erspan.ts'
import { gretapName } from '../../spec/sources/gretap.ts'
import { plainTunnel, type TunnelSpec, type TunnelWay } from '../../spec/sources/tunnel-spec.ts'
import { option, shellLine } from '../quote-command.ts'
import type { Link, TunnelEnd } from '../snapshot.ts'
import { bitsAt, equals, flag, headerField, type Match, type TunnelKind } from './tunnel-kind.ts'

const address = z.string().transform((text) => (text === 'any' ? null : text))

/** ip prints a key as if it were an IPv4 address. */
const key = z.string().transform((text) => text.split('.').reduce((bits, byte) => bits * 256 + Number(byte), 0))

/** The time to live that Linux gives packets of its own. Without it, a packet has that of the frame in it, which may be 1. */
const sentTtl = 64

const output = z
  .object({
    external: flag,
    local: address,
    remote: address,
    link: z.string().optional(),
    ikey: key.optional(),
    okey: key.optional(),
    iseq: flag,
    icsum: flag,
    ocsum: flag,
    ttl: z.number().default(0),
    pmtudisc: flag,
    ignore_df: flag,
    erspan_ver: z.number().optional()
  })
  .transform(({ external, local, remote, link, ikey, okey, iseq, icsum, ocsum, erspan_ver: version, ...sending }) => ({
    ...plainTunnel,
    external,
    local,
    remote,
    interface: link ?? null,
    identifier: ikey ?? null,
    type: version === undefined ? null : version + 1,
    options: [...(iseq ? ['iseq'] : []), ...(icsum ? ['icsum'] : [])],
    sendOptions: [
      ...(okey === ikey ? [] : ['okey', String(okey)]),
      ...(ocsum ? ['ocsum'] : []),
      ...(sending.ttl === sentTtl ? [] : ['ttl', sending.ttl === 0 ? 'inherit' : String(sending.ttl)]),
      ...(sending.pmtudisc ? ['pmtudisc'] : []),
      ...(sending.ignore_df ? [] : ['noignore-df'])
    ]
  }))

/** What is too large for the way leaves in fragments, also where the frame in it says that it must not be fragmented: else, it is dropped. */
const sendWords = ['ttl', String(sentTtl), 'nopmtudisc', 'ignore-df']

const identity = ({ local, remote, identifier, interface: bound }: TunnelSpec) => [
  local,
  remote,
  identifier,
  ...(bound === null ? [] : [bound])
]

/** The flags that the header begins with, and the protocol of what is in the packet, as nft calls the bits at their places. */
const [flags, inner] = [headerField('th', 'sport'), headerField('th', 'dport')]

/** Flags of the header (RFC 2890). The kernel looks at no other bits but those that it refuses. */
const [checksum, hasKey, sequence] = [0x8000, 0x2000, 0x1000]

/** The bytes of each part of the header: the first, a checksum, a key, a sequence number. */
const partBytes = 4

/** Bytes: the MAC header of a frame. */
const ethernetBytes = 14

/** Bytes: the headers of GRE and ERSPAN of types I, II and III (draft-foschiano-erspan-03). */
const erspanBytes = [partBytes, 2 * partBytes + 8, 2 * partBytes + 12]

const hasFlags = (mask: number, values: readonly number[]): Match => {
  const [only, ...more] = values
  return equals({ '&': [flags, mask] }, more.length === 0 ? only : { set: values })
}

/**
 * Which of two tunnels the kernel prefers where both are up and match (measured with Linux 6.12): one that is bound to the interface that
 * the packet comes on, then one of both addresses, of the sender's, of the local one, of the key alone, and one of every key.
 */
const rank = ({ local, remote, interface: bound }: TunnelSpec) =>
  (bound === null ? 4 : 0) + (remote === null ? 2 : 0) + (local === null ? 1 : 0)

type Overlapping = Link & { readonly tunnel: TunnelEnd }

/** The links of others that are up and match packets which the tunnel matches, too. */
function findOverlapping({ protocol, local, remote, identifier }: TunnelSpec, others: readonly Link[]): Overlapping[] {
  return others.filter((link): link is Overlapping => {
    const { up, tunnel: end } = link
    if (!up || end?.protocol !== protocol) return false
    if (end.external) return true
    const ends = (theirs: string | null, own: string | null) => theirs === null || own === null || theirs === own
    return end.identifier === identifier && ends(end.local, local) && ends(end.remote, remote)
  })
}

/** What a tunnel gets besides what its key matches: all that no other takes. */
const takesRest = ({ external, local, remote, identifier }: TunnelEnd) =>
  external || (local === null && remote === null && identifier === null)

/** The link of another has what one sender sends, and the tunnel has what the others do. */
const takesPart = (end: TunnelEnd, tunnel: TunnelSpec) =>
  end.remote !== null && tunnel.remote === null && rank(end) < rank(tunnel)

const findObstacle =
  (name: TunnelKind['name']) =>
  (tunnel: TunnelSpec, others: readonly Link[], way: TunnelWay): Diagnostic | undefined => {
    // What an output gets is dropped: that others would lose it is another question.
    if (way === 'out') return undefined
    const other = findOverlapping(tunnel, others).find(
      (link) => !takesRest(link.tunnel) && !takesPart(link.tunnel, tunnel)
    )
    if (other === undefined) return undefined
    const { interface: bound } = other.tunnel
    const what =
      bound === null
        ? `${name(tunnel, way)} would take what comes out of the interface ${other.name}: the kernel prefers the tunnel of more addresses`
        : `${name(tunnel, way)} already ends in the interface ${other.name}: the kernel prefers that, at least for what comes on ${bound}`
    const remove = shellLine(['ip', 'link', 'del', 'dev', other.name])
    return diagnostic(
      'TUNNEL_TAKEN',
      what,
      `copy from that interface: "interface: ${other.name}"; or, if nothing needs it: ${remove}`
    )
  }

const findOverlaps =
  (name: TunnelKind['name']) =>
  (tunnel: TunnelSpec, others: readonly Link[]): Diagnostic[] =>
    findOverlapping(tunnel, others).flatMap(({ name: other, tunnel: end }) => {
      if (takesRest(end)) {
        const what = `${name(tunnel, 'in')} takes its packets from the interface ${other}, which gets what no other tunnel does`
        return [
          diagnostic(
            'TUNNEL_OVERLAPS',
            what,
            `if something needs them there, copy from that interface: "interface: ${other}"`
          )
        ]
      }
      if (!takesPart(end, tunnel)) return []
      const what = `what ${end.remote} sends comes out of the interface ${other}, and not of ${name(tunnel, 'in')}`
      return [diagnostic('TUNNEL_OVERLAPS', what, `to have it here, add a source: "interface: ${other}"`)]
    })

const gre = {
  output,
  identity,
  datagram: () => ({ family: 'inet', protocol: 'gre', port: null }),
  letIn: 'GRE (IP protocol 47)',
  // The largest that the kernel lets each of these links have (measured, Linux 6.12). Of what is larger than the link's MTU, ERSPAN sends
  // a part, also where a VLAN tag is what is too much, and gretap no IP packet.
  sentMtu: 65481,
  modules: ['ip_gre']
} as const satisfies Partial<TunnelKind>

const endWords = ({ local, remote }: Pick<TunnelSpec, 'local' | 'remote'>, way: TunnelWay) => [
  ...option('local', local),
  ...option('remote', remote),
  ...(way === 'out' ? sendWords : [])
]

const packetsOf = (local: string | null, layouts: readonly (readonly Match[])[]) => ({
  addresses: 'ip' as const,
  multicast: false,
  all: [equals({ meta: { key: 'l4proto' } }, 'gre'), equals(headerField('ip', 'daddr'), local)],
  layouts
})

/** ETH_P_TEB in linux/if_ether.h: an Ethernet frame. */
const ethernet = 0x6558

/** Ethernet over GRE. The kernel compares keys, and drops what has a checksum. */
export const gretapTunnel: TunnelKind = {
  ...gre,
  name: gretapName,
  findObstacle: findObstacle(gretapName),
  findOverlaps: findOverlaps(gretapName),
  linkWords: (tunnel, way) => [...endWords(tunnel, way), ...option('key', tunnel.identifier)],
  headerBytes: ({ identifier }) => partBytes * (identifier === null ? 1 : 2) + ethernetBytes,
  facts: ({ local, remote, identifier }) => [
    'gretap',
    ...(local === null ? [] : [`local ${local}`]),
    ...(identifier === null ? [] : [`key ${identifier}`]),
    ...(remote === null ? [] : [`remote ${remote}`])
  ],
  packets: ({ local, identifier }) =>
    packetsOf(local, [
      [
        hasFlags(checksum | hasKey, [identifier === null ? 0 : hasKey]),
        equals(inner, ethernet),
        ...(identifier === null ? [] : [equals(bitsAt(32, 32), identifier)])
      ]
    ])
}

/** ETH_P_ERSPAN2 and ETH_P_ERSPAN in linux/if_ether.h: of type III, and of the types I and II. The kernel takes each for any. */
const spans = equals(inner, { set: [0x22eb, 0x88be] })

/** The bits of the session behind those of the header of GRE: a version, a VLAN, its priority, and other flags come before. */
const sessionAt = (headerBytes: number) => bitsAt(headerBytes * 8 + 22, 10)

/**
 * A switch's mirror. The kernel reads of each packet what type it is of: I, if the header of GRE has nothing besides its beginning. Of the
 * others it reads the session alone. The link checks no sequence numbers (`oseq` is about what it sends, and what the kernel wants for these
 * types): a switch that starts again begins with 0, and all that it sends would be dropped.
 */
export const erspanTunnel: TunnelKind = {
  ...gre,
  name: erspanName,
  findObstacle: findObstacle(erspanName),
  findOverlaps: findOverlaps(erspanName),
  linkWords: ({ identifier, type, ...ends }, way) => [
    ...endWords(ends, way),
    ...(identifier === null ? [] : ['key', String(identifier), 'oseq']),
    ...['erspan_ver', String((type ?? 1) - 1)]
  ],
  headerBytes: ({ type }) => (erspanBytes[(type ?? 1) - 1] ?? 0) + ethernetBytes,
  facts: ({ local, remote, identifier, type }) => [
    `erspan type ${type}`,
    ...(local === null ? [] : [`local ${local}`]),
    ...(identifier === null ? [] : [`session ${identifier}`]),
    ...(remote === null ? [] : [`remote ${remote}`])
  ],
  packets({ local, identifier }) {
    const all = checksum | hasKey | sequence
    if (identifier === null) return packetsOf(local, [[hasFlags(all, [0]), spans]])
    return packetsOf(local, [
      [hasFlags(all, [sequence, hasKey]), spans, equals(sessionAt(2 * partBytes), identifier)],
      [hasFlags(all, [hasKey | sequence]), spans, equals(sessionAt(3 * partBytes), identifier)]
    ])
  }
}

/** Files of spans, as data. */
import fc from 'fast-check'
import { tunnelName } from '../../../src/resources/marks.ts'
import { plainTunnel } from '../../../src/spec/sources/tunnel-spec.ts'
import { type Card, cards } from './host.ts'

export const names = ['a', 'b'] as const
export type Name = (typeof names)[number]

/** The bridges of all spans that a file may have. */
export const allSpans = names.flatMap((name) => [0, 1, 2].map((number) => `${name}${number}`))

interface SourceSpec {
  readonly card: Card
  readonly direction: 'ingress' | 'egress' | 'both' | 'each' | 'default'
  readonly filter: string | null
}

/** The tunnels that a file may have, as sources of any of its spans. */
const tunnels = [0, 1] as const
export type Tunnel = (typeof tunnels)[number]

interface SpanSpec {
  readonly number: 0 | 1 | 2
  readonly sources: readonly SourceSpec[]
  readonly tunnels: readonly Tunnel[]
  readonly mtu: number | 'auto'
  readonly wire: boolean
  readonly sealed: boolean
}

export interface FileSpec {
  readonly spans: readonly SpanSpec[]
  /** Unless they have an address. */
  readonly dedicated: readonly Card[]
  readonly byAddress: readonly Card[]
  readonly senders: Readonly<Record<Tunnel, readonly string[]>>
}

const source: fc.Arbitrary<SourceSpec> = fc.record({
  card: fc.constantFrom(...cards),
  direction: fc.constantFrom('default', 'ingress', 'egress', 'both', 'each'),
  filter: fc.constantFrom(null, null, 'not port 22', 'vlan 10', 'ip6 or net 10.0.0.0/8')
})

const span: fc.Arbitrary<SpanSpec> = fc.record({
  number: fc.constantFrom(0, 1, 2),
  sources: fc.uniqueArray(source, { minLength: 1, maxLength: 3, selector: ({ card }) => card }),
  tunnels: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.subarray([...tunnels])),
  mtu: fc.constantFrom<SpanSpec['mtu'][]>('auto', 'auto', 'auto', 1400, 9216, 1280, 1279, 576, 68),
  wire: fc.constantFrom(true, true, false),
  sealed: fc.constantFrom(true, true, false)
})

const senders = fc.constantFrom<(readonly string[])[]>([], ['10.0.0.0/8'], ['10.0.0.0/8', '192.0.2.7'])

export const fileSpec: fc.Arbitrary<FileSpec> = fc.record({
  spans: fc.uniqueArray(span, { minLength: 1, maxLength: 2, selector: ({ number }) => number }),
  dedicated: fc.oneof(fc.constant([]), fc.subarray([...cards])),
  byAddress: fc.oneof(fc.constant([]), fc.subarray([...cards])),
  senders: fc.record({ 0: senders, 1: senders })
})

export const spanNames = (name: Name, { spans }: FileSpec) => spans.map(({ number }) => `${name}${number}`)

/** Where the mirrors of a source hang. */
export function hooksOf({ dedicated }: FileSpec, { card, direction }: SourceSpec): readonly ('ingress' | 'egress')[] {
  switch (direction) {
    case 'ingress':
    case 'egress':
      return [direction]
    case 'default':
      return dedicated.includes(card) ? ['ingress'] : ['ingress', 'egress']
    default:
      return ['ingress', 'egress']
  }
}

export const cardsOf = ({ spans }: FileSpec): Card[] => [
  ...new Set(spans.flatMap(({ sources }) => sources.map(({ card }) => card)))
]

/** The kernel has one link for an id and a port, whoever wants it. */
const vxlanOf = (name: Name, tunnel: Tunnel) => ({ id: names.indexOf(name) * 10 + tunnel, port: 4789 })

/** The name of the link that a tunnel ends in. */
export function tunnelLink(name: Name, tunnel: Tunnel): string {
  const { id: identifier, port } = vxlanOf(name, tunnel)
  return tunnelName(name, { protocol: 'vxlan', ...plainTunnel, identifier, port })
}

/** The links of all tunnels that a file may have. */
export const allTunnels: readonly string[] = names.flatMap((name) => tunnels.map((tunnel) => tunnelLink(name, tunnel)))

/** The file, in JSON, which is YAML. */
export function writeFileSpec(name: Name, spec: FileSpec, macOf: (card: Card) => string): string {
  const interfaces = cards
    .filter((card) => spec.dedicated.includes(card) || spec.byAddress.includes(card))
    .map((card) => [
      keyOf(spec, card),
      {
        ...(spec.byAddress.includes(card) && { match: { macaddress: macOf(card) } }),
        ...(spec.dedicated.includes(card) && { dedicated: true })
      }
    ])
  const spans = spec.spans.map(({ number, sources, tunnels, mtu, wire, sealed }) => [
    `${name}${number}`,
    {
      sources: [
        ...sources.flatMap((one) => writeSource(spec, one)),
        ...tunnels.map((one) => ({
          vxlan: vxlanOf(name, one),
          ...(spec.senders[one].length > 0 && { from: spec.senders[one] })
        }))
      ],
      mtu,
      wire,
      sealed
    }
  ])
  return JSON.stringify({
    version: 1,
    name,
    ...(interfaces.length > 0 && { interfaces: Object.fromEntries(interfaces) }),
    spans: Object.fromEntries(spans)
  })
}

function writeSource(spec: FileSpec, { card, direction, filter }: SourceSpec): object[] {
  const common = { interface: keyOf(spec, card), ...(filter !== null && { filter }) }
  switch (direction) {
    case 'default':
      return [common]
    case 'each':
      return [
        { ...common, direction: 'ingress' },
        { interface: common.interface, direction: 'egress' }
      ]
    default:
      return [{ ...common, direction }]
  }
}

const keyOf = ({ byAddress }: FileSpec, card: Card) => (byAddress.includes(card) ? `tap-${card}` : card)

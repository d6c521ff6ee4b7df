/** Files of spans, as data. */
import fc from 'fast-check'
import { type Card, cards } from './host.ts'
import {
  type Alphabet,
  choosesSenders,
  type Name,
  names,
  type Output,
  outputLink,
  type Source,
  sourceLink,
  writeOutput,
  writeTunnel
} from './tunnels.ts'

/** The bridges of all spans that a file may have. */
export const allSpans = names.flatMap((name) => [0, 1, 2].map((number) => `${name}${number}`))

interface SourceSpec {
  readonly card: Card
  readonly direction: 'ingress' | 'egress' | 'both' | 'each' | 'default'
  readonly filter: string | null
  readonly sample: string | { readonly frames: string } | null
}

interface SpanSpec {
  readonly number: 0 | 1 | 2
  readonly sources: readonly SourceSpec[]
  readonly tunnels: readonly Source[]
  readonly mtu: number | 'auto'
  readonly wire: boolean
  readonly sealed: boolean
}

export interface FileSpec {
  readonly spans: readonly SpanSpec[]
  /** Unless they have an address. */
  readonly dedicated: readonly Card[]
  readonly byAddress: readonly Card[]
  /** Their receive rings are to be as large as can be: those of veths cannot be set. */
  readonly ringed: readonly Card[]
  /** Of its tunnels; where it names none, anybody. */
  readonly senders: Readonly<Partial<Record<Source, readonly string[]>>>
  readonly outputs: readonly OutputSpec[]
  /** Of those that share the frames of a span. */
  readonly balance: { readonly hash: string | null; readonly filter: string | null }
}

interface OutputSpec {
  readonly output: Output
  /** Of which of the spans, in their order: one that is not sealed has none. */
  readonly span: number
  /** One alone does not share: it gets all. */
  readonly gets: 'all' | 'filtered' | 'shared'
}

const source: fc.Arbitrary<SourceSpec> = fc.record({
  card: fc.constantFrom(...cards),
  direction: fc.constantFrom('default', 'ingress', 'egress', 'both', 'each'),
  filter: fc.constantFrom(null, null, 'not port 22', 'vlan 10', 'ip6 or net 10.0.0.0/8'),
  sample: fc.constantFrom<SourceSpec['sample'][]>(null, null, '1/10', { frames: '1/1000' })
})

const span = ({ sources }: Alphabet): fc.Arbitrary<SpanSpec> =>
  fc.record({
    number: fc.constantFrom(0, 1, 2),
    sources: fc.uniqueArray(source, { minLength: 1, maxLength: 3, selector: ({ card }) => card }),
    tunnels: fc.oneof(fc.constant([]), fc.uniqueArray(fc.constantFrom(...sources), { maxLength: 2 })),
    mtu: fc.constantFrom<SpanSpec['mtu'][]>('auto', 'auto', 'auto', 1400, 9216, 1280, 1279, 576, 68),
    wire: fc.constantFrom(true, true, false),
    sealed: fc.constantFrom(true, true, false)
  })

const senders = fc.constantFrom<(readonly string[])[]>([], ['10.0.0.0/8'], ['10.0.0.0/8', '192.0.2.7'])

const outputs = (alphabet: Alphabet): fc.Arbitrary<OutputSpec[]> =>
  fc.uniqueArray(
    fc.record({
      output: fc.constantFrom(...alphabet.outputs),
      span: fc.nat({ max: 1 }),
      gets: fc.constantFrom('all', 'filtered', 'shared', 'shared')
    }),
    { minLength: 1, maxLength: 3, selector: ({ output }) => output }
  )

/** Files for a kernel that has these tunnels. */
export const fileSpec = (alphabet: Alphabet): fc.Arbitrary<FileSpec> =>
  fc.record({
    spans: fc.uniqueArray(span(alphabet), { minLength: 1, maxLength: 2, selector: ({ number }) => number }),
    dedicated: fc.oneof(fc.constant([]), fc.subarray([...cards])),
    byAddress: fc.oneof(fc.constant([]), fc.subarray([...cards])),
    ringed: fc.oneof(fc.constant([]), fc.subarray([...cards])),
    senders: fc.dictionary(fc.constantFrom(...alphabet.sources), senders),
    outputs: fc.oneof(fc.constant([]), outputs(alphabet)),
    balance: fc.record({
      hash: fc.constantFrom(null, 'addresses', 'ports', 'inner'),
      filter: fc.constantFrom(null, null, 'not port 22')
    })
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

/** The links of all tunnels of a file. */
export function tunnelLinks(name: Name, spec: FileSpec): string[] {
  const ends = spec.spans.flatMap(({ tunnels }) => tunnels.map((one) => sourceLink(name, one)))
  const sent = spec.spans.flatMap((_, index) => outputsOf(spec, index).filter((one) => one !== 'interface'))
  return [...new Set([...ends, ...sent.map((one) => outputLink(name, one))])]
}

/** The links by which the frames of a file leave. */
export function outputLinks(name: Name, spec: FileSpec): string[] {
  return spec.spans.flatMap((_, index) => outputsOf(spec, index).map((one) => outputLink(name, one)))
}

/** The bridges of the spans whose frames leave. */
export function spansWithOutputs(name: Name, spec: FileSpec): string[] {
  return spanNames(name, spec).filter((_, index) => outputsOf(spec, index).length > 0)
}

/** The outputs of a span, of which it has none unless it is sealed. */
function outputsOf(spec: FileSpec, index: number): Output[] {
  return receiversOf(spec, index).map(({ output }) => output)
}

/** The outputs of a span, and what each of them gets. */
export function receiversOf({ spans, outputs }: FileSpec, index: number): Pick<OutputSpec, 'output' | 'gets'>[] {
  const here = outputs.filter(({ span }) => spans[index]?.sealed === true && span % spans.length === index)
  const isAlone = here.filter(({ gets }) => gets === 'shared').length === 1
  return here.map(({ output, gets }) => ({ output, gets: gets === 'shared' && isAlone ? 'all' : gets }))
}

/** The file, in JSON, which is YAML. */
export function writeFileSpec(name: Name, spec: FileSpec, macOf: (card: Card) => string): string {
  const interfaces = cards
    .filter((card) => [spec.dedicated, spec.byAddress, spec.ringed].some((some) => some.includes(card)))
    .map((card) => [
      keyOf(spec, card),
      {
        ...(spec.byAddress.includes(card) && { match: { macaddress: macOf(card) } }),
        ...(spec.dedicated.includes(card) && { dedicated: true }),
        ...(spec.ringed.includes(card) && { ring: 'max' })
      }
    ])
  const spans = spec.spans.map(({ number, sources, tunnels, mtu, wire, sealed }, index) => {
    const all = receiversOf(spec, index)
    const shared = all.filter(({ gets }) => gets === 'shared').map(({ output }) => writeOutput(name, output))
    const outputs = all.flatMap(({ output, gets }) =>
      gets === 'shared' ? [] : { ...writeOutput(name, output), ...(gets === 'filtered' && { filter: ownFilter }) }
    )
    return [
      `${name}${number}`,
      {
        sources: [
          ...sources.flatMap((one) => writeSource(spec, one)),
          ...tunnels.map((one) => {
            const from = choosesSenders(one) ? (spec.senders[one] ?? []) : []
            return { ...writeTunnel(name, one), ...(from.length > 0 && { from }) }
          })
        ],
        ...(outputs.length > 0 && { outputs }),
        ...(shared.length > 0 && { sensors: [{ balance: shared, ...given(spec.balance) }] }),
        mtu,
        wire,
        sealed
      }
    ]
  })
  return JSON.stringify({
    version: 1,
    name,
    ...(interfaces.length > 0 && { interfaces: Object.fromEntries(interfaces) }),
    spans: Object.fromEntries(spans)
  })
}

/** Of an output that gets a part by itself. */
const ownFilter = 'tcp port 80 or vlan 10'

const given = (keys: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== null))

function writeSource(spec: FileSpec, { card, direction, filter, sample }: SourceSpec): object[] {
  const common = { interface: keyOf(spec, card), ...given({ filter, sample }) }
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

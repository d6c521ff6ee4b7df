/** Files of spans with Docker networks, sensors and outputs, as data. */
import fc from 'fast-check'

export const names = ['a', 'b'] as const
export type Name = (typeof names)[number]

export const interfaces = ['ens192', 'ens224'] as const

/** The Docker network that is none of spanplan's. */
export const otherNetwork = 'other'

/** The names that containers have, or get when they are renamed. */
export const containerNames = ['suricata', 'zeek', 'arkime', 'snort'] as const
export type ContainerName = (typeof containerNames)[number]

export const roles = ['ids', 'web'] as const
export type Role = (typeof roles)[number]

/** What a sensor or an output gets. One alone does not share: it gets all. */
type Gets = 'all' | 'filtered' | 'shared'

export type Selector = { readonly container: ContainerName } | { readonly label: Role }

export type SensorSpec = Selector & { readonly gets: Gets }

export interface SpanSpec {
  readonly number: 0 | 1
  readonly source: (typeof interfaces)[number]
  /** The frames on {@link otherNetwork} are copied, too. */
  readonly copiesNetwork: boolean
  readonly sample: string | { readonly frames: string } | null
  /** The frames of the span leave by an interface of its own, which takes the MTU of `auto`. A span that is not sealed cannot have one. */
  readonly hasOutput: boolean
  readonly outputGets: Gets
  readonly mtu: number | 'auto'
  readonly sealed: boolean
  /** `named`: of another name than the span's. */
  readonly network: 'none' | 'default' | 'named' | 'with a subnet'
  readonly sensors: readonly SensorSpec[]
  /** Of those that share. */
  readonly balance: { readonly hash: string | null; readonly filter: string | null }
}

export interface FileSpec {
  readonly spans: readonly SpanSpec[]
}

const gets = fc.constantFrom<Gets[]>('all', 'filtered', 'shared', 'shared')

const sensor: fc.Arbitrary<SensorSpec> = fc.oneof(
  fc.record({ container: fc.constantFrom(...containerNames), gets }),
  fc.record({ label: fc.constantFrom(...roles), gets })
)

/** What it selects, less what that gets. */
const selectorOf = (one: Selector): Selector => ('label' in one ? { label: one.label } : { container: one.container })

const span: fc.Arbitrary<SpanSpec> = fc.record({
  number: fc.constantFrom(0, 1),
  source: fc.constantFrom(...interfaces),
  copiesNetwork: fc.constantFrom(false, false, true),
  sample: fc.constantFrom<SpanSpec['sample'][]>(null, null, '1/10', { frames: '1/1000' }),
  hasOutput: fc.constantFrom(false, false, true),
  outputGets: gets,
  mtu: fc.constantFrom<SpanSpec['mtu'][]>('auto', 'auto', 1500, 8000),
  sealed: fc.constantFrom(true, true, false),
  network: fc.constantFrom('default', 'default', 'named', 'with a subnet', 'none'),
  sensors: fc.uniqueArray(sensor, { maxLength: 3, selector: (one) => JSON.stringify(selectorOf(one)) }),
  balance: fc.record({
    hash: fc.constantFrom(null, 'addresses', 'ports', 'inner'),
    filter: fc.constantFrom(null, null, 'not port 22')
  })
})

export const fileSpec: fc.Arbitrary<FileSpec> = fc.record({
  spans: fc.uniqueArray(span, { minLength: 1, maxLength: 2, selector: ({ number }) => number })
})

export const spanName = (name: Name, { number }: SpanSpec) => `${name}${number}`

/** The bridges of all spans that a file may have. */
export const allSpans = names.flatMap((name) => [0, 1].map((number) => `${name}${number}`))

/** The interface that a span's frames may leave by. */
export const outputOf = (span: string) => `out-${span}`

/** What the span's Docker network is called; null for a span without one, which has no sensors. */
export function networkName(name: Name, spec: SpanSpec): string | null {
  if (spec.network === 'none') return null
  return spec.network === 'named' ? `tap-${spanName(name, spec)}` : spanName(name, spec)
}

/** The file, in JSON, which is YAML. */
export function writeFileSpec(name: Name, { spans }: FileSpec): string {
  const rows = spans.map((spec) => [spanName(name, spec), writeSpan(name, spec)])
  return JSON.stringify({ version: 1, name, spans: Object.fromEntries(rows) })
}

/** Who is to get frames of a span, in the order in which they count, and what each of them gets. */
export interface Receivers {
  readonly output: Gets | null
  readonly sensors: readonly SensorSpec[]
}

/** One that is not sealed gives nobody a part, and has no output. */
export function receiversOf(name: Name, spec: SpanSpec): Receivers {
  const { sealed, mtu } = spec
  const sensors = networkName(name, spec) === null ? [] : spec.sensors
  const output = spec.hasOutput && sealed && mtu === 'auto' ? spec.outputGets : null
  const sharing = [...sensors.map((one) => one.gets), output].filter((one) => one === 'shared').length
  const first = sensors.find((one) => one.gets === 'shared')
  // A label stands for any number of containers.
  const isAlone = sharing === 1 && !(first !== undefined && 'label' in first)
  const getting = (one: Gets) => (!sealed || (one === 'shared' && isAlone) ? 'all' : one)
  const all = sensors.map((one) => ({ ...one, gets: getting(one.gets) }))
  return {
    output: output && getting(output),
    sensors: [...all.filter((one) => one.gets !== 'shared'), ...all.filter((one) => one.gets === 'shared')]
  }
}

/** Of a sensor or an output that gets a part by itself. */
const ownFilter = 'tcp port 80 or vlan 10'

function writeSpan(name: Name, spec: SpanSpec): object {
  const { source, copiesNetwork, mtu, sealed, sample, balance } = spec
  const { output, sensors } = receiversOf(name, spec)
  const way = { interface: outputOf(spanName(name, spec)) }
  const shared = [
    ...sensors.filter((one) => one.gets === 'shared').map(writeSensor),
    ...(output === 'shared' ? [way] : [])
  ]
  const common = {
    sources: [{ interface: source, ...given({ sample }) }, ...(copiesNetwork ? [{ network: otherNetwork }] : [])],
    ...(output !== null && output !== 'shared' && { outputs: [withFilter(way, output)] }),
    mtu,
    sealed
  }
  const network = networkName(name, spec)
  if (network === null) return common
  return {
    ...common,
    network: spec.network === 'with a subnet' ? { name: network, subnet: subnetOf(name, spec) } : network,
    sensors: [
      ...sensors.filter((one) => one.gets !== 'shared').map((one) => withFilter(writeSensor(one), one.gets)),
      ...(shared.length > 0 ? [{ balance: shared, ...given(balance) }] : [])
    ]
  }
}

const writeSensor = (one: SensorSpec) =>
  'label' in one ? { label: `role=${one.label}` } : { container: one.container }

const withFilter = (item: object, gets: Gets) => ({ ...item, ...(gets === 'filtered' && { filter: ownFilter }) })

const given = (keys: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== null))

const subnetOf = (name: Name, { number }: SpanSpec) => `10.9.${names.indexOf(name) * 2 + number}.0/26`

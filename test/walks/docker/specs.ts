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

export type SensorSpec = { readonly container: ContainerName } | { readonly label: Role }

export interface SpanSpec {
  readonly number: 0 | 1
  readonly source: (typeof interfaces)[number]
  /** The frames on {@link otherNetwork} are copied, too. */
  readonly copiesNetwork: boolean
  /** The frames of the span leave by an interface of its own, which takes the MTU of `auto`. A span that is not sealed cannot have one. */
  readonly hasOutput: boolean
  readonly mtu: number | 'auto'
  readonly sealed: boolean
  /** `named`: of another name than the span's. */
  readonly network: 'none' | 'default' | 'named' | 'with a subnet'
  readonly sensors: readonly SensorSpec[]
}

export interface FileSpec {
  readonly spans: readonly SpanSpec[]
}

const sensor: fc.Arbitrary<SensorSpec> = fc.oneof(
  fc.record({ container: fc.constantFrom(...containerNames) }),
  fc.record({ label: fc.constantFrom(...roles) })
)

const span: fc.Arbitrary<SpanSpec> = fc.record({
  number: fc.constantFrom(0, 1),
  source: fc.constantFrom(...interfaces),
  copiesNetwork: fc.constantFrom(false, false, true),
  hasOutput: fc.constantFrom(false, false, true),
  mtu: fc.constantFrom<SpanSpec['mtu'][]>('auto', 'auto', 1500, 8000),
  sealed: fc.constantFrom(true, true, false),
  network: fc.constantFrom('default', 'default', 'named', 'with a subnet', 'none'),
  sensors: fc.uniqueArray(sensor, { maxLength: 3, selector: (one) => JSON.stringify(one) })
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

function writeSpan(name: Name, spec: SpanSpec): object {
  const { source, copiesNetwork, hasOutput, mtu, sealed, sensors } = spec
  const common = {
    sources: [{ interface: source }, ...(copiesNetwork ? [{ network: otherNetwork }] : [])],
    ...(hasOutput && sealed && mtu === 'auto' && { outputs: [{ interface: outputOf(spanName(name, spec)) }] }),
    mtu,
    sealed
  }
  const network = networkName(name, spec)
  if (network === null) return common
  return {
    ...common,
    network: spec.network === 'with a subnet' ? { name: network, subnet: subnetOf(name, spec) } : network,
    sensors: sensors.map((one) => ('label' in one ? { label: `role=${one.label}` } : { container: one.container }))
  }
}

const subnetOf = (name: Name, { number }: SpanSpec) => `10.9.${names.indexOf(name) * 2 + number}.0/26`

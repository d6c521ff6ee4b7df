/** What old scripts have made where a span is to be, and into its bridge: an apply with --adopt takes it over. */
import fc from 'fast-check'
import type { Card } from './host.ts'
import { type FileSpec, hooksOf } from './specs.ts'
import type { Name } from './tunnels.ts'
import type { World } from './world.ts'

/** A bridge of a span's name, without spanplan's mark. Times are in hundredths of a second, as ip has them. */
interface OldBridge {
  readonly up: boolean
  readonly stp: boolean
  readonly snooping: boolean
  readonly ageing: 0 | 30_000
  /** With the spanning tree on, the kernel takes 200 to 3,000. */
  readonly forwardDelay: 200 | 1500
  /** The kernel gives it an IPv6 address once it has a carrier. */
  readonly ipv6: boolean
  readonly mtu: 9000 | 1500 | 1400 | 1000
  readonly alias: string | null
  readonly tso: boolean
  readonly clsact: boolean
}

/** A filter that copies into a span what the span copies itself; the numbers choose among what the file has. */
interface OldMirror {
  readonly choice: number
  /** At clsact's hook, or where scripts had it before there was clsact: the ingress qdisc, or the root qdisc. */
  readonly place: 'clsact' | 'old'
  readonly form: keyof typeof forms
}

export interface Recipe {
  /** For the spans of the file, in their order. */
  readonly bridges: readonly (OldBridge | null)[]
  readonly mirrors: readonly OldMirror[]
}

const forms = {
  u32: 'pref PREF u32 match u32 0 0 action mirred egress mirror dev SPAN',
  'u32 that continues': 'pref PREF u32 match ip dport 53 0xffff action mirred egress mirror dev SPAN continue',
  bpf: "pref PREF bpf bytecode '1,6 0 0 4294967295' action mirred egress mirror dev SPAN pipe",
  'bpf beside the mirrors': "pref 8 bpf bytecode '1,6 0 0 4294967295' action mirred egress mirror dev SPAN continue"
} as const

/** That of the n-th of a recipe: nobody else's. */
const prefOf = (count: number) => 60 + count

const oldBridge: fc.Arbitrary<OldBridge> = fc.record({
  up: fc.boolean(),
  stp: fc.boolean(),
  snooping: fc.boolean(),
  ageing: fc.constantFrom(0, 30_000),
  forwardDelay: fc.constantFrom(200, 1500),
  ipv6: fc.boolean(),
  mtu: fc.constantFrom(9000, 1500, 1400, 1000),
  alias: fc.constantFrom(null, 'tap of the core switch', 'made: by "hand"'),
  tso: fc.boolean(),
  clsact: fc.boolean()
})

const oldMirror: fc.Arbitrary<OldMirror> = fc.record({
  choice: fc.nat({ max: 11 }),
  place: fc.constantFrom('clsact', 'old'),
  // Object.keys forgets that its keys are the table's own.
  form: fc.constantFrom(...(Object.keys(forms) as OldMirror['form'][]))
})

export const recipe: fc.Arbitrary<Recipe> = fc.record({
  bridges: fc.array(fc.oneof({ weight: 3, arbitrary: oldBridge }, { weight: 1, arbitrary: fc.constant(null) }), {
    minLength: 2,
    maxLength: 2
  }),
  mirrors: fc.array(oldMirror, { maxLength: 3 })
})

/** What was made of a recipe. */
interface Made {
  /** Whether that is anything: then an apply without --adopt is refused. */
  readonly any: boolean
  readonly mirrors: readonly MadeMirror[]
}

interface MadeMirror {
  readonly card: Card
  /** Where it hangs, in tc's words. */
  readonly place: string
  readonly pref: number
}

/** Makes what of a recipe fits the host and the file that is to be applied. */
export async function makeRecipe(world: World, name: Name, spec: FileSpec, recipe: Recipe): Promise<Made> {
  const spans: string[] = []
  for (const [index, { number }] of spec.spans.entries()) {
    const bridge = recipe.bridges[index]
    const span = `${name}${number}`
    if (bridge && !(await world.hasLink(span))) {
      await world.runAll(bridgeCommands(span, number, bridge))
      await world.holdBridge(span)
      spans.push(span)
    }
  }
  const mirrors: MadeMirror[] = []
  for (const [count, mirror] of recipe.mirrors.entries()) {
    mirrors.push(...(await makeMirror(world, name, spec, mirror, prefOf(count))))
  }
  return { any: spans.length + mirrors.length > 0, mirrors }
}

/**
 * Removes the empty tables that are left of filters that were taken over: where u32 filters of several preferences are on one
 * qdisc, the kernel keeps a preference that has lost its last one (u32_delete() in net/sched/cls_u32.c).
 */
export async function clearTables(world: World, { mirrors }: Made): Promise<void> {
  for (const { card, place, pref } of mirrors) {
    const rows: TableRow[] = JSON.parse((await world.filtersOf(card, place)) || '[]')
    const left = rows.filter((row) => row.pref === pref && row.chain === 0)
    if (left.length > 0 && left.every(({ options }) => options === undefined || 'ht_divisor' in options)) {
      await world.run(`tc filter del dev ${card} ${place} pref ${pref}`)
    }
  }
}

interface TableRow {
  readonly pref: number
  readonly chain: number
  readonly options?: object
}

/** In an order in which none undoes another. */
function bridgeCommands(span: string, number: number, bridge: OldBridge): string[] {
  const options = [
    `stp_state ${bit(bridge.stp)} mcast_snooping ${bit(bridge.snooping)}`,
    `ageing_time ${bridge.ageing} forward_delay ${bridge.forwardDelay}`
  ]
  return [
    // With an address of its own: without, it has an id of zeros until one is set, and never again.
    `ip link add ${span} address 02:00:00:00:0d:0${number} type bridge ${options.join(' ')}`,
    ...(bridge.ipv6 ? [] : [`ip link set dev ${span} addrgenmode none`]),
    ...(bridge.mtu === 1500 ? [] : [`ip link set dev ${span} mtu ${bridge.mtu}`]),
    ...(bridge.alias === null ? [] : [`ip link set dev ${span} alias '${bridge.alias}'`]),
    ...(bridge.up ? [`ip link set dev ${span} up`] : []),
    ...(bridge.tso ? [] : [`ethtool -K ${span} tso off`]),
    ...(bridge.clsact ? [`tc qdisc add dev ${span} clsact`] : [])
  ]
}

const bit = (value: boolean) => (value ? '1' : '0')

async function makeMirror(
  world: World,
  name: Name,
  spec: FileSpec,
  { choice, place, form }: OldMirror,
  pref: number
): Promise<MadeMirror[]> {
  const hooks = spec.spans.flatMap(({ number, sources }) =>
    sources.flatMap((source) =>
      hooksOf(spec, source).map((hook) => ({ span: `${name}${number}`, card: source.card, hook }))
    )
  )
  const one = hooks[choice % hooks.length]
  if (one === undefined || !(await world.hasLink(one.span))) return []
  const { card, hook } = one
  const parent = await (place === 'old' ? oldParent : clsactParent)(world, card, hook)
  if (parent === null) return []
  const rest = forms[form].replace('PREF', String(pref)).replace('SPAN', one.span)
  await world.run(`tc filter add dev ${card} ${parent} protocol all ${rest}`)
  return [{ card, place: parent === 'parent ffff:' ? 'ingress' : parent, pref }]
}

/** Where the ingress qdisc is, there is no room for clsact. */
async function clsactParent(world: World, card: Card, hook: 'ingress' | 'egress'): Promise<string | null> {
  const qdiscs = await world.qdiscsOf(card)
  if (qdiscs.includes('qdisc ingress')) return hook === 'ingress' ? 'ingress' : null
  if (!qdiscs.includes('qdisc clsact')) await world.addClsact(card)
  return hook
}

/** Where clsact is, there is no room for the ingress qdisc; and a root qdisc without classes takes no filters. */
async function oldParent(world: World, card: Card, hook: 'ingress' | 'egress'): Promise<string | null> {
  const qdiscs = await world.qdiscsOf(card)
  if (hook === 'ingress') {
    if (qdiscs.includes('qdisc clsact')) return 'ingress'
    if (!qdiscs.includes('qdisc ingress')) await world.run(`tc qdisc add dev ${card} ingress`)
    return 'parent ffff:'
  }
  return qdiscs.includes('qdisc htb 1:') ? 'parent 1:' : clsactParent(world, card, hook)
}

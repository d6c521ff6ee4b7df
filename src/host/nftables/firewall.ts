import * as z from 'zod'
import type { TunnelWay } from '../../spec/sources/tunnel-spec.ts'
import type { Family } from '../../spec/values/ip-address.ts'
import { parseRecords } from '../parsers/records.ts'
import { type Answer, agree, type Passage, readField, type SeenPassage, type Value } from './passage.ts'
import { senderTableName } from './sender-table.ts'

/** A chain that what comes to the host, or what it sends, goes through. */
export interface BaseChain {
  /** The family and the name of the table. */
  readonly table: readonly [family: string, name: string]
  readonly name: string
}

const text = z.string()

/** One that is not understood is like an extension of iptables of which nft tells nothing. nft prints `jump { … }` as text. */
const unknownStatement = { xt: null }
const statement = z.record(z.string(), z.unknown()).catch(unknownStatement)
const rule = z.object({
  family: text,
  table: text,
  chain: text,
  handle: z.number().optional(),
  expr: z.array(statement).catch([unknownStatement])
})
const chain = z.object({
  family: text,
  table: text,
  name: text,
  type: text.optional(),
  hook: text.optional(),
  policy: text.optional(),
  /** The interfaces of a chain that is theirs. */
  dev: z.union([text.transform((name) => [name]), z.array(text)]).default([])
})
const set = z.object({
  family: text,
  table: text,
  name: text,
  flags: z.unknown(),
  elem: z.array(z.unknown()).default([])
})
const entry = z.union([
  z.object({ rule }),
  z.object({ chain }),
  // What packets add to a set is not in the ruleset for long.
  z.object({ set: set.refine(({ flags }) => flags === undefined || !JSON.stringify(flags).includes('timeout')) })
])

/** A rule of a chain. */
export type Rule = z.output<typeof rule>

type Statement = Rule['expr'][number]

/** The chains, rules and sets of all tables. */
export type Firewall = Readonly<ReturnType<typeof parseFirewall>>

/** Parses what `nft -j list ruleset` prints (libnftables-json(5)). What is not understood may do anything. */
export function parseFirewall(output: unknown) {
  const entries = parseRecords(entry, z.object({ nftables: z.unknown() }).parse(output).nftables)
  const rules = new Map<string, Rule[]>()
  const sets = new Map<string, readonly unknown[]>()
  for (const one of entries) {
    if ('rule' in one) {
      const key = keyOf(one.rule, one.rule.chain)
      rules.set(key, [...(rules.get(key) ?? []), one.rule])
    } else if ('set' in one) sets.set(keyOf(one.set, one.set.name), one.set.elem)
  }
  return { chains: entries.flatMap((one) => ('chain' in one ? one.chain : [])), rules, sets }
}

type Place = Pick<Rule, 'family' | 'table'>

const keyOf = ({ family, table }: Place, name: string) => JSON.stringify([family, table, name])

/** The families of tables that see the datagrams of a family. */
const families: Readonly<Record<Family, readonly string[]>> = {
  inet: ['inet', 'ip', 'netdev'],
  inet6: ['inet', 'ip6', 'netdev']
}

/** The hooks that a datagram passes, and those among them that are of single interfaces. */
const hooks: Readonly<Record<TunnelWay | 'device', ReadonlySet<string>>> = {
  in: new Set(['ingress', 'prerouting', 'input']),
  out: new Set(['output', 'postrouting', 'egress']),
  device: new Set(['ingress', 'egress'])
}

/** The types of chains whose rules can drop. A chain of the type `route` can, too: it has what the host sends routed again. */
const filtering: ReadonlySet<string | undefined> = new Set(['filter', 'route'])

/** A chain that does not surely let a datagram pass. */
export interface Barrier {
  readonly chain: BaseChain
  /** It lets none pass. */
  readonly isClosed: boolean
  /** What decides: a rule that holds for some alone, or of which that is not known, or else the one that drops. null: the policy. */
  readonly rule: Rule | null
}

/** The chains that do not surely let each such datagram pass. */
export function findBarriers(firewall: Firewall, passage: Passage): Barrier[] {
  return firewall.chains.flatMap(({ family, table, name, type, hook = '', policy = 'accept', dev }) => {
    const isOnPath = filtering.has(type) && hooks[passage.way].has(hook) && families[passage.family].includes(family)
    if (!isOnPath) return []
    // Such a table drops what comes for its own tunnel alone.
    if (table.startsWith(senderTableName(''))) return []
    const { interfaces, devices } = passage
    const isOfDevice = hooks.device.has(hook)
    const isPassed = !isOfDevice || devices === null || devices.some((device) => dev.includes(device))
    if (!isPassed) return []
    const isOnWay = !isOfDevice || (interfaces?.every((one) => dev.includes(one)) ?? false)
    const seen = { ...passage, hook, ...(isOfDevice && { interfaces: dev }) }
    const { ends, rule } = walkChain(firewall, { family, table }, seen, name)
    const fates = new Set([...ends].map((one) => (one === 'return' ? policy : one)))
    return fates.has('drop')
      ? [{ chain: { table: [family, table], name }, isClosed: isOnWay && fates.size === 1, rule }]
      : []
  })
}

/** What becomes of a datagram in a chain. `return`: it goes on in the chain that led to it, or the policy holds. */
type End = 'accept' | 'drop' | 'return'

/** What becomes of it at a statement or a rule. */
type Step = End | 'next'

interface Walk<Result> {
  /** All that are possible: one or more. */
  readonly ends: ReadonlySet<Result>
  readonly rule: Rule | null
}

/** How a datagram goes through a chain, and through those that it leads to (the kernel takes no circles of them). */
function walkChain(firewall: Firewall, place: Place, passage: SeenPassage, base: string): Walk<End> {
  const read = makeRuleReader(firewall, place, passage)
  const walks = new Map<string, Walk<End>>()
  const walk = (name: string): Walk<End> => {
    const known = walks.get(name) ?? walkRules(firewall.rules.get(keyOf(place, name)) ?? [])
    walks.set(name, known)
    return known
  }
  const follow = (verdict: Statement): Walk<Step> => {
    const { jump, goto } = targets.parse(verdict)
    if (goto !== undefined) return walk(goto.target)
    if (jump !== undefined) {
      const { ends, rule } = walk(jump.target)
      return { ends: new Set([...ends].map((one) => (one === 'return' ? 'next' : one))), rule }
    }
    return { ends: new Set(Object.keys(verdict).flatMap((key) => verdictSteps[key] ?? [])), rule: null }
  }
  const walkRules = (rules: readonly Rule[]): Walk<End> => {
    const found = new Set<End>()
    let undecided: Rule | null = null
    for (const rule of rules) {
      const { answer, verdicts } = read(rule.expr)
      if (answer === 'no') continue
      const steps = verdicts.map(follow)
      const ends = new Set([
        ...steps.flatMap((one) => [...one.ends]),
        ...(answer === 'maybe' ? (['next'] as const) : [])
      ])
      const isNext = ends.delete('next') || verdicts.length === 0
      for (const one of ends) if (one !== 'next') found.add(one)
      if (isNext ? ends.size > 0 : ends.size > 1) undecided ??= steps.find((one) => one.rule)?.rule ?? rule
      if (!isNext) return { ends: found, rule: undecided ?? steps[0]?.rule ?? rule }
    }
    return { ends: found.add('return'), rule: undecided }
  }
  return walk(base)
}

/** What a rule does with the datagrams that it holds for. */
interface Outcome {
  readonly answer: Answer
  /** One of these; none: nothing. */
  readonly verdicts: readonly Statement[]
}

/** Statements that leave the datagram to the next statement (libnftables-json(5)). */
const transparent: ReadonlySet<string> = new Set(['counter', 'log', 'mangle', 'notrack', 'ct helper'])

function makeRuleReader({ sets }: Firewall, place: Place, passage: SeenPassage) {
  const contains = (right: unknown, value: Value): Answer => {
    if (typeof right === 'string' && right.startsWith('@')) {
      const elements = sets.get(keyOf(place, right.slice(1)))
      return elements === undefined ? 'maybe' : contains(elements, value)
    }
    const list = members.safeParse(right).data
    if (list === undefined) return value(right)
    const answers = list.map((one) => contains(one, value))
    return (['yes', 'maybe'] as const).find((answer) => answers.includes(answer)) ?? 'no'
  }
  const compare = (left: unknown, right: unknown): Answer => {
    const values = readField(left, passage)
    return values === undefined ? 'maybe' : values === null ? 'no' : agree(values.map((one) => contains(right, one)))
  }
  const judge = (statement: Statement): Answer => {
    if (isComment(statement)) return 'yes'
    const match = matchStatement.safeParse(statement)
    if (!match.success) return Object.keys(statement).every((key) => transparent.has(key)) ? 'yes' : 'maybe'
    const { op, left, right } = match.data.match
    // nft has each rule look first whether there is such a field.
    if (readField(left, passage) === null) return 'no'
    if (op === '==' || op === 'in') return compare(left, right)
    return op === '!=' || op === '!' ? opposite[compare(left, right)] : 'maybe'
  }
  /** null: it is a condition, or does nothing. */
  const readOutcome = (statement: Statement): Outcome | null => {
    if (Object.keys(statement).some((key) => Object.hasOwn(verdictSteps, key)))
      return { answer: 'yes', verdicts: [statement] }
    if ('xt' in statement) return readTarget(statement)
    if (!('vmap' in statement)) return null
    const map = mapStatement.safeParse(statement)
    if (!map.success) return anything
    const { key, data } = map.data.vmap
    const answers = data.set.map(([one, verdict]) => ({ answer: compare(key, one), verdict }))
    const sure = answers.find(({ answer }) => answer === 'yes')
    if (sure !== undefined) return { answer: 'yes', verdicts: [sure.verdict] }
    const possible = answers.filter(({ answer }) => answer !== 'no').map(({ verdict }) => verdict)
    return { answer: possible.length === 0 ? 'no' : 'maybe', verdicts: possible }
  }
  return (statements: readonly Statement[]): Outcome => {
    const outcomes = statements.map(readOutcome)
    const answers = statements.map((one, index) => outcomes[index]?.answer ?? judge(one))
    const answer = answers.includes('no') ? 'no' : answers.includes('maybe') ? 'maybe' : 'yes'
    return { answer, verdicts: outcomes.flatMap((one) => one?.verdicts ?? []) }
  }
}

const opposite: Readonly<Record<Answer, Answer>> = { yes: 'no', no: 'yes', maybe: 'maybe' }

/** What becomes of a datagram with each verdict: of `jump` and `goto`, where the other chain is not understood. What a program is asked is not known. */
const verdictSteps: Readonly<Record<string, readonly Step[]>> = {
  accept: ['accept'],
  drop: ['drop'],
  reject: ['drop'],
  queue: ['accept', 'drop'],
  continue: ['next'],
  return: ['return'],
  jump: ['accept', 'drop', 'next'],
  goto: ['accept', 'drop', 'return']
}

/** What is not understood. */
const anything: Outcome = { answer: 'maybe', verdicts: [{ queue: null }] }

const xtStatement = z.object({ xt: z.object({ type: text, name: text }) })

const isComment = (statement: Statement) => xtStatement.safeParse(statement).data?.xt.name === 'comment'

/** The targets of iptables after which the next rule follows (iptables-extensions(8)). */
const passing =
  /^(?:n?f?u?log|audit|checksum|classify|(?:conn|h)?(?:sec)?mark|ct|dscp|ecn|hl|led|set|tcpmss|tee|tos|trace|ttl)$/

/** An extension of iptables; null: it is a match, which may hold. Of targets, nft tells the name alone. */
function readTarget(statement: Statement): Outcome | null {
  const { type, name = '' } = xtStatement.safeParse(statement).data?.xt ?? {}
  if (type === 'match') return null
  if (passing.test(name.toLowerCase())) return { answer: 'yes', verdicts: [] }
  return name.toLowerCase() === 'reject' ? { answer: 'yes', verdicts: [{ reject: null }] } : anything
}

const target = z.object({ target: text }).optional().catch(undefined)
const targets = z.object({ jump: target, goto: target })

const matchStatement = z.object({ match: z.object({ op: text, left: z.unknown(), right: z.unknown() }) })
const mapStatement = z.object({
  vmap: z.object({
    key: z.unknown(),
    data: z.object({ set: z.array(z.tuple([z.unknown(), z.record(z.string(), z.unknown())])) })
  })
})

const members = z.union([
  z.array(z.unknown()),
  z.object({ set: z.array(z.unknown()) }).transform((one) => one.set),
  // An element with a comment or a counter.
  z.object({ elem: z.object({ val: z.unknown() }) }).transform(({ elem }) => [elem.val])
])

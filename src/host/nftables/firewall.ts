import * as z from 'zod'
import type { Family } from '../../spec/values/ip-address.ts'
import { parseRecords } from '../parsers/records.ts'

/** What the sender of a tunnel sends to this host. */
export interface Datagram {
  readonly family: Family
  /** As nft names it. */
  readonly protocol: 'udp' | 'gre'
  /** null: the protocol has no ports. */
  readonly port: number | null
}

/** A chain that what comes to the host goes through. */
export interface BaseChain {
  /** The family and the name of the table. */
  readonly table: readonly [family: string, name: string]
  readonly name: string
}

const text = z.string()
const rule = z.object({ family: text, table: text, chain: text, expr: z.array(z.record(z.string(), z.unknown())) })
const chain = z.object({
  family: text,
  table: text,
  name: text,
  type: text.optional(),
  hook: text.optional(),
  policy: text.optional()
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

type Statement = z.output<typeof rule>['expr'][number]

/** The chains, rules and sets of all tables. */
export type Firewall = Readonly<ReturnType<typeof parseFirewall>>

/** Parses what `nft -j list ruleset` prints (libnftables-json(5)). What is not understood may do anything. */
export function parseFirewall(output: unknown) {
  const entries = parseRecords(entry, z.object({ nftables: z.unknown() }).parse(output).nftables)
  const rules = new Map<string, Statement[][]>()
  const sets = new Map<string, readonly unknown[]>()
  for (const one of entries) {
    if ('rule' in one) {
      const key = keyOf(one.rule, one.rule.chain)
      rules.set(key, [...(rules.get(key) ?? []), one.rule.expr])
    } else if ('set' in one) sets.set(keyOf(one.set, one.set.name), one.set.elem)
  }
  return { chains: entries.flatMap((one) => ('chain' in one ? one.chain : [])), rules, sets }
}

type Place = Pick<z.output<typeof rule>, 'family' | 'table'>

const keyOf = ({ family, table }: Place, name: string) => JSON.stringify([family, table, name])

/** The families of tables that see the datagrams of a family. */
const families: Readonly<Record<Family, readonly string[]>> = { inet: ['inet', 'ip'], inet6: ['inet', 'ip6'] }

const inbound: ReadonlySet<string | undefined> = new Set(['prerouting', 'input'])

/** The chains that let no such datagram in, whoever has sent it. Where a rule is not understood, the datagram may pass. */
export function findClosedChains(firewall: Firewall, datagram: Datagram): BaseChain[] {
  return firewall.chains.flatMap(({ family, table, name, type, hook, policy }) => {
    if (type !== 'filter' || !inbound.has(hook) || !families[datagram.family].includes(family)) return []
    const read = makeRuleReader(firewall, { family, table }, datagram)
    const isClosed = policy === 'drop' || read(name).some(isDrop)
    return isClosed && !mayPass(name, read) ? [{ table: [family, table], name }] : []
  })
}

/** What a rule that may hold for a datagram may do with it. */
interface Outcome {
  readonly verdicts: readonly Statement[]
  /** It does so with each such datagram. */
  readonly isSure: boolean
}

/** Each such datagram ends there. */
const isDrop = ({ verdicts: [verdict], isSure }: Outcome) =>
  isSure && verdict !== undefined && ('drop' in verdict || 'reject' in verdict)

/** Whether a rule of the chain, or of one that it leads to, may accept the datagram. */
function mayPass(base: string, read: (chain: string) => readonly Outcome[]): boolean {
  const chains = new Set([base])
  // A set takes what is added while it is iterated.
  for (const name of chains) {
    for (const verdict of read(name).flatMap(({ verdicts }) => verdicts)) {
      const { jump, goto } = targets.parse(verdict)
      const next = jump ?? goto
      if ('accept' in verdict || 'queue' in verdict) return true
      if (next !== undefined) chains.add(next.target)
    }
  }
  return false
}

type Answer = 'yes' | 'no' | 'maybe'

/** Statements that leave the datagram to the next statement (libnftables-json(5)). */
const transparent: ReadonlySet<string> = new Set(['counter', 'log', 'mangle', 'notrack', 'ct helper'])

function makeRuleReader({ rules, sets }: Firewall, place: Place, datagram: Datagram): (chain: string) => Outcome[] {
  const contains = (right: unknown, value: string | number): Answer => {
    if (typeof right !== 'string' || !right.startsWith('@')) return containsValue(right, value, contains)
    const elements = sets.get(keyOf(place, right.slice(1)))
    return elements === undefined ? 'maybe' : contains(elements, value)
  }
  const judge = (statement: Statement): Answer => {
    const match = matchStatement.safeParse(statement)
    if (!match.success) return Object.keys(statement).every((key) => transparent.has(key)) ? 'yes' : 'maybe'
    const { op, left, right } = match.data.match
    const value = readField(left, datagram)
    if (value === undefined) return 'maybe'
    if (value === null) return op === '!=' ? 'maybe' : 'no'
    const answer = contains(right, value)
    if (op === '==' || op === 'in') return answer
    return op === '!=' ? opposite[answer] : 'maybe'
  }
  const readMap = ({ key, data }: VerdictMap): Outcome => {
    const value = readField(key, datagram)
    const answers = data.set.map(([one, verdict]) => {
      if (value === null) return [verdict, 'no'] as const
      return [verdict, value === undefined ? 'maybe' : contains(one, value)] as const
    })
    const possible = answers.filter(([, answer]) => answer !== 'no')
    return {
      verdicts: possible.map(([verdict]) => verdict),
      isSure: possible.length === 1 && possible.every(([, answer]) => answer === 'yes')
    }
  }
  /** null: it is a condition, or does nothing. */
  const readOutcome = (statement: Statement): Outcome | null => {
    if (Object.keys(statement).some((key) => verdictKeys.has(key))) return { verdicts: [statement], isSure: true }
    if ('xt' in statement) return readTarget(statement)
    if (!('vmap' in statement)) return null
    const map = mapStatement.safeParse(statement)
    return map.success ? readMap(map.data.vmap) : anything
  }
  const readRule = (statements: readonly Statement[]): Outcome | null => {
    const outcomes = statements.map(readOutcome)
    const answers = statements.filter((_, index) => outcomes[index] === null).map(judge)
    const found = outcomes.flatMap((one) => one ?? [])
    return answers.includes('no')
      ? null
      : {
          verdicts: found.flatMap(({ verdicts }) => verdicts),
          isSure: answers.every((answer) => answer === 'yes') && found.every(({ isSure }) => isSure)
        }
  }
  return (chain) => {
    const outcomes = (rules.get(keyOf(place, chain)) ?? []).flatMap((rule) => readRule(rule) ?? [])
    const last = outcomes.findIndex(isDrop)
    return last === -1 ? outcomes : outcomes.slice(0, last + 1)
  }
}

const opposite: Readonly<Record<Answer, Answer>> = { yes: 'no', no: 'yes', maybe: 'maybe' }

const verdictKeys: ReadonlySet<string> = new Set([
  'accept',
  'drop',
  'reject',
  'queue',
  'continue',
  'return',
  'jump',
  'goto'
])
/** What is not understood. */
const anything: Outcome = { verdicts: [{ accept: null }], isSure: false }

/** An extension of iptables; null: it is a match, which may hold. Of targets, nft tells the name alone. */
function readTarget(statement: Statement): Outcome | null {
  const { type, name } = xtStatement.safeParse(statement).data?.xt ?? {}
  if (type === 'match') return null
  return name?.toLowerCase() === 'reject' ? { verdicts: [{ reject: null }], isSure: true } : anything
}

const xtStatement = z.object({ xt: z.object({ type: text, name: text }) })

const target = z.object({ target: text }).optional()
const targets = z.object({ jump: target, goto: target })

const matchStatement = z.object({ match: z.object({ op: text, left: z.unknown(), right: z.unknown() }) })
const mapStatement = z.object({
  vmap: z.object({
    key: z.unknown(),
    data: z.object({ set: z.array(z.tuple([z.unknown(), z.record(z.string(), z.unknown())])) })
  })
})

type VerdictMap = z.output<typeof mapStatement>['vmap']

const field = z.union([
  z.object({ meta: z.object({ key: text }) }).transform(({ meta }) => `meta ${meta.key}`),
  z.object({ ct: z.object({ key: text }) }).transform(({ ct }) => `ct ${ct.key}`),
  z
    .object({ payload: z.object({ protocol: text, field: text }) })
    .transform(({ payload }) => `${payload.protocol} ${payload.field}`)
])

/** Protocols of nft's payload expressions that no tunnel has around it. */
const otherProtocols = /^(?:tcp|icmp|icmpv6|sctp|dccp|udplite|esp|ah|comp|igmp|arp) /

/** What a field of the datagram has; null: the datagram has no such field; undefined: it may have any value. */
function readField(left: unknown, { family, protocol, port }: Datagram): string | number | null | undefined {
  const name = field.safeParse(left).data ?? ''
  const isIpv4 = family === 'inet'
  const values: Readonly<Record<string, string | number | null | undefined>> = {
    'meta l4proto': protocol,
    'meta nfproto': isIpv4 ? 'ipv4' : 'ipv6',
    'meta protocol': isIpv4 ? 'ip' : 'ip6',
    'ip protocol': isIpv4 ? protocol : null,
    'ip6 nexthdr': isIpv4 ? null : protocol,
    'udp dport': port,
    // Without ports, bits of the header.
    'th dport': port ?? undefined,
    // Nobody answers, so that it stays new.
    'ct state': 'new',
    // Any name but that of the loopback interface, from which no other host sends.
    'meta iif': 'not lo',
    'meta iifname': 'not lo'
  }
  if (Object.hasOwn(values, name)) return values[name]
  const isOther = otherProtocols.test(name) || (protocol !== 'udp' && name.startsWith('udp '))
  return isOther || name.startsWith(isIpv4 ? 'ip6 ' : 'ip ') ? null : undefined
}

/** The numbers that nft prints where it knows no name (IANA's protocol numbers). */
const numbers: Readonly<Record<string, number>> = { udp: 17, gre: 47 }

const interval = z.object({ range: z.tuple([z.union([z.string(), z.number()]), z.union([z.string(), z.number()])]) })
const members = z.union([
  z.array(z.unknown()),
  z.object({ set: z.array(z.unknown()) }).transform((one) => one.set),
  // An element with a comment or a counter.
  z.object({ elem: z.object({ val: z.unknown() }) }).transform(({ elem }) => [elem.val])
])

function containsValue(
  right: unknown,
  value: string | number,
  contains: (one: unknown, value: string | number) => Answer
): Answer {
  if (typeof right === 'string' || typeof right === 'number') {
    if (value === 'not lo') return right === 'lo' ? 'no' : 'maybe'
    return right === value || right === numbers[value] || right === '*' ? 'yes' : 'no'
  }
  const range = interval.safeParse(right)
  if (range.success) {
    const [first, last] = range.data.range
    if (typeof value !== 'number' || typeof first !== 'number' || typeof last !== 'number') return 'maybe'
    return first <= value && value <= last ? 'yes' : 'no'
  }
  const list = members.safeParse(right)
  if (!list.success) return 'maybe'
  const answers = list.data.map((one) => contains(one, value))
  return (['yes', 'maybe'] as const).find((answer) => answers.includes(answer)) ?? 'no'
}

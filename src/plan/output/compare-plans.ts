import { isDeepStrictEqual } from 'node:util'
import { printable } from '../../printable.ts'
import type { ShownChange, ShownPlan } from './saved-plan.ts'
import { signs } from './signs.ts'

/** The longest values are the programs of filters. In a message, the start of a value is enough to recognise it. */
const mostCharacters = 100

/**
 * How the host differs from the host that a plan was shown for, a line each; empty if planning again makes the same plan. A
 * plan is a function of the files and of the host: if the plan is the same, so is all that it depends on.
 */
export function findDifferences(was: ShownPlan, is: ShownPlan): string[] {
  const then = byAddress(was.changes)
  const now = byAddress(is.changes)
  const differences = [
    ...(was.host.boot_id === is.host.boot_id ? [] : ['the host was restarted']),
    ...[...new Set([...then.keys(), ...now.keys()])].flatMap((address) => {
      const [before, after] = [then.get(address), now.get(address)]
      const { kind, title } = after ?? before ?? {}
      const what = title === undefined ? address : `${kind} ${title}`
      return compare(before, after, was, is).map((words) => `${what}: ${words}`)
    })
  ]
  const same = isDeepStrictEqual(was.changes.map(withoutOrigin), is.changes.map(withoutOrigin))
  // Changes are applied in their order, so the order is compared too.
  const others = same || differences.length > 0 ? [] : ['the changes were in another order']
  return [...differences, ...others].map(printable)
}

/** The number of differences that a message lists. */
const listedDifferences = 10

/** Differences as a message lists them, each on a line of its own. */
export function listDifferences(differences: readonly string[]): string {
  const listed = differences.slice(0, listedDifferences).map((line) => `\n  ${line}`)
  const more = differences.length > listedDifferences ? [`\n  and ${differences.length - listedDifferences} more`] : []
  return [...listed, ...more].join('')
}

function byAddress(changes: readonly ShownChange[]): ReadonlyMap<string, ShownChange> {
  return new Map(changes.map((change) => [change.address, change]))
}

function compare(
  before: ShownChange | undefined,
  after: ShownChange | undefined,
  was: ShownPlan,
  is: ShownPlan
): readonly string[] {
  if (before === undefined) return after === undefined ? [] : explainNew(after, was)
  if (after === undefined) return explainGone(before, is)
  if (isDeepStrictEqual(withoutOrigin(before), withoutOrigin(after))) return []
  const explanations = [compareFacts, compareRaw, compareRest].map((explain) => explain(before, after))
  return explanations.find((lines) => lines.length > 0) ?? []
}

/** The file may have been moved, or named by another path. */
function withoutOrigin({ origin: _, ...change }: ShownChange): object {
  return change
}

function explainNew(change: ShownChange, was: ShownPlan): string[] {
  if (was.waiting.some(({ address }) => address === change.address)) return ['waited, is there now']
  if (change.action === 'create') return ['was in sync, is missing']
  const facts = changedFacts(change).map(({ label, before }) => `${label} was in sync, is ${say(before)}`)
  return facts.length > 0 ? facts : [`was in sync, is to be ${signs[change.action].done}: ${change.reason}`]
}

function explainGone(change: ShownChange, is: ShownPlan): string[] {
  const wait = is.waiting.find(({ address }) => address === change.address)
  if (wait) return [`was there, waits now: ${wait.message}`]
  const facts = changedFacts(change).map(({ label, before }) => `${label} was ${say(before)}, is in sync`)
  return facts.length > 0 ? facts : [`was to be ${signs[change.action].done}, needs nothing now`]
}

function changedFacts({ facts, fields }: ShownChange): ShownChange['facts'] {
  return facts.filter(({ key }) => fields.includes(key))
}

/** Compares the facts, in the words of the plan. */
function compareFacts(was: ShownChange, is: ShownChange): string[] {
  const appeared = (was.before === null) !== (is.before === null)
  const existence = was.before === null ? 'was missing, is there' : 'was there, is missing'
  const reversed = (was.after === null) !== (is.after === null)
  const wish = was.after === null ? 'was to be removed, is to be kept' : 'was to be kept, is to be removed'
  const values = is.facts.flatMap((now) => {
    const then = was.facts.find(({ key }) => key === now.key)
    if (then === undefined) return []
    const isWished = then.after !== null && now.after !== null
    return [
      ...(appeared ? [] : compareValues(now.label, '', then.before, now.before)),
      ...(isWished ? compareValues(now.label, 'to be ', then.after, now.after) : [])
    ]
  })
  return [...(appeared ? [existence] : []), ...(reversed ? [wish] : []), ...values]
}

/** Compares the fields that the kind does not compare, and values that differ though their words do not. */
function compareRaw(was: ShownChange, is: ShownChange): string[] {
  const differing = (verb: string, then: ShownChange['before'], now: ShownChange['before']) =>
    [...new Set([...Object.keys(then ?? {}), ...Object.keys(now ?? {})])].flatMap((key) =>
      compareValues(key, verb, then?.[key], now?.[key])
    )
  return [...differing('', was.before, is.before), ...differing('to be ', was.after, is.after)]
}

function compareValues(label: string, verb: string, then: unknown, now: unknown): string[] {
  return isDeepStrictEqual(then, now) ? [] : [`${label} was ${verb}${say(then)}, is ${verb}${say(now)}`]
}

/** The facts are the same, but the plan is not: the saved plan was edited, or another version wrote it. */
function compareRest(was: ShownChange, is: ShownChange): string[] {
  if (was.action !== is.action) return [`was to be ${signs[was.action].done}, is to be ${signs[is.action].done}`]
  if (!isDeepStrictEqual(was.steps, is.steps)) return ['its steps are not those that are planned now']
  return ['its description is not the one that is planned now']
}

function say(value: unknown): string {
  const words = typeof value === 'string' ? value : value === null ? 'none' : (JSON.stringify(value) ?? 'none')
  return words.length > mostCharacters ? `${words.slice(0, mostCharacters)}…` : words
}

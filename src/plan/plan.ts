import { type Notice, type Origin, SpanplanError } from '../errors.ts'
import type { Snapshot } from '../host/host.ts'
import { type AnyKind, kinds } from '../resources/index.ts'
import { type Change, type Kind, type Resource, type Step, writeAddress } from '../resources/resource.ts'
import type { Desired, Wait } from './desired.ts'
import { comparedFields, diff, type Fates } from './diff.ts'

/** One field in words, as it is and as it is to be; null on the side on which the resource is not there. */
export interface Fact {
  readonly key: string
  readonly label: string
  readonly from: string | null
  readonly to: string | null
  /** It differs: that is why there is a change. */
  readonly changed: boolean
}

/** Steps that are done one after the other, among those of all changes in the order of their ranks. */
export interface Stage {
  readonly rank: number
  readonly steps: readonly Step[]
}

/** One line of the plan. */
export interface PlannedChange {
  readonly address: string
  readonly kind: string
  /** null: to which span it belonged cannot be told any more. */
  readonly span: string | null
  readonly action: Change['action']
  readonly title: string
  readonly summary: string
  readonly before: Resource | null
  readonly after: Resource | null
  /** Every field that is compared. */
  readonly facts: readonly Fact[]
  readonly reason: string
  /** What it means that it is made anew; null for any other action. */
  readonly anew: string | null
  readonly origin: Origin | undefined
  readonly stages: readonly Stage[]
}

/** All that is to be done, what has to wait, and what is worth a warning. */
export interface Plan {
  /** The spans concerned, in the file's order, with their descriptions; then those that only the host knows. */
  readonly spans: readonly { readonly name: string; readonly description: string | null }[]
  readonly changes: readonly PlannedChange[]
  readonly waiting: readonly Wait[]
  readonly warnings: readonly Notice[]
}

/**
 * What leads from the host to what is desired.
 *
 * @throws SpanplanError with all the conflicts, each with what stands in the way.
 */
export function makePlan(desired: Desired, host: Snapshot): Plan {
  const fates = new Map<string, 'replace' | 'remove'>()
  const changes: PlannedChange[] = []
  const conflicts: Notice[] = []
  for (const kind of kinds) {
    const found = planKind(kind, desired, host, fates)
    changes.push(...found.changes)
    conflicts.push(...found.conflicts)
    for (const { action, before } of found.changes) {
      if (before && (action === 'replace' || action === 'remove')) fates.set(`${before.kind} ${before.id}`, action)
    }
  }
  if (conflicts.length > 0) throw new SpanplanError(conflicts)
  const names = desired.wanted.spans.map(({ name, description }) => ({ name, description }))
  const others = new Set(changes.flatMap(({ span }) => (span === null ? [] : [span])))
  for (const { name } of names) others.delete(name)
  return {
    spans: [...names, ...[...others].sort().map((name) => ({ name, description: null }))],
    changes,
    waiting: desired.waiting,
    warnings: desired.warnings
  }
}

/** The stages of all changes, in the order in which they are to be done: those of one rank may be done side by side. */
export function orderStages(changes: readonly PlannedChange[]): { change: PlannedChange; stage: Stage }[] {
  return changes
    .flatMap((change) => change.stages.map((stage) => ({ change, stage })))
    .sort((a, b) => a.stage.rank - b.stage.rank)
}

/** Whether a change takes something away that is there: those are asked about. */
export function isDestructive({ action }: Pick<PlannedChange, 'action'>): boolean {
  return action === 'remove' || action === 'replace'
}

function planKind(any: AnyKind, { wanted }: Desired, host: Snapshot, fates: Fates) {
  return any.visit((kind) => {
    const { changes, conflicts } = diff(kind, kind.observe(wanted, host), kind.desire(wanted, host), fates)
    return {
      changes: changes.map((change) => planChange(kind, change)),
      conflicts: conflicts.map(({ notice, desired }) => ({
        ...notice,
        address: addressOf(kind, desired),
        ...(desired.origin && { origin: desired.origin })
      }))
    }
  })
}

function planChange<R extends Resource>(kind: Kind<R>, change: Change<R>): PlannedChange {
  const subject = change.action === 'remove' ? change.before : change.after
  const span = subject.spans[0] ?? null
  return {
    address: addressOf(kind, subject),
    kind: kind.kind,
    span,
    action: change.action,
    title: kind.title(subject),
    summary: kind.summary(subject),
    before: 'before' in change ? change.before : null,
    after: 'after' in change ? change.after : null,
    facts: describeFacts(kind, change),
    reason: 'reason' in change ? change.reason : 'differs',
    anew: change.action === 'replace' ? (kind.anew ?? null) : null,
    origin: subject.origin,
    stages: stagesOf(kind, change)
  }
}

function addressOf<R extends Resource>(kind: Kind<R>, resource: R): string {
  const [span] = resource.spans
  return writeAddress(...(span === undefined ? [] : [span]), kind.kind, ...kind.address(resource))
}

function describeFacts<R extends Resource>(kind: Kind<R>, change: Change<R>): Fact[] {
  const before = 'before' in change ? change.before : null
  const after = 'after' in change ? change.after : null
  const changed = 'fields' in change ? change.fields : []
  return comparedFields(kind).flatMap((key): Fact[] => {
    const field = kind.fields[key]
    if (field === undefined) return []
    const say = (resource: R | null) => resource && field.words(resource[key], resource)
    return [{ key, label: field.label, from: say(before), to: say(after), changed: changed.includes(key) }]
  })
}

function stagesOf<R extends Resource>(kind: Kind<R>, change: Change<R>): Stage[] {
  const removal = (before: R) => ({ rank: kind.rank.remove, steps: kind.steps({ action: 'remove', before }) })
  const creation = (after: R) => ({ rank: kind.rank.create, steps: kind.steps({ action: 'create', after }) })
  switch (change.action) {
    case 'create':
      return [creation(change.after)]
    case 'update':
      return [{ rank: kind.rank.create, steps: kind.steps(change) }]
    case 'replace':
      return [removal(change.before), creation(change.after)]
    case 'remove':
      return [removal(change.before)]
  }
}

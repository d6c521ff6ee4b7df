import { type Diagnostic, type Origin, SpanplanError, type Subject } from '../errors.ts'
import { groupsOf, type HostIndex } from '../host/host-index.ts'
import type { DesiredState } from '../resources/desired-state.ts'
import {
  type Change,
  type ConflictCost,
  type Kind,
  type ObservedState,
  type Remembered,
  type Resource,
  type Step,
  type Wait,
  waitFor,
  writeAddress
} from '../resources/kind.ts'
import { ownMark } from '../resources/marks.ts'
import { isMirror } from '../resources/mirrors/mirror-resource.ts'
import { isOutput } from '../resources/outputs/output-port.ts'
import { type KindName, kindOf, kinds, type RegisteredKind, turnOf } from '../resources/registry.ts'
import { explainUnread } from '../resources/unread.ts'
import { everySpan, matchesSpan } from '../spec/scope.ts'
import { type Conflict, comparedFields, diff, type Fates, fateOf } from './diff.ts'
import { holdCopied, waitForPerson } from './hold.ts'
import { findOnLoops } from './loops.ts'
import type { Resolution } from './resolve/resolve.ts'
import type { Resting, Target } from './target.ts'

/** One field in words, live and desired; null on the side on which the resource does not exist. */
export interface Fact {
  readonly key: string
  readonly label: string
  readonly from: string | null
  readonly to: string | null
  /** The field differs: that is why there is a change. */
  readonly changed: boolean
}

/** Steps that are carried out one after the other, when it is their turn among the steps of all changes. */
export interface Stage {
  readonly turn: number
  readonly steps: readonly Step[]
}

/** One line of the plan. */
export interface PlannedChange {
  readonly subject: Subject
  /** The subject as it is printed, which is also a key: no two changes of a plan have the same. */
  readonly address: string
  readonly kind: KindName
  /** null: nothing tells any more which span the resource belonged to. */
  readonly span: string | null
  readonly action: Change['action']
  /** The network device that the change is about; null: it is Docker's. */
  readonly device: string | null
  /** The name of the container that the change is about; null: none. */
  readonly container: string | null
  /** The container that the resource serves; null: none is known. */
  readonly serves: string | null
  /** Which interface or container of that name it is: after a restart it is another. Empty for what is on neither. */
  readonly instance: string
  /** Without the change, a sensor could send, or a mirrored frame reach the host. */
  readonly closes: boolean
  /** The interfaces and containers whose earlier state the live mark keeps. */
  readonly remembers: readonly Remembered[]
  readonly title: string
  readonly summary: string
  readonly before: Resource | null
  readonly after: Resource | null
  /** Every field that is compared. */
  readonly facts: readonly Fact[]
  readonly reason: string
  /** The running sensors that lose their interface for a while, by name. */
  readonly disconnects: readonly string[]
  /** What it means that the resource is recreated or adopted, and what else its creation takes. */
  readonly notes: readonly string[]
  /** What whoever applies the plan has to do beside it: a plan says it, and nothing else. */
  readonly todo: string | null
  readonly origin: Origin | undefined
  readonly stages: readonly Stage[]
}

/** Where a change or a resource is. */
type Place = Pick<PlannedChange, 'kind' | 'span' | 'device'>

/** All that will be done, what has to wait, and what is worth a warning. */
export interface Plan {
  /** The spans concerned, in the file's order, with their descriptions; then those that only the host knows. */
  readonly spans: readonly { readonly name: string; readonly description: string | null }[]
  readonly changes: readonly PlannedChange[]
  readonly waiting: readonly Wait[]
  readonly warnings: readonly Diagnostic[]
}

/** What a plan needs that was not read, so that a part of the plan waits. */
interface Withheld {
  /** Of a desired resource, only the creation waits; of a live one, the whole span. */
  readonly side: 'live' | 'desired'
  /** Why a plan that cannot wait fails; null: it does not. */
  readonly failure: Diagnostic | null
  readonly wait: Wait
}

/** A foreign thing in the way of a resource. */
interface Obstacle extends Place {
  readonly costs: ConflictCost
  /** One for each span that needs the resource, at least one. */
  readonly waits: readonly Wait[]
  /** The change that cannot be made. Missing: there is none. */
  readonly change?: PlannedChange
}

/**
 * Plans what leads from the host to the desired state. What was not read removes nothing and is no conflict: the plan waits
 * for it. Where the plan is patient, so it does for a foreign thing in the way of one resource: all else is planned.
 *
 * @returns the plan; or one wait for each span whose plan rests on what was not read: such a span waits completely, and is
 * planned around.
 * @throws SpanplanError with all the conflicts, each with what stands in the way; or with why an input was not read.
 */
export function makePlan(state: Resolution, { adopt, recreate, patient, resting }: Target): Plan | readonly Wait[] {
  const { desired, host, waits, warnings } = state
  const { drafts, held } = planKinds(state, { adopt, recreate }, (kind) => {
    const live = kind.observe(state)
    return { live, desired: kind.desire(state, live) }
  })
  const withheld = drafts.flatMap((draft) => draft.withheld ?? [])
  const [failure] = withheld.flatMap((one) => one.failure ?? [])
  if (failure !== undefined && !patient) throw new SpanplanError(failure)
  const postponed = withheld.flatMap(({ side, wait }) => (side === 'live' ? wait : []))
  if (postponed.length > 0) return [...groupsOf(postponed, ({ span }) => span).values()].map(([first]) => first)
  const known = drafts.filter((draft) => draft.withheld === null)
  const isLeft = (change: PlannedChange) => {
    const { span, device } = change
    const untouched: readonly (string | null)[] = (span !== null && desired.spanOf(span)?.untouched) || []
    return [device, fedDevice(change)].some((one) => one !== null && untouched.includes(one))
  }
  const wanted = known.flatMap(({ change }) => (change === null || isLeft(change) ? [] : change))
  const changes = leaveResting(wanted, resting)
  const conflicts = known.flatMap(({ conflict }) => conflict)
  const alone = [...conflicts, ...findBlocked(changes, state)].filter(({ costs }) => patient && costs !== 'span')
  const isAlone = (change: PlannedChange) => alone.some(({ change: one }) => one === change)
  const refusals = [
    ...conflicts.flatMap((one) => (alone.includes(one) ? [] : (one.waits[0]?.diagnostic ?? []))),
    ...kinds.flatMap((kind) => kind.obstacles?.(desired, host) ?? []),
    ...findBlockers(
      changes.filter((change) => !isAlone(change)),
      state
    )
  ]
  // One thing may be in the way of several; the first says where in the file.
  const distinct = [...groupsOf(refusals, ({ message }) => message).values()].map(([first]) => first)
  if (distinct.length > 0) throw new SpanplanError(distinct)
  const missing = alone.filter(({ costs }) => costs === 'dependants')
  const possible = holdCopied(leaveDependants(changes, missing), state)
  const waiting = sortByKind([
    ...[...waits, ...held, ...possible.waits, ...withheld.map(({ wait }) => wait)],
    ...alone.flatMap((conflict) => conflict.waits)
  ])
  const headed = headings(desired, [...possible.changes, ...waiting])
  return { spans: headed, changes: giveBackLast(breakLiveLoops(possible.changes, host)), waiting, warnings }
}

/** What cannot be made while a resource of a kind is missing. */
const dependants: Readonly<Partial<Record<KindName, (part: PlannedChange, whole: Place) => boolean>>> = {
  bridge: (part, whole) => part.span === whole.span || part.device === whole.device,
  network: (part, whole) => part.span === whole.span && (part.kind === 'sensor' || part.kind === 'note'),
  qdisc: (part, whole) => part.device === whole.device && part.kind === 'mirror',
  // Without it, what has its name is somebody's.
  tunnel: (part, whole) => part.device === whole.device || fedDevice(part) === whole.device,
  output: (part, whole) => fedDevice(part) === whole.device
}

/** The name of the link that a mirror feeds beside the span's bridge; null: a change is of no such mirror. */
function fedDevice({ before, after }: PlannedChange): string | null {
  const resource = after ?? before
  if (resource === null || !isMirror(resource) || resource.feed === null) return null
  return resource.feed.kind === 'sensor' ? null : resource.feed.name
}

/** The kinds whose resources are settings of an interface. */
const settingKinds: ReadonlySet<KindName> = new Set(['interface', 'ring'])

/**
 * The changes without what cannot be made while the resources at these places are missing. Nothing is set on an interface that
 * cannot be mirrored, and what is removed needs nothing.
 */
function leaveDependants(changes: readonly PlannedChange[], missing: readonly Place[]): PlannedChange[] {
  const isSetting = ({ kind, device }: Place, whole: Place) => settingKinds.has(kind) && device === whole.device
  const isLeft = (change: PlannedChange) =>
    missing.some((whole) => isSetting(change, whole) || dependants[whole.kind]?.(change, whole))
  return changes.filter((change) => change.action === 'remove' || !isLeft(change))
}

/** The changes without those that rest, and without what cannot be made before those. */
export function leaveResting(changes: readonly PlannedChange[], { things, spans }: Resting): readonly PlannedChange[] {
  if (things.size + spans.size === 0) return changes
  // The filter that closes an interface is on the interface's qdisc.
  const isNeeded = ({ kind, device }: PlannedChange) =>
    kind === 'qdisc' && changes.some((part) => part.closes && part.device === device)
  const rests = (change: PlannedChange) =>
    !change.closes &&
    (things.get(change.address) === change.instance || spans.has(change.span ?? '')) &&
    !isNeeded(change)
  const missing = changes.filter((change) => change.action !== 'update' && rests(change))
  const isLeft = (change: PlannedChange) =>
    rests(change) || (!change.closes && missing.some((whole) => dependants[whole.kind]?.(change, whole)))
  return changes.filter((change) => !isLeft(change))
}

function sortByKind(waits: readonly Wait[]): Wait[] {
  const names: readonly string[] = kinds.map(({ kind }) => kind)
  return [...waits].sort((a, b) => names.indexOf(a.kind) - names.indexOf(b.kind))
}

/**
 * Plans what leads from the host as it is now back to an earlier state, after a plan that was made for that state was begun.
 * Foreign things that the plan did not change stay as others have made them meanwhile.
 */
export function makeRollback(plan: Plan, then: ObservedState, now: ObservedState): Plan {
  const planned = (actions: readonly Change['action'][]) =>
    new Set(plan.changes.flatMap(({ action, before }) => (before && actions.includes(action) ? [nameOf(before)] : [])))
  const adopted = planned(['adopt'])
  const unmade = planned(['adopt', 'replace', 'remove'])
  const { drafts } = planKinds(now, { adopt: false, recreate: everySpan }, (kind) => {
    const touched = (resource: Resource) => resource.owner !== 'foreign' || adopted.has(nameOf(resource))
    const live = setApart(kind.observe(now).filter(touched))
    const before = setApart(kind.observe(then).filter(touched))
    const recalled = kind.rollbackTarget ? kind.rollbackTarget(before, then, now) : before
    const there = new Set(live.map(({ id }) => id))
    return {
      live: live.map((resource) => ({ ...resource, owner: resource.owner === 'foreign' ? 'shared' : resource.owner })),
      // A foreign thing that is gone, and that this plan did not remove, was removed by others.
      desired: recalled.filter((one) => one.owner !== 'shared' || there.has(one.id) || unmade.has(nameOf(one)))
    }
  })
  const changes = drafts.flatMap(({ change }) => change ?? [])
  const possible = changes.filter(({ stages }) => stages.some(({ steps }) => steps.length > 0))
  return {
    spans: headings(now.desired, possible),
    changes: giveBackLast(breakLiveLoops(possible, now.host)),
    waiting: [],
    warnings: []
  }
}

/** What blocks removals, and what is to be made, each with the subject of the change. */
export function findBlockers(changes: readonly PlannedChange[], now: ObservedState, planned = now): Diagnostic[] {
  const blockable = changes.filter((change) => isBlockable(change) || isToBeMade(change, now.host))
  return blockable.flatMap(({ kind, before, after, subject }) => {
    const resource = before ?? after
    const blockers = resource && kindOf(kind).blockers?.(resource, now, planned)
    return (blockers ?? []).map((blocker) => ({ ...blocker, subject }))
  })
}

/** What would have to be recreated, and cannot be removed: it stays as it is, with what is on it. */
function findBlocked(changes: readonly PlannedChange[], state: ObservedState): Obstacle[] {
  return changes.flatMap((change): Obstacle | [] => {
    const { kind, action, before, after, subject, title, origin } = change
    const costs = (before && kindOf(kind).conflictCosts?.(before)) ?? 'itself'
    const [blocker] = action === 'replace' && costs === 'dependants' ? findBlockers([change], state) : []
    if (blocker === undefined) return []
    const found = { ...blocker, ...(origin && { origin }) }
    const waits = (after?.spans ?? []).map((span) => waitFor({ ...subject, span }, title, found))
    return { ...change, costs, waits, change }
  })
}

function isToBeMade({ action, device }: PlannedChange, host: HostIndex): boolean {
  return action === 'create' && host.linkOf(device) === undefined
}

/** Whether what others do after the plan was made can block a change. */
export function isBlockable({ action, kind }: PlannedChange): boolean {
  return (action === 'remove' || action === 'replace') && kindOf(kind).blockers !== undefined
}

/** What to say of a change that failed or did not last where others do as they like; null: they may not, and the apply fails. */
export function explainUndone({ kind, before, after, subject, origin }: PlannedChange, reason: string) {
  const resource = after ?? before
  const undone = resource && kindOf(kind).undone?.(resource, reason)
  return undone ? { ...undone, subject, ...(origin && { origin }) } : null
}

/** Whether what one change is about is on what another is about, and goes with that. */
export function hangsOn(change: PlannedChange, other: PlannedChange): boolean {
  const below = kindOf(change.kind).hangsOn
  const resource = change.before ?? change.after
  return (
    below !== undefined && resource !== null && below.kind === other.kind && below.id(resource) === other.before?.id
  )
}

/** Whether others may undo a change at will, so that it fails no apply. */
export function isTolerated(change: PlannedChange): boolean {
  return explainUndone(change, '') !== null
}

/**
 * Gives each live resource an id of its own. A resource of ours and a foreign one, which can be adopted, may have the same id. The
 * foreign resource comes last and keeps the id, so that the desired resource is compared with it. Ours gets a longer id, with which
 * nothing is desired: it is removed.
 */
function setApart(resources: readonly Resource[]): Resource[] {
  const last = new Map(resources.map((one) => [one.id, one]))
  return resources.map((one) => (last.get(one.id) === one ? one : { ...one, id: `${one.id} beside` }))
}

function nameOf({ kind, id }: Resource): string {
  return `${kind} ${id}`
}

/** The changes and conflicts of all kinds, as far as they are known, in the order in which a plan shows them. */
function planKinds(
  state: ObservedState,
  { adopt, recreate }: Pick<Target, 'adopt' | 'recreate'>,
  sides: (kind: Kind) => { readonly live: readonly Resource[]; readonly desired: readonly Resource[] }
) {
  const fates = new Map<string, 'replace' | 'remove'>()
  const held: Wait[] = []
  const drafts = kinds.flatMap((kind) => {
    const { live, desired } = sides(kind)
    const found = diff(kind, live, desired, fates, adopt)
    const waits = found.changes.map((change) => {
      const wait = hold(kind, change, state.host)
      return wait && matchesSpan(recreate, wait.span) ? null : wait
    })
    held.push(...waits.flatMap((wait) => wait ?? []))
    const possible = found.changes.filter((_, index) => waits[index] === null)
    const changes = kind.finalize?.(possible, state.host) ?? possible
    for (const change of changes) {
      if (change.action === 'remove') fates.set(nameOf(change.before), 'remove')
      else if (isRecreated(kind, change)) fates.set(nameOf(change.after), 'replace')
    }
    return [
      ...changes.map((change) => ({
        change: planChange(kind, change, state.host, fates),
        conflict: [],
        withheld:
          change.action === 'create'
            ? withhold(kind, change.after, 'desired', state)
            : change.action === 'update'
              ? null
              : withhold(kind, change.before, 'live', state, change.action === 'remove' ? ', to be removed' : '')
      })),
      ...found.conflicts.map((conflict) => ({
        change: null,
        conflict: explain(kind, conflict, state.host),
        withheld: withhold(kind, conflict.live, 'live', state, ', which knows whose it is')
      }))
    ]
  })
  return { drafts, held }
}

/** The wait for a person, where a change would disconnect running sensors; null: it disconnects none. */
function hold(kind: Kind, change: Change, host: HostIndex): Wait | null {
  const sensors = findDisconnected(kind, change, host)
  if (!('before' in change) || !('after' in change) || sensors.length === 0) return null
  const { before, after } = change
  const fields = factsOf(kind, change).filter(({ changed }) => changed)
  const differs = fields.map(({ label, from, to }) => `${label}: ${from} → ${to}`).join(', ')
  const subject = subjectOf(kind, after, after.spans[0] ?? '')
  const row = { title: titleOf(kind, after), origin: after.origin }
  return waitForPerson(subject, row, sensors, differs, kind.holdNote?.(before, after))
}

/** The running sensors that lose their interface when a change recreates a resource. */
function findDisconnected(kind: Kind, change: Change, host: HostIndex): readonly string[] {
  return 'before' in change && isRecreated(kind, change) ? (kind.disconnects?.(change.before, host) ?? []) : []
}

/** Why nothing is done about a resource; null: all that its plan depends on was read. */
function withhold(
  kind: Kind,
  resource: Resource,
  side: Withheld['side'],
  state: ObservedState,
  purpose = ''
): Withheld | null {
  const unread = explainUnread(state.host, kind.evidence?.(resource, side, state) ?? [], purpose)
  if (unread === null) return null
  const {
    spans: [span = '']
  } = resource
  const origin = resource.origin ?? state.desired.spanOf(span)?.origin
  const found = { ...unread.wait, ...(origin && { origin }) }
  const wait = waitFor(subjectOf(kind, resource, span), titleOf(kind, resource), found)
  return { side, failure: unread.failure, wait }
}

/** A conflict in words, at its place in the file. */
function explain(kind: RegisteredKind, { live, desired }: Conflict<Resource>, host: HostIndex): Obstacle[] {
  if (kind.conflict === undefined) return []
  const { spans, origin } = desired
  const found = { ...addAdoption(kind.conflict(live, desired, host), live), ...(origin && { origin }) }
  const waits = spans.map((span) => waitFor(subjectOf(kind, desired, span), titleOf(kind, desired), found))
  const device = kind.device?.(desired) ?? null
  return [{ kind: kind.kind, span: spans[0] ?? null, device, costs: kind.conflictCosts?.(live) ?? 'itself', waits }]
}

/** The hint says that adoption would help, or the message says why it does not. */
function addAdoption(diagnostic: Diagnostic, { adoption }: Resource): Diagnostic {
  if (adoption === undefined) return diagnostic
  if (!adoption.possible) {
    return { ...diagnostic, message: `${diagnostic.message}; it cannot be adopted: ${adoption.reason}` }
  }
  return {
    ...diagnostic,
    hint: ['take it over with --adopt', ...(diagnostic.hint === undefined ? [] : [diagnostic.hint])].join(', or ')
  }
}

/** The spans in the file's order, then those that only the host knows. */
function headings({ spans }: DesiredState, rows: readonly Pick<PlannedChange, 'span'>[]): Plan['spans'] {
  const names = spans.map(({ name, description }) => ({ name, description }))
  const others = new Set(rows.flatMap(({ span }) => (span === null ? [] : [span])))
  for (const { name } of names) others.delete(name)
  return [...names, ...[...others].sort().map((name) => ({ name, description: null }))]
}

/** The stages of all changes, in the order in which they are to be done: those that have one turn may be done side by side. */
export function orderStages(changes: readonly PlannedChange[]): { change: PlannedChange; stage: Stage }[] {
  return changes
    .flatMap((change) => change.stages.map((stage) => ({ change, stage })))
    .sort((a, b) => a.stage.turn - b.stage.turn)
}

/** Whether a change removes, recreates or adopts something: apply asks before. */
export function isDestructive({ action }: Pick<PlannedChange, 'action'>): boolean {
  return action === 'remove' || action === 'replace' || action === 'adopt'
}

function planChange(kind: RegisteredKind, change: Change, host: HostIndex, fates: Fates): PlannedChange {
  const resource = change.action === 'remove' ? change.before : change.after
  const span = resource.spans[0] ?? null
  const device = kind.device?.(resource) ?? null
  const container = kind.container?.(resource) ?? null
  const subject = subjectOf(kind, resource, span)
  const isMadeAgain = 'before' in change && 'after' in change && isRecreated(kind, change)
  const recreated = isMadeAgain ? kind.replaceNote?.(change.before, change.after) : undefined
  const updated =
    change.action === 'update' && !isMadeAgain ? kind.updateNote?.(change.before, change.after) : undefined
  const isMade = change.action === 'create' || (change.action !== 'remove' && isRecreated(kind, change))
  const created = isMade ? kind.createNote?.(change.after) : undefined
  const adopted = change.action === 'adopt' ? kind.adoptNote : undefined
  // Podman has a client of its own, in whose words a step is shown.
  const forEngine = (step: Step): Step =>
    host.engine === 'podman' && 'docker' in step ? { ...step, podman: true } : step
  return {
    subject,
    address: writeAddress(subject),
    kind: kind.kind,
    span,
    action: change.action,
    device,
    container,
    serves: kind.serves?.(resource) ?? null,
    // The port of a container is another one each time that the container starts.
    instance: `${instanceOf(kind.makesDevice ? null : device, container, host)}${receiverOf(resource, host)}`,
    closes: kind.closes === true || changesField(kind, change, 'closes'),
    remembers: ('before' in change && kind.remembers?.(change.before)) || [],
    title: titleOf(kind, resource),
    summary: change.action === 'remove' ? (kind.removalNote?.(resource) ?? '') : kind.summary(resource),
    before: 'before' in change ? change.before : null,
    after: 'after' in change ? change.after : null,
    facts: factsOf(kind, change),
    reason: change.reason,
    disconnects: findDisconnected(kind, change, host),
    todo: created ?? null,
    notes: [recreated, updated, adopted].filter((note) => note !== undefined),
    origin: resource.origin,
    stages: stagesOf(kind, change, fates).map((stage) => ({ ...stage, steps: stage.steps.map(forEngine) }))
  }
}

/** Which device or container has a name now; empty: neither is named. */
export function instanceOf(device: string | null, container: string | null, host: HostIndex): string {
  if (device !== null) return `interface ${host.linkOf(device)?.index}`
  if (container === null) return ''
  const { id, sandbox } = host.containerOf(container) ?? {}
  return `container ${id} ${sandbox}`
}

/** Which port a mirror feeds now; empty: none alone. */
function receiverOf(resource: Resource, host: HostIndex): string {
  const isOfPort = isMirror(resource) && resource.feed?.kind === 'sensor'
  return isOfPort ? ` to ${host.linkOf(resource.target)?.index ?? 'a port that is gone'}` : ''
}

function subjectOf<Span extends string | null>(kind: Kind, resource: Resource, span: Span) {
  return { span, kind: kind.kind, id: kind.address?.(resource) ?? [resource.id], item: resource.item }
}

function titleOf(kind: Kind, resource: Resource): string {
  return kind.title?.(resource) ?? resource.id
}

function factsOf<R extends Resource>(kind: Kind<R>, change: Change<R>): Fact[] {
  const before = 'before' in change ? change.before : null
  const after = 'after' in change ? change.after : null
  const changed = 'fields' in change ? change.fields : []
  return comparedFields(kind).flatMap((key): Fact[] => {
    const field = kind.fields[key]
    if (field === undefined) return []
    const say = (resource: R | null) => resource && field.words(resource[key], resource)
    const [from, to] = [say(before), say(after)]
    const isRenamed = from === ownMark && to === ownMark && before?.markedBy !== after?.markedBy
    const words = isRenamed ? { from: `name ${before?.markedBy}`, to: String(after?.markedBy) } : { from, to }
    return [{ key, label: field.label, ...words, changed: changed.includes(key) }]
  })
}

function stagesOf(kind: RegisteredKind, change: Change, fates: Fates): Stage[] {
  const stage = (phase: 'make' | 'remove', steps: readonly Step[] = []) => ({
    turn: turnOf(`${phase} ${kind.kind}`),
    steps
  })
  if (change.action === 'remove') {
    const removal = stage('remove', kind.remove?.(change.before))
    const goes = kind.hangsOn?.goesWith === true && fateOf(kind.hangsOn, change.before, fates) === 'replace'
    return [goes ? { ...removal, turn: turnOf('leave link') } : removal]
  }
  if (change.action === 'create') return [stage('make', kind.create?.(change.after))]
  const { before, after, fields } = change
  if (isRecreated(kind, change)) {
    const [removal, creation] = [kind.remove?.(before) ?? [], kind.create?.(after) ?? []]
    if (kind.hangsOn?.goesWith) return [stage('make', creation)]
    // Until then, the old device has the name of the new one.
    if (kind.makesDevice) return [stage('make', [...removal, ...creation])]
    return [stage('remove', removal), stage('make', creation)]
  }
  const stages = [
    { turn: turnOf('prepare'), steps: kind.prepare?.(before, after) ?? [] },
    stage('make', kind.update?.(before, after, fields)),
    { turn: turnOf('close'), steps: kind.close?.(before, after) ?? [] },
    stage('remove', kind.finish?.(before, after))
  ]
  return stages.filter(({ steps }) => steps.length > 0)
}

/**
 * Spans that feed each other in another order than before would feed themselves while both mirrors are there: the old mirror is
 * removed before the new ones are made.
 */
function breakLiveLoops(changes: readonly PlannedChange[], host: HostIndex): readonly PlannedChange[] {
  const removed = changes.flatMap(({ action, before }) =>
    action === 'remove' && before && isMirror(before) ? before : []
  )
  const made = changes.flatMap(({ after }) => (after && isMirror(after) ? after : []))
  const first: ReadonlySet<Resource | null> = new Set(findOnLoops(removed, made, host))
  const turn = turnOf('break loop')
  return changes.map((change) =>
    first.has(change.before) ? { ...change, stages: change.stages.map((stage) => ({ ...stage, turn })) } : change
  )
}

/**
 * An output that mirrors have fed is given back after them, so that nothing of the span leaves by it any more. What the plan needs the
 * interface for is done to one that is given back: then that comes first.
 */
function giveBackLast(changes: readonly PlannedChange[]): readonly PlannedChange[] {
  const needed = new Set(changes.flatMap(({ action, device }) => (action === 'remove' ? [] : device)))
  const isLast = ({ action, before, device }: PlannedChange) =>
    action === 'remove' && before !== null && isOutput(before) && before.flooding !== true && !needed.has(device)
  const turn = turnOf('give output back')
  return changes.map((change) =>
    isLast(change) ? { ...change, stages: change.stages.map((stage) => ({ ...stage, turn })) } : change
  )
}

/** Whether a change removes a mirror before others are made, with which it would be on a loop. */
export function breaksLoop({ stages }: PlannedChange): boolean {
  return stages.some(({ turn }) => turn === turnOf('break loop'))
}

function isRecreated(kind: Kind, change: Change): boolean {
  return change.action === 'replace' || (change.action === 'adopt' && changesField(kind, change, 'immutable'))
}

/** Whether a field differs that the kind's table says this of. */
function changesField(kind: Kind, change: Change, mark: 'immutable' | 'closes'): boolean {
  return (
    'fields' in change && comparedFields(kind).some((key) => change.fields.includes(key) && kind.fields[key]?.[mark])
  )
}

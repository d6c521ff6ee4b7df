import { isAbout, meaningOf } from '../codes/meanings.ts'
import {
  type Diagnostic,
  diagnostic,
  diagnosticOf,
  Exit,
  type ExitCode,
  interruptedExit,
  SpanplanError
} from '../errors.ts'
import { findReconnected, findRestarts, readListened } from '../look/listening.ts'
import { observeDuringApply, refresh, refreshKernel, refreshSettled } from '../look/refresh.ts'
import { nameContainer, renderChange } from '../plan/output/plan-text.ts'
import { hangsOn, isTolerated, type PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import { printable } from '../printable.ts'
import type { ObservedState, Wait } from '../resources/kind.ts'
import { kindOf, turnOf } from '../resources/registry.ts'
import { matchesSpan } from '../spec/scope.ts'
import { listNames } from '../text-lines.ts'
import type { StepFailed } from './batch.ts'
import { type PreflightOptions, preflight } from './preflight.ts'
import { needsDocker, type RollbackResult, rollBack } from './rollback.ts'
import { isBlocked, type Progress, runSteps, type StepLog, silent } from './run-steps.ts'
import {
  hasGone,
  isAboutContainer,
  type LeftOut,
  type LeftOutRecord,
  lacksDevice,
  openLeftOut
} from './sensors/left-out.ts'

/**
 * Docker names a port in the first round, so the port is sealed in the second. The other rounds are for what others do
 * meanwhile: while containers restart, each round may find new interfaces. A change that was made `mostTries` times, and is
 * needed again, does not converge.
 */
const mostRounds = 20
const mostTries = 5

/** Where another run follows: that comes at once, and others who wait for the lock get it between the two. */
const roundsOfMany = 5

/** How a plan is applied. */
export interface ApplyOptions extends PreflightOptions {
  /** Default: silent. */
  readonly progress?: Progress
  /** Stops the apply after the batch that runs, and rolls it back. Default: nothing stops it. */
  readonly signal?: AbortSignal
  /** Is called after the preflight, before the first change. Gives the plan view to apply. Throws to apply none. */
  readonly approve?: (view: PlanView) => Promise<PlanView>
  /**
   * Another run follows: what is not in sync after all rounds is left to that, and is no failure. It has come meanwhile, as when
   * containers restart one after the other, or somebody has undone it. Default: it is a failure.
   */
  readonly goesOn?: boolean
  /** Whether an interface was renamed since the plan was made. Then a failure is not rolled back: another run follows. Default: none was. */
  readonly isRenamed?: () => boolean
  /** A removal that others have come to block is a failure: all is rolled back. Default: the other changes stay. */
  readonly undoBlocked?: boolean
}

/** What an apply has done. */
export interface ApplyResult {
  /** The plan view that was applied: a rollback leads back to its host. */
  readonly first: PlanView
  /** The plan view after it, whose plan has only what is left out, or left to another run. */
  readonly last: PlanView
  /** The changes made, in every round. Left out are the ports of a sensor that was connected, which stands for them. */
  readonly done: readonly PlannedChange[]
  /** The changes about single containers and tunnels that could not be made, or did not last. */
  readonly leftOut: readonly LeftOut[]
  /** What disconnects running sensors, and came up only while the plan was applied: no plan had shown it, so it was not done. */
  readonly deferred: readonly Wait[]
  /** The sensors that have to be restarted: each has lost an interface, or has exited since. */
  readonly restarts: readonly Diagnostic[]
  /** Docker could not be read afterwards. All changes stay, and this says which are not verified. null: all are verified. */
  readonly unverified: SpanplanError | null
}

/** What all rounds of an apply share. */
interface Run extends Required<Pick<ApplyOptions, 'progress' | 'signal' | 'undoBlocked' | 'goesOn'>> {
  readonly target: Target
  readonly log: StepLog
  readonly leftOut: LeftOutRecord
}

/** A plan view after a round. */
interface Refreshed {
  readonly view: PlanView
  /** Why only the kernel could be read; null: Docker could be read too. */
  readonly dockerFailure: Diagnostic | null
}

/**
 * Checks a plan, carries it out, reads the host again, and goes on until no change is left. What fails, is interrupted or
 * does not converge is rolled back to the host of the first plan view. What cannot be had of one container is left out, and the
 * rest stays. Docker that only fails to be read, after all is done, is no failure of the apply.
 *
 * @throws SpanplanError with what the preflight refuses; or with the step that failed, or what did not converge, and the
 * result of the rollback.
 */
export async function applyPlan(
  target: Target,
  view: PlanView,
  {
    progress = silent,
    signal = new AbortController().signal,
    approve = async (same) => same,
    undoBlocked = false,
    goesOn = false,
    isRenamed = () => false,
    ...checks
  }: ApplyOptions = {}
): Promise<ApplyResult> {
  preflight(target, view.plan, checks)
  if (view.plan.changes.length === 0)
    return { first: view, last: view, done: [], leftOut: [], deferred: [], restarts: [], unverified: null }
  const first = await approve(view)
  const log: StepLog = { done: [], begun: false }
  // Each round may disconnect sensors only of the spans of which the plan that was approved does.
  const disturbed = first.plan.changes.flatMap(({ span, disconnects }) =>
    span && disconnects.length > 0 && matchesSpan(target.recreate, span) ? span : []
  )
  const run: Run = {
    target: { ...target, recreate: { only: new Set(disturbed) } },
    log,
    progress,
    signal,
    undoBlocked,
    goesOn,
    leftOut: openLeftOut(first.host.engine)
  }
  const listened = await readListened(first.host, findReconnected(first.plan.changes))
  try {
    const { view: last, dockerFailure } = await converge(run, first)
    // A signal that comes in the last step, or while it is verified, is one like any other.
    if (signal.aborted) throw interrupted(signal)
    const leftOut = run.leftOut.list()
    const done = run.leftOut.without([...new Set(log.done.map(({ change }) => change))])
    const sensors = done.filter(({ kind }) => kind === 'sensor')
    const connected = new Set(sensors.map(({ span }) => span))
    const isNewPort = ({ kind, device, container }: PlannedChange) =>
      ((kind === 'port' || kind === 'xdp') && !first.host.mayExist(device)) ||
      (kind === 'stack' && sensors.some((sensor) => sensor.container === container))
    return {
      first,
      last,
      done: done.filter((change) => !(isNewPort(change) && connected.has(change.span))),
      leftOut,
      deferred: last.plan.waiting.filter(
        ({ diagnostic, span }) => diagnostic.code === 'RECREATE_DEFERRED' && matchesSpan(target.recreate, span)
      ),
      restarts: await findRestarts(listened, last.host),
      unverified: dockerFailure && unverifiedError(dockerFailure, done, last)
    }
  } catch (error) {
    // A rollback goes by names, too: it would change another interface.
    if (error instanceof RemovalBlocked || isRenamed()) throw error
    const result = log.begun ? await rollBack(target, first, progress, listened) : null
    if (result === null || (result.complete && !result.changed && log.done.length === 0))
      throw withNote(error, '\nNothing was changed.')
    const exit = signal.aborted ? interruptedExit(signal) : Exit.rolledBack
    throw withNote(error, rollbackNote(result), result.complete ? exit : Exit.partial)
  }
}

/**
 * Rolls back an apply that is done.
 *
 * @param exit the status for a rollback that is complete.
 * @throws SpanplanError always: the reason, with the result of the rollback.
 */
export async function rollBackApply(
  target: Target,
  first: PlanView,
  progress: Progress,
  reason: Diagnostic,
  exit: ExitCode
): Promise<never> {
  const result = await rollBack(target, first, progress)
  const message = `${reason.message}${rollbackNote(result)}`
  throw new SpanplanError({ ...reason, message }, result.complete ? exit : Exit.partial)
}

async function converge(run: Run, first: PlanView): Promise<Refreshed> {
  let last: Refreshed = { view: first, dockerFailure: null }
  for (let round = 0; round < (run.goesOn ? roundsOfMany : mostRounds); round++) {
    const { view, dockerFailure } = last
    const changes = run.leftOut.without(view.plan.changes)
    if (changes.length === 0) return last
    if (changes.some((change) => run.leftOut.triesOf(change) >= mostTries)) break
    const target = dockerFailure === null ? run.target : { ...run.target, deferDocker: true }
    run.leftOut.addRound(changes)
    const next = await runRound({ ...run, target }, view, changes)
    run.leftOut.addRepeated(next.view.plan.changes)
    last = { view: next.view, dockerFailure: dockerFailure ?? next.dockerFailure }
    if (last.dockerFailure === null) run.leftOut.dropMade(last.view.plan)
  }
  const remaining = run.leftOut.without(last.view.plan.changes)
  if (run.goesOn) return last
  const hosts = [first.host, last.view.host]
  // What leads to something else each time follows containers that come and go.
  const changes = remaining.filter(
    (change) => run.leftOut.triesOf(change) >= mostTries && !isAboutContainer(change, hosts)
  )
  run.leftOut.addUnsteady(remaining.filter((change) => !changes.includes(change)))
  if (changes.length === 0) return last
  throw new SpanplanError({
    code: 'NOT_CONVERGED',
    message: `all steps were done, but this is not in sync:${listChanges(changes)}`,
    hint: `something else may be changing it: see ip monitor, tc monitor and ${first.host.engine} events`
  })
}

/** Others have begun to use what was to be removed. The removal is left out, and nothing is rolled back. */
class RemovalBlocked extends SpanplanError {
  constructor(blockers: readonly Diagnostic[], changes: readonly PlannedChange[]) {
    const left = changes.filter((change) => isBlocked(change, blockers))
    const message = `${blockers.at(-1)?.message}\nEverything else was done. What is left can be removed as soon as nothing uses the bridge:${listChanges(left)}`
    super([...blockers.slice(0, -1), { code: 'BRIDGE_IN_USE', ...blockers.at(-1), message }], Exit.partial)
  }
}

/** Makes the changes, and reads the host again. A change that fails because its subject has gone is left out. */
async function runRound(run: Run, before: PlanView, changes: readonly PlannedChange[]): Promise<Refreshed> {
  const { target, log, progress, signal, undoBlocked } = run
  const result = await runSteps(changes, log, progress, {
    signal,
    planned: before,
    observe: () => observeDuringApply(target, before)
  })
  if (result.ended === 'interrupted') throw interrupted(signal)
  if (result.ended === 'blocked') {
    throw undoBlocked ? new SpanplanError(result.blockers) : new RemovalBlocked(result.blockers, changes)
  }
  if (result.ended === 'completed') {
    if (!run.goesOn) return refreshAfterRound(target, refreshSettled)
    // Docker answers late while containers start, and what else happens meanwhile has to wait. The next run reads it again anyway.
    if (changes.some(isAboutSensor)) await closeNewPorts(run, before)
    else if (run.leftOut.list().length === 0) return { view: await refreshKernel(target, before), dockerFailure: null }
    return refreshAfterRound(target, refresh)
  }
  const { failure } = result
  const remade = await remakeBridge(failure.task.change, () => observeDuringApply(target, before))
  if (remade !== null) {
    const others = changes.filter((other) => other !== failure.task.change)
    return runRound(run, before, [...others, remade])
  }
  const now = await refresh(target).catch(() => {
    throw stepError(failure)
  })
  const { change } = failure.task
  if (!hasGone(change, before, now)) {
    if (isDeviceNeeded(run, change, now)) return { view: now, dockerFailure: null }
    const described = stepError(failure)
    // To lose the place of a container that others have connected is worse than to fail. Without the network that Docker lists for a
    // container, Docker does not start that again.
    const isOurs = change.container !== null && (change.after ?? change.before)?.owner === 'ours'
    const isLosable = isOurs && !changes.some((other) => other.action === 'remove' && hangsOn(change, other))
    if (!isLosable && !isTolerated(change)) throw described
    for (const other of changes) {
      if (other === change || lacksDevice(other, change, now)) run.leftOut.addFailed(other, diagnosticOf(described))
    }
  }
  return runRound(
    run,
    before,
    run.leftOut.without(changes).filter((other) => other !== change && !hasGone(other, before, now))
  )
}

/** Whether a change gives a sensor a port, of which Docker says what it is to get. */
function isAboutSensor(change: PlannedChange): boolean {
  return change.kind === 'sensor' || needsDocker(change)
}

/** Whether a change failed without a device that the next round makes, before it makes the change: somebody has just deleted that. */
function isDeviceNeeded({ leftOut }: Run, change: PlannedChange, now: PlanView): boolean {
  const others = leftOut.without(now.plan.changes).filter(({ address }) => address !== change.address)
  return others.some((maker) => maker.action !== 'remove' && lacksDevice(change, maker, now))
}

/**
 * Closes the ports that the bridge has just got, before Docker is asked what they are: until then, they get what the bridge carries. What
 * cannot be planned or done is left to the plan after Docker's answer.
 */
async function closeNewPorts({ target, log, progress, signal, leftOut }: Run, before: PlanView): Promise<void> {
  const view = await refreshKernel(target, before).catch(() => null)
  if (view === null) return
  const observe = () => observeDuringApply(target, view)
  await runSteps(leftOut.without(view.plan.changes), log, progress, { signal, planned: view, observe })
}

/**
 * Docker removes a bridge that it has made together with its network, which adopting recreates. Nothing tells who has made a bridge. So
 * it is made again, as an adopted one, before the rest is done; null: that is not it.
 */
async function remakeBridge(
  change: PlannedChange,
  observe: () => Promise<ObservedState>
): Promise<PlannedChange | null> {
  const { action, after, device } = change
  const kind = kindOf(change.kind)
  if (action !== 'adopt' || after === null || !kind.makesDevice) return null
  const now = await observe().catch(() => null)
  if (now === null || now.host.mayExist(device)) return null
  return { ...change, before: null, stages: [{ turn: turnOf(`make ${kind.kind}`), steps: kind.create?.(after) ?? [] }] }
}

function interrupted(signal: AbortSignal): SpanplanError {
  return new SpanplanError(diagnostic('INTERRUPTED', 'interrupted'), interruptedExit(signal))
}

async function refreshAfterRound(target: Target, read: typeof refresh): Promise<Refreshed> {
  try {
    return { view: await read(target), dockerFailure: null }
  } catch (error) {
    if (!(error instanceof SpanplanError && error.diagnostics.every(isAbout('docker', 'requests')))) throw error
    return { view: await read({ ...target, deferDocker: true }), dockerFailure: diagnosticOf(error) }
  }
}

function unverifiedError({ message }: Diagnostic, done: readonly PlannedChange[], { plan }: PlanView): SpanplanError {
  const inDocker = done.filter(needsDocker)
  const waiting = plan.waiting.filter(({ diagnostic }) => meaningOf(diagnostic).unread === 'docker')
  const others = waiting.filter(({ title }) => !inDocker.some((change) => change.title === title))
  const open = [...others.map(({ kind, title }) => `\n  ${kind} ${printable(title)}`), listChanges(inDocker)].join('')
  return new SpanplanError(
    {
      code: 'UNVERIFIED',
      message: `everything was done, and the kernel is in sync, but Docker could not be read afterwards: ${message}${open && `\nNot verified:${open}`}`,
      hint: 'nothing was rolled back; once Docker answers, run it again: it verifies the rest, and does what is left'
    },
    Exit.partial
  )
}

function stepError({ task: { step, change }, error }: StepFailed): SpanplanError {
  const [cause] = error.diagnostics
  const message = `could not ${printable(nameContainer(step.summary, change))}: ${cause?.message ?? error.message}`
  const failed = diagnostic(cause?.code ?? 'STEP_FAILED', message, cause?.hint, change.origin)
  return new SpanplanError({ ...failed, subject: change.subject }, error.exit, { cause: error })
}

/** Adds a note to an error's first message. A bug stays as it is. */
function withNote(error: unknown, note: string, exit?: ExitCode): unknown {
  if (!(error instanceof SpanplanError)) return error
  const [first, ...others] = error.diagnostics
  if (first === undefined) return error
  return new SpanplanError([{ ...first, message: `${first.message}${note}` }, ...others], exit ?? error.exit, {
    cause: error
  })
}

function rollbackNote({ complete, left, causes, restarts, ended }: RollbackResult): string {
  const [have, whose] = ended.length === 1 ? ['has', 'its'] : ['have', 'their']
  const unheard =
    ended.length === 0
      ? ''
      : `\n${printable(listNames(ended))} ${have} ended since: ${whose} frames go to nobody until the next apply: spanplan apply`
  const deaf = `${unheard}${restarts.map(({ message, hint }) => `\n${message}: ${hint}`).join('')}`
  if (complete) return `\nEverything was rolled back: the host is as it was before.${deaf}`
  const reasons = causes.map(({ message }) => `\n  ${message}`).join('')
  return `\nIt could not be rolled back completely:${reasons}${left.length > 0 ? `\nStill to do until the host is as it was before:${listChanges(left)}` : ''}${deaf}`
}

function listChanges(changes: readonly PlannedChange[]): string {
  return changes.map((change) => `\n  ${renderChange(change)}`).join('')
}

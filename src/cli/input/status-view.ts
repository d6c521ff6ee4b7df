import { setTimeout as sleep } from 'node:timers/promises'
import { type Diagnostic, Exit, nullIfForeseen, SpanplanError } from '../../errors.ts'
import { type CallLimits, defaultLimits } from '../../host/docker/call-limits.ts'
import type { Sample } from '../../host/read-counters.ts'
import { readHostFor } from '../../look/read-host.ts'
import { spanUnknown } from '../../plan/live-spans.ts'
import { viewLive } from '../../plan/live-view.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import { findFaultyFilters } from '../../plan/resolve/filter-errors.ts'
import { makeDestroyTarget, type Target } from '../../plan/target.ts'
import { readPauses } from '../../run-dir/pauses.ts'
import { loadSpec } from '../../spec/load.ts'
import type { Spec } from '../../spec/spec.ts'
import { type AdviseApply, adviseApply, adviseNothing, type OtherFiles } from '../../status/advice.ts'
import { framePathsOf, takeSampleWithTools } from '../../status/counters/frame-path.ts'
import { type Basis, makeReport, type Report, readMoment } from '../../status/report.ts'
import { askWatch, type FilesInForce, watchNames } from '../../watch/serve/ask-watch.ts'
import { findWatch } from '../../watch/serve/find-watch.ts'
import { decodeFiles, findOtherFiles, isSamePlace } from '../../watch/serve/other-files.ts'
import type { Session } from '../session.ts'
import { type Selection, targetOf, writeApply } from './load-target.ts'
import { choosePaths, loadFiles } from './spec-files.ts'

/** The options that select what is shown. */
export type StatusSelection = Omit<Selection, 'deferDocker'>

/** A plan view, with the file that it was made for; or of what is live, with why there is no plan for a file. */
export interface StatusView extends PlanView {
  /** null: what is live is shown. */
  readonly spec: Spec | null
  readonly basis: Basis
  /** Why there is no plan for a file; none: there is one. */
  readonly fileErrors: readonly Diagnostic[]
  /** What to do about what differs from the file. */
  readonly advise: AdviseApply
  /** What a watch keeps instead of the file; null: it keeps the file, or none runs. */
  readonly otherFiles: OtherFiles | null
  /** Why bridges that are in no file cannot be removed; nothing: they can. By default, nothing. */
  readonly blockers?: readonly Diagnostic[]
}

/** Reads the host and plans; Docker's calls have these limits. */
type Refresh = (target: Target, limits: CallLimits) => Promise<PlanView>

/** A call that hangs costs what depends on Docker, in some seconds: who looks wants to see the rest, and nothing is changed. */
const viewLimits: CallLimits = { ...defaultLimits, milliseconds: 10_000 }

/**
 * Reads the host and plans as a watch does: what is missing is waited for, what would disconnect running sensors waits for a
 * person, and spans that are not in the file are removed. Where there is no valid file, or no plan for the file, it shows what the
 * watch of the file holds to; or, without a watch, what is live.
 *
 * @throws SpanplanError if the host cannot be read, or --span names what neither the file nor the host has.
 */
export async function refreshStatus(
  session: Session,
  selection: StatusSelection,
  refresh: Refresh
): Promise<StatusView> {
  const held = await askHeld(selection)
  const refreshAsHeld = async (errors: readonly Diagnostic[]) =>
    held && errors.length > 0 ? refreshHeld(selection, refresh, held, errors) : null
  // A watch also refuses what only the change makes wrong, as when all spans are gone, or the name is another.
  const view = await refreshAsHeld(held?.refusals ?? [])
  if (view !== null) return view
  try {
    return await refreshFile(selection, refresh, () => loadFiles(selection, session))
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.exit === Exit.usage) throw error
    return (await refreshAsHeld(error.diagnostics)) ?? (await refreshLive(selection, error.diagnostics))
  }
}

/**
 * The same, for the files alone.
 *
 * @throws SpanplanError with all that is wrong with the files, or that there is no plan for them.
 */
export async function refreshFiles(
  session: Session,
  selection: StatusSelection,
  refresh: Refresh
): Promise<StatusView & { readonly spec: Spec }> {
  return refreshFile(selection, refresh, () => loadFiles(selection, session))
}

/** What a watch of the same files holds to; null: there is no plan for that either. */
async function refreshHeld(
  selection: StatusSelection,
  refresh: Refresh,
  held: FilesInForce,
  fileErrors: readonly Diagnostic[]
): Promise<StatusView | null> {
  try {
    const view = await refreshFile(selection, refresh, async () => loadSpec(decodeFiles(held)))
    return { ...view, basis: 'watch', fileErrors, advise: adviseNothing, otherFiles: null }
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.exit === Exit.usage) throw error
    return null
  }
}

/** What a watch of the same files says of them; of the only watch, where there are no files any more. null: none runs that tells it. */
async function askHeld({ file }: StatusSelection): Promise<FilesInForce | null> {
  const answers = await Promise.all(watchNames().map((name) => askWatch(name, 'files-in-force')))
  const held = answers.filter((one) => one !== null)
  const paths = findPaths(file)
  if (paths !== null) return held.find((one) => isSamePlace(one.paths, paths)) ?? null
  return held.length === 1 ? (held[0] ?? null) : null
}

/** The paths of the files; null: there are none. */
function findPaths(file: readonly string[]): readonly string[] | null {
  try {
    return choosePaths(file).map(({ path }) => path)
  } catch (error) {
    return nullIfForeseen(error)
  }
}

const asWatch = { deferDocker: false, adopt: false, recreate: false } as const

async function refreshFile(
  selection: StatusSelection,
  refresh: Refresh,
  load: () => Promise<Spec>
): Promise<StatusView & { readonly spec: Spec }> {
  const makeTarget = async (prune: boolean): Promise<Target> => {
    const target = targetOf(await load(), { ...selection, ...asWatch, prune })
    return { ...target, patient: true, goingDown: readPauses(Date.now()).goingDown }
  }
  const refreshFor = async (prune: boolean): Promise<StatusView & { readonly spec: Spec }> => {
    const target = await makeTarget(prune)
    const view = await refresh(target, viewLimits)
    const faults = findFaultyFilters(target.spec, view.filters)
    if (faults.length > 0) throw new SpanplanError(faults, Exit.invalidFile)
    // An apply removes what the file does not have.
    const whole = prune ? target : await makeTarget(true)
    const otherFiles = await findOtherFiles(whole)
    return {
      ...view,
      spec: target.spec,
      basis: 'file',
      fileErrors: [],
      advise: adviseApply(whole, view, writeApply(selection), otherFiles),
      otherFiles
    }
  }
  try {
    return await refreshFor(true)
  } catch (error) {
    // A span whose bridge others use cannot be removed: the plan without removals shows the other spans.
    const blocked = error instanceof SpanplanError && error.diagnostics.every(({ code }) => code === 'BRIDGE_IN_USE')
    if (!blocked || selection.span.length > 0) throw error
    return { ...(await refreshFor(false)), blockers: error.diagnostics }
  }
}

async function refreshLive({ span }: StatusSelection, fileErrors: readonly Diagnostic[]): Promise<StatusView> {
  const { host } = await readHostFor(makeDestroyTarget(null, { deferDocker: false }), viewLimits)
  const view = viewLive(host)
  const names = view.desired.spans.map(({ name }) => name)
  const unknown = span.filter((name) => !names.includes(name))
  if (unknown.length > 0) throw spanUnknown(unknown, names, view.desired.names, '--span ')
  const spans = view.desired.spans.filter(({ name }) => span.length === 0 || span.includes(name))
  const basis = { spec: null, basis: 'live', fileErrors, advise: adviseNothing, otherFiles: null } as const
  return { ...view, desired: { ...view.desired, spans }, ...basis }
}

/** Makes a report of two samples, with the pauses and the state of the watch as they are now. */
export async function report(view: StatusView, first: Sample, later: Sample): Promise<Report> {
  const { state: watch, silent: silentWatch } = await findWatch(view.desired.owner)
  const { fileErrors, basis, advise, otherFiles, blockers = [] } = view
  const files = { fileErrors, basis, advise, otherFiles, blockers }
  return makeReport({ view, watch, silentWatch, first, later, ...files, ...readMoment() })
}

/** Milliseconds between two samples; `watch`: since the watch's first sample. */
export type CountTime = number | 'watch'

/** Counts what comes in a time, and reports on the host as it is then: it may have changed since the first sample. */
export async function reportAfter(
  time: CountTime,
  view: StatusView,
  refreshNow: () => Promise<StatusView>
): Promise<{ readonly now: StatusView; readonly result: Report }> {
  const first = await takeFirstSample(view, time)
  const now = await refreshNow()
  return { now, result: await report(now, first, await takeSampleWithTools(framePathsOf(now))) }
}

/** Gives the first sample once it is time for the second. */
async function takeFirstSample(view: StatusView, time: CountTime): Promise<Sample> {
  if (time !== 'watch') {
    const sample = await takeSampleWithTools(framePathsOf(view))
    await sleep(time)
    return sample
  }
  const name = view.desired.owner
  const answer = await askWatch(name, 'first-sample')
  if (answer?.sample) return answer.sample
  throw new SpanplanError({
    code: 'WATCH_MISSING',
    message: `--for watch: no watch of the name ${name} ${answer === null ? 'is running' : 'has seen this host yet'}`,
    hint: 'count from now on, as with --for 10s'
  })
}

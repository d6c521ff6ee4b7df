import { setTimeout as sleep } from 'node:timers/promises'
import { refresh, refreshAndCheckSpans } from '../../apply/refresh.ts'
import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Sample } from '../../host/read-counters.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printableJson } from '../../printable.ts'
import { readWindowTime } from '../../run-dir/lock.ts'
import { readPauses } from '../../run-dir/pauses.ts'
import type { Spec } from '../../spec/spec.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { statusDocument } from '../../status/output/json.ts'
import { renderReport } from '../../status/output/text.ts'
import { makeReport, type Report } from '../../status/report.ts'
import { askWatch } from '../../watch/serve/ask-watch.ts'
import { loadSpecTarget, type Selection } from '../input/target.ts'
import { choosePaint } from '../output/terminal.ts'
import { type Session, warn } from '../session.ts'

interface StatusOptions extends Omit<Selection, 'deferDocker'> {
  /** Milliseconds between the two samples; `watch`: since the watch's first sample. */
  readonly for: number | 'watch'
  readonly live: boolean
}

/** A plan view, with the file that it was made for. */
interface StatusView extends PlanView {
  readonly spec: Spec
}

/** `spanplan status`: shows what is live, with counters, and whether it is healthy. */
export async function statusCommand(session: Session, options: StatusOptions): Promise<ExitCode> {
  if (options.live && process.stdout.isTTY !== true) {
    const message = '--live redraws the screen, and stdout is not a terminal'
    throw new SpanplanError({ code: 'TERMINAL_MISSING', message, hint: 'leave it out, or use --json' }, Exit.usage)
  }
  const refreshNow = () => refreshStatus(session, options, refresh)
  const view = await refreshStatus(session, options, refreshAndCheckSpans)
  if (options.live) {
    const { showLive } = await import('./status-live.ts')
    return exitOf(await showLive(session, view, applyCommand(options), refreshNow, report))
  }
  const first = await takeFirstSample(view, options.for)
  // The host may have changed since the first sample.
  const now = await refreshNow()
  const result = await report(now, first, await takeSample(framePathsOf(now)))
  warn(session, result.unread)
  if (session.json) {
    const about = { version: SPANPLAN_VERSION, created: new Date().toISOString() }
    process.stdout.write(`${printableJson(statusDocument(result, about))}\n`)
  } else process.stdout.write(renderReport(result, applyCommand(options), choosePaint(session.color, process.stdout)))
  return exitOf(result)
}

/** The apply of what this status is about. */
function applyCommand({ file, span, insecureFile }: StatusOptions): string {
  const flags = [
    ...file.flatMap((path) => ['-f', path]),
    ...span.flatMap((name) => ['--span', name]),
    ...(insecureFile ? ['--insecure-file'] : [])
  ]
  return shellLine(['spanplan', 'apply', ...flags])
}

/** Gives the first sample once it is time for the second. */
async function takeFirstSample(view: PlanView, span: StatusOptions['for']): Promise<Sample> {
  if (span !== 'watch') {
    const sample = await takeSample(framePathsOf(view))
    await sleep(span)
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

/** null: there is no report yet. */
function exitOf(report: Report | null): ExitCode {
  return report?.healthy === false ? Exit.unhealthy : Exit.done
}

/**
 * Reads the host and plans as a watch does: what is missing is waited for, what would disconnect running sensors waits for a
 * person, and spans that are not in the file are removed. A span whose bridge others use cannot be removed; then the plan is made without removals, so that the other spans are shown.
 */
export async function refreshStatus(
  session: Session,
  options: Omit<Selection, 'deferDocker'>,
  refresh: (target: Target) => Promise<PlanView>
): Promise<StatusView> {
  const makeTarget = async (prune: boolean): Promise<Target> => {
    const target = await loadSpecTarget(session, { ...options, ...asWatch, prune })
    return { ...target, patient: true, goingDown: readPauses(Date.now()).goingDown }
  }
  const refreshFor = async (prune: boolean) => {
    const target = await makeTarget(prune)
    return { ...(await refresh(target)), spec: target.spec }
  }
  try {
    return await refreshFor(true)
  } catch (error) {
    const blocked = error instanceof SpanplanError && error.diagnostics.every(({ code }) => code === 'BRIDGE_IN_USE')
    if (!blocked || options.span.length > 0) throw error
    return refreshFor(false)
  }
}

const asWatch = { deferDocker: false, adopt: false, recreate: false } as const

/** Makes a report of two samples, with the pauses and the state of the watch as they are now. */
export async function report(view: PlanView, first: Sample, later: Sample): Promise<Report> {
  const watch = await askWatch(view.desired.owner, 'state')
  return makeReport({ view, pauses: readPauses(Date.now()).pauses, watch, window: readWindowTime(), first, later })
}

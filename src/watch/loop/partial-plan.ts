import { liveSpans, planFor, type View } from '../../apply/refresh.ts'
import { type Notice, noticeOf } from '../../errors.ts'
import type { Snapshot } from '../../host/snapshot.ts'
import { chooses, leaveOut } from '../../resources/mark-inventory.ts'
import type { FileAim } from './target.ts'

/** One span, or all of them (null), that could not be made true. */
export interface Failure {
  readonly span: string | null
  readonly notice: Notice
  /** It only stands in the way of the plan: to find out whether it still does costs nothing. */
  readonly planned: boolean
}

/** What is wanted less the spans in whose way something stands. */
export interface Possible {
  readonly aim: FileAim
  readonly view: View
  readonly failures: readonly Failure[]
}

/** Plans what nothing stands in the way of. */
export function planPossible(aim: FileAim, host: Snapshot): Possible {
  const whole = tryToPlan(aim, host)
  if ('view' in whole) return { aim, view: whole.view, failures: loopsIn(whole.view) }
  const kept = new Set<string>()
  const failures: Failure[] = []
  // One after the other, for two of them may stand in each other's way.
  const all = [...new Set([...spansOf(aim), ...goingSpans(aim, host)])]
  const leaving = (name: string | null) =>
    leaveAlone(
      aim,
      all.filter((span) => !kept.has(span) && span !== name)
    )
  for (const name of all) {
    const tried = tryToPlan(leaving(name), host)
    if ('view' in tried) kept.add(name)
    else failures.push({ span: name, notice: tried.notice, planned: true })
  }
  const possible = leaving(null)
  const view = planFor(possible, host)
  return { aim: possible, view, failures: [...failures, ...loopsIn(view)] }
}

/** A source that was left out because it would feed its own span is no mere wait: somebody has to take it out of the file. */
function loopsIn({ plan }: View): Failure[] {
  return plan.waiting
    .filter(({ notice }) => notice.code === 'LOOP')
    .map(({ span, notice }) => ({ span, notice, planned: true }))
}

function tryToPlan(aim: FileAim, host: Snapshot): { readonly view: View } | { readonly notice: Notice } {
  try {
    return { view: planFor(aim, host) }
  } catch (error) {
    return { notice: noticeOf(error) }
  }
}

function leaveAlone(aim: FileAim, spans: readonly string[]): FileAim {
  return { ...aim, scope: { ...aim.scope, spans: leaveOut(aim.scope.spans, spans) } }
}

/** The spans that are live, and go because the file does not know them. */
function goingSpans(aim: FileAim, host: Snapshot): string[] {
  return liveSpans(aim, host).filter((name) => chooses(aim.scope.spans, name))
}

/** The names of the spans of the file that it is about. */
export function spansOf({ spec, scope }: FileAim): string[] {
  return spec.spans.map(({ name }) => name).filter((name) => chooses(scope.spans, name))
}

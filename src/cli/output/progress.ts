import type { Task } from '../../apply/batch.ts'
import type { Progress } from '../../apply/run-steps.ts'
import { stepDocument } from '../../plan/output/plan-json.ts'
import { nameContainer } from '../../plan/output/plan-text.ts'
import type { Plan } from '../../plan/plan.ts'
import { printableJson } from '../../printable.ts'
import { diagnosticDocument } from '../../resources/kind.ts'
import type { Session } from '../session.ts'
import { clearActivity, showActivity } from './activity.ts'

/** Prints one JSON object in a line of stdout. */
export function printEvent(type: string, body: object): void {
  process.stdout.write(`${printableJson({ type, ...body })}\n`)
}

/** Prints a text to stdout; for a program, an event instead. */
export function printResult(session: Session, text: string, type: string, body: object): void {
  clearActivity()
  if (session.json) printEvent(type, body)
  else process.stdout.write(`${text}\n`)
}

/** Reports the progress of an apply: as JSON events, as one line of a terminal that is overwritten, or not at all. */
export function openProgress(session: Session, plan: Plan): Progress & { close(): void } {
  return session.json ? { ...eventProgress, close: () => undefined } : lineProgress(session, plan)
}

const eventProgress: Progress = {
  start: (tasks) => printTasks('step_start', tasks),
  done: (tasks) => printTasks('step_done', tasks),
  failed: ({ task, error }) => printTasks('step_failed', [task], { errors: error.diagnostics.map(diagnosticDocument) }),
  rollingBack: () => undefined,
  rolledBack: (complete, left) => printEvent('rolled_back', { complete, left: left.map(({ address }) => address) })
}

function printTasks(type: string, tasks: readonly Task[], more: object = {}): void {
  for (const { change, step } of tasks) printEvent(type, { address: change.address, step: stepDocument(step), ...more })
}

function lineProgress(session: Session, { changes }: Plan): Progress & { close(): void } {
  let total = changes.flatMap(({ stages }) => stages.flatMap(({ steps }) => steps)).length
  let done = 0
  let isBack = false
  return {
    start: (tasks) => {
      const [first] = tasks
      if (first === undefined) return
      // What Docker makes is set in a later round, which no plan has counted; so is what is rolled back.
      total = Math.max(total, done + tasks.length)
      const step = nameContainer(first.step.summary, first.change)
      showActivity(session, isBack ? `Rolling back: ${step}` : `[${done + 1}/${total}] ${step}`)
    },
    done: (tasks) => {
      done += tasks.length
      if (done === total && !isBack) showActivity(session, `[${done}/${total}] verify`)
    },
    failed: clearActivity,
    rollingBack: () => {
      isBack = true
      showActivity(session, 'Rolling back')
    },
    rolledBack: clearActivity,
    close: clearActivity
  }
}

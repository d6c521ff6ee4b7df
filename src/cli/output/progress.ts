import type { Task } from '../../apply/batch.ts'
import { type Progress, silent } from '../../apply/run-steps.ts'
import { stepDocument } from '../../plan/output/plan-json.ts'
import type { Plan } from '../../plan/plan.ts'
import { printable, printableJson } from '../../printable.ts'
import { diagnosticDocument } from '../../resources/kind.ts'
import type { Session } from '../session.ts'

/** Prints one JSON object in a line of stdout. */
export function printEvent(type: string, body: object): void {
  process.stdout.write(`${printableJson({ type, ...body })}\n`)
}

/** Prints a text to stdout; for a program, an event instead. */
export function printResult(session: Session, text: string, type: string, body: object): void {
  if (session.json) printEvent(type, body)
  else process.stdout.write(`${text}\n`)
}

/** Reports the progress of an apply: as JSON events, as one line of a terminal that is overwritten, or not at all. */
export function openProgress(session: Session, plan: Plan): Progress & { close(): void } {
  const close = () => undefined
  if (session.json) return { ...eventProgress, close }
  return process.stderr.isTTY === true ? lineProgress(plan) : { ...silent, close }
}

const eventProgress: Progress = {
  start: (tasks) => printTasks('step_start', tasks),
  done: (tasks) => printTasks('step_done', tasks),
  failed: ({ task, error }) => printTasks('step_failed', [task], { errors: error.diagnostics.map(diagnosticDocument) }),
  rolledBack: (complete, left) => printEvent('rolled_back', { complete, left: left.map(({ address }) => address) })
}

function printTasks(type: string, tasks: readonly Task[], more: object = {}): void {
  for (const { change, step } of tasks) printEvent(type, { address: change.address, step: stepDocument(step), ...more })
}

function lineProgress({ changes }: Plan): Progress & { close(): void } {
  const total = changes.flatMap(({ stages }) => stages.flatMap(({ steps }) => steps)).length
  let done = 0
  let isShown = false
  const clear = () => {
    if (isShown) process.stderr.write('\r\u001b[K')
  }
  return {
    start: ([first]) => {
      clear()
      isShown = true
      const line = `[${Math.min(done + 1, total)}/${total}] ${printable(first?.step.summary ?? '')}`
      process.stderr.write(line.slice(0, (process.stderr.columns || 80) - 1))
    },
    done: (tasks) => {
      done += tasks.length
    },
    failed: clear,
    rolledBack: clear,
    close: clear
  }
}

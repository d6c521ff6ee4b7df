import type { Task } from '../../apply/batch.ts'
import { type Progress, silent } from '../../apply/run-steps.ts'
import { stepDocument } from '../../plan/output/json.ts'
import type { Plan } from '../../plan/plan.ts'
import { printable, printableJson } from '../../printable.ts'
import type { Session } from '../session.ts'

/** Prints one JSON object in a line of stdout. */
export function printEvent(type: string, body: object): void {
  process.stdout.write(`${printableJson({ type, ...body })}\n`)
}

/** Reports the progress of an apply: as JSON events, as one line of a terminal that is overwritten, or not at all. */
export function openProgress(session: Session, plan: Plan): Progress & { close(): void } {
  if (session.json) return { ...eventProgress(), close: () => {} }
  return process.stderr.isTTY === true ? lineProgress(plan) : { ...silent, close() {} }
}

function eventProgress(): Progress {
  const print = (type: string, task: Task, more: object = {}) =>
    printEvent(type, { address: task.change.address, step: stepDocument(task.step), ...more })
  return {
    start: (tasks) => {
      for (const task of tasks) print('step_start', task)
    },
    done: (tasks) => {
      for (const task of tasks) print('step_done', task)
    },
    failed: ({ task, error }) => print('step_failed', task, { errors: error.diagnostics }),
    rolledBack: (complete, left) => printEvent('rolled_back', { complete, left: left.map(({ address }) => address) })
  }
}

function lineProgress(plan: Plan): Progress & { close(): void } {
  const total = plan.changes.reduce(
    (sum, change) => sum + change.stages.reduce((n, stage) => n + stage.steps.length, 0),
    0
  )
  let done = 0
  let isShown = false
  const clear = () => {
    if (isShown) process.stderr.write('\r\u001b[K')
  }
  return {
    start: ([first]) => {
      clear()
      isShown = true
      const text = first ? printable(first.step.summary) : ''
      process.stderr.write(
        `[${Math.min(done + 1, total)}/${total}] ${text}`.slice(0, (process.stderr.columns || 80) - 1)
      )
    },
    done: (tasks) => {
      done += tasks.length
    },
    failed: clear,
    rolledBack: clear,
    close: clear
  }
}

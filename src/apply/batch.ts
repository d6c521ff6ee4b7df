import { Exit, SpanplanError } from '../errors.ts'
import { callDocker, type DockerConnection } from '../host/docker/docker-client.ts'
import { type Argv, commandFailed, forEachConcurrently, run } from '../host/exec.ts'
import { batchLine } from '../host/quote-command.ts'
import type { PlannedChange, Stage } from '../plan/plan.ts'
import type { Step } from '../resources/kind.ts'

/** A step, with the change that it belongs to. */
export interface Task {
  readonly change: PlannedChange
  readonly step: Step
}

/** Steps by one tool that are carried out together. */
export interface Batch {
  readonly tool: string
  readonly tasks: readonly Task[]
}

/** A step failed. */
export class StepFailed extends Error {
  readonly task: Task
  readonly error: SpanplanError
  /** The tasks of the batch that were done before it; null: that is not known. */
  readonly done: readonly Task[] | null

  constructor(task: Task, error: SpanplanError, done: readonly Task[] | null) {
    super(error.message, { cause: error })
    this.name = 'StepFailed'
    this.task = task
    this.error = error
    this.done = done
  }
}

/** Programs that read commands from stdin, and stop at the first that fails, with its line. */
const batching: ReadonlySet<string> = new Set(['ip', 'tc', 'bridge'])

/** Whether the steps of a batch are carried out one after the other; else those of different changes run side by side. */
function isSequential(tool: string): boolean {
  return tool === 'docker' || batching.has(tool)
}

/**
 * Gathers the steps into as few batches as their order allows. Changes of one turn do not depend on each other, so their
 * steps by the same tool share a batch; the steps of one change stay in order. Steps of two turns share a batch only where
 * it is sequential.
 *
 * @param done steps to leave out.
 */
export function makeBatches(
  stages: readonly { readonly change: PlannedChange; readonly stage: Stage }[],
  done: ReadonlySet<Step>
): Batch[] {
  const batches: { tool: string; turn: number; tasks: Task[] }[] = []
  const append = (tool: string, turn: number, tasks: readonly Task[]) => {
    const last = batches.at(-1)
    if (last?.tool === tool && (last.turn === turn || isSequential(tool))) last.tasks.push(...tasks)
    else batches.push({ tool, turn, tasks: [...tasks] })
  }
  for (const turn of new Set(stages.map(({ stage }) => stage.turn))) {
    const queues = stages
      .filter(({ stage }) => stage.turn === turn)
      .map(({ change, stage }) => stage.steps.filter((step) => !done.has(step)).map((step) => ({ change, step })))
    for (;;) {
      const [next] = queues.find((queue) => queue.length > 0) ?? []
      if (next === undefined) break
      const tool = toolOf(next.step)
      for (const queue of queues) {
        const other = queue.findIndex(({ step }) => toolOf(step) !== tool)
        append(tool, turn, queue.splice(0, other === -1 ? queue.length : other))
      }
    }
  }
  return batches
}

/**
 * Carries a batch out.
 *
 * @throws StepFailed
 */
export async function runBatch(batch: Batch, docker: DockerConnection | null): Promise<void> {
  if (batch.tool === 'docker') return callDockerInOrder(batch.tasks, docker)
  if (batching.has(batch.tool)) return runLines(batch)
  return runSideBySide(batch.tasks)
}

async function callDockerInOrder(tasks: readonly Task[], docker: DockerConnection | null): Promise<void> {
  for (const [index, task] of tasks.entries()) {
    if (!('docker' in task.step)) continue
    try {
      if (docker === null) throw new Error('a step for Docker, and no Docker')
      if ('reason' in docker) throw new SpanplanError(docker.reason)
      await callDocker(docker.docker, task.step.docker)
    } catch (error) {
      throw asStepFailed(task, error, tasks.slice(0, index))
    }
  }
}

async function runLines({ tool, tasks }: Batch): Promise<void> {
  const lines = tasks.map(({ step }) => ('argv' in step ? lineOf(step.argv) : null))
  if (lines.includes(null)) return runInOrder(tasks, [])
  const argv: Argv = [tool, '-batch', '-']
  const [first] = tasks
  if (first === undefined) return
  const output = await run(argv, `${lines.join('\n')}\n`).catch((error: unknown) => {
    throw asStepFailed(first, error, null)
  })
  if (output.status === 0) return
  const line = Number(/^Command failed -:(\d+)$/m.exec(output.stderr)?.[1])
  const task = tasks[line - 1]
  // A program that a signal ended names no line.
  if (task === undefined || !('argv' in task.step)) throw asStepFailed(first, commandFailed(argv, output), null)
  const stderr = output.stderr.replace(/^Command failed -:\d+\n?/m, '')
  throw asStepFailed(task, commandFailed(task.step.argv, { ...output, stderr }), tasks.slice(0, line - 1))
}

/** A step as a line of a batch; null: the step has options for the program itself, which no line can have. */
function lineOf([, ...words]: Argv): string | null {
  return words[0]?.startsWith('-') ? null : batchLine(words)
}

/** @param done gets each task that is done. */
async function runInOrder(tasks: readonly Task[], done: Task[]): Promise<void> {
  for (const task of tasks) {
    if (!('argv' in task.step)) continue
    try {
      const output = await run(task.step.argv)
      if (output.status !== 0) throw commandFailed(task.step.argv, output)
    } catch (error) {
      throw asStepFailed(task, error, done)
    }
    done.push(task)
  }
}

async function runSideBySide(tasks: readonly Task[]): Promise<void> {
  const done: Task[] = []
  const changes = new Map<PlannedChange, Task[]>()
  for (const task of tasks) changes.set(task.change, [...(changes.get(task.change) ?? []), task])
  await forEachConcurrently([...changes.values()], (ofChange) => runInOrder(ofChange, done))
}

function asStepFailed(task: Task, error: unknown, done: readonly Task[] | null): unknown {
  if (!(error instanceof SpanplanError)) return error
  const exit = error.diagnostics.some(({ message }) => message.includes('Operation not permitted'))
    ? Exit.missingRight
    : error.exit
  return new StepFailed(task, new SpanplanError(error.diagnostics, exit, { cause: error }), done)
}

function toolOf(step: Step): string {
  return 'argv' in step ? step.argv[0] : 'docker'
}

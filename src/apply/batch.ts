import { Exit, SpanplanError } from '../errors.ts'
import { callDocker, type DockerConnection } from '../host/docker/docker-client.ts'
import { type Argv, commandFailed, run, sideBySide } from '../host/exec.ts'
import { batchLine } from '../host/quote-command.ts'
import type { PlannedChange, Stage } from '../plan/plan.ts'
import type { Step } from '../resources/kind.ts'

/** A step, and the change that it is a part of. */
export interface Task {
  readonly change: PlannedChange
  readonly step: Step
}

/** What is done at once: by one process, in one go, or side by side. */
export interface Batch {
  readonly tool: string
  readonly tasks: readonly Task[]
}

/** The step that failed, and why. */
export class StepFailed extends Error {
  readonly task: Task
  readonly error: SpanplanError
  /** The tasks of its batch that were done before; null if that cannot be told. */
  readonly done: readonly Task[] | null

  constructor(task: Task, error: SpanplanError, done: readonly Task[] | null) {
    super(error.message, { cause: error })
    this.name = 'StepFailed'
    this.task = task
    this.error = error
    this.done = done
  }
}

/** These read a list of commands, and stop at the first that fails, with its line. */
const batching: ReadonlySet<string> = new Set(['ip', 'tc', 'bridge'])

/**
 * Gathers the steps into as few batches as their order allows: changes of one rank do not depend on each other, so their
 * steps by the same tool are done together, each change's own in order. Those that are done are left out.
 */
export function makeBatches(
  stages: readonly { readonly change: PlannedChange; readonly stage: Stage }[],
  done: ReadonlySet<Step>
): Batch[] {
  const batches: { tool: string; tasks: Task[] }[] = []
  const append = (tool: string, tasks: readonly Task[]) => {
    const last = batches.at(-1)
    if (last?.tool === tool) last.tasks.push(...tasks)
    else batches.push({ tool, tasks: [...tasks] })
  }
  for (const rank of new Set(stages.map(({ stage }) => stage.rank))) {
    const queues = stages
      .filter(({ stage }) => stage.rank === rank)
      .map(({ change, stage }) => stage.steps.filter((step) => !done.has(step)).map((step) => ({ change, step })))
    for (;;) {
      const [next] = queues.find((queue) => queue.length > 0) ?? []
      if (next === undefined) break
      const tool = toolOf(next.step)
      for (const queue of queues) {
        const other = queue.findIndex(({ step }) => toolOf(step) !== tool)
        append(tool, queue.splice(0, other === -1 ? queue.length : other))
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
  if (batch.tool === 'docker') return runInTurn(batch.tasks, docker)
  if (batching.has(batch.tool)) return runLines(batch)
  return runSideBySide(batch.tasks)
}

async function runInTurn(tasks: readonly Task[], docker: DockerConnection | null): Promise<void> {
  for (const [index, task] of tasks.entries()) {
    if (!('docker' in task.step)) continue
    try {
      if (docker === null) throw new Error('a step for Docker, and no Docker')
      if ('reason' in docker) throw new SpanplanError(docker.reason)
      await callDocker(docker.docker, task.step.docker)
    } catch (error) {
      throw failed(task, error, tasks.slice(0, index))
    }
  }
}

async function runLines({ tool, tasks }: Batch): Promise<void> {
  const lines = tasks.map(({ step }) => ('argv' in step ? lineOf(step.argv) : null))
  if (lines.includes(null)) return runOneByOne(tasks)
  const argv: Argv = [tool, '-batch', '-']
  const [first] = tasks
  if (first === undefined) return
  const output = await run(argv, `${lines.join('\n')}\n`).catch((error: unknown) => {
    throw failed(first, error, null)
  })
  if (output.status === 0) return
  const line = Number(/^Command failed -:(\d+)$/m.exec(output.stderr)?.[1])
  const task = tasks[line - 1]
  // Ended by a signal, it names no line.
  if (task === undefined || !('argv' in task.step)) throw failed(first, commandFailed(argv, output), null)
  const stderr = output.stderr.replace(/^Command failed -:\d+\n?/m, '')
  throw failed(task, commandFailed(task.step.argv, { ...output, stderr }), tasks.slice(0, line - 1))
}

/** Options for the tool itself cannot stand in a batch. */
function lineOf([, ...words]: Argv): string | null {
  return words[0]?.startsWith('-') ? null : batchLine(words)
}

/** In order, for what no batch can say. */
async function runOneByOne(tasks: readonly Task[]): Promise<void> {
  for (const [index, task] of tasks.entries()) await runOne(task, tasks.slice(0, index))
}

async function runSideBySide(tasks: readonly Task[]): Promise<void> {
  const done: Task[] = []
  await sideBySide(tasks, async (task) => {
    await runOne(task, done)
    done.push(task)
  })
}

async function runOne(task: Task, done: readonly Task[]): Promise<void> {
  if (!('argv' in task.step)) return
  try {
    const output = await run(task.step.argv)
    if (output.status !== 0) throw commandFailed(task.step.argv, output)
  } catch (error) {
    throw failed(task, error, done)
  }
}

function failed(task: Task, error: unknown, done: readonly Task[] | null): unknown {
  if (!(error instanceof SpanplanError)) return error
  const exit = error.diagnostics.some(({ message }) => message.includes('Operation not permitted'))
    ? Exit.missingRight
    : error.exit
  return new StepFailed(task, new SpanplanError(error.diagnostics, exit, { cause: error }), done)
}

function toolOf(step: Step): string {
  return 'argv' in step ? step.argv[0] : 'docker'
}

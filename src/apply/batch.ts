import { Exit, SpanplanError } from '../errors.ts'
import { callDocker, type DockerConnection } from '../host/docker/docker-client.ts'
import { type Argv, commandFailed, forEachConcurrently, type Output, run } from '../host/exec.ts'
import { concurrency, timeLimit } from '../host/process/run-limits.ts'
import { batchLine } from '../host/quote-command.ts'
import type { PlannedChange, Stage } from '../plan/plan.ts'
import { type Step, sysctlCommand } from '../resources/kind.ts'
import { groupDeletions, type Line, ungroup } from './link-group.ts'

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
  /** The tasks of the batch that were done before the step failed; null: that is not known. */
  readonly done: readonly Task[] | null

  constructor(task: Task, error: SpanplanError, done: readonly Task[] | null) {
    super(error.message, { cause: error })
    this.name = 'StepFailed'
    this.task = task
    this.error = error
    this.done = done
  }
}

type RunTasks = (tasks: readonly Task[], docker: DockerConnection | null) => Promise<void>

/**
 * The tools that carry out the steps of a batch one after the other, each with how it does so. With any other tool, steps of different
 * changes are carried out at the same time.
 */
const sequential: ReadonlyMap<string, RunTasks> = new Map([
  ['docker', callDockerInOrder],
  ['ip', runLines],
  ['tc', runLines],
  ['bridge', runLines],
  ['sysctl', runSettings]
])

/**
 * Milliseconds that the steps of a batch may take. A batch has to end long before the time limit of a program, and a person who
 * interrupts an apply waits for the end of the batch.
 */
const longestBatch = 8000

/** A daemon does more than the kernel; a driver may stop its interface to switch an offload. */
const slowTools: ReadonlySet<string> = new Set(['docker', 'ethtool'])

/** Milliseconds that one step may take: to delete a bridge takes the kernel 40. */
const slowStep = 40
const usualStep = 4

/** The limits of a program that gets so many steps. Each of them may be slow. */
const limitsFor = (steps: number) => ({ milliseconds: Math.max(timeLimit, steps * slowStep) })

/**
 * Gathers the steps into few batches, as their order and the size of a batch allow. Changes of one turn do not depend on
 * each other, so their steps by the same tool share a batch; the steps of one change stay in order. Steps of two turns share a
 * batch only where it is sequential.
 *
 * @param done steps to leave out.
 */
export function makeBatches(
  stages: readonly { readonly change: PlannedChange; readonly stage: Stage }[],
  done: ReadonlySet<Step>
): Batch[] {
  const batches: { tool: string; turn: number; tasks: Task[]; left: number }[] = []
  const append = (tool: string, turn: number, tasks: readonly Task[]) => {
    for (const task of tasks) {
      const duration = isSlow(task.step) ? slowStep : usualStep
      const last = batches.at(-1)
      const fits = last?.tool === tool && (last.turn === turn || sequential.has(tool)) && last.left >= duration
      if (fits) {
        last.tasks.push(task)
        last.left -= duration
      } else batches.push({ tool, turn, tasks: [task], left: longestBatch - duration })
    }
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
export async function runBatch({ tool, tasks }: Batch, docker: DockerConnection | null): Promise<void> {
  return (sequential.get(tool) ?? runSideBySide)(tasks, docker)
}

async function callDockerInOrder(tasks: readonly Task[], docker: DockerConnection | null): Promise<void> {
  for (const [index, task] of tasks.entries()) {
    if (!('docker' in task.step)) continue
    try {
      if (docker === null) throw new Error('a step for Docker, and no Docker')
      if ('reason' in docker) throw new SpanplanError(docker.reason)
      await callDocker(docker, task.step.docker)
    } catch (error) {
      throw asStepFailed(task, error, tasks.slice(0, index))
    }
  }
}

/** For a program that reads commands from stdin, a line each. It stops at the first that fails, and names its line. */
async function runLines(tasks: readonly Task[]): Promise<void> {
  const [first] = tasks
  if (first === undefined) return
  const alone = tasks.flatMap(({ step }, index): Line[] =>
    'argv' in step ? [{ argv: step.argv, deletes: step.deletes ?? null, task: index, done: index }] : []
  )
  if (alone.some((line) => lineOf(line.argv) === null)) return runInOrder(tasks, [])
  const argv: Argv = [toolOf(first.step), '-batch', '-']
  const { lines, links } = await groupDeletions(alone).catch((error: unknown) => {
    throw asStepFailed(first, error, [])
  })
  const input = lines.map((line) => `${lineOf(line.argv)}\n`).join('')
  const output = await run(argv, input, limitsFor(lines.length)).catch(async (error: unknown) => {
    await ungroup(links).catch(() => undefined)
    throw asStepFailed(first, error, null)
  })
  if (output.status === 0) return
  await ungroup(links)
  const line = lines[Number(/^Command failed -:(\d+)$/m.exec(output.stderr)?.[1]) - 1]
  const task = tasks[line?.task ?? -1]
  // A program that a signal ended names no line.
  if (line === undefined || task === undefined) throw asStepFailed(first, changeFailed(argv, output), null)
  const stderr = output.stderr.replace(/^Command failed -:\d+\n?/m, '')
  throw asStepFailed(task, changeFailed(line.argv, { ...output, stderr }), tasks.slice(0, line.done))
}

/** For sysctl, which gets all settings at once. It goes on after a setting that fails, and names each that has failed. */
async function runSettings(tasks: readonly Task[]): Promise<void> {
  const [first] = tasks
  if (first === undefined) return
  const argv = sysctlCommand(tasks.flatMap(({ step }) => ('argv' in step && step.sets ? [step.sets] : [])))
  const output = await run(argv).catch((error: unknown) => {
    throw asStepFailed(first, error, null)
  })
  if (output.status === 0) return
  const task = tasks.find((one) => isNamed(one, output.stderr)) ?? first
  throw asStepFailed(task, changeFailed('argv' in task.step ? task.step.argv : argv, output), null)
}

/** Whether a message of sysctl is about the setting of a task. The message names the setting as a path, or with dots. */
function isNamed({ step }: Task, message: string): boolean {
  if (!('argv' in step) || step.sets === undefined) return false
  return message.replaceAll('.', '/').includes(step.sets.key.replaceAll('.', '/'))
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
      if (output.status !== 0) throw changeFailed(task.step.argv, output)
    } catch (error) {
      throw asStepFailed(task, error, done)
    }
    done.push(task)
  }
}

/**
 * For programs that take one step each. xargs does not tell which of its programs has failed. So where one has, all are run again, one
 * by one.
 */
async function runSideBySide(tasks: readonly Task[]): Promise<void> {
  const changes = new Map<PlannedChange, Task[]>()
  for (const task of tasks) changes.set(task.change, [...(changes.get(task.change) ?? []), task])
  if (changes.size === tasks.length && (await runByXargs(tasks))) return
  const done: Task[] = []
  await forEachConcurrently([...changes.values()], (ofChange) => runInOrder(ofChange, done))
}

/** To start fewer programs than that here takes no longer than with xargs. */
const fewestForXargs = 8

/**
 * Has xargs start the programs: it does so in a fraction of the time that this process needs.
 *
 * @returns whether all have succeeded.
 */
async function runByXargs(tasks: readonly Task[]): Promise<boolean> {
  const argvs = tasks.flatMap(({ step }) => ('argv' in step ? [step.argv] : []))
  const [first] = argvs
  if (first === undefined || argvs.length < fewestForXargs) return false
  const [program, { length }] = [first[0], first]
  if (argvs.some((argv) => argv[0] !== program || argv.length !== length)) return false
  const argv: Argv = ['xargs', '--null', `--max-args=${length - 1}`, `--max-procs=${concurrency}`, program]
  const items = argvs.flatMap((argv) => argv.slice(1).map((word) => `${word}\0`))
  const output = await run(argv, items.join(''), limitsFor(argvs.length)).catch((error: unknown) => {
    const [task] = tasks
    if (task === undefined || isMissing(error)) return null
    throw asStepFailed(task, error, null)
  })
  return output?.status === 0
}

function isMissing(error: unknown): boolean {
  return error instanceof SpanplanError && error.diagnostics.every(({ code }) => code === 'PROGRAM_MISSING')
}

/** A command that changes the host tells a missing right by its words. One that only reads has no status of its own. */
function changeFailed(argv: Argv, output: Output): SpanplanError {
  const { diagnostics } = commandFailed(argv, output)
  return new SpanplanError(
    diagnostics,
    output.stderr.includes('Operation not permitted') ? Exit.missingRight : undefined
  )
}

function asStepFailed(task: Task, error: unknown, done: readonly Task[] | null): unknown {
  return error instanceof SpanplanError ? new StepFailed(task, error, done) : error
}

function isSlow(step: Step): boolean {
  return slowTools.has(toolOf(step)) || ('argv' in step && step.isSlow === true)
}

function toolOf(step: Step): string {
  return 'argv' in step ? step.argv[0] : 'docker'
}

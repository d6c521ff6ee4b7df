import { Exit, SpanplanError } from '../errors.ts'
import { callDocker, type DockerConnection } from '../host/docker/docker-client.ts'
import { type Argv, commandFailed, forEachConcurrently, type Output, run } from '../host/exec.ts'
import { groupsOf } from '../host/host-index.ts'
import { runStarted } from '../host/process/program-pool.ts'
import { forget, type Topic, topicsOfEthtool, topicsOfNft } from '../host/process/remembered.ts'
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

/** A command, with the change that it belongs to. */
interface CommandTask extends Task {
  readonly step: Extract<Step, { readonly argv: Argv }>
}

/** A step failed. `done`: the tasks of the batch that are known to be done before. */
export class StepFailed extends Error {
  readonly task: Task
  readonly error: SpanplanError
  readonly done: readonly Task[]

  constructor(task: Task, error: SpanplanError, done: readonly Task[]) {
    super(error.message, { cause: error })
    this.name = 'StepFailed'
    this.task = task
    this.error = error
    this.done = done
  }
}

/** The programs that carry out the commands of a batch one after the other, each with how it does so. */
const sequential: ReadonlyMap<string, (tasks: readonly CommandTask[], tool: string) => Promise<void>> = new Map([
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
 * batch only where it is sequential: Docker's calls are, too.
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
      const fits =
        last?.tool === tool &&
        (last.turn === turn || tool === 'docker' || sequential.has(tool)) &&
        last.left >= duration
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

/** What is remembered of the host, and changed by a tool. */
const changedBy: ReadonlyMap<string, readonly Topic[]> = new Map<string, readonly Topic[]>([
  ['ethtool', topicsOfEthtool],
  ['nft', topicsOfNft]
])

/** Carries a batch out. Gives the step that failed, which is the first where nothing tells it; null: none failed. */
export async function runBatch({ tool, tasks }: Batch, docker: DockerConnection | null): Promise<StepFailed | null> {
  try {
    if (areCommands(tasks)) await (sequential.get(tool) ?? runSideBySide)(tasks, tool)
    else await runInOrder(tasks, [], docker)
    return null
  } catch (error) {
    if (error instanceof StepFailed) return error
    const [first] = tasks
    if (first === undefined || !(error instanceof SpanplanError)) throw error
    return new StepFailed(first, error, [])
  } finally {
    // Its event comes later than the next look.
    forget(...(changedBy.get(tool) ?? []))
  }
}

const areCommands = (tasks: readonly Task[]): tasks is readonly CommandTask[] =>
  tasks.every(({ step }) => 'argv' in step)

/** For a program that reads commands from stdin, a line each. It stops at the first that fails, and names its line. */
async function runLines(tasks: readonly CommandTask[], tool: string): Promise<void> {
  const alone = tasks.map(
    ({ step }, index): Line => ({ argv: step.argv, deletes: step.deletes ?? null, task: index, done: index })
  )
  if (alone.some((line) => lineOf(line.argv) === null)) return runInOrder(tasks, [])
  const argv: Argv = [tool, '-batch', '-']
  const { lines, links } = await groupDeletions(alone)
  const input = lines.map((line) => `${lineOf(line.argv)}\n`).join('')
  const output = await runStarted(argv, input, limitsFor(lines.length)).catch(async (error: unknown) => {
    await ungroup(links).catch(() => undefined)
    throw error
  })
  if (output.status === 0) return
  await ungroup(links)
  const line = lines[Number(/^Command failed -:(\d+)$/m.exec(output.stderr)?.[1]) - 1]
  const task = tasks[line?.task ?? -1]
  // A program that a signal ended names no line.
  if (line === undefined || task === undefined) throw changeFailed(argv, output)
  const stderr = output.stderr.replace(/^Command failed -:\d+\n?/m, '')
  throw new StepFailed(task, changeFailed(line.argv, { ...output, stderr }), tasks.slice(0, line.done))
}

/** For sysctl, which gets all settings at once. It goes on after a setting that fails, and names each that has failed. */
async function runSettings(tasks: readonly CommandTask[]): Promise<void> {
  const output = await run(sysctlCommand(tasks.flatMap(({ step }) => step.sets ?? [])))
  if (output.status === 0) return
  // A message of sysctl names the setting as a path, or with dots.
  const message = output.stderr.replaceAll('.', '/')
  const isNamed = ({ step: { sets } }: CommandTask) => sets && message.includes(sets.key.replaceAll('.', '/'))
  const task = tasks.find(isNamed) ?? tasks[0]
  if (task !== undefined) throw new StepFailed(task, changeFailed(task.step.argv, output), [])
}

/** A step as a line of a batch; null: the step has options for the program itself, which no line can have. */
function lineOf([, ...words]: Argv): string | null {
  return words[0]?.startsWith('-') ? null : batchLine(words)
}

/** @param done gets each task that is done. */
async function runInOrder(tasks: readonly Task[], done: Task[], docker: DockerConnection | null = null): Promise<void> {
  for (const task of tasks) {
    try {
      await runStep(task.step, docker)
    } catch (error) {
      throw error instanceof SpanplanError ? new StepFailed(task, error, done) : error
    }
    done.push(task)
  }
}

async function runStep(step: Step, docker: DockerConnection | null): Promise<void> {
  if ('argv' in step) {
    const output = await run(step.argv)
    if (output.status !== 0) throw changeFailed(step.argv, output)
    return
  }
  if (docker === null) throw new Error('a step for Docker, and no Docker')
  if ('reason' in docker) throw new SpanplanError(docker.reason)
  await callDocker(docker, step.docker)
}

/**
 * For programs that take one step each. xargs does not tell which of its programs has failed. So where one has, all are run again, one
 * by one.
 */
async function runSideBySide(tasks: readonly CommandTask[]): Promise<void> {
  const changes = groupsOf(tasks, ({ change }) => change)
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
async function runByXargs(tasks: readonly CommandTask[]): Promise<boolean> {
  const argvs = tasks.map(({ step }) => step.argv)
  const [first] = argvs
  if (first === undefined || argvs.length < fewestForXargs) return false
  const [program, { length }] = [first[0], first]
  if (argvs.some((argv) => argv[0] !== program || argv.length !== length)) return false
  const argv: Argv = ['xargs', '--null', `--max-args=${length - 1}`, `--max-procs=${concurrency}`, program]
  const items = argvs.flatMap((argv) => argv.slice(1).map((word) => `${word}\0`))
  const output = await run(argv, items.join(''), limitsFor(argvs.length)).catch((error: unknown) => {
    const isMissing =
      error instanceof SpanplanError && error.diagnostics.every(({ code }) => code === 'PROGRAM_MISSING')
    if (isMissing) return null
    throw error
  })
  return output?.status === 0
}

/** A command that changes the host tells a missing right by its words. One that only reads has no status of its own. */
function changeFailed(argv: Argv, output: Output): SpanplanError {
  const { diagnostics } = commandFailed(argv, output)
  return new SpanplanError(
    diagnostics,
    output.stderr.includes('Operation not permitted') ? Exit.missingRight : undefined
  )
}

function isSlow(step: Step): boolean {
  return slowTools.has(toolOf(step)) || ('argv' in step && step.isSlow === true)
}

function toolOf(step: Step): string {
  return 'argv' in step ? step.argv[0] : 'docker'
}

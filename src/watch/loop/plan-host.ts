import { setTimeout as sleep } from 'node:timers/promises'
import { SpanplanError } from '../../errors.ts'
import { defaultLimits } from '../../host/docker/call-limits.ts'
import { forget, topicsOfNft } from '../../host/process/remembered.ts'
import type { DockerAnswer, DockerState } from '../../host/snapshot.ts'
import { readDockerFor, readKernelFor, withDocker } from '../../look/read-host.ts'
import type { HostReading } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import type { Trigger } from '../../status/watch-state.ts'
import { failureOf } from '../degraded/backoff.ts'
import { makePartialPlan, type PartialPlan } from './partial-plan.ts'
import { fullPause, throttleAfter } from './run-queue.ts'

/** Milliseconds for Docker to answer. After that time, passes also apply what a new file changes, and the log has each pass at once. */
export const dockerPatience = 2000

/** Why a pass is made. */
export interface PassCause {
  /** The event; null: that of the run. */
  readonly trigger: Trigger | null
  /** When the pass began, in milliseconds of the monotonic clock. */
  readonly began: number
}

/** What is done when the kernel has answered and Docker has not. */
export interface KernelPass {
  /** Whether the first pass comes before Docker is asked. Else it comes at the first event, or after `patience`. */
  readonly eager: boolean
  /** Milliseconds. Until then, passes repair the settled part alone. */
  readonly patience: number
  /** Leaves of a target the spans that a new file has not changed: of the others, a sensor may leave, and only Docker removes that. */
  readonly settledPart: (target: Target) => Target
  /** What Docker answered to the same question at the last run; null: it was not asked that. */
  readonly lastAnswer: DockerAnswer | null
  /** Gives the trigger of the next event: the pass is done again then. */
  nextWake(): Promise<Trigger>
  /** Waits without the lock. Throws where the lock cannot be had again, or what is planned with is too old by then. */
  wait(waiting: Promise<unknown>): Promise<void>
  /** Repairs what depends on the kernel alone. */
  repair(target: Target, reading: HostReading, pass: PassCause): Promise<void>
}

/** Waits for Docker, and repairs nothing before. */
export const noKernelPass: KernelPass = {
  eager: false,
  patience: dockerPatience,
  settledPart: (target) => target,
  lastAnswer: null,
  nextWake: () => new Promise(() => {}),
  wait: async (waiting) => {
    await waiting
  },
  repair: async () => undefined
}

/**
 * Reads the host, and plans as many spans as can be planned. Docker's API blocks while a container starts, and then its port
 * comes, which is not sealed yet. So what depends on the kernel alone is repaired first, and again at each event, until Docker
 * answers. Where Docker fails, as while it stops, the rest is planned without it. Docker is waited for without the lock, and the
 * kernel is read again after that.
 *
 * @param leavePaused gives what of the target is to be planned. Asked after each reading of the host: whoever pauses a span and
 * then changes the host finds the change as it was made.
 * @throws SpanplanError if the kernel cannot be read, or Docker's answer is not understood.
 */
export async function planHost(
  target: Target,
  leavePaused: (target: Target) => Target,
  { eager, patience, settledPart, lastAnswer, nextWake, wait, repair }: KernelPass
): Promise<PartialPlan> {
  const unread: DockerState = { state: 'deferred', ...(lastAnswer && { last: lastAnswer }) }
  const kernelTarget = { ...target, deferDocker: true }
  const ended = new AbortController()
  const ask = () => {
    const answer = askDocker(target, kernelTarget, unread, ended.signal)
    // Where the kernel cannot be read, or the plan is too old, nothing awaits the answer.
    answer.catch(() => undefined)
    return answer
  }
  const patientUntil = performance.now() + patience
  const patienceEnd = sleep(patience, null, { ref: false })
  // An eager pass asks Docker later: the programs that this starts would slow down the reading of the kernel.
  let request = eager ? null : ask()
  try {
    let trigger: Trigger | null = null
    const noteTrigger = (next: Trigger) => {
      trigger = next
    }
    if (request !== null) await wait(Promise.race([request, nextWake().then(noteTrigger), patienceEnd]))
    let streak = 0
    let wasPatient = patience > 0
    for (;;) {
      const began = performance.now()
      const event = nextWake().then((next) => ({ next, time: performance.now() }))
      const answer = await Promise.race([request, null])
      // A monitor may hang, and tell nothing.
      if (answer !== null) forget(...topicsOfNft)
      const kernel = await readKernelFor(target)
      if (answer !== null) {
        const partial = makePartialPlan(leavePaused(answer.target), withDocker(kernel, answer.docker))
        return { ...partial, failures: [...answer.failures, ...partial.failures] }
      }
      const isPatient = began < patientUntil
      const part = isPatient ? settledPart(kernelTarget) : kernelTarget
      // The first pass after the patience is for the file, whatever has come meanwhile.
      const cause = wasPatient && !isPatient ? null : trigger
      await repair(leavePaused(part), withDocker(kernel, unread), { trigger: cause, began })
      wasPatient = isPatient
      request ??= ask()
      const took = performance.now() - began
      const calmAt = performance.now() + fullPause(took)
      const pass = sleep(Math.max(0, throttleAfter(took, streak++) - took)).then(() => event)
      const woken = pass.then(({ next, time }) => {
        noteTrigger(next)
        if (time >= calmAt) streak = 0
      })
      await wait(Promise.race([request, woken, ...(isPatient ? [patienceEnd] : [])]))
    }
  } finally {
    ended.abort()
  }
}

/** Gives what Docker has answered, and the target that can be planned with that. */
async function askDocker(target: Target, kernelTarget: Target, unread: DockerState, signal: AbortSignal) {
  try {
    return { target, docker: await readDockerFor(target, { ...defaultLimits, signal }), failures: [] }
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.diagnostics[0]?.code !== 'DOCKER_FAILED') throw error
    return { target: kernelTarget, docker: unread, failures: [failureOf(null, error, false)] }
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { readDockerFor, readKernelFor, withDocker } from '../../apply/refresh.ts'
import { diagnosticOf, SpanplanError } from '../../errors.ts'
import type { DockerState } from '../../host/snapshot.ts'
import type { Facts } from '../../plan/plan-view.ts'
import type { FileTarget } from './file-target.ts'
import type { Failure } from './partial-plan.ts'
import { throttleAfter } from './throttle.ts'

/** The host, and what of an aim can be planned with what is known of it. */
export interface Reading {
  readonly target: FileTarget
  readonly facts: Facts
  readonly failures: readonly Failure[]
}

/** Milliseconds that Docker is given to answer, where nothing is to be done without it if that can be helped. */
const patience = 2000

/** What is done once the kernel has answered, and Docker has not. */
export interface KernelPass {
  /** It is done first, whether Docker has answered or not; else only where that takes long. */
  readonly eager: boolean
  /** Settles when something changes from now on. */
  news(): Promise<unknown>
  /** Does what hangs on the kernel alone; whether there was any. */
  mend(target: FileTarget, facts: Facts): Promise<boolean>
}

/** Nothing: Docker is waited for. */
export const onlyWait: KernelPass = { eager: false, news: () => new Promise(() => {}), mend: async () => false }

/**
 * Reads the host. Docker keeps who asks waiting while it starts a container, and that is when a port comes that is not sealed:
 * so what is the kernel's is made true first, and again whenever there is news, until Docker answers. Docker that fails, as
 * while it ends, is no reason to leave all else alone.
 *
 * @throws SpanplanError if the kernel cannot be read, or what Docker says is not understood.
 */
export async function readInPasses(target: FileTarget, { eager, news, mend }: KernelPass): Promise<Reading> {
  const without = { ...target, deferDocker: true }
  const asked = readDockerFor(target).then(
    (docker): Answer => ({ target, docker, failures: [] }),
    (error: unknown): Answer => {
      if (!(error instanceof SpanplanError) || error.diagnostics[0]?.code !== 'DOCKER_FAILED') throw error
      return {
        target: without,
        docker: deferred,
        failures: [{ span: null, diagnostic: diagnosticOf(error), planned: true }]
      }
    }
  )
  // Where the kernel cannot be read, nobody asks for it any more.
  asked.catch(() => undefined)
  for (let streak = 0; ; streak++) {
    const began = performance.now()
    const changed = news()
    const kernel = await readKernelFor(target)
    const answer = await Promise.race([asked, eager ? null : sleep(patience, null, { ref: false })])
    const mended = (answer === null || (eager && streak === 0)) && (await mend(without, withDocker(kernel, deferred)))
    if (answer !== null && !mended) return { ...answer, facts: withDocker(kernel, answer.docker) }
    const took = performance.now() - began
    await Promise.race([asked, sleep(Math.max(0, throttleAfter(took, streak) - took)).then(() => changed)])
  }
}

/** What came of asking Docker. */
interface Answer extends Omit<Reading, 'facts'> {
  readonly docker: DockerState
}

const deferred: DockerState = { state: 'deferred' }

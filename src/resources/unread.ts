import type { Code } from '../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Input, Reading } from '../host/snapshot.ts'
import type { ContainerSelector } from '../spec/values/container-selector.ts'

/** What it means for a plan that an input was not read. */
export interface Unread {
  /** What says of a thing that depends on the input that nothing is done about that thing. */
  readonly wait: Diagnostic
  /** Why a command fails that cannot wait; null: nothing needs the input so much, or it was left for later on purpose. */
  readonly failure: Diagnostic | null
}

type Why = Exclude<Reading, 'read'>['unread']

const inputs: Readonly<Record<Input, (why: Why, purpose: string) => Unread>> = {
  docker: (why, purpose) => ({ wait: waitForDocker(purpose), failure: why === 'deferred' ? null : orDefer(why) }),
  nftables: (why) => ({
    wait:
      why === 'deferred'
        ? diagnostic('TABLE_UNREAD', 'is not checked')
        : diagnostic('TABLE_UNREAD', `is not checked: ${why.message}`, why.hint),
    failure: null
  })
}

/** Adds what else those can do who plan: nobody else has the option. */
function orDefer(why: Diagnostic): Diagnostic {
  const later = 'or leave networks and sensors for a later run: --defer-docker'
  return { ...why, hint: why.hint === undefined ? later : `${why.hint}; ${later}` }
}

/** Why a container's interfaces are not known to a process that does not see what Docker mounts, and what helps. */
export const hiddenNamespace = {
  reason: 'what the host mounts does not come into the mount namespace of this process',
  hint: 'start spanplan again; for containers that start later, let mounts of the host come in: in a unit, no MountFlags=private'
} as const

/** The wait for Docker of what depends on it. */
export function waitForDocker(purpose = ''): Diagnostic {
  return diagnostic('DOCKER_DEFERRED', `waits for Docker${purpose}`)
}

/**
 * What it means that one of these inputs was not read; null: all were.
 *
 * @param purpose what the input is needed for: the end of a sentence; empty: nothing has to be said of it.
 */
export function explainUnread({ readings }: HostIndex, needed: readonly Input[], purpose: string): Unread | null {
  for (const input of needed) {
    const reading = readings[input]
    if (reading !== 'read') return inputs[input](reading.unread, purpose)
  }
  return null
}

/** Why it is not known which containers a selector matches; null: it is known. */
export function explainUnmatched(selector: ContainerSelector, { docker }: HostIndex, code: Code): Diagnostic | null {
  if (docker.state !== 'read') return waitForDocker()
  if (!('container' in selector) || docker.unread.every(({ name }) => name !== selector.container)) return null
  return diagnostic(code, `waits for Docker's description of the container ${selector.container}`)
}

import { readFileSync } from 'node:fs'
import { type Diagnostic, SpanplanError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'

/** By their numbers in linux/capability.h. */
const capabilities = {
  CAP_KILL: 5n,
  CAP_SETGID: 6n,
  CAP_SETUID: 7n,
  CAP_NET_ADMIN: 12n,
  CAP_NET_RAW: 13n,
  CAP_SYS_ADMIN: 21n
} as const

type Capability = keyof typeof capabilities

/** A port of its own, a network namespace for it, and tcpdump as another user in there, whom it can end. */
const capturing: readonly Capability[] = [
  ...(['CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'CAP_NET_RAW', 'CAP_SETUID', 'CAP_SETGID', 'CAP_KILL'] as const)
]

/**
 * Says which rights are missing, all at once, before anything is changed.
 *
 * @param lock what keeps the lock from being taken: of no account where there is nothing to change.
 * @param docker what keeps Docker from being asked.
 * @throws SpanplanError with a notice for each.
 */
export function checkRights(plan: Plan, lock: readonly Diagnostic[], docker: readonly Diagnostic[]): void {
  const changesNetwork = plan.changes.some(({ stages }) =>
    stages.some(({ steps }) => steps.some((step) => 'argv' in step))
  )
  const filters = plan.waiting.filter((wait) => wait.diagnostic.code === 'FILTER_FORBIDDEN')
  const missing = [
    ...(changesNetwork && !has('CAP_NET_ADMIN') ? [needsRoot('changing the network needs CAP_NET_ADMIN')] : []),
    ...filters.slice(0, 1).map(({ title, diagnostic }) => needsRoot(`${title} ${diagnostic.message}`)),
    ...docker,
    ...(plan.changes.length > 0 || docker.length > 0 ? lock : [])
  ]
  const last = missing.at(-1)
  if (last === undefined) return
  throw new SpanplanError([...missing.slice(0, -1), { ...last, message: `${last.message}. Nothing was changed.` }])
}

/**
 * Says which rights are missing for a capture.
 *
 * @throws SpanplanError RIGHT_MISSING.
 */
export function checkCapturing(): void {
  const missing = capturing.filter((capability) => !has(capability))
  if (missing.length > 0) throw new SpanplanError(needsRoot(`capturing needs ${missing.join(', ')}`))
}

function needsRoot(message: string): Diagnostic {
  return { code: 'RIGHT_MISSING', message, hint: 'run it as root, with sudo' }
}

/** proc_pid_status(5): the effective capabilities, a bit each. */
function has(capability: Capability): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> capabilities[capability]) & 1n) === 1n
}

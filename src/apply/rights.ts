import { readFileSync } from 'node:fs'
import { type Notice, SpanplanError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'

/** CAP_NET_ADMIN's number in linux/capability.h. */
const netAdmin = 12n

/**
 * Says which rights are missing, all at once, before anything is changed.
 *
 * @param lock what keeps the lock from being taken: of no account where there is nothing to change.
 * @param docker what keeps Docker from being asked.
 * @throws SpanplanError with a notice for each.
 */
export function checkRights(plan: Plan, lock: readonly Notice[], docker: readonly Notice[]): void {
  const changesNetwork = plan.changes.some(({ stages }) =>
    stages.some(({ steps }) => steps.some((step) => 'argv' in step))
  )
  const filters = plan.waiting.filter((wait) => wait.notice.code === 'FILTER_FORBIDDEN')
  const missing = [
    ...(changesNetwork && !hasNetAdmin() ? [needsRoot('changing the network needs CAP_NET_ADMIN')] : []),
    ...filters.slice(0, 1).map(({ title, notice }) => needsRoot(`${title} ${notice.message}`)),
    ...docker,
    ...(plan.changes.length > 0 || docker.length > 0 ? lock : [])
  ]
  const last = missing.at(-1)
  if (last === undefined) return
  throw new SpanplanError([...missing.slice(0, -1), { ...last, message: `${last.message}. Nothing was changed.` }])
}

function needsRoot(message: string): Notice {
  return { code: 'RIGHT_MISSING', message, hint: 'run it as root, with sudo' }
}

/** proc_pid_status(5): the effective capabilities, a bit each. */
function hasNetAdmin(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> netAdmin) & 1n) === 1n
}

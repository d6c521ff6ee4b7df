import { readFileSync } from 'node:fs'
import { SpanplanError } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'

/** CAP_NET_ADMIN's number in linux/capability.h. */
const netAdmin = 12n

/**
 * Says what right is missing before anything is changed.
 *
 * @throws SpanplanError RIGHT_MISSING
 */
export function checkRights(plan: Plan): void {
  const changesNetwork = plan.changes.some(({ stages }) =>
    stages.some(({ steps }) => steps.some((step) => 'argv' in step))
  )
  if (changesNetwork && !hasNetAdmin()) throw missing('changing the network needs CAP_NET_ADMIN')
  const forbidden = plan.waiting.find((wait) => wait.notice.code === 'FILTER_FORBIDDEN')
  if (forbidden) throw missing(`${forbidden.title} ${forbidden.notice.message}`)
}

function missing(what: string): SpanplanError {
  const message = `${what}. Nothing was changed.`
  return new SpanplanError({ code: 'RIGHT_MISSING', message, hint: 'run it as root, with sudo' })
}

/** proc_pid_status(5): the effective capabilities, a bit each. */
function hasNetAdmin(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> netAdmin) & 1n) === 1n
}

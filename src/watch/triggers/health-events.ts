import * as z from 'zod'

/** An event of the daemon. It tells the outcome of a health check in `Action`; Podman's in a field of its own. */
const daemonEvent = z.object({
  Action: z.string(),
  HealthStatus: z.string().optional(),
  Actor: z.object({ ID: z.string() })
})

/** So many containers are remembered. Of more, an event is news again. */
const mostRemembered = 10_000

/**
 * Gives a function that tells whether an event of the daemon, one line of JSON, is news. Docker tells a container's health when it changes;
 * Podman tells it after each check, so each few seconds. What was told before a container started or ended says nothing of it since: it is
 * `starting` then, which has no event.
 */
export function openHealthFilter(): (line: string) => boolean {
  const last = new Map<string, string>()
  return (line) => {
    const event = parseLine(line)
    if (event === null) return true
    const { Action, HealthStatus = '', Actor } = event
    if (!Action.startsWith('health_status')) {
      last.delete(Actor.ID)
      return true
    }
    const said = `${Action} ${HealthStatus}`
    if (last.get(Actor.ID) === said) return false
    if (last.size >= mostRemembered) last.clear()
    last.set(Actor.ID, said)
    return true
  }
}

/** null: the line is not understood. */
function parseLine(line: string): z.infer<typeof daemonEvent> | null {
  try {
    return daemonEvent.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null
  }
}

import * as z from 'zod'

/** An event of the daemon, as far as it tells the outcome of a health check: Docker in `Action`, Podman in a field of its own. */
const healthEvent = z.object({
  Action: z.string().startsWith('health_status'),
  HealthStatus: z.string().optional(),
  Actor: z.object({ ID: z.string() })
})

/** So many containers are remembered. Of more, an event is news again. */
const mostRemembered = 10_000

/**
 * Gives a function that tells whether an event of the daemon, one line of JSON, is news. Docker tells a container's health when it changes;
 * Podman tells it after each check, so each few seconds.
 */
export function openHealthFilter(): (line: string) => boolean {
  const last = new Map<string, string>()
  return (line) => {
    const event = parseLine(line)
    if (event === null) return true
    const { Action, HealthStatus = '', Actor } = event
    const said = `${Action} ${HealthStatus}`
    if (last.get(Actor.ID) === said) return false
    if (last.size >= mostRemembered) last.clear()
    last.set(Actor.ID, said)
    return true
  }
}

/** null: it tells something else, or is not understood. */
function parseLine(line: string): z.infer<typeof healthEvent> | null {
  try {
    return healthEvent.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null
  }
}

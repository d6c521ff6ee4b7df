import * as z from 'zod'
import { Exit, SpanplanError } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { type Lock, readHolder, takeLock } from '../../run-dir/lock.ts'
import { type Listener, listenAt } from '../../run-dir/socket.ts'
import type { Trigger, WatchState } from '../../status/watch-state.ts'
import { controlPath, type FirstSample } from './ask-watch.ts'

const request = z.union([
  z.object({ ask: z.literal('look'), trigger: z.enum(['hook', 'resume']) }),
  z.object({ ask: z.literal('state') }),
  z.object({ ask: z.literal('first-sample') })
])

/** What answers those who ask a watch. */
interface Answers {
  look(trigger: Trigger): void
  state(): WatchState
  firstSample(): FirstSample
}

/**
 * Makes sure that there is one watch of a name in this network namespace.
 *
 * @throws SpanplanError WATCH_RUNS if there is another.
 */
export async function claimName(name: string, command: string): Promise<Lock> {
  const kind = `${name}.watching`
  try {
    return await takeLock({ kind, command, timeout: 0, signal: new AbortController().signal })
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.diagnostics[0]?.code !== 'LOCKED') throw error
    const holder = readHolder(kind)
    const who = holder === null ? '' : `: pid ${holder.pid}, since ${localTime(holder.since)}`
    const message = `a watch keeps the spans of the name ${name} already${who}`
    const hint = 'end that one first; spanplan status tells what it does'
    throw new SpanplanError({ code: 'WATCH_RUNS', message, hint }, Exit.locked)
  }
}

/**
 * Listens for those who ask. Whoever holds the name's lock may call it.
 *
 * @throws if it cannot listen.
 */
export function openControl(name: string, answers: Answers): Promise<Listener> {
  return listenAt(controlPath(name), async (line) => {
    const answer = respond(line, answers)
    return answer === null ? null : JSON.stringify(answer)
  })
}

function respond(line: string, answers: Answers): object | null {
  const asked = parse(line)
  if (asked === null) return null
  if (asked.ask === 'state') return answers.state()
  if (asked.ask === 'first-sample') return answers.firstSample()
  answers.look(asked.trigger)
  return { ok: true }
}

function parse(line: string): z.infer<typeof request> | null {
  try {
    return request.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null
  }
}

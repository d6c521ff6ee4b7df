import type { Server, Socket } from 'node:net'
import * as z from 'zod'
import { type Lock, readHolder, takeLock } from '../apply/lock.ts'
import { listenAt } from '../apply/socket.ts'
import { Exit, SpanplanError } from '../errors.ts'
import { localTime } from '../local-time.ts'
import { controlPath, type FirstSample } from './ask.ts'
import type { Trigger, WatchState } from './state.ts'

const request = z.union([
  z.object({ ask: z.literal('look'), trigger: z.enum(['hook', 'resume']) }),
  z.object({ ask: z.literal('state') }),
  z.object({ ask: z.literal('first-sample') })
])

/** Characters of a request; those that are asked have some 40. */
const longestRequest = 1024

/** Milliseconds that a connection lives. */
const longestConnection = 2000

/** Connections at a time: what is more is closed as it comes. */
const mostConnections = 64

/** What answers those who ask a watch. */
interface Answers {
  look(trigger: Trigger): void
  state(): WatchState
  firstSample(): FirstSample
}

/** Where a watch is asked. */
export interface Control {
  close(): void
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
    if (!(error instanceof SpanplanError) || error.notices[0]?.code !== 'LOCKED') throw error
    const holder = readHolder(kind)
    const who = holder === null ? '' : `: pid ${holder.pid}, since ${localTime(holder.since)}`
    const message = `a watch keeps the spans of the name ${name} already${who}`
    const hint = 'end that one first; spanplan status tells what it does'
    throw new SpanplanError({ code: 'WATCH_RUNS', message, hint }, Exit.locked)
  }
}

/**
 * Listens for those who ask. Whoever holds the name's lock may call it. Whatever they say, or do not say, it costs little,
 * and comes to an end.
 *
 * @throws if it cannot listen.
 */
export async function openControl(name: string, answers: Answers): Promise<Control> {
  const server: Server = await listenAt(controlPath(name))
  server.maxConnections = mostConnections
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    const timer = setTimeout(() => socket.destroy(), longestConnection)
    socket.once('close', () => {
      clearTimeout(timer)
      sockets.delete(socket)
    })
    socket.on('error', () => undefined)
    hear(socket, answers)
  })
  return {
    close: () => {
      // The socket's file goes with it.
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}

function hear(socket: Socket, answers: Answers): void {
  let text = ''
  socket.setEncoding('utf8').on('data', (more) => {
    text += more
    const end = text.indexOf('\n')
    if (end < 0 && text.length <= longestRequest) return
    socket.removeAllListeners('data').resume()
    const answer = end < 0 || end > longestRequest ? null : respond(text.slice(0, end), answers)
    if (answer === null) socket.destroy()
    else socket.end(`${JSON.stringify(answer)}\n`)
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

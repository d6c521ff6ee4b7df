import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import * as z from 'zod'
import { type Notice, SpanplanError } from '../errors.ts'
import { runFile } from './lock.ts'
import { listenAt } from './socket.ts'

/** What a person says of an apply that waits. */
export type Word = 'confirm' | 'rollback'

/** How the waiting ends: with a person's word, because the time is over, or by a signal. */
export type Verdict = Word | 'expired' | 'interrupted'

const answer = z.object({ done: z.boolean(), message: z.string() })

/** What came of a word: for the person who said it. */
export type Answer = z.infer<typeof answer>

/** An apply that is done, and waits for a person to say that it is good. */
export interface Trial {
  readonly verdict: Promise<Verdict>
  /** Tells the outcome to whoever gave the word, and stops listening. */
  close(outcome: Answer): Promise<void>
}

/**
 * Waits for a word from another process of this host, from `here`, for the time to run out or for a signal. Whoever holds
 * the lock may call it: nobody else listens at the socket then.
 *
 * @param milliseconds until it has expired.
 * @param here asks for the word of the terminal on which the apply runs, once others are heard; null if that gives none.
 * @throws if it cannot listen.
 */
export async function startTrial(
  milliseconds: number,
  here: () => Promise<Word> | null,
  signal: AbortSignal
): Promise<Trial> {
  const sockets = new Set<Socket>()
  const asking = new Set<Socket>()
  const path = runFile('sock')
  const server = await listenAt(path)
  const verdict = new Promise<Verdict>((resolve) => {
    const timer = setTimeout(resolve, milliseconds, 'expired')
    const settle = (word: Verdict) => {
      clearTimeout(timer)
      resolve(word)
    }
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      hear(socket, asking, settle)
    })
    here()?.then(settle, () => undefined)
    if (signal.aborted) settle('interrupted')
    signal.addEventListener('abort', () => settle('interrupted'), { once: true })
  })
  return {
    verdict,
    close: async (outcome) => {
      server.close()
      rmSync(path, { force: true })
      await Promise.all([...asking].map((socket) => tell(socket, outcome)))
      for (const socket of sockets) socket.destroy()
    }
  }
}

/** Whoever says nothing, or something else, is not waited for. */
function hear(socket: Socket, asking: Set<Socket>, settle: (word: Word) => void): void {
  socket.on('error', () => undefined)
  createInterface(socket).once('line', (line) => {
    if (line === 'confirm' || line === 'rollback') {
      asking.add(socket)
      settle(line)
    } else socket.destroy()
  })
}

async function tell(socket: Socket, outcome: Answer): Promise<void> {
  await new Promise<void>((resolve) => {
    // Called also where the other end has gone.
    socket.end(JSON.stringify(outcome), resolve)
  })
}

/**
 * Says a word to the apply that waits in this network namespace, and gives back what came of it.
 *
 * @throws SpanplanError NOTHING_WAITS, or RIGHT_MISSING.
 */
export async function sayWord(word: Word): Promise<Answer> {
  const socket = connect({ path: runFile('sock'), allowHalfOpen: true })
  try {
    await once(socket, 'connect')
    socket.end(`${word}\n`)
    return answer.parse(JSON.parse(await text(socket)))
  } catch (error) {
    throw new SpanplanError(describe(error), undefined, { cause: error })
  } finally {
    socket.destroy()
  }
}

function describe(error: unknown): Notice {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EACCES') {
    return {
      code: 'RIGHT_MISSING',
      message: 'the apply that waits is of another user, who alone may say it',
      hint: 'run it as that user, or as root'
    }
  }
  return {
    code: 'NOTHING_WAITS',
    message: 'no apply waits for confirmation here',
    hint: 'see spanplan apply --rollback-after'
  }
}

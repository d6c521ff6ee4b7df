import { once } from 'node:events'
import { lstatSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { isTrustedUser } from '../host/file-owners.ts'
import { checkRunFolder } from './folder.ts'

/** Bytes of the path of a socket: sun_path in unix(7), less its end. Node cuts a longer one off. */
const longestPath = 107

/** Characters of what is said; the longest that is understood has some 40. */
const longestLine = 1024

/** Characters of an answer: the state of a watch with a thousand spans has a tenth of that. */
const longestAnswer = 16 * 1024 * 1024

/** Milliseconds in which whoever connects says something, and then reads the answer. */
const patience = 2000

/** Connections at a time: what is more is closed as it comes. */
const mostConnections = 64

/** What listens at a socket. */
export interface Listener {
  /** Gives the answers that are due, and stops. */
  close(): Promise<void>
}

/**
 * Listens at a path of the run directory, for this user alone: whoever connects says one line, and gets one for it. Whoever
 * calls it knows that nobody else listens there: what one that was killed has left is removed. Whatever is said, or is not
 * said, it costs little, and comes to an end.
 *
 * @param answer gives the answer to a line; null: there is none.
 * @throws if it cannot listen.
 */
export async function listenAt(path: string, answer: (line: string) => Promise<string | null>): Promise<Listener> {
  if (Buffer.byteLength(path) > longestPath) throw new Error(`${path} is too long a path for a socket`)
  rmSync(path, { force: true })
  const server = createServer({ allowHalfOpen: true })
  server.maxConnections = mostConnections
  const sockets = new Set<Socket>()
  const answering = new Set<Promise<void>>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    const endSoon = () => setTimeout(() => socket.destroy(), patience)
    let timer = endSoon()
    socket.once('close', () => {
      clearTimeout(timer)
      sockets.delete(socket)
    })
    socket.on('error', () => undefined)
    hear(socket, (line) => {
      clearTimeout(timer)
      const given = answer(line).then((text) => {
        timer = endSoon()
        return tell(socket, text)
      })
      answering.add(given)
      given.finally(() => answering.delete(given))
    })
  })
  // Node makes the socket before it returns: there is no moment in which others may connect.
  const umask = process.umask(0o177)
  try {
    server.listen(path)
  } finally {
    process.umask(umask)
  }
  await once(server, 'listening')
  return {
    close: async () => {
      // The socket's file goes with it.
      server.close()
      await Promise.all(answering)
      for (const socket of sockets) socket.destroy()
    }
  }
}

function hear(socket: Socket, onLine: (line: string) => void): void {
  let text = ''
  socket.setEncoding('utf8').on('data', (more) => {
    text += more
    const end = text.indexOf('\n')
    if (end < 0 && text.length <= longestLine) return
    socket.removeAllListeners('data').resume()
    if (end < 0 || end > longestLine) socket.destroy()
    else onLine(text.slice(0, end))
  })
}

async function tell(socket: Socket, text: string | null): Promise<void> {
  if (text === null || socket.destroyed) {
    socket.destroy()
    return
  }
  await new Promise<void>((resolve) => {
    // Called also where the other end has gone.
    socket.end(`${text}\n`, resolve)
  })
}

/**
 * Says a line at a socket of the run directory, and gives the answer: empty if there was none. Nobody is believed but this
 * user and root.
 *
 * @param within milliseconds for all of it.
 * @throws if nobody listens, the answer does not come in time or does not end, or others could give it.
 */
export async function converse(path: string, line: string, within: number): Promise<string> {
  checkRunFolder()
  const stats = lstatSync(path)
  if (!stats.isSocket() || !isTrustedUser(stats.uid)) throw new Error(`${path} is not of this user, nor of root`)
  const socket = connect({ path, allowHalfOpen: true }).setEncoding('utf8')
  const timer = setTimeout(() => socket.destroy(new Error(`no answer came within ${within / 1000} s`)), within)
  let text = ''
  try {
    await once(socket, 'connect')
    socket.write(`${line}\n`)
    for await (const chunk of socket) {
      text += chunk
      if (chunk.includes('\n')) break
      if (text.length > longestAnswer) throw new Error('the answer does not end')
    }
    return text.slice(0, text.indexOf('\n') + 1)
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

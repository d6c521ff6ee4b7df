/**
 * How spanplans of one network namespace ask each other: one request a connection, over a socket in the run directory. A request
 * is a line: a word, and for some words a space and an argument. Its answer is JSON in a line.
 */
import { once } from 'node:events'
import { lstatSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { isTrustedUser } from '../host/files/permissions.ts'
import { checkRunFolder, runFile } from './folder.ts'

/** Bytes of the path of a socket: sun_path in unix(7), less its end. Node cuts a longer one off. */
const longestPath = 107

/** Characters of a request: a path has at most 4,096 (PATH_MAX in limits.h), and a hook sends one or two. */
const longestRequest = 16 * 1024

/** Characters of an answer: the state of a watch with a thousand spans has a tenth of that. */
const longestAnswer = 16 * 1024 * 1024

/** Milliseconds for a client to send its request, and again to read its answer. */
const clientTimeLimit = 2000

/** Connections at a time. Further ones are closed as they come. */
const mostConnections = 64

/** By the word of a request, what gives the answer, as a value that JSON can hold. The argument is empty where there is none. */
export type Answers = Readonly<Record<string, (argument: string) => unknown>>

/** A server that listens at a socket. */
export interface SocketServer {
  /** Gives the answers that are due, and stops. */
  close(): Promise<void>
}

/**
 * Answers requests at a socket of the run directory, for this user alone. The caller knows that no other process listens
 * there: the socket of a process that was killed is removed. Whatever a client sends, or does not send, costs little and ends.
 *
 * @param kind which file of the run directory is the socket.
 * @param answers a request that is not among them gets no answer.
 * @throws if it cannot listen.
 */
export async function serveRequests(kind: string, answers: Answers): Promise<SocketServer> {
  const path = runFile(kind)
  if (Buffer.byteLength(path) > longestPath) throw new Error(`${path} is too long for the path of a socket`)
  rmSync(path, { force: true })
  // No member of Object.prototype is a request.
  const answerOf = new Map(Object.entries(answers))
  const server = createServer({ allowHalfOpen: true })
  server.maxConnections = mostConnections
  const sockets = new Set<Socket>()
  const answering = new Set<Promise<void>>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    const limit = () => setTimeout(() => socket.destroy(), clientTimeLimit)
    let timer = limit()
    socket.once('close', () => {
      clearTimeout(timer)
      sockets.delete(socket)
    })
    socket.on('error', () => undefined)
    readRequest(socket, (request) => {
      const [word = ''] = request.split(' ', 1)
      const answer = answerOf.get(word)
      if (answer === undefined) {
        socket.destroy()
        return
      }
      // An answer may take long: a rollback is done first.
      clearTimeout(timer)
      const given = Promise.resolve(answer(request.slice(word.length + 1))).then((value) => {
        timer = limit()
        return writeAnswer(socket, value)
      })
      answering.add(given)
      given.finally(() => answering.delete(given))
    })
  })
  // Node makes the socket before listen() returns: at no moment may another user connect.
  const umask = process.umask(0o177)
  try {
    server.listen(path)
  } finally {
    process.umask(umask)
  }
  await once(server, 'listening')
  return {
    close: async () => {
      // This removes the socket's file too.
      server.close()
      await Promise.all(answering)
      for (const socket of sockets) socket.destroy()
    }
  }
}

function readRequest(socket: Socket, onRequest: (request: string) => void): void {
  let text = ''
  socket.setEncoding('utf8').on('data', (more) => {
    text += more
    const end = text.indexOf('\n')
    if (end < 0 && text.length <= longestRequest) return
    socket.removeAllListeners('data').resume()
    if (end < 0 || end > longestRequest) socket.destroy()
    else onRequest(text.slice(0, end))
  })
}

async function writeAnswer(socket: Socket, value: unknown): Promise<void> {
  if (socket.destroyed) return
  await new Promise<void>((resolve) => {
    // Called also where the client has gone.
    socket.end(`${JSON.stringify(value)}\n`, resolve)
  })
}

/**
 * Sends a request to a socket of the run directory, and gives the answer. Only a server of this user or of root is believed.
 *
 * @param kind which file of the run directory is the socket.
 * @param request a line of at most 16 KB.
 * @param timeLimit milliseconds, from the connection to the end of the answer.
 * @throws if nobody listens, the answer is no JSON, does not come in time or does not end, or another user could give it.
 */
export async function sendRequest(kind: string, request: string, timeLimit: number): Promise<unknown> {
  checkRunFolder()
  const path = runFile(kind)
  const stats = lstatSync(path)
  if (!stats.isSocket() || !isTrustedUser(stats.uid))
    throw new Error(`${path} belongs neither to this user nor to root`)
  const socket = connect({ path, allowHalfOpen: true }).setEncoding('utf8')
  const timer = setTimeout(() => socket.destroy(new Error(`no answer came within ${timeLimit / 1000} s`)), timeLimit)
  let text = ''
  try {
    await once(socket, 'connect')
    socket.write(`${request}\n`)
    for await (const chunk of socket) {
      text += chunk
      if (chunk.includes('\n')) break
      if (text.length > longestAnswer) throw new Error('the answer is too long')
    }
    return JSON.parse(text.slice(0, text.indexOf('\n') + 1))
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

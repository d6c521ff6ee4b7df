/** A way to the lab's Docker on which one request goes wrong. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { Lab } from '../lab.ts'

/** What goes wrong with a request that changes something. */
export interface DockerMishap {
  /** The n-th of them in one run, from 1. */
  readonly request: number
  readonly how: How
  /** Every later one too. */
  readonly onward?: boolean
}

type How =
  /** It is answered with an error, and not passed on. */
  | 'refuse'
  /** It is passed on, and answered with an error all the same. */
  | 'deceive'
  /** The connection is cut before it is passed on. */
  | 'cut before'
  /** It is passed on, and the connection cut instead of an answer. */
  | 'cut after'
  /** What `meanwhile` does is done before it is passed on. */
  | 'hold before'
  /** What `meanwhile` does is done before it is answered. */
  | 'hold after'

type Change = (url: string, body: string) => string | null

export interface FaultyDocker {
  /** For spanplan. */
  readonly env: Readonly<Record<string, string>>
  /** What has changed something since the last `prepare`. */
  readonly requests: readonly string[]
  /** From now on, what Docker tells is told as this makes it, or a byte a second where that is null. Without it: as it is. */
  tamper(change: Change | null): void
  /** Begins to count anew. */
  prepare(mishap?: DockerMishap, meanwhile?: () => Promise<void>): void
  close(): Promise<void>
}

/** Listens on a socket of the lab's, and passes on to its Docker. */
export async function startFaultyDocker(lab: Lab): Promise<FaultyDocker> {
  const socket = join(lab.files, 'faulty.sock')
  const requests: string[] = []
  let fault: DockerMishap | undefined
  let meanwhile = async () => {}
  let change: Change | null = null

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method = 'GET', url = '/' } = incoming
    const body = await buffer(incoming)
    if (/^\/events/.test(url)) return follow(outgoing, await ask(lab, incoming, body))
    const pass = () => passOn(lab, incoming, body)
    if (method === 'GET' || method === 'HEAD') {
      const reply = await pass()
      const body = change === null ? reply.body : change(url, reply.body.toString())
      return body === null ? drip(outgoing) : answer(outgoing, { head: reply.head, body: Buffer.from(body) })
    }
    requests.push(`${method} ${url} ${body}`)
    const struck = fault && (fault.onward ? requests.length >= fault.request : requests.length === fault.request)
    if (!fault || !struck) return answer(outgoing, await pass())
    switch (fault.how) {
      case 'refuse':
        return refuse(outgoing)
      case 'deceive':
        await pass()
        return refuse(outgoing)
      case 'cut before':
        return outgoing.destroy()
      case 'cut after':
        await pass()
        return outgoing.destroy()
      case 'hold before':
        await meanwhile()
        return answer(outgoing, await pass())
      case 'hold after': {
        const reply = await pass()
        await meanwhile()
        return answer(outgoing, reply)
      }
    }
  }
  // Who is killed while it asks, hears no answer.
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy())
  })
  server.listen(socket)
  await once(server, 'listening')
  return {
    env: { DOCKER_HOST: `unix://${socket}` },
    requests,
    prepare(mishap, action = async () => {}) {
      requests.length = 0
      fault = mishap
      meanwhile = action
    },
    tamper(how) {
      change = how
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

interface Reply {
  readonly head: IncomingMessage
  readonly body: Buffer
}

async function passOn(lab: Lab, incoming: IncomingMessage, body: Buffer): Promise<Reply> {
  const head = await ask(lab, incoming, body)
  return { head, body: await buffer(head) }
}

async function ask(lab: Lab, incoming: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
  const socketPath = lab.dockerHost.slice('unix://'.length)
  const { method, url, headers } = incoming
  const asked = request({ socketPath, method, path: url, headers })
  asked.end(body)
  const [head]: IncomingMessage[] = await once(asked, 'response')
  if (head === undefined) throw new Error('Docker gave no answer')
  return head
}

/** For as long as both ends like. */
function follow(outgoing: ServerResponse, head: IncomingMessage): void {
  outgoing.writeHead(head.statusCode ?? 500, head.headers).flushHeaders()
  head.pipe(outgoing)
  outgoing.once('close', () => head.destroy())
  head.once('error', () => outgoing.destroy())
}

function drip(outgoing: ServerResponse): void {
  const timer = setInterval(() => outgoing.write(' '), 1000)
  outgoing.once('close', () => clearInterval(timer))
}

function answer(outgoing: ServerResponse, { head, body }: Reply): void {
  const { 'transfer-encoding': _, 'content-length': __, ...headers } = head.headers
  outgoing.writeHead(head.statusCode ?? 500, headers).end(body)
}

function refuse(outgoing: ServerResponse): void {
  outgoing.writeHead(500, { 'content-type': 'application/json' }).end('{"message":"made up"}')
}

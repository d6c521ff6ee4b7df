import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import { diagnostic, messageOf, SpanplanError, systemCode, systemReason } from '../../errors.ts'
import { isOwnHost } from './host-header.ts'

/** Where to listen. */
export interface ListenAddress {
  /** An IPv4 or IPv6 address, without brackets. */
  readonly host: string
  readonly port: number
}

/** The answer to a request. */
export interface Page {
  readonly status: number
  /** For the header Content-Type. */
  readonly type: string
  readonly body: string
}

/** The pages by path. */
export type Pages = ReadonlyMap<string, () => Promise<Page>>

/** An HTTP server that listens. */
export interface HttpListener {
  /** The port, also where the kernel chose it (port 0). */
  readonly port: number
  /** Closes every connection too. */
  close(): void
}

/** Milliseconds: Prometheus' default scrape_timeout. */
const longestConnection = 10_000

/** Connections at a time: a few scrapers and a browser. */
const mostConnections = 64

/** Connections that wait to be accepted, as many as the kernel allows (net.core.somaxconn): a flood keeps no probe out. */
const mostWaiting = 4096

/** Bytes of a request's line and headers. Prometheus sends some 300. */
const largestHeader = 8192

/** The address as a user writes it. */
export function writeListenAddress({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Serves pages over HTTP: one request of GET or HEAD a connection. Whatever a client does costs little, and ends.
 *
 * @param longest milliseconds that a connection lives, whatever the client sends, and however slowly it reads.
 * @throws SpanplanError LISTEN_FAILED.
 */
export async function listen(address: ListenAddress, pages: Pages, longest = longestConnection): Promise<HttpListener> {
  const limit = limitConnections(mostConnections)
  const server = createServer({ maxHeaderSize: largestHeader }, (request, response) => {
    // A further request on the connection gets no answer.
    if (limit.onRequest(request.socket)) void answer(request, response, pages, address)
  })
  server.on('connection', (socket) => {
    limit.onConnect(socket)
    const end = setTimeout(() => socket.destroy(), longest)
    socket.once('close', () => clearTimeout(end))
  })
  const port = await bind(server, address)
  // Where a connection cannot be accepted (no descriptors left), only that one is lost.
  server.on('error', () => undefined)
  return {
    port,
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}

/**
 * Keeps `most` connections. For each further one, the oldest is closed: of those without a request where these have more than
 * half of the seats, else of those that wait for their answer. So neither a flood of silent clients nor one of slow pages keeps
 * a probe from asking and being answered.
 *
 * A probe among a thousand clients that connect at once is answered, too. Node accepts one connection in a round of its event
 * loop (seen with libuv 1.46) and reads from it in the next round: by then, `most` others cannot have come.
 */
function limitConnections(most: number) {
  const [silent, requesting] = [new Set<Socket>(), new Set<Socket>()]
  const remove = (socket: Socket) => {
    silent.delete(socket)
    requesting.delete(socket)
  }
  return {
    onConnect: (socket: Socket): void => {
      socket.once('close', () => remove(socket))
      silent.add(socket)
      if (silent.size + requesting.size <= most) return
      const [oldest] = silent.size > most / 2 ? silent : requesting
      if (oldest === undefined) return
      remove(oldest)
      oldest.destroy()
    },
    /** The request is complete. Gives whether it is the connection's first. */
    onRequest: (socket: Socket): boolean => {
      const isFirst = silent.delete(socket)
      if (isFirst && !socket.destroyed) requesting.add(socket)
      return isFirst
    }
  }
}

async function bind(server: Server, address: ListenAddress): Promise<number> {
  try {
    await once(server.listen({ ...address, backlog: mostWaiting }), 'listening')
  } catch (error) {
    const code = systemCode(error)
    if (code === undefined) throw error
    const message = `cannot listen at ${writeListenAddress(address)}: ${systemReason(error)}`
    throw new SpanplanError(diagnostic('LISTEN_FAILED', message, hints[code]))
  }
  const bound = server.address()
  return bound !== null && typeof bound === 'object' ? bound.port : address.port
}

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'name another port, or see which program it is: ss -ltnp',
  EADDRNOTAVAIL: 'see which it has: ip address',
  EACCES: 'only root can use ports below 1024: name another'
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
  { host }: ListenAddress
): Promise<void> {
  response.shouldKeepAlive = false
  const { localAddress = host } = request.socket
  const isForUs = isOwnHost(request.headers.host, [host, localAddress])
  const { status, type, body, allow } = isForUs ? await findPage(request, pages) : misdirected
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...(allow && { Allow: allow })
  })
  response.end(body)
}

/** The reason is for a person: the name that was asked for may be anybody's, and is not repeated. */
const misdirected: Page & { allow?: string } = plainPage(
  421,
  'The Host of this request is not an address or a name of this server. Ask by its address, or through a proxy that does'
)

async function findPage({ method, url = '' }: IncomingMessage, pages: Pages): Promise<Page & { allow?: string }> {
  const page = pages.get(url.replace(/\?.*$/s, ''))
  if (page === undefined) return plainPage(404, `There is: ${[...pages.keys()].join(', ')}`)
  if (method !== 'GET' && method !== 'HEAD') {
    return { ...plainPage(405, 'Only GET and HEAD are supported'), allow: 'GET, HEAD' }
  }
  try {
    return await page()
  } catch (error) {
    return plainPage(500, `This is a bug in spanplan: ${messageOf(error)}`)
  }
}

/** A page of plain text. */
export function plainPage(status: number, text: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` }
}

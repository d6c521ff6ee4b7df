import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { BlockList, isIPv6, type Socket } from 'node:net'
import { SpanplanError } from '../../errors.ts'

/** Where to listen. */
export interface ListenAddress {
  /** An IPv4 or IPv6 address, without brackets. */
  readonly host: string
  readonly port: number
}

/** What a request gets. */
export interface Page {
  readonly status: number
  /** For the header Content-Type. */
  readonly type: string
  readonly body: string
}

/** What there is to get, by path. */
export type Pages = ReadonlyMap<string, () => Promise<Page>>

/** A server that listens. */
export interface Listener {
  /** The port, also where the kernel chose it. */
  readonly port: number
  /** Ends it, with every connection. */
  close(): void
}

/** Milliseconds: after so long Prometheus has given up, by default (scrape_timeout). */
const longestConnection = 10_000

/** Connections at a time: a few scrapers, and somebody who looks. For one more, the oldest that has not asked yet is closed. */
const mostConnections = 64

/** Connections that wait to be accepted, so that a flood keeps no probe out: as many as the kernel lets (net.core.somaxconn). */
const mostWaiting = 4096

/** Bytes of a request's line and headers. Those of Prometheus are some 300. */
const largestHeader = 8192

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether only this host can reach the address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}

/** The address as it is written. */
export function writeListenAddress({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Serves pages over HTTP, to GET and HEAD only: one request a connection. Whatever clients do, it costs little, and comes
 * to an end.
 *
 * @param longest milliseconds that a connection lives, whatever comes on it, and however slowly it is read.
 * @throws SpanplanError LISTEN_FAILED.
 */
export async function listen(address: ListenAddress, pages: Pages, longest = longestConnection): Promise<Listener> {
  const seats = openSeats(mostConnections)
  const served = new WeakSet<Socket>()
  const server = createServer({ maxHeaderSize: largestHeader }, (request, response) => {
    // What was sent after a first request goes with the connection.
    if (served.has(request.socket)) return
    served.add(request.socket)
    seats.asks(request.socket)
    void answer(request, response, pages)
  })
  server.on('connection', (socket) => {
    seats.comes(socket)
    const end = setTimeout(() => socket.destroy(), longest)
    socket.once('close', () => clearTimeout(end))
  })
  const port = await bind(server, address)
  // A connection that cannot be accepted (no descriptors left) is lost, and no more.
  server.on('error', () => undefined)
  return {
    port,
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}

/** Who may stay connected: a probe gets its answer, however many others say nothing, and however fast they come. */
interface Seats {
  comes(socket: Socket): void
  /** Its request is there, whole. */
  asks(socket: Socket): void
}

/**
 * Keeps `most` connections. Where there are more, the oldest that has not asked yet is closed; where all have asked, the oldest.
 *
 * A probe among a thousand that come at once is answered, too: Node accepts one connection in a round of its loop (seen with
 * libuv 1.46), and reads it in the next, long before as many others have come as it takes to close it.
 */
function openSeats(most: number): Seats {
  const silent = new Set<Socket>()
  const asking = new Set<Socket>()
  const leave = (socket: Socket) => {
    silent.delete(socket)
    asking.delete(socket)
  }
  const sit = (seats: Set<Socket>, socket: Socket) => {
    seats.add(socket)
    if (silent.size + asking.size <= most) return
    const [oldest] = [...silent, ...asking]
    if (oldest === undefined) return
    leave(oldest)
    oldest.destroy()
  }
  return {
    comes: (socket) => {
      socket.once('close', () => leave(socket))
      sit(silent, socket)
    },
    asks: (socket) => {
      silent.delete(socket)
      sit(asking, socket)
    }
  }
}

async function bind(server: Server, address: ListenAddress): Promise<number> {
  try {
    const { host, port } = address
    await once(server.listen({ host, port, backlog: mostWaiting }), 'listening')
  } catch (error) {
    throw cannotListen(address, error)
  }
  const bound = server.address()
  return bound !== null && typeof bound === 'object' ? bound.port : address.port
}

const reasons: Readonly<Record<string, { readonly reason: string; readonly hint: string }>> = {
  EADDRINUSE: {
    reason: 'something else listens there already',
    hint: 'see what it is, or name another port: ss -ltnp'
  },
  EADDRNOTAVAIL: { reason: 'this host has no such address', hint: 'see which it has: ip address' },
  EACCES: { reason: 'permission denied', hint: 'ports below 1024 are for root: name another' }
}

function cannotListen(address: ListenAddress, error: unknown): SpanplanError {
  if (!(error instanceof Error && 'code' in error)) throw error
  const known = reasons[String(error.code)]
  return new SpanplanError({
    code: 'LISTEN_FAILED',
    message: `cannot listen at ${writeListenAddress(address)}: ${known?.reason ?? error.message}`,
    ...(known && { hint: known.hint })
  })
}

async function answer(request: IncomingMessage, response: ServerResponse, pages: Pages): Promise<void> {
  response.shouldKeepAlive = false
  const { status, type, body, allow } = await findPage(request, pages)
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...(allow && { Allow: allow })
  })
  response.end(body)
}

async function findPage({ method, url = '' }: IncomingMessage, pages: Pages): Promise<Page & { allow?: string }> {
  const page = pages.get(url.replace(/\?.*$/s, ''))
  if (page === undefined) return plainPage(404, `There is: ${[...pages.keys()].join(', ')}`)
  if (method !== 'GET' && method !== 'HEAD') {
    return { ...plainPage(405, 'It can be read only: GET or HEAD'), allow: 'GET, HEAD' }
  }
  try {
    return await page()
  } catch (error) {
    return plainPage(500, `This is a bug in spanplan: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** A page of text, of whole lines. */
export function plainPage(status: number, text: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` }
}

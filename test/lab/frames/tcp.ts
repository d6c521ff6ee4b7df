/** TCP between the lab's host and its switch, and what a sensor sees of it. */
import { createHash } from 'node:crypto'
import type { Lab, Side } from '../lab.ts'
import { checksum } from './frames.ts'

const PORT = 5000

/** Where an end of a connection runs: a lab, or a container in it. */
type Place = Pick<Lab, 'start'>

/** Sends back what it receives; says when it listens. */
const echo = `
const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
server.listen(Number(process.argv[1]), () => console.log('listening'))
`

/**
 * Sends at least so many bytes, at full speed, then a little now and then, until its standard input ends; says which
 * bytes they were, and which came back on the same connection.
 */
const client = `
const { createHash, randomBytes } = require('node:crypto')
const [host, port, atLeast] = process.argv.slice(1)
const socket = require('node:net').connect(Number(port), host)
const [sent, received] = [createHash('sha256'), createHash('sha256')]
let bytes = 0
let ended = false
process.stdin.resume().once('end', () => { ended = true })
const write = () => {
  if (ended && bytes >= Number(atLeast)) return socket.end()
  const chunk = randomBytes(bytes < Number(atLeast) ? 65536 : 1000)
  bytes += chunk.length
  sent.update(chunk)
  if (bytes >= Number(atLeast)) socket.write(chunk, () => setTimeout(write, 2))
  else if (socket.write(chunk)) setImmediate(write)
  else socket.once('drain', write)
}
socket.once('connect', () => { console.error('connected'); write() })
socket.on('data', (chunk) => received.update(chunk))
socket.once('end', () => console.log(JSON.stringify({ bytes, sent: sent.digest('hex'), received: received.digest('hex') })))
`

interface Exchange {
  readonly bytes: number
  /** Of all that was sent, and of all that came back. */
  readonly sent: string
  readonly received: string
}

/** A server on the switch, or on the host, that sends back what it receives. */
export async function startEcho(lab: Place, on: Side = 'switch'): Promise<void> {
  const server = lab.start([process.execPath, '-e', echo, String(PORT)], { on })
  await new Promise<void>((resolve, reject) => {
    server.stdout?.once('data', () => resolve())
    server.catch(reject)
  })
}

/** Has the lab's host exchange so many bytes with the server at this address, in one connection. */
export async function exchange(lab: Place, address: string, bytes: number): Promise<Exchange> {
  const connection = await connect(lab, address, { bytes })
  return connection.end()
}

/** A connection, from the host or from the switch, that is busy until it is told to end. */
export async function connect(
  lab: Place,
  address: string,
  { bytes = 0, on = 'host' }: { readonly bytes?: number; readonly on?: Side } = {}
): Promise<{ end: () => Promise<Exchange> }> {
  const subprocess = lab.start([process.execPath, '-e', client, address, String(PORT), String(bytes)], { on })
  await new Promise<void>((resolve, reject) => {
    subprocess.stderr?.once('data', () => resolve())
    subprocess.catch(reject)
  })
  const end = async (): Promise<Exchange> => {
    subprocess.stdin?.end()
    return JSON.parse((await subprocess).stdout)
  }
  return { end }
}

/** Opens one connection after the other until its standard input ends; says how many gave back what was sent. */
const knocks = `
const { randomBytes } = require('node:crypto')
const [host, port] = process.argv.slice(1)
const counts = { whole: 0, broken: 0 }
let ended = false
process.stdin.resume().once('end', () => { ended = true })
const knock = () => {
  if (ended) return console.log(JSON.stringify(counts))
  const [sent, received] = [randomBytes(1000), []]
  const socket = require('node:net').connect(Number(port), host)
  socket.once('connect', () => socket.end(sent))
  socket.on('data', (chunk) => received.push(chunk))
  socket.on('error', () => {})
  socket.once('close', () => {
    counts[Buffer.concat(received).equals(sent) ? 'whole' : 'broken']++
    setTimeout(knock, 10)
  })
}
console.error('begun')
knock()
`

interface Knocks {
  readonly whole: number
  readonly broken: number
}

/** Short connections, one after the other, until it is told to end. */
export async function startKnocks(
  lab: Lab,
  address: string,
  on: Side = 'host'
): Promise<{ end: () => Promise<Knocks> }> {
  const subprocess = lab.start([process.execPath, '-e', knocks, address, String(PORT)], { on })
  await new Promise<void>((resolve, reject) => {
    subprocess.stderr?.once('data', () => resolve())
    subprocess.catch(reject)
  })
  const end = async (): Promise<Knocks> => {
    subprocess.stdin?.end()
    return JSON.parse((await subprocess).stdout)
  }
  return { end }
}

interface Segment {
  /** Of addresses and ports: one direction of one connection. */
  readonly flow: string
  readonly sequence: number
  readonly opens: boolean
  readonly data: Buffer
  /** Whether the checksums of IP and of TCP are right. */
  readonly isRight: boolean
}

/** Reads an Ethernet frame that holds IPv4 and TCP; null for any other. */
export function parseSegment(frame: Buffer): Segment | null {
  if (frame.readUInt16BE(12) !== 0x0800) return null
  const headerLength = (frame.readUInt8(14) & 0x0f) * 4
  // What is behind the packet only fills the frame up.
  const packet = frame.subarray(14, 14 + frame.readUInt16BE(16))
  if (packet.readUInt8(9) !== 6) return null
  const header = packet.subarray(0, headerLength)
  const segment = packet.subarray(headerLength)
  const [addresses, length] = [packet.subarray(12, 20), Buffer.alloc(4)]
  length.writeUInt16BE(6)
  length.writeUInt16BE(segment.length, 2)
  return {
    flow: Buffer.concat([addresses, segment.subarray(0, 4)]).toString('hex'),
    sequence: segment.readUInt32BE(4),
    opens: (segment.readUInt8(13) & 0x02) !== 0,
    data: segment.subarray((segment.readUInt8(12) >> 4) * 4),
    // Over bytes with the right checksum in them, it is zero.
    isRight: checksum(header) === 0 && checksum(Buffer.concat([addresses, length, segment])) === 0
  }
}

/** The hash of the bytes of each flow, put together as the receiver does. */
export function hashFlows(segments: readonly Segment[]): string[] {
  return [...new Set(segments.map(({ flow }) => flow))].map((flow) => {
    const own = segments.filter((segment) => segment.flow === flow)
    const start = own.find(({ opens }) => opens)?.sequence ?? 0
    const placed = own
      .map(({ sequence, data, opens }) => ({ offset: opens ? 0 : (sequence - start - 1) >>> 0, data }))
      .filter(({ data }) => data.length > 0)
      .sort((a, b) => a.offset - b.offset)
    const hash = createHash('sha256')
    let end = 0
    for (const { offset, data } of placed) {
      if (offset > end) return `${offset - end} bytes are missing at ${end}`
      const fresh = data.subarray(end - offset)
      hash.update(fresh)
      end += fresh.length
    }
    return hash.digest('hex')
  })
}

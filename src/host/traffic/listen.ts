import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { diagnosticOf } from '../../errors.ts'
import { type Argv, commandFailed, run, start, within } from '../exec.ts'
import { findMissingRights } from '../process/process-rights.ts'
import type { Link } from '../snapshot.ts'
import { confine } from './confine.ts'
import { countFrames, type FrameTally, sampledBytes } from './tally-frames.ts'

/** Frames of an interface that a sample has at most. */
const mostFrames = 5000

/** KiB of tcpdump's buffer for a sample. */
const sampleBuffer = 1024

/** Lines of what tcpdump says that are kept. */
const mostLines = 100

/** Milliseconds for tcpdump to begin to listen, and to end after a signal. */
const patience = { start: 10_000, end: 2000 } as const

/** What listens on an interface. */
export interface Ear {
  /** Ends it, and gives what it has heard; null: it could not listen. */
  end(): Promise<FrameTally | null>
}

/** Why nobody can listen on this host, as far as can be told; null: somebody may. */
export async function findDeafness() {
  const missing = findMissingRights('listening')
  if (missing !== null) return missing
  try {
    const argv = ['tcpdump', '--version'] as const
    const output = await run(argv)
    return output.status === 0 ? null : diagnosticOf(commandFailed(argv, output))
  } catch (error) {
    return diagnosticOf(error)
  }
}

/** The names that tcpdump does not look for among the host's interfaces, or not only there. */
const otherPlace = /^(any|\d+|(nflog|nfqueue|bluetooth|usbmon|dbus|can|netmap|rdma|dpdk).*|.*:.*)$/

/** Whether tcpdump surely takes a name for that of an interface. */
export const canBeHeard = (name: string) => !otherPlace.test(name)

/** tcpdump that listens. */
interface Listener {
  /** Resolves once tcpdump has ended by itself. */
  readonly ended: Promise<unknown>
  /** Ends it, and gives what it has said of itself, once all that it has written was taken. */
  end(): Promise<string>
}

/**
 * Starts tcpdump, and waits until it listens. It ends with this process at the latest.
 *
 * @param take takes what it writes. false: no more is of use.
 */
async function startListening(argv: Argv, take: (chunk: Buffer) => boolean): Promise<Listener> {
  const tcpdump = await start(argv)
  tcpdump.stdin.end()
  const stop = () => {
    tcpdump.stdout.removeAllListeners('data').resume()
    tcpdump.end('SIGINT')
  }
  tcpdump.stdout.on('data', (chunk: Buffer) => {
    if (!take(chunk)) stop()
  })
  const read = finished(tcpdump.stdout).catch(() => undefined)
  const said: string[] = []
  const listening = new Promise<void>((resolve) => {
    createInterface({ input: tcpdump.stderr }).on('line', (line) => {
      if (said.length < mostLines) said.push(line)
      if (line.includes('listening on ')) resolve()
    })
  })
  await within(patience.start, Promise.race([listening, tcpdump.status]))
  return {
    ended: tcpdump.status,
    async end() {
      tcpdump.end('SIGINT')
      if ((await within(patience.end, tcpdump.status)) === null) {
        tcpdump.end('SIGKILL')
        await within(patience.end, tcpdump.status)
      }
      await within(patience.end, read)
      return said.join('\n')
    }
  }
}

/**
 * Begins to listen on an interface, which is in promiscuous mode as long as tcpdump runs, and no longer: the kernel ends that with
 * its socket.
 */
export async function listen({ name, mac }: Pick<Link, 'name' | 'mac'>): Promise<Ear> {
  const counter = countFrames(mac, mostFrames)
  const listener = await startListening(listenOn(name), counter.push)
  return {
    async end() {
      await listener.end()
      return counter.tally()
    }
  }
}

/** What was heard on an interface. */
export interface Hearing {
  /** For how long. */
  readonly seconds: number
  /** Frames that came too fast for tcpdump. */
  readonly missed: number
}

/** Where and how to hear. */
interface Place {
  readonly name: string
  /** Whether the interface is put into promiscuous mode meanwhile. */
  readonly isPromiscuous: boolean
  /** So many of each frame. */
  readonly bytes: number
  /** What comes, or what goes. By default, both. */
  readonly only?: 'ingress' | 'egress'
  /** KiB in which the kernel keeps frames for tcpdump. What does not fit is missed. */
  readonly bufferSize: number
}

/**
 * Hears every frame on an interface, those that the host sends too, until the time is over or the signal aborts.
 *
 * @param take takes the bytes of a capture as they come. false: they are none of use.
 * @returns the time, and what was missed; or what tcpdump has said, where it could not listen or has ended before.
 */
export async function hearAll(
  place: Place,
  milliseconds: number,
  take: (chunk: Buffer) => boolean,
  signal: AbortSignal
): Promise<Hearing | { readonly failure: string }> {
  const begun = performance.now()
  const listener = await startListening(hearOn(place), take)
  const started = performance.now()
  const over = new AbortController()
  const time = sleep(milliseconds, 'over' as const, { signal: AbortSignal.any([signal, over.signal]) }).catch(
    () => 'over' as const
  )
  const end = await Promise.race([time, listener.ended.then(() => 'ended' as const)])
  over.abort()
  const seconds = (performance.now() - started) / 1000
  const said = await listener.end()
  if (end === 'ended' || started - begun > patience.start) return { failure: explainEnd(said) }
  return { seconds, missed: Number(/^(\d+) packets? dropped by kernel$/m.exec(said)?.[1] ?? 0) }
}

/** Why tcpdump has ended, in its words. */
function explainEnd(said: string): string {
  const lines = said
    .split('\n')
    .flatMap((line) => (/listening on |^\d+ packets? /.test(line) ? [] : line.replace(/^tcpdump: /, '')))
  return lines.filter((line) => line !== '').join('; ') || 'it gave no reason'
}

const directions = { ingress: ['-Q', 'in'], egress: ['-Q', 'out'] } as const

function hearOn({ name, isPromiscuous, bytes, only, bufferSize }: Place): Argv {
  return [
    ...confine,
    ...[
      'tcpdump',
      '-i',
      name,
      '-n',
      '-s',
      String(bytes),
      ...(isPromiscuous ? [] : ['-p']),
      ...(only ? directions[only] : [])
    ],
    ...['-B', String(bufferSize), '--immediate-mode', '-w', '-']
  ]
}

function listenOn(name: string): Argv {
  return [
    ...confine,
    // -Q in: what the host sends itself tells nothing. Immediately: what is left in a block when it ends would be lost.
    ...['tcpdump', '-i', name, '-n', '-Q', 'in', '-s', String(sampledBytes), '-c', String(mostFrames)],
    ...['-B', String(sampleBuffer), '--immediate-mode', '-U', '-w', '-']
  ]
}

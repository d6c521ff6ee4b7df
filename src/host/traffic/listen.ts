import { createInterface } from 'node:readline'
import { diagnosticOf } from '../../errors.ts'
import { type Argv, commandFailed, run, start, within } from '../exec.ts'
import { findMissingRights } from '../process/process-rights.ts'
import type { Link } from '../snapshot.ts'
import { confine } from './confine.ts'
import { countFrames, type FrameTally, sampledBytes } from './tally-frames.ts'

/** Frames of an interface that a sample has at most. */
const mostFrames = 5000

/** KiB of tcpdump's buffer. */
const bufferSize = 1024

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

/**
 * Begins to listen on an interface, which is in promiscuous mode as long as tcpdump runs, and no longer: the kernel ends that with
 * its socket. tcpdump ends with this process at the latest.
 */
export async function listen({ name, mac }: Pick<Link, 'name' | 'mac'>): Promise<Ear> {
  const tcpdump = await start(listenOn(name))
  tcpdump.stdin.end()
  const counter = countFrames(mac, mostFrames)
  tcpdump.stdout.on('data', (chunk: Buffer) => {
    if (counter.push(chunk)) return
    tcpdump.stdout.removeAllListeners('data').resume()
    tcpdump.end('SIGINT')
  })
  const listening = new Promise<void>((resolve) => {
    createInterface({ input: tcpdump.stderr }).on('line', (line) => {
      if (line.includes('listening on ')) resolve()
    })
  })
  await within(patience.start, Promise.race([listening, tcpdump.status]))
  return {
    async end() {
      tcpdump.end('SIGINT')
      if ((await within(patience.end, tcpdump.status)) === null) {
        tcpdump.end('SIGKILL')
        await within(patience.end, tcpdump.status)
      }
      return counter.tally()
    }
  }
}

function listenOn(name: string): Argv {
  return [
    ...confine,
    // -Q in: what the host sends itself tells nothing. Immediately: what is left in a block when it ends would be lost.
    ...['tcpdump', '-i', name, '-n', '-Q', 'in', '-s', String(sampledBytes), '-c', String(mostFrames)],
    ...['-B', String(bufferSize), '--immediate-mode', '-U', '-w', '-']
  ]
}

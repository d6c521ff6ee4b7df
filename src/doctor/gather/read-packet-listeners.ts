import { messageOf } from '../../errors.ts'
import { type Argv, commandFailed, run } from '../../host/exec.ts'
import { type PacketListener, parsePacketListeners } from '../../host/parsers/packet-listeners.ts'
import type { Known } from '../known.ts'

const command: Argv = ['ss', '--packet', '--processes', '--numeric', '--oneline', '--no-header']

/** To name the processes, ss looks at the open files of all: milliseconds, and bytes of what it prints. */
const limits = { milliseconds: 5000, bytes: 256 * 1024 }

/** Reads the packet sockets of this network namespace that get every frame. */
export async function readPacketListeners(): Promise<Known<readonly PacketListener[]>> {
  try {
    const output = await run(command, '', limits)
    if (output.status !== 0) throw commandFailed(command, output)
    return { known: parsePacketListeners(output.stdout) }
  } catch (error) {
    return { unknown: `who has packet sockets is not known: ${messageOf(error)}` }
  }
}

/**
 * The XDP program that drops all that comes from a port. The kernel hands a frame to packet sockets of all protocols before tc's
 * filters, and to XDP before both: what this program drops reaches nobody on the host.
 *
 * It is attached in native mode. Generic XDP lets through what was redirected on its way (netif_receive_generic_xdp() in
 * net/core/dev.c), as a container with CAP_NET_ADMIN can do.
 */
import { join } from 'node:path'
import type { Argv } from '../exec.ts'
import type { XdpProgram } from '../snapshot.ts'

/** The name of the program, as the kernel shows it. */
export const sealName = 'spanplan_seal'

/** The section says that the program takes frames in fragments: without that, the kernel refuses a large MTU. */
export const sealSection = 'xdp.frags'

/** The file that the build has made, beside this code. */
export const sealFile = join(__dirname, 'seal.o')

/** The kernel's digest of the instructions: of SHA-1, and from Linux 6.18 on of SHA-256. Another program has another. */
const tags: ReadonlySet<string | null> = new Set(['57cd311f2e27366b', 'b11459a0e11ca14c'])

/** Whether a program is this one; it need not be attached by spanplan, as it does the same whoever has attached it. */
export function isSealProgram({ name, tag, isNative }: Omit<XdpProgram, 'id'>): boolean {
  return isNative && name === sealName && tags.has(tag)
}

/** The command that attaches the program. It replaces no other. */
export function attachSeal(device: string): Argv {
  return ['ip', 'link', 'set', 'dev', device, 'xdpdrv', 'obj', sealFile, 'sec', sealSection]
}

/** The command that detaches a program in native mode. */
export function detachSeal(device: string): Argv {
  return ['ip', 'link', 'set', 'dev', device, 'xdpdrv', 'off']
}

/** The command that sets how many queues a link has for what it receives. It exits with 0 where the link has that many. */
export function setReceiveQueues(device: string, count: number): Argv {
  return ['ethtool', '-L', device, 'rx', String(count)]
}

import { type Argv, enterNamespace } from '../host/exec.ts'
import { confine } from '../host/traffic/confine.ts'
import type { BridgeFeed } from './feed-bridge.ts'

/** What to capture, and in which form. */
export interface CaptureRequest {
  /** The span's name. */
  readonly span: string
  /** The bridge's name. */
  readonly bridge: string
  /** The span's sensors receive and cannot send. */
  readonly isSealed: boolean
  /** Its MTU, in bytes. */
  readonly mtu: number
  /** A pcap-filter(7) expression; empty: every frame. */
  readonly expression: string
  /** The number of frames after which the capture ends; undefined: it goes on. */
  readonly count: number | undefined
  /** Milliseconds after which the capture ends, from when it listens; undefined: it goes on. */
  readonly duration: number | undefined
  readonly form: 'text' | 'pcap'
  /** What feeds the bridge for the capture; null: mirrors feed it anyway. */
  readonly feed: BridgeFeed | null
}

/** The name of the peer. A span's own name could mean something else to tcpdump, as `any` and `1` do. */
export const peerName = 'span'

/** The file of the network namespace of a process. */
export const namespaceOf = (pid: number) => `/proc/${pid}/ns/net`

/** KiB of tcpdump's buffer: 40,000 frames of 1,500 bytes. Its default of 2 MiB is full after two milliseconds at 10 Gbit/s. */
const bufferSize = 65_536

const forms = {
  // -e: Ethernet addresses and VLAN tags; -l: each line at once.
  text: ['-e', '-l'],
  pcap: ['-U', '-w', '-']
} as const satisfies Record<CaptureRequest['form'], readonly string[]>

/** The command that listens in the network namespace of a process. */
export function listenCommand(pid: number, { expression, count, form }: CaptureRequest): Argv {
  return enterNamespace(namespaceOf(pid), [
    ...confine,
    // -n: no name server can be asked in that namespace. -Q in: the port sends nothing, as a sensor does.
    ...['tcpdump', '-i', peerName, '-n', '-Q', 'in', '-B', String(bufferSize), ...forms[form]],
    ...(count === undefined ? [] : ['-c', String(count)]),
    '--',
    ...(expression === '' ? [] : [expression])
  ])
}

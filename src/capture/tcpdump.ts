import type { Argv } from '../host/exec.ts'
import { enter, inside } from './capture-interface.ts'

/** What is to be captured, and how it is told. */
export interface CaptureOrder {
  /** The bridge. */
  readonly span: string
  /** Its MTU, in bytes. */
  readonly mtu: number
  /** In pcap-filter(7)'s words; empty: every frame. */
  readonly expression: string
  /** How many frames end it; undefined: it goes on. */
  readonly count: number | undefined
  readonly form: 'text' | 'pcap'
}

/** nobody and nogroup, whose numbers are the same everywhere. */
const nobody = '65534'

/**
 * tcpdump takes what comes from anybody apart: it does so with no right but to listen, and ends when we do, however we do.
 * It is not left to -Z, as the kernel forgets who is to end with whom when a process changes its user.
 */
const confined: Argv = [
  ...(['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--no-new-privs'] as const),
  ...['--inh-caps=-all,+net_raw', '--ambient-caps=-all,+net_raw', '--pdeathsig=KILL', '--']
]

/** Room for a burst, in KiB: 40,000 frames of 1,500 bytes. The default of 2 MiB is full after two milliseconds of 10 Gbit/s. */
const buffer = 65_536

const forms = {
  // With addresses of Ethernet, and VLAN tags; a line as soon as it is there.
  text: ['-e', '-l'],
  pcap: ['-U', '-w', '-']
} as const satisfies Record<CaptureOrder['form'], readonly string[]>

/** The command that listens in the network namespace of a process. */
export function listenCommand(pid: number, { expression, count, form }: CaptureOrder): Argv {
  return enter(pid, [
    ...confined,
    // Numbers for names: there is nobody to ask in there. Only what comes in: a sensor, too, sends nothing.
    ...['tcpdump', '-i', inside, '-n', '-Q', 'in', '-B', String(buffer), ...forms[form]],
    ...(count === undefined ? [] : ['-c', String(count)]),
    '--',
    ...(expression === '' ? [] : [expression])
  ])
}

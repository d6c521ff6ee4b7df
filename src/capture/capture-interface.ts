import type { Argv } from '../host/exec.ts'
import { captureAlias } from '../host/parsers/ip.ts'
import { smallestIpv6Mtu } from '../resources/kinds/bridge-steps.ts'
import { sealCommands } from '../resources/seal.ts'

/** A port of a span's bridge, for as long as somebody looks; its other end lies in a network namespace of its own. */
export interface CapturePort {
  readonly name: string
  readonly mac: string
  /** The bridge. */
  readonly span: string
  /** Bytes. */
  readonly mtu: number
  /** Of a process in that namespace. */
  readonly pid: number
  /** Whether the kernel has IPv6. */
  readonly ipv6: boolean
}

/** The other end: a name that means nothing else to tcpdump, as a span's may, such as `any` or `1`. */
export const inside = 'span'

/** A command, in the network namespace of a process. */
export function enter(pid: number, argv: Argv): Argv {
  return ['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...argv]
}

/**
 * The commands that make the port, in order: quiet and sealed before it joins the bridge, isolated before it is up. So
 * nothing ever comes from it, and it gets what a sensor gets.
 */
export function makePort({ name, mac, span, mtu, pid, ipv6 }: CapturePort): Argv[] {
  const set = ['ip', 'link', 'set', 'dev', name] as const
  const setInside = ['ip', 'link', 'set', 'dev', inside] as const
  const quiet = ipv6 && mtu >= smallestIpv6Mtu ? ['addrgenmode', 'none'] : []
  const peer = ['peer', 'name', inside, 'mtu', String(mtu), 'netns', String(pid)]
  return [
    ['ip', 'link', 'add', 'name', name, 'address', mac, 'mtu', String(mtu), 'type', 'veth', ...peer],
    [...set, 'alias', captureAlias, ...quiet],
    ...sealCommands(name, 'none', 'sealed'),
    // Before it is up, in a command of its own: in the same one it comes too late.
    enter(pid, [...setInside, 'arp', 'off', ...quiet]),
    enter(pid, [...setInside, 'up']),
    [...set, 'master', span],
    [...set, 'type', 'bridge_slave', 'isolated', 'on', 'learning', 'off'],
    ['bridge', 'fdb', 'del', mac, 'dev', name, 'master'],
    [...set, 'up']
  ]
}

import type { Argv } from '../host/exec.ts'
import { captureAlias } from '../host/parsers/ip.ts'
import { smallestIpv6Mtu } from '../resources/kinds/bridge-steps.ts'
import { sealCommands } from '../resources/seal.ts'

/** A port of a span's bridge, for one capture. It is a veth whose peer is in a network namespace of its own. */
export interface CapturePort {
  readonly name: string
  readonly mac: string
  /** The bridge. */
  readonly span: string
  /** Bytes. */
  readonly mtu: number
  /** A process in that namespace. */
  readonly pid: number
  /** Whether the kernel has IPv6. */
  readonly ipv6: boolean
}

/** The name of the peer. A span's own name could mean something else to tcpdump, as `any` and `1` do. */
export const peerName = 'span'

/** The command that runs another command in the network namespace of a process. */
export function enterNamespace(pid: number, argv: Argv): Argv {
  return ['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...argv]
}

/**
 * The commands that create the port, in order. It is sealed before it joins the bridge, and isolated before it is up: so it
 * never sends anything, and gets what a sensor gets.
 */
export function createPort({ name, mac, span, mtu, pid, ipv6 }: CapturePort): Argv[] {
  const set = ['ip', 'link', 'set', 'dev', name] as const
  const setPeer = ['ip', 'link', 'set', 'dev', peerName] as const
  const silent = ipv6 && mtu >= smallestIpv6Mtu ? ['addrgenmode', 'none'] : []
  const peer = ['peer', 'name', peerName, 'mtu', String(mtu), 'netns', String(pid)]
  return [
    ['ip', 'link', 'add', 'name', name, 'address', mac, 'mtu', String(mtu), 'type', 'veth', ...peer],
    [...set, 'alias', captureAlias, ...silent],
    ...sealCommands(name, 'none', 'sealed'),
    // A command of its own, before `up`: in the same command, it takes effect after `up`.
    enterNamespace(pid, [...setPeer, 'arp', 'off', ...silent]),
    enterNamespace(pid, [...setPeer, 'up']),
    [...set, 'master', span],
    [...set, 'type', 'bridge_slave', 'isolated', 'on', 'learning', 'off'],
    ['bridge', 'fdb', 'del', mac, 'dev', name, 'master'],
    [...set, 'up']
  ]
}

import { type Argv, enterNamespace } from '../host/exec.ts'
import { joinSpan } from '../resources/port-steps.ts'
import { smallestIpv6Mtu } from '../resources/settings.ts'
import { type CaptureRequest, namespaceOf, peerName } from './tcpdump.ts'

/** A port of a span's bridge, for one capture. It is a veth whose peer is in a network namespace of its own. */
export interface CapturePort extends Pick<CaptureRequest, 'span' | 'bridge' | 'isSealed' | 'mtu'> {
  readonly name: string
  readonly mac: string
  /** A process in that namespace. */
  readonly pid: number
  /** Whether the kernel has IPv6. */
  readonly ipv6: boolean
}

/**
 * The commands that create the port, in order. Its peer has no address, and sends nothing. It is sealed before it joins the
 * bridge, and gets what a sensor gets.
 */
export function createPort(port: CapturePort): Argv[] {
  const { name, mac, bridge, isSealed, mtu, pid, ipv6 } = port
  const setPeer = ['ip', 'link', 'set', 'dev', peerName] as const
  const hasIpv6 = ipv6 && mtu >= smallestIpv6Mtu
  const silent = hasIpv6 ? ['addrgenmode', 'none'] : []
  const peer = ['peer', 'name', peerName, 'mtu', String(mtu), 'netns', String(pid)]
  const steps = joinSpan(port, bridge, isSealed).flatMap((step) => ('argv' in step ? [step.argv] : []))
  return [
    ['ip', 'link', 'add', 'name', name, 'address', mac, 'mtu', String(mtu), 'type', 'veth', ...peer],
    ...(hasIpv6 ? [['ip', 'link', 'set', 'dev', name, ...silent] as const] : []),
    // A command of its own, before `up`: in the same command, it takes effect after `up`.
    enterNamespace(namespaceOf(pid), [...setPeer, 'arp', 'off', ...silent]),
    enterNamespace(namespaceOf(pid), [...setPeer, 'up']),
    ...steps.filter(([program]) => hasIpv6 || program !== 'sysctl')
  ]
}

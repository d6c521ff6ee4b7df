/** The links that others put on a span's bridge, as they are at first, and the commands that make them so. */
import fc from 'fast-check'

/** veths: the peer of the first is in another network namespace, that of the second in the same. */
export const ports = ['ext0', 'near0'] as const

export type Port = (typeof ports)[number]

const peers = { ext0: 'ext1', near0: 'near1' } as const

/** What a port is like before anybody puts it on a bridge. */
export interface PortState {
  readonly up: boolean
  readonly ipv6: boolean
  readonly mtu: 9000 | 1500 | 1000
  readonly clsact: boolean
  readonly filter: keyof typeof programs | null
}

/** Hands every frame on to the next filter, or lets it in without asking it (TC_ACT_UNSPEC, TC_ACT_OK). */
const programs = { transparent: '1,6 0 0 4294967295', accepting: '1,6 0 0 0' } as const

// Object.keys forgets that its keys are the table's own.
const program = fc.constantFrom(...(Object.keys(programs) as (keyof typeof programs)[]))

export const portState: fc.Arbitrary<PortState> = fc.record({
  up: fc.boolean(),
  ipv6: fc.boolean(),
  mtu: fc.constantFrom(9000, 1500, 1000),
  clsact: fc.boolean(),
  filter: fc.oneof(fc.constant(null), fc.constant(null), program)
})

/** In an order in which none undoes another. */
export function portCommands(port: Port, state: PortState, otherNamespace: string): string[] {
  const place = port === 'ext0' ? ` netns ${otherNamespace}` : ''
  return [
    `ip link add ${port} type veth peer name ${peers[port]}${place}`,
    `ip link set dev ${port} addrgenmode none`,
    ...(place === '' ? [`ip link set dev ${peers[port]} addrgenmode none`, `ip link set dev ${peers[port]} up`] : []),
    ...(state.ipv6 ? [] : [`sysctl -q -w net/ipv6/conf/${port}/disable_ipv6=1`]),
    ...(state.mtu === 1500 ? [] : [`ip link set dev ${port} mtu ${state.mtu}`]),
    ...(state.clsact || state.filter !== null ? [`tc qdisc add dev ${port} clsact`] : []),
    ...(state.filter === null ? [] : [filterCommand(port, 'ingress', 20, state.filter)]),
    // One that has never been up has another qdisc, and the kernel does not go back to that.
    `ip link set dev ${port} up`,
    ...(state.up ? [] : [`ip link set dev ${port} down`])
  ]
}

export function filterCommand(
  device: string,
  hook: 'ingress' | 'egress',
  pref: number,
  what: keyof typeof programs
): string {
  return `tc filter add dev ${device} ${hook} protocol all pref ${pref} bpf da bytecode '${programs[what]}'`
}

export const macvlanOf = (span: string) => `guest-${span}`

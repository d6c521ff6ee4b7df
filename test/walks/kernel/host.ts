/** What a host has that is none of spanplan's business, at first and later: as data, and as the commands that make it so. */
import fc from 'fast-check'
import { type Port, type PortState, portState } from './ports.ts'
import type { Name } from './tunnels.ts'

export const cards = ['ens192', 'ens224', 'ens256'] as const
/** No span ever copies from it. */
export const bystander = 'ens320'

export type Card = (typeof cards)[number]

/** Other people's tc filters; `PREF` is another for each, and never that of a mirror on its chain. */
export const filterForms = {
  classify: "protocol all pref PREF bpf da bytecode '1,6 0 0 4294967295'",
  accept: "protocol all pref PREF bpf da bytecode '1,6 0 0 0'",
  mirror: "protocol all pref PREF bpf bytecode '1,6 0 0 4294967295' action mirred egress mirror dev own0 continue",
  match: 'protocol ip pref PREF u32 match ip dport 22 0xffff flowid 1:1',
  'match and mirror': 'protocol ip pref PREF u32 match ip src 10.0.0.0/8 action mirred egress mirror dev own0',
  'on a chain': "chain 1PREF protocol all pref 8 bpf da bytecode '1,6 0 0 4294967295'"
} as const

const prefs = [3, 9, 20, 7, 100, 49152] as const

/** That of the n-th filter on a card. */
export const prefOf = (count: number) => prefs[count] ?? 200 + count

export interface ForeignFilter {
  readonly hook: 'ingress' | 'egress'
  readonly form: keyof typeof filterForms
}

/** What a card is like before the first apply. */
export interface CardState {
  readonly up: boolean
  readonly root: 'none' | 'tbf' | 'htb'
  readonly clsact: boolean
  readonly filters: readonly ForeignFilter[]
  readonly address4: boolean
  /** With the card up only: set down, a card loses it. */
  readonly address6: boolean
  readonly route: boolean
  /** Only routes use it: the address is on lo, the next hop one of IPv6. */
  readonly unnumbered: boolean
  readonly bridged: boolean
  readonly macvlan: boolean
  readonly promiscuous: boolean
  readonly arp: boolean
  readonly ipv6: boolean
  readonly gro: boolean
  readonly tso: boolean
  readonly named: boolean
  /** Below 1280, it has no IPv6. */
  readonly mtu: 9000 | 1500 | 1280 | 1279 | 576 | 68
}

export interface HostState {
  readonly cards: Readonly<Record<Card, CardState>>
  readonly bystander: CardState
  readonly bystanderIngress: boolean
  /** What others may put on the bridges of spans. */
  readonly ports: Readonly<Record<Port, PortState>>
  /** What the frames of each name may leave by. */
  readonly outputs: Readonly<Record<Name, CardState>>
}

const mostly = (value: boolean) => fc.oneof({ weight: 4, arbitrary: fc.constant(value) }, fc.constant(!value))

export const foreignFilter: fc.Arbitrary<ForeignFilter> = fc.record({
  hook: fc.constantFrom('ingress', 'egress'),
  // Object.keys forgets that its keys are the table's own.
  form: fc.constantFrom(...(Object.keys(filterForms) as ForeignFilter['form'][]))
})

const cardState: fc.Arbitrary<CardState> = fc.record({
  up: mostly(true),
  root: fc.constantFrom('none', 'none', 'tbf', 'htb'),
  clsact: mostly(false),
  filters: fc.oneof(fc.constant([]), fc.array(foreignFilter, { maxLength: 2 })),
  address4: mostly(false),
  address6: mostly(false),
  route: fc.boolean(),
  unnumbered: mostly(false),
  bridged: mostly(false),
  macvlan: mostly(false),
  promiscuous: mostly(false),
  arp: mostly(true),
  ipv6: mostly(true),
  gro: fc.boolean(),
  tso: mostly(true),
  named: mostly(false),
  mtu: fc.oneof(fc.constantFrom(9000, 1500), fc.constantFrom(9000, 1500), fc.constantFrom(1280, 1279, 576, 68))
})

/** Whom the host has no other use for: it would be refused. */
const outputState: fc.Arbitrary<CardState> = cardState.map((state) => ({
  ...state,
  filters: state.filters.filter(({ hook }) => hook === 'egress'),
  address4: false,
  address6: false,
  unnumbered: false,
  bridged: false,
  macvlan: false
}))

export const hostState: fc.Arbitrary<HostState> = fc.record({
  cards: fc.record({ ens192: cardState, ens224: cardState, ens256: cardState }),
  bystander: cardState,
  bystanderIngress: mostly(false),
  ports: fc.record({ ext0: portState, near0: portState }),
  outputs: fc.record({ a: outputState, b: outputState })
})

/** Once, for all cards. */
export const firstCommands = [
  'ip link set dev lo up',
  'ip addr add 10.99.0.1/32 dev lo',
  'ip link add own0 type veth peer name own1',
  'ip link add port0 type veth peer name port1',
  'ip link add br0 address 02:00:00:00:0b:00 type bridge',
  ...['own0', 'own1', 'port0', 'port1', 'br0'].flatMap((device) => [
    `ip link set dev ${device} addrgenmode none`,
    `ip link set dev ${device} up`
  ]),
  'ip link set dev port0 master br0',
  // What leaves by tunnels.
  'ip addr add 10.97.0.1/24 dev own0'
]

const subnet = (card: string) => Number(card.slice(3)) - 100

export const address4 = (card: string, last = 1) => `10.55.${subnet(card)}.${last}/24`
export const address6 = (card: string) => `fd00:${subnet(card)}::1/64`
export const macvlanOf = (card: string) => `mv${subnet(card)}`

/** In an order in which none undoes another. */
export function cardCommands(card: string, state: CardState): string[] {
  const set = `ip link set dev ${card}`
  return [
    ...(state.mtu === 9000 ? [] : [`${set} mtu ${state.mtu}`]),
    ...(state.root === 'tbf' ? [`tc qdisc add dev ${card} root handle 5: tbf rate 1gbit burst 128k limit 1m`] : []),
    ...(state.root === 'htb'
      ? [
          `tc qdisc add dev ${card} root handle 1: htb default 10`,
          `tc class add dev ${card} parent 1: classid 1:10 htb rate 1mbit`,
          `tc filter add dev ${card} parent 1: protocol ip pref 5 u32 match ip dport 22 0xffff flowid 1:10`
        ]
      : []),
    ...(state.clsact || state.filters.length > 0 ? [`tc qdisc add dev ${card} clsact`] : []),
    ...state.filters.map(({ hook, form }, count) => filterCommand('add', card, hook, form, prefOf(count))),
    ...(state.ipv6 || !isLarge(state) ? [] : [`sysctl -q -w net/ipv6/conf/${card}/disable_ipv6=1`]),
    ...(state.address4 ? [`ip addr add ${address4(card)} dev ${card}`] : []),
    ...(hasAddress6(state) ? [`ip addr add ${address6(card)} dev ${card} nodad`] : []),
    ...(state.address4 && state.route && state.up && !isBridged(state)
      ? [`ip route add 10.77.${subnet(card)}.0/24 via 10.55.${subnet(card)}.9`]
      : []),
    ...(isUnnumbered(state) ? [unnumberedRoute('add', card, state)] : []),
    ...(hasMacvlan(state) ? macvlanCommands(card) : []),
    ...(isBridged(state) ? [`${set} master br0`] : []),
    ...(state.promiscuous ? [`${set} promisc on`] : []),
    ...(state.arp ? [] : [`${set} arp off`]),
    ...(state.gro ? [] : [`ethtool -K ${card} gro off`]),
    ...(state.tso ? [] : [`ethtool -K ${card} tso off`]),
    ...(state.named ? [`${set} alias uplink-of-${card}`, `ip link property add dev ${card} altname wan-${card}`] : []),
    ...(state.up ? [] : [`${set} down`])
  ]
}

/** IPv6 is to be had there; and what is built on a smaller one, or has it as a port, would have none either. */
export const isLarge = ({ mtu }: CardState) => mtu >= 1280

export const hasAddress6 = (state: CardState) => state.address6 && state.ipv6 && state.up && isLarge(state)

export const isBridged = (state: CardState) => state.bridged && isLarge(state)

export const hasMacvlan = (state: CardState) => state.macvlan && !isBridged(state) && state.up && isLarge(state)

export const isUnnumbered = (state: CardState) => state.unnumbered && state.up && !isBridged(state)

export function unnumberedRoute(verb: 'add' | 'del', card: string, { ipv6, mtu }: CardState): string {
  const hop = ipv6 && mtu >= 1280 ? `via inet6 fe80::1 dev ${card} onlink` : `dev ${card}`
  return `ip route ${verb} 10.88.${subnet(card)}.0/24 ${hop}`
}

export const macvlanCommands = (card: string) => [
  `ip link add ${macvlanOf(card)} link ${card} address 02:00:00:00:0c:${subnet(card).toString(16)} type macvlan`,
  `ip link set dev ${macvlanOf(card)} addrgenmode none`,
  `ip link set dev ${macvlanOf(card)} up`
]

export function filterCommand(
  verb: 'add' | 'del',
  card: string,
  hook: ForeignFilter['hook'],
  form: ForeignFilter['form'],
  pref: number
): string {
  const place = form === 'on a chain' ? 'chain 1PREF pref 8' : 'pref PREF'
  const rest = verb === 'add' ? filterForms[form] : place
  return `tc filter ${verb} dev ${card} ${hook} ${rest.replace('PREF', String(pref))}`
}

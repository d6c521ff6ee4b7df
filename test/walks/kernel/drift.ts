/** What happens to spans between applies. Never is all lost that tells what a card was like before: nobody could know. */

import type { FilterRow } from '../rows.ts'
import { words } from '../words.ts'
import type { Card } from './host.ts'
import { cardsOf } from './specs.ts'
import { type Name, names, outputCards } from './tunnels.ts'
import { type Loss, liveOutputs, liveSpans, liveTunnels, type World } from './world.ts'

type Drift = (world: World, name: Name, choice: number) => Promise<void>

export const drifts = {
  'bridge: options': onBridge((span) => [
    `ip link set dev ${span} type bridge ageing_time 1 mcast_snooping 1 forward_delay 300`
  ]),
  'bridge: spanning tree': onBridge((span) => [`ip link set dev ${span} type bridge stp_state 1`]),
  'bridge: vlans': onBridge((span) => [`ip link set dev ${span} type bridge vlan_filtering 1`]),
  'bridge: down, small': onBridge((span) => [`ip link set dev ${span} down mtu 1280`]),
  'bridge: tiny': onBridge((span) => [`ip link set dev ${span} mtu 1000`]),
  'bridge: IPv6': onBridge(
    (span) => [`ip link set dev ${span} addrgenmode eui64`, `ip addr add fd00:1::1/64 dev ${span}`],
    'visit'
  ),
  'bridge: offloads': onBridge((span) => [`ethtool -K ${span} tx on gso on tso on`]),
  'bridge: unsealed': onBridge((span) => [`tc qdisc del dev ${span} clsact`]),
  'bridge: another seal': onBridge(
    (span) => [
      `tc filter del dev ${span} ingress pref 9`,
      `tc qdisc replace dev ${span} clsact`,
      `tc filter add dev ${span} egress protocol all pref 9 bpf da bytecode '1,6 0 0 4294967295'`
    ],
    'visit'
  ),
  'bridge: another address': onBridge((span) => [`ip link set dev ${span} address 02:00:00:00:00:99`], 'mac'),
  'bridge: no alias': onBridge((span) => [`ip link set dev ${span} alias ''`], 'alias'),
  'bridge: gone': onBridge((span) => [`ip link del dev ${span}`], 'bridge'),
  'card: down': onCard((world, card) => {
    const { address4, address6, used, routed } = world.card(card)
    return address4 || address6 || used || routed ? [] : [`ip link set dev ${card} down`]
  }),
  'card: not promiscuous': onCard((_, card) => [`ip link set dev ${card} promisc off`]),
  'card: no longer dedicated': onCard((world, card, name) =>
    world.names[name].spec?.dedicated.includes(card)
      ? [
          `ip link set dev ${card} arp on`,
          `sysctl -q -w net/ipv6/conf/${card}/disable_ipv6=0`,
          `ethtool -K ${card} gro on`
        ]
      : []
  ),
  'mirrors: one side gone': onMirrors((card, choice) => [
    `tc filter del dev ${card} ${choice % 2 === 0 ? 'ingress' : 'egress'} pref 8`
  ]),
  'mirrors: clsact gone': onMirrors((card, _, world) => {
    const { first, filterAdded } = world.card(card)
    return first.clsact || first.filters.length > 0 || filterAdded ? [] : [`tc qdisc del dev ${card} clsact`]
  }),
  'mirror: another program': onMirror('replace', ({ cookie }) => `bytecode '1,6 0 0 0' ${action('continue', cookie)}`),
  'mirror: ends classification': onMirror(
    'replace',
    ({ program, cookie }) => `bytecode ${program} ${action('pipe', cookie)}`
  ),
  'mirror: another target': onMirror(
    'replace',
    ({ program, cookie }) => `bytecode ${program} ${action('continue', cookie).replace('TARGET', 'own0')}`
  ),
  'mirror: gone': onMirror('gone', () => null),
  'mirror: no cookie': onMirror('lose', ({ program }) => `bytecode ${program} ${action('continue', null)}`),
  'mirror: another cookie': onMirror('lose', ({ program }) => `bytecode ${program} ${action('continue', 'deadbeef')}`),
  'output: off its bridge': onLink(liveOutputs, (link) => [`ip link set dev ${link} nomaster`]),
  'output: as any port': onLink(liveOutputs, (link) => [
    `ip link set dev ${link} type bridge_slave isolated off learning on flood off`
  ]),
  'output: fed by the bridge': onLink(liveOutputs, (link) => [
    `ip link set dev ${link} type bridge_slave flood on mcast_flood on bcast_flood on`,
    `bridge link set dev ${link} state 3`
  ]),
  'output: its cable': async (world, name, choice) => {
    world.names[name].clean = false
    await world.switchCable(outputCards[name], choice % 2 === 0)
  },
  'output: down, small': onLink(liveOutputs, (link) => [`ip link set dev ${link} down mtu 1280`]),
  'output: IPv6': onLink(liveOutputs, (link) => [`sysctl -q -w net/ipv6/conf/${link}/disable_ipv6=0`]),
  'tunnel: gone': onTunnel((link) => [`ip link del dev ${link}`]),
  'tunnel: down, open': onTunnel((link) => [`ip link set dev ${link} down arp on`, `tc qdisc del dev ${link} clsact`]),
  'tunnel: its senders': onTunnel((link) => [`nft flush table inet spanplan_${link}`]),
  'tunnel: no table': onTunnel((link) => [`nft delete table inet spanplan_${link}`]),
  'tunnel: no alias': onTunnel((link) => [`ip link set dev ${link} alias ''`], 'alias')
} as const satisfies Record<string, Drift>

const action = (control: string, cookie: string | null) =>
  `action mirred egress mirror dev TARGET ${control}${cookie === null ? '' : ` cookie ${cookie}`}`

/** Does it to one of the name's bridges; that may be lost as a mark, or be used by somebody from then on. */
function onBridge(commands: (span: string) => string[], effect?: Loss | 'visit'): Drift {
  return async (world, name, choice) => {
    const spans = liveSpans(world, name)
    const span = spans[choice % spans.length]
    if (span === undefined) return
    if (effect === 'visit') world.visitBridge(span)
    else if (effect !== undefined && !world.lose([name], effect)) return
    world.names[name].clean = false
    // Only its mark says what a bridge was like before it was adopted.
    if (effect === 'alias' || effect === 'bridge') world.forgetBridge(span)
    for (const line of commands(span)) await world.attempt(line)
  }
}

/** Does it to the link of one of the name's tunnels. */
function onTunnel(commands: (link: string) => string[], effect?: Loss): Drift {
  return onLink(liveTunnels, commands, effect)
}

/** Does it to one of these links of the name. */
function onLink(
  linksOf: (world: World, name: Name) => readonly string[],
  commands: (link: string) => string[],
  effect?: Loss
): Drift {
  return async (world, name, choice) => {
    const links = linksOf(world, name)
    const link = links[choice % links.length]
    if (link === undefined || (effect !== undefined && !world.lose([name], effect))) return
    world.names[name].clean = false
    for (const line of commands(link)) await world.attempt(line)
  }
}

/** Does it to a card that the name uses. */
function onCard(commands: (world: World, card: Card, name: Name) => string[]): Drift {
  return async (world, name, choice) => {
    const card = pickCard(world, name, choice)
    if (card === undefined) return
    for (const user of world.usersOf(card)) world.names[user].clean = false
    for (const line of commands(world, card, name)) await world.attempt(line)
  }
}

/** Does it to all mirrors of a card that the name uses: they may be any name's. */
function onMirrors(commands: (card: Card, choice: number, world: World) => string[]): Drift {
  return async (world, name, choice) => {
    const card = pickCard(world, name, choice)
    if (card === undefined) return
    const lines = commands(card, choice, world)
    if (lines.length === 0 || !world.lose(names, 'mirrors')) return
    for (const user of names) world.names[user].clean = false
    for (const line of lines) await world.attempt(line)
  }
}

interface MarkedMirror {
  readonly cookie: string | null
  readonly program: string
}

/** Does it to one mirror of a card that the name uses, or deletes that: it may be any name's. */
function onMirror(kind: 'replace' | 'lose' | 'gone', rest: (mirror: MarkedMirror) => string | null): Drift {
  return async (world, name, choice) => {
    const card = pickCard(world, name, choice)
    if (card === undefined) return
    const hook = choice % 2 === 0 ? 'ingress' : 'egress'
    const rows: FilterRow[] = JSON.parse(await world.lab.run(words(`tc -j filter show dev ${card} ${hook}`)))
    const live = rows.filter(({ pref, chain, options }) => pref === 8 && chain === 0 && options?.actions !== undefined)
    const options = live[choice % live.length]?.options
    const target = options?.actions?.[0]?.to_dev
    if (options === undefined || target === undefined || target === '*') return
    if (kind === 'lose' && !world.lose(names, 'cookie')) return
    if (kind === 'gone' && !world.lose(names, 'mirrors')) return
    for (const user of names) world.names[user].clean = false
    const insns = options.bytecode.insns.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`)
    const program = `'${[insns.length, ...insns].join(',')}'`
    const cookie = options.actions?.[0]?.cookie ?? null
    const written = rest({ cookie, program })
    const place = `dev ${card} ${hook} protocol all pref 8 handle ${options.handle} bpf`
    await world.run(
      written === null ? `tc filter del ${place}` : `tc filter replace ${place} ${written.replace('TARGET', target)}`
    )
  }
}

function pickCard(world: World, name: Name, choice: number): Card | undefined {
  const { spec } = world.names[name]
  const used = spec === null ? [] : cardsOf(spec)
  return used[choice % used.length]
}

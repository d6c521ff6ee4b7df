import type { Notice } from '../errors.ts'
import type { Link, Snapshot } from '../host/host.ts'
import { deleteFilter, sealPref, writeSeal } from '../host/tc.ts'
import { bridgeMac, readAlias, sealHandle, writeAlias } from './mark.ts'
import { dockerBridgeMark } from './network.ts'
import { type Kind, onOff, type Resource, type Step, type Transition, yesNo } from './resource.ts'
import { isSealed, sealConflict, sealObstacle } from './seal.ts'
import { cardMark, isOwed, notice, ownsBridge, type Wanted } from './wanted.ts'

/** The bridge of a span: it learns nothing, so it hands every frame to every port. */
export interface Bridge extends Resource {
  readonly kind: 'bridge'
  readonly isBridge: boolean
  /** Whose it is, and what its cards were like. */
  readonly mark: string
  readonly mac: string
  /** Bytes. */
  readonly mtu: number
  readonly up: boolean
  /** Hundredths of a second, like the delay. */
  readonly ageing: number
  readonly forwardDelay: number
  readonly stp: boolean
  readonly snooping: boolean
  readonly vlanFiltering: boolean
  readonly ipv6: boolean
  /** A forwarding entry keeps frames to the bridge's own address from the sensors. */
  readonly ownMacEntry: boolean
  /** Frames leave as they go on a wire: nothing is left for a card to segment or to sum. */
  readonly wire: boolean
  /** What sensors send into it is dropped. */
  readonly sealed: boolean
  /** What keeps it from being sealed. */
  readonly obstacle: string | null
}

/** Where the bridge is the host's own end of a segment, these leave it work that only a real card would do. */
const wireOffloads = ['tx', 'tso', 'gso'] as const

/** How bridges are wanted, found, and made what they should be. */
export const bridge: Kind<Bridge> = {
  kind: 'bridge',
  rank: { create: 10, remove: 83 },
  fields: {
    // An alias of somebody else's may have 255 bytes.
    mark: { label: 'mark', words: (mark) => (mark === '' ? 'none' : mark.replace(/^(.{60}).+$/su, '$1…')) },
    mac: { label: 'address', words: String },
    mtu: { label: 'mtu', words: String },
    up: { label: 'state', words: (up) => (up ? 'up' : 'down') },
    ageing: { label: 'ageing', words: (ageing) => String(ageing / 100) },
    forwardDelay: { label: 'forward delay', words: (delay) => String(delay / 100) },
    stp: { label: 'spanning tree', words: onOff },
    snooping: { label: 'multicast snooping', words: onOff },
    vlanFiltering: { label: 'vlan filtering', words: onOff },
    ipv6: { label: 'IPv6', words: onOff },
    ownMacEntry: { label: 'keeps frames to its own address', words: yesNo },
    wire: { label: 'wire-size frames', words: onOff },
    sealed: { label: 'sealed', words: yesNo }
  },
  desire: (wanted, host) =>
    wanted.spans.map((span) => ({
      kind: 'bridge',
      id: span.name,
      spans: [span.name],
      owner: 'ours',
      origin: span.origin,
      isBridge: true,
      mark: writeAlias({
        owner: wanted.owner,
        network: span.hasNetwork,
        cards: rememberedCards(wanted, host, span.name)
      }),
      mac: bridgeMac(wanted.owner, span.name),
      mtu: span.mtu,
      up: true,
      ageing: 0,
      forwardDelay: 0,
      stp: false,
      snooping: false,
      vlanFiltering: false,
      ipv6: false,
      ownMacEntry: false,
      wire: span.wire,
      sealed: span.sealed,
      obstacle: null
    })),
  observe: (wanted, host) => host.links.flatMap((link) => observeBridge(wanted, host, link)),
  steps: bridgeSteps,
  title: (resource) => resource.id,
  summary: (resource) =>
    [
      ...['ageing 0', 'multicast snooping off', `mtu ${resource.mtu}`],
      ...(resource.wire ? [] : ['not wire-size']),
      resource.sealed ? 'sealed' : 'not sealed'
    ].join(', '),
  address: () => [],
  conflict: explainConflict
}

function explainConflict({ id, mark, isBridge, obstacle }: Bridge): Notice {
  if (obstacle !== null) return sealConflict(obstacle, id)
  const owner = readAlias(mark)?.owner
  if (owner !== undefined) {
    const message = `the bridge ${id} belongs to the spans of another name: ${owner}`
    return notice('BRIDGE_OTHERS', message, 'give the span another name')
  }
  return isBridge
    ? notice(
        'BRIDGE_FOREIGN',
        `a bridge ${id} exists already, and spanplan did not make it`,
        `give the span another name, or remove that bridge if nothing needs it: ip link del dev ${id}`
      )
    : notice('LINK_FOREIGN', `a network device ${id} exists already, and is not a bridge`, 'give the span another name')
}

/** The cards that feed the span, and those that did and are not given back yet. */
function rememberedCards(wanted: Wanted, host: Snapshot, span: string) {
  const link = host.links.find(({ name }) => name === span)
  const old = readAlias(link?.alias ?? null)?.cards
  return new Map(
    wanted.cards.flatMap((card) => {
      const used = wanted.spans.some(
        ({ name, mirrors }) => name === span && mirrors.some((mirror) => mirror.link.index === card.link.index)
      )
      if (used) return [[card.link.index, cardMark(card)] as const]
      const remembered = old?.get(card.link.index)
      const owed = [...card.live].some((trait) => isOwed(card, trait))
      return remembered && owed ? [[card.link.index, remembered] as const] : []
    })
  )
}

function observeBridge(wanted: Wanted, host: Snapshot, link: Link): Bridge[] {
  const desired = wanted.spans.some((span) => span.name === link.name)
  const ours = ownsBridge(wanted, link) || dockerBridgeMark(wanted, host, link.name) === 'owned'
  if (!ours && !desired) return []
  const { bridge: options, offloads } = link
  const obstacle = ours ? sealObstacle(wanted, host, link.name, link.name) : null
  return [
    {
      kind: 'bridge',
      id: link.name,
      spans: [link.name],
      owner: ours && options !== null && obstacle === null ? 'ours' : 'foreign',
      isBridge: options !== null,
      mark: link.alias ?? '',
      mac: link.mac,
      mtu: link.mtu,
      up: link.up,
      ageing: options?.ageing ?? 0,
      forwardDelay: options?.forwardDelay ?? 0,
      stp: options?.stp ?? false,
      snooping: options?.snooping ?? false,
      vlanFiltering: options?.vlanFiltering ?? false,
      ipv6: link.addresses.some(({ family }) => family === 'inet6') || (link.ipv6 && link.generatesAddress),
      ownMacEntry: link.ownMacEntry,
      wire: wireOffloads.every((name) => offloads[name]?.active !== true),
      sealed: isSealed(host, link.name),
      obstacle
    }
  ]
}

function bridgeSteps(transition: Transition<Bridge>): Step[] {
  switch (transition.action) {
    case 'remove':
      return [step(transition.before, 'remove', ['ip', 'link', 'del', 'dev', transition.before.id])]
    case 'create':
      return createSteps(transition.after)
    case 'update':
      return updateSteps(transition.before, transition.after, new Set(transition.fields))
  }
}

/** ETH_MIN_MTU in linux/if_ether.h. */
const smallestMtu = 68

function createSteps(after: Bridge): Step[] {
  // A bridge keeps an MTU of its own only once one was set that differs from what it had: else the first port decides.
  const made = {
    ...after,
    mtu: after.mtu > smallestMtu ? after.mtu - 1 : after.mtu + 1,
    mark: '',
    up: false,
    ipv6: true,
    ownMacEntry: true,
    wire: false,
    sealed: false
  }
  const options = ['ageing_time', '0', 'stp_state', '0', 'forward_delay', '0', 'mcast_snooping', '0']
  const changed = [
    'mark',
    'mtu',
    'up',
    'ipv6',
    'ownMacEntry',
    ...(after.wire ? ['wire'] : []),
    ...(after.sealed ? ['sealed'] : [])
  ]
  return [
    step(after, 'create', [
      ...(['ip', 'link', 'add', 'dev', after.id, 'address', after.mac, 'mtu', String(made.mtu)] as const),
      ...['type', 'bridge', ...options]
    ]),
    ...updateSteps(made, after, new Set(changed))
  ]
}

function updateSteps(before: Bridge, after: Bridge, changed: ReadonlySet<string>): Step[] {
  const device = after.id
  const link = [
    ...(changed.has('mark') ? ['alias', after.mark] : []),
    ...(changed.has('mac') ? ['address', after.mac] : []),
    ...(changed.has('mtu') ? ['mtu', String(after.mtu)] : []),
    ...(changed.has('ipv6') ? ['addrgenmode', 'none'] : [])
  ]
  const options = [
    ...(changed.has('ageing') ? ['ageing_time', '0'] : []),
    ...(changed.has('forwardDelay') ? ['forward_delay', '0'] : []),
    ...(changed.has('snooping') ? ['mcast_snooping', '0'] : []),
    ...(changed.has('vlanFiltering') ? ['vlan_filtering', '0'] : [])
  ]
  const set = ['ip', 'link', 'set', 'dev', device] as const
  return [
    ...(link.length > 0 ? [step(after, 'set', [...set, ...link])] : []),
    // Before the delay, in a command of its own: while it is on, a delay of 0 is out of range.
    ...(changed.has('stp') ? [step(after, 'set', [...set, 'type', 'bridge', 'stp_state', '0'])] : []),
    ...(options.length > 0 ? [step(after, 'set', [...set, 'type', 'bridge', ...options])] : []),
    // What it had learned while it aged is kept for good with an ageing time of 0.
    ...(changed.has('ageing') ? [step(after, 'forget', [...set, 'type', 'bridge', 'fdb_flush'])] : []),
    ...(changed.has('ipv6') && before.up ? [step(after, 'clear', ['ip', '-6', 'addr', 'flush', 'dev', device])] : []),
    ...(changed.has('up') ? [step(after, 'start', [...set, 'up'])] : []),
    ...(changed.has('ownMacEntry') || changed.has('mac')
      ? [step(after, 'open', ['bridge', 'fdb', 'del', after.mac, 'dev', device, 'self'])]
      : []),
    ...(changed.has('wire')
      ? [step(after, 'set', ['ethtool', '-K', device, ...wireOffloads.flatMap((name) => [name, onOff(!after.wire)])])]
      : []),
    ...(changed.has('sealed') ? sealSteps(after) : [])
  ]
}

function sealSteps(after: Bridge): Step[] {
  const handle = sealHandle(after.id)
  if (!after.sealed) {
    return [step(after, 'unseal', ['tc', ...deleteFilter(after.id, 'ingress', sealPref, handle)])]
  }
  return [
    step(after, 'seal', ['tc', 'qdisc', 'replace', 'dev', after.id, 'clsact']),
    step(after, 'seal', ['tc', ...writeSeal(after.id, handle)])
  ]
}

function step(resource: Bridge, verb: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `${verb} the bridge ${resource.id}`, argv }
}

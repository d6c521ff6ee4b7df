import type { Link, Snapshot } from '../host/host.ts'
import { deleteFilter, sealPref, writeSeal } from '../host/tc.ts'
import { sealHandle } from './mark.ts'
import { networkMtu } from './network.ts'
import { type Kind, onOff, type Resource, type Step, type Transition, yesNo } from './resource.ts'
import { isSealed, sealConflict, sealObstacle } from './seal.ts'
import { findNetwork, ownsBridge, type WantedSpan } from './wanted.ts'

/** A port of a span's bridge: the host's end of a sensor's interface, most often. */
export interface Port extends Resource {
  readonly kind: 'port'
  readonly mac: string
  /** Bytes. */
  readonly mtu: number
  readonly up: boolean
  readonly isolated: boolean
  readonly learning: boolean
  readonly flooding: boolean
  readonly ipv6: boolean
  /** A forwarding entry keeps frames to the port's own address from the other sensors. */
  readonly ownMacEntry: boolean
  /** The filter is for the ports of containers, which go when the network does: on any other it would outlive the span. */
  readonly sealed: boolean
  /** What keeps it from being sealed. */
  readonly obstacle: string | null
}

/** How the ports of bridges are found and sealed; Docker or others make them. */
export const port: Kind<Port> = {
  kind: 'port',
  // Before sensors are disconnected, to be connected anew: that takes their ports away.
  rank: { create: 1, remove: 1 },
  fields: {
    mtu: { label: 'mtu', words: String },
    up: { label: 'state', words: (up) => (up ? 'up' : 'down') },
    isolated: { label: 'isolated', words: onOff },
    learning: { label: 'learning', words: onOff },
    flooding: { label: 'flooding', words: onOff },
    ipv6: { label: 'IPv6', words: onOff },
    ownMacEntry: { label: 'keeps frames to its own address', words: yesNo },
    sealed: { label: 'sealed', words: yesNo }
  },
  desire: (wanted, host) =>
    wanted.spans.flatMap((span) =>
      portsOf(host, span.name).map((link) => ({
        ...({ kind: 'port', id: link.name, spans: [span.name], owner: 'ours', mac: link.mac } as const),
        // A device that somebody has put on the bridge may have another life.
        up: link.foreignPeer || link.up,
        mtu: desiredMtu(span, link, host),
        isolated: span.sealed,
        learning: false,
        flooding: true,
        ipv6: !link.foreignPeer && link.ipv6,
        ownMacEntry: false,
        sealed: span.sealed && link.foreignPeer,
        obstacle: null
      }))
    ),
  observe: (wanted, host) =>
    host.links
      .filter(
        (link) =>
          link.bridge !== null && (ownsBridge(wanted, link) || wanted.spans.some(({ name }) => name === link.name))
      )
      .flatMap((bridge) =>
        portsOf(host, bridge.name).map((link) => {
          const obstacle = link.foreignPeer ? sealObstacle(wanted, host, bridge.name, link.name) : null
          return {
            ...({ kind: 'port', id: link.name, spans: [bridge.name], mac: link.mac } as const),
            owner: obstacle === null ? 'shared' : 'foreign',
            mtu: link.mtu,
            up: link.up,
            isolated: link.port?.isolated === true,
            learning: link.port?.learning === true,
            flooding: link.port?.flooding === true,
            ipv6: link.ipv6,
            ownMacEntry: link.ownMacEntry,
            sealed: isSealed(host, link.name),
            obstacle
          }
        })
      ),
  steps: portSteps,
  title: ({ id, spans }) => `${id} → ${spans[0] ?? '?'}`,
  summary: () => 'unsealed',
  address: (resource) => [resource.id],
  conflict: ({ id, obstacle }) => sealConflict(obstacle ?? `${id} cannot be sealed`, id)
}

/** A container's port as Docker makes it; a network of another MTU is made anew, and its ports with it. */
function desiredMtu(span: WantedSpan, link: Link, host: Snapshot): number {
  const network = span.network && findNetwork(host, span.network.name)
  return network && link.foreignPeer && networkMtu(network) === span.mtu ? span.mtu : link.mtu
}

function portsOf(host: Snapshot, bridge: string): Link[] {
  return host.links.filter((link) => link.master === bridge && link.port !== null)
}

function portSteps(transition: Transition<Port>): Step[] {
  switch (transition.action) {
    case 'create':
    case 'remove':
      return []
    case 'update':
      return updateSteps(transition.before, transition.after, new Set(transition.fields))
  }
}

function updateSteps(before: Port, after: Port, changed: ReadonlySet<string>): Step[] {
  const { id } = after
  const flood = onOff(after.flooding)
  const options = [
    ...(changed.has('isolated') ? ['isolated', onOff(after.isolated)] : []),
    ...(changed.has('learning') ? ['learning', onOff(after.learning)] : []),
    ...(changed.has('flooding') ? ['flood', flood, 'mcast_flood', flood, 'bcast_flood', flood] : [])
  ]
  return [
    ...(changed.has('sealed') ? sealSteps(after) : []),
    ...(changed.has('mtu') ? [step(id, ['ip', 'link', 'set', 'dev', id, 'mtu', String(after.mtu)])] : []),
    ...(options.length > 0 ? [step(id, ['ip', 'link', 'set', 'dev', id, 'type', 'bridge_slave', ...options])] : []),
    ...(changed.has('up') ? [step(id, ['ip', 'link', 'set', 'dev', id, 'up'])] : []),
    ...(changed.has('ipv6') ? [step(id, ['sysctl', '-q', '-w', `net/ipv6/conf/${id}/disable_ipv6=1`])] : []),
    ...(changed.has('ownMacEntry') ? [step(id, ['bridge', 'fdb', 'del', before.mac, 'dev', id, 'master'])] : [])
  ]
}

function sealSteps({ id, sealed }: Port): Step[] {
  if (!sealed) return [step(id, ['tc', ...deleteFilter(id, 'ingress', sealPref, sealHandle(id))])]
  return [step(id, ['tc', 'qdisc', 'replace', 'dev', id, 'clsact']), step(id, ['tc', ...writeSeal(id, sealHandle(id))])]
}

function step(device: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `set the port ${device}`, argv }
}

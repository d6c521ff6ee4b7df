import type { Link, Snapshot } from '../host/host.ts'
import { networkMtu } from './network.ts'
import { type Kind, type Moment, onOff, type Resource, type Step, type Transition, yesNo } from './resource.ts'
import {
  desiredSeal,
  readSeal,
  recallSeal,
  type Seal,
  sealCommands,
  sealConflict,
  sealField,
  sealObstacle
} from './seal.ts'
import { sensor } from './sensor.ts'
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
  readonly seal: Seal
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
    seal: sealField
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
        seal: desiredSeal(span.sealed && link.foreignPeer, readSeal(host, link.name)),
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
            seal: readSeal(host, link.name),
            obstacle
          }
        })
      ),
  recall: recallPorts,
  steps: portSteps,
  title: ({ id, spans }) => `${id} → ${spans[0] ?? '?'}`,
  summary: () => 'unsealed',
  address: (resource) => [resource.id],
  device: ({ id }) => id,
  conflict: ({ id, obstacle }) => sealConflict(obstacle ?? `${id} cannot be sealed`, id)
}

/** A container's port as Docker makes it; a network of another MTU is made anew, and its ports with it. */
function desiredMtu(span: WantedSpan, link: Link, host: Snapshot): number {
  const network = span.network && findNetwork(host, span.network.name)
  return network && link.foreignPeer && networkMtu(network) === span.mtu ? span.mtu : link.mtu
}

/**
 * Where a sensor was connected anew, its port has another name. What spanplan leaves alone of a port that is no container's,
 * others may have changed meanwhile.
 */
function recallPorts(ports: readonly Port[], then: Moment, now: Moment): Port[] {
  const sensors = sensor.observe(now.wanted, now.host)
  const names = new Map(
    sensor.observe(then.wanted, then.host).flatMap(({ id, port: name }) => {
      const again = sensors.find((other) => other.id === id)?.port
      return name !== null && again ? [[name, again]] : []
    })
  )
  return ports.flatMap((one) => {
    const id = names.get(one.id) ?? one.id
    const link = now.host.links.find(({ name }) => name === id)
    if (link === undefined) return []
    const theirs = link.foreignPeer ? {} : { mtu: link.mtu, up: link.up, ipv6: link.ipv6 }
    return [{ ...one, ...theirs, id, seal: recallSeal(one.seal, now.host, id) }]
  })
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
  const set = ['ip', 'link', 'set', 'dev', id] as const
  const disabled = after.ipv6 ? '0' : '1'
  const entry = ['bridge', 'fdb', after.ownMacEntry ? 'add' : 'del', before.mac, 'dev', id, 'master'] as const
  return [
    ...(changed.has('seal') ? sealCommands(id, before.seal, after.seal).map((argv) => step(id, argv)) : []),
    ...(changed.has('mtu') ? [step(id, [...set, 'mtu', String(after.mtu)])] : []),
    ...(options.length > 0 ? [step(id, [...set, 'type', 'bridge_slave', ...options])] : []),
    ...(changed.has('up') ? [step(id, [...set, after.up ? 'up' : 'down'])] : []),
    ...(changed.has('ipv6') ? [step(id, ['sysctl', '-q', '-w', `net/ipv6/conf/${id}/disable_ipv6=${disabled}`])] : []),
    ...(changed.has('ownMacEntry') ? [step(id, [...entry, ...(after.ownMacEntry ? ['permanent'] : [])])] : [])
  ]
}

function step(device: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `set the port ${device}`, argv }
}

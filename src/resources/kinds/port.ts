import { label } from '../../host/docker/docker-names.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Endpoint, Link } from '../../host/snapshot.ts'
import type { DesiredSpan, DesiredState } from '../desired-state.ts'
import { type Kind, type ObservedState, onOff, type Resource, type Step, type Transition, yesNo } from '../kind.ts'
import { type PortOrigin, type PortSetting, readMark, readPortClass, sealHandle, writePortClass } from '../marks.ts'
import { ownsBridge } from '../ownership.ts'
import {
  desiredSeal,
  findObstacle,
  findSeal,
  hasOtherFilters,
  readSeal,
  rollbackSeal,
  type Seal,
  sealCommands,
  sealConflict,
  sealField,
  sealObstacle
} from '../seal.ts'
import { bridge } from './bridge.ts'
import { smallestIpv6Mtu } from './bridge-steps.ts'
import { liveNetworks, networkMtu } from './network.ts'

/** A port of a span's bridge: the host's end of a sensor's interface, most often. Or one that was, and still bears our mark. */
export interface Port extends Resource {
  readonly kind: 'port'
  /** It is a port of a bridge. */
  readonly attached: boolean
  /** The container that it leads into, and the network that it belongs to; null: it is foreign, or nothing tells. */
  readonly endpoint: { readonly container: string; readonly network: string } | null
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
  /** Of a device whose other end is elsewhere: what comes from there is dropped. The filter also says what the port was like. */
  readonly seal: Seal
  /** The handle of that filter. */
  readonly handle: number
  /** What it was like before, and is to be again. */
  readonly original: PortOrigin
  /** Somebody uses it: set down, it would lose addresses. */
  readonly inUse: boolean
  /** Others' filters hang on its hook. */
  readonly qdiscInUse: boolean
  /** The bridge is given back, and keeps its ports. */
  readonly bridgeStays: boolean
  /** What keeps it from being sealed. */
  readonly obstacle: string | null
}

/** How the ports of bridges are found, sealed, and given back; Docker or others make them. */
export const port: Kind<Port> = {
  kind: 'port',
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
    wanted.spans.flatMap((span) => host.portsOf(span.name).map((link) => desirePort(wanted, host, span, link))),
  observe: (wanted, host) => {
    const bridges = bridge.observe(wanted, host).filter(({ isBridge }) => isBridge)
    const orphans = host.links.filter((link) => isOrphan(wanted, host, link))
    return [
      ...bridges.flatMap(({ id, owner }) =>
        host.portsOf(id).map((link) => observePort(wanted, host, link, { span: id, bridgeStays: owner === 'adopted' }))
      ),
      ...orphans.map((link) => observeOrphan({ wanted, host }, link))
    ]
  },
  rollbackTarget: rollbackPorts,
  steps: portSteps,
  title: ({ id, spans }) => (spans[0] === undefined ? id : `${id} → ${spans[0]}`),
  summary: () => 'unsealed',
  address: (resource) => [resource.id],
  device: ({ id }) => id,
  conflict: ({ id, obstacle }) => sealConflict(obstacle ?? `${id} cannot be sealed`, id),
  removalNote: () => 'given back as it was before it was a port'
}

/**
 * It bears our mark, and is no port of a span's any more, whoever's that was. What may be a container's is left sealed: its
 * frames would enter the host. So is everything where some spans are left out, for it may be a port of these.
 */
function isOrphan(wanted: DesiredState, host: HostIndex, link: Link): boolean {
  const { spans } = wanted.scope
  if ('only' in spans || spans.except.size > 0) return false
  if (findSeal(host, link.name) === undefined || link.bridge !== null) return false
  const master = host.linkOf(link.master)
  return (master === undefined || !isSpanBridge(wanted, master)) && !mayBeContainers(wanted, host, link)
}

function observeOrphan({ wanted, host }: ObservedState, link: Link): Port {
  return observePort(wanted, host, link, { span: null, bridgeStays: false })
}

/** Docker has a container of any name's spans whose port it is, or may be; or is not read, where any span uses Docker. */
function mayBeContainers({ spans }: DesiredState, host: HostIndex, link: Link): boolean {
  const { docker, links } = host
  if (docker.state !== 'read') {
    return spans.some(({ network }) => network !== null) || links.some((one) => readMark(one)?.network === true)
  }
  const networks = new Set(docker.networks.filter(({ labels }) => labels[label.name] !== undefined).map(({ id }) => id))
  const endpoint = host.attachmentOf(link)?.endpoint
  const places = docker.containers.flatMap(({ running, endpoints }) => (running ? endpoints : []))
  const isOrMayBe = (place: Endpoint) => place === endpoint || typeof place.port === 'string'
  return docker.unread.length > 0 || places.some((place) => networks.has(place.networkId) && isOrMayBe(place))
}

/** Of any name's spans. */
function isSpanBridge(wanted: DesiredState, link: Link): boolean {
  return readMark(link) !== null || ownsBridge(wanted, link) || wanted.spans.some(({ name }) => name === link.name)
}

/** Docker takes it away with the network, or with the container's place on it, and makes another where the network is recreated. */
function goesWithNetwork(wanted: DesiredState, host: HostIndex, endpoint: Port['endpoint']): boolean {
  return endpoint !== null && liveNetworks(wanted, host).some(({ name }) => name === endpoint.network)
}

function endpointOf(host: HostIndex, link: Link): Port['endpoint'] {
  const { container, endpoint } = host.attachmentOf(link) ?? {}
  return container && endpoint ? { container: container.name, network: endpoint.network } : null
}

/**
 * What it was like: as its mark says; as the kernel makes a port, where our filter has no mark, or has been taken off one that
 * is as a span sets its ports; else as it is.
 */
function originOf(host: HostIndex, link: Link): PortOrigin {
  const seal = findSeal(host, link.name)
  const marked = readPortClass(seal?.classId ?? null)
  if (marked !== null) return marked
  const clsact = host.hasQdisc(link.name, 'clsact')
  const lost = seal !== undefined || (!link.ipv6 && !link.ownMacEntry && link.port?.learning === false)
  const own = { up: link.up, ipv6: link.ipv6, clsact }
  const interfaceSettings: Record<PortSetting, boolean> = !leadsAway(link)
    ? { ...usual, ...own }
    : lost
      ? usual
      : { ...flagsOf(link), ...own, ownMacEntry: link.ownMacEntry }
  // Object.entries forgets that its keys are the table's own.
  const set = new Set(
    Object.entries(interfaceSettings).flatMap(([setting, on]) => (on ? [setting as PortSetting] : []))
  )
  return { mtu: link.mtu, interfaceSettings: set }
}

/** As the kernel and Docker make a port. */
const usual: Record<PortSetting, boolean> = {
  ...{ up: true, isolated: false, learning: true, flooding: true, ipv6: true, ownMacEntry: true, clsact: false }
}

function flagsOf({ port: options }: Link): Pick<Port, 'isolated' | 'learning' | 'flooding'> {
  return {
    isolated: options?.isolated === true,
    learning: options?.learning === true,
    flooding: options?.flooding === true
  }
}

/** A device that somebody has put on the bridge, and whose other end is no other namespace's, may have another life. */
function desirePort(wanted: DesiredState, host: HostIndex, span: DesiredSpan, link: Link): Port {
  const live = observePort(wanted, host, link, { span: span.name, bridgeStays: false })
  const hasAddress = link.addresses.some(({ family, automatic }) => family === 'inet6' && !automatic)
  return {
    ...live,
    owner: 'ours',
    up: leadsAway(link) || link.up,
    mtu: desiredMtu(span, link, host),
    isolated: span.sealed || (leadsAway(link) && live.original.interfaceSettings.has('isolated')),
    learning: false,
    flooding: true,
    // An address of somebody's would be lost with it for good.
    ipv6: link.ipv6 && (!leadsAway(link) || hasAddress),
    ownMacEntry: false,
    seal: portSeal(host, span, link, live.seal),
    obstacle: null
  }
}

function portSeal(host: HostIndex, span: DesiredSpan, link: Link, now: Seal): Seal {
  if (!leadsAway(link)) return desiredSeal('qdisc', now)
  if (span.sealed) return 'sealed'
  return findObstacle(host, link.name) === null ? 'marked' : now
}

function observePort(
  wanted: DesiredState,
  host: HostIndex,
  link: Link,
  { span, bridgeStays }: { readonly span: string | null; readonly bridgeStays: boolean }
): Port {
  const obstacle = leadsAway(link) && span !== null ? sealObstacle(wanted, host, span, link.name) : null
  const seal = findSeal(host, link.name)
  // One that loses its bridge is a row of the plan, whatever else it gets back.
  const changed = bridgeStays ? link.port?.learning === false : span !== null
  const endpoint = endpointOf(host, link)
  const givenBack = (changed || seal !== undefined) && !goesWithNetwork(wanted, host, endpoint)
  return {
    kind: 'port',
    id: link.name,
    spans: span === null ? [] : [span],
    owner: obstacle !== null ? 'foreign' : givenBack ? 'adopted' : 'shared',
    attached: span !== null,
    endpoint,
    mac: link.mac,
    mtu: link.mtu,
    up: link.up,
    ...flagsOf(link),
    ipv6: link.ipv6,
    ownMacEntry: link.ownMacEntry,
    seal: readSeal(host, link.name),
    handle: seal?.handle ?? sealHandle(link.name),
    original: originOf(host, link),
    inUse: link.addresses.some(({ automatic }) => !automatic) || host.uppersOf(link).length > 0,
    qdiscInUse: hasOtherFilters(host, link.name),
    bridgeStays,
    obstacle
  }
}

/** A container's port as Docker makes it; a network of another MTU is made anew, and its ports with it. */
function desiredMtu(span: DesiredSpan, link: Link, host: HostIndex): number {
  const network = span.network && host.networkOf(span.network.name)
  return network && leadsAway(link) && networkMtu(network) === span.mtu ? span.mtu : link.mtu
}

/**
 * Where a container was connected again, its port has another name. What spanplan leaves alone of a port that leads nowhere else,
 * others may have changed meanwhile; and a port that others have taken off its bridge stays off.
 */
function rollbackPorts(ports: readonly Port[], then: ObservedState, now: ObservedState): Port[] {
  const bridgeOf = ({ host }: ObservedState, [span]: Port['spans']) => host.linkOf(span ?? null)
  return ports.flatMap((one) => {
    const link = findAgain(now.host, one)
    if (link === undefined) return []
    const [was, is] = [bridgeOf(then, one.spans), bridgeOf(now, one.spans)]
    if (one.attached && link.master !== one.spans[0]) {
      // A bridge that has gone is made first, and the port stays as it is until then.
      if (is === undefined) return isOrphan(now.wanted, now.host, link) ? [observeOrphan(now, link)] : []
      // Off a bridge that has stayed, others have taken it.
      if (is.index === was?.index) return []
    }
    const theirs = leadsAway(link) ? {} : { mtu: link.mtu, up: link.up, ipv6: link.ipv6 }
    const { name: id, mac } = link
    return [{ ...one, ...theirs, id, mac, seal: rollbackSeal(one.seal, now.host, id) }]
  })
}

/** The port that leads to the same endpoint now; else the link of the same name. */
function findAgain(host: HostIndex, { id, attached, endpoint }: Port): Link | undefined {
  const endpoints = (attached && endpoint && host.containerOf(endpoint.container)?.endpoints) || []
  const again = endpoints.find(({ network }) => network === endpoint?.network)
  return (again && host.vethTo(again)) ?? host.linkOf(id)
}

/** What comes from it is another's: of a container or another namespace, or, through a tap, of a virtual machine. */
function leadsAway({ foreignPeer, kind }: Link): boolean {
  return foreignPeer || kind === 'tun'
}

function portSteps(transition: Transition<Port>): Step[] {
  switch (transition.action) {
    case 'create':
      return joinSteps(transition.after)
    case 'remove': {
      const { before } = transition
      const after = giveBack(before)
      // Object.keys forgets that its keys are the table's own.
      const keys = Object.keys(port.fields) as (keyof Port)[]
      return updateSteps(before, after, new Set(keys.filter((key) => before[key] !== after[key])), 'give back')
    }
    case 'update': {
      const { before, after, fields } = transition
      return after.attached && !before.attached ? joinSteps(after) : updateSteps(before, after, new Set(fields))
    }
  }
}

/** Put back onto a bridge, it is as the kernel makes a port, whatever it was; closed before it is there. */
function joinSteps(after: Port): Step[] {
  const fresh = { ...after, ...usual, seal: 'none' } as const
  const joining = step(after.id, ['ip', 'link', 'set', 'dev', after.id, 'master', after.spans[0] ?? ''])
  const others = Object.keys(port.fields).filter(
    (key) => key !== 'seal' && (key !== 'ownMacEntry' || !after.ownMacEntry)
  )
  return [
    ...updateSteps(fresh, after, new Set(['seal'])),
    ...(after.attached ? [joining] : []),
    ...updateSteps(fresh, after, new Set(others))
  ]
}

/** What only a port has goes when it leaves the bridge. */
function giveBack(before: Port): Port {
  const { mtu, interfaceSettings } = before.original
  const has = (setting: PortSetting) => interfaceSettings.has(setting)
  const flags = {
    isolated: has('isolated'),
    learning: has('learning'),
    flooding: has('flooding'),
    ownMacEntry: has('ownMacEntry')
  }
  const seal = has('clsact') || before.qdiscInUse ? 'qdisc' : 'none'
  return {
    ...before,
    ...(before.bridgeStays && flags),
    ...{ mtu, up: has('up') || (before.up && before.inUse), ipv6: has('ipv6') },
    seal: before.seal === 'none' ? 'none' : seal
  }
}

/** The mark is written before the port is changed, and removed after it is given back. */
function updateSteps(before: Port, after: Port, changed: ReadonlySet<string>, verb = 'set'): Step[] {
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
  // With the MTU that it needs, IPv6 comes back as the kernel's default is.
  const wakes = before.mtu < smallestIpv6Mtu && !after.ipv6
  const setsIpv6 = after.mtu >= smallestIpv6Mtu && (changed.has('ipv6') || wakes)
  const place = { handle: after.handle, classId: writePortClass(after.original) }
  const seal = changed.has('seal')
    ? sealCommands(id, before.seal, after.seal, place).map((argv) => step(id, argv, verb))
    : []
  const marks = after.seal === 'sealed' || after.seal === 'marked'
  return [
    ...(marks ? seal : []),
    ...(changed.has('mtu') ? [step(id, [...set, 'mtu', String(after.mtu)], verb)] : []),
    ...(options.length > 0 ? [step(id, [...set, 'type', 'bridge_slave', ...options], verb)] : []),
    ...(changed.has('up') ? [step(id, [...set, after.up ? 'up' : 'down'], verb)] : []),
    ...(setsIpv6 ? [step(id, ['sysctl', '-q', '-w', `net/ipv6/conf/${id}/disable_ipv6=${disabled}`], verb)] : []),
    ...(changed.has('ownMacEntry') ? [step(id, [...entry, ...(after.ownMacEntry ? ['permanent'] : [])], verb)] : []),
    ...(marks ? [] : seal)
  ]
}

function step(device: string, argv: readonly [string, ...string[]], verb = 'set'): Step {
  return { summary: `${verb} the port ${device}`, argv }
}

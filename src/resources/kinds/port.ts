import { groupBy, type HostIndex } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import { isSealProgram } from '../../host/xdp/seal-program.ts'
import { keysOf, tableOf } from '../../keys.ts'
import type { DesiredSpan, DesiredState } from '../desired-state.ts'
import { isInUse } from '../interface-use.ts'
import { deleteLink, type Kind, memoized, type ObservedState, type Resource, type Step, setSysctl } from '../kind.ts'
import { type PortOrigin, readPortClass, sealHandle, writePortClass } from '../marks.ts'
import { isOwnTunnel, markOf, ownsBridge, tunnelOwner } from '../ownership.ts'
import { type PortRole, portRole, sensorPorts, treatments } from '../port-role.ts'
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
} from '../seal-commands.ts'
import { columnOf, onOff, portBits, portSettings, readPort, switchIpv6, switchMacEntry, yesNo } from '../settings.ts'
import { bridge } from './bridge.ts'
import { smallestIpv6Mtu } from './bridge-steps.ts'
import { networkMtu } from './network.ts'

/** A port of a span's bridge, most often the host's end of a sensor's interface; or a former port that still bears our mark. */
export interface Port extends Resource, Readonly<ReturnType<typeof readPort>> {
  readonly kind: 'port'
  /** Whether the link is a port of a bridge now. */
  readonly attached: boolean
  readonly role: PortRole
  readonly mac: string
  /** For a port that leads out of this namespace: what comes from there is dropped. The filter is also the port's mark. */
  readonly seal: Seal
  /** The handle of the filter that seals the port. */
  readonly handle: number
  /** What the port was like before, to be given back. */
  readonly original: PortOrigin
  /** false: a container is connected by the port, and its mark does not say so, as where it was sealed before Docker was read. */
  readonly known: boolean
  /** The host uses the link: set down, it would lose addresses. */
  readonly inUse: boolean
  /** The port's clsact holds foreign filters. */
  readonly qdiscInUse: boolean
  /** The link stays a port of its bridge, which is given back or is no span's: what was set of the port is given back, too. */
  readonly bridgeStays: boolean
  /** Why the port cannot be sealed. */
  readonly obstacle: string | null
}

/** What steps set of a port. */
type PortState = ReturnType<typeof readPort> &
  Pick<Port, 'id' | 'spans' | 'attached' | 'mac' | 'handle' | 'original' | 'seal'>

/** How ports of bridges are observed, sealed and given back. Docker or others create them. */
export const port: Kind<Port> = {
  kind: 'port',
  fields: {
    ...portSettings,
    seal: sealField,
    known: { label: "marked as a container's", words: yesNo }
  },
  desire: (state, live) =>
    liveOnPorts(state, live).flatMap(({ span, link, one }) =>
      one.role.kind === 'left' ? [] : [desirePort(state.host, span, link, one)]
    ),
  observe: memoized((state) => {
    const { desired, host } = state
    const bridges = bridge.observe(state).filter(({ isBridge }) => isBridge)
    const orphans = host.links.filter(orphansOf(desired, host))
    return [
      ...bridges.flatMap(({ id, owner }) =>
        host
          .portsOf(id)
          // That is taken off the bridge.
          .filter((link) => !isOwnTunnel(host, link))
          .map((link) => observePort(state, link, id, owner === 'adopted'))
      ),
      ...orphans.map((link) => observePort(state, link, null, link.port !== null))
    ]
  }),
  rollbackTarget: rollbackPorts,
  create: joinSteps,
  update: (before, after, fields) =>
    after.attached && !before.attached ? joinSteps(after) : updateSteps(before, after, new Set(fields)),
  remove: (before) =>
    before.role.kind === 'left'
      ? [deleteLink(`remove the port ${before.id}`, before.role.reference)]
      : giveBackSteps(before),
  title: ({ id, spans }) => (spans[0] === undefined ? id : `${id} → ${spans[0]}`),
  summary: () => 'unsealed',
  device: ({ id }) => id,
  serves: ({ role }) => role.connects?.container ?? null,
  closes: true,
  conflict: ({ id }, _, host) => sealConflict(host, id),
  document: ({ role, ...rest }) => ({
    ...rest,
    endpoint: role.connects,
    left: role.kind === 'left' ? role.reference : null
  }),
  removalNote: ({ role }) =>
    role.kind === 'left'
      ? 'removed: a container that is connected by it no more has kept its interface'
      : 'given back as it was before it was a port'
}

/** What is live on the ports of the desired spans, each with its port's span and link. */
export function liveOnPorts<R extends Resource>({ desired, host }: ObservedState, live: readonly R[]) {
  const byId = new Map(live.map((one) => [one.id, one]))
  const portsOf = groupBy([...byId.values()], ({ spans: [span] }) => span)
  return desired.spans.flatMap((span) =>
    portsOf(span.name).flatMap((one) => {
      const link = host.linkOf(one.id)
      return link === undefined ? [] : [{ span, link, one }]
    })
  )
}

/**
 * Links that bear our mark and are no port of a span any more. What may be a container's stays sealed, because its frames would
 * enter the host. Where some spans are out of scope, all stay sealed: they may be ports of these spans.
 */
function orphansOf(desired: DesiredState, host: HostIndex): (link: Link) => boolean {
  const { spans } = desired.scope
  if ('only' in spans || spans.except.size > 0) return () => false
  const mayBeSensors = sensorPorts(desired, host)
  return (link) => {
    const isMarked = findSeal(host, link.name) !== undefined || (link.xdp !== null && isSealProgram(link.xdp))
    if (!isMarked || link.bridge !== null || tunnelOwner(host, link, desired.owner) !== null) return false
    const master = host.linkOf(link.master)
    const isOfSpan =
      master !== undefined &&
      (markOf(host, master) !== null || desired.spanOf(master.name) !== undefined || ownsBridge(desired, host, master))
    const stays = treatments[portRole(desired, host, link).kind].end === 'stays' || mayBeSensors(link)
    return !isOfSpan && !stays
  }
}

/**
 * What a port was like before: what its mark says. Where our filter has no mark, or is gone from a port with the settings of a
 * span's port: as the kernel makes a port. Else as the port is now.
 */
function originOf(host: HostIndex, link: Link, { kind, connects }: PortRole): PortOrigin {
  const seal = findSeal(host, link.name)
  const marked = readPortClass(seal?.classId ?? null)
  if (marked !== null) return marked
  const now = readPort(link)
  const { mtu, up, ipv6, ownMacEntry } = now
  const own = { clsact: host.hasQdisc(link.name, 'clsact'), connection: connects !== null }
  if (!treatments[kind].sealed) return { ...usual, mtu, up, ipv6, ...own }
  const lost = seal !== undefined || (!ipv6 && !ownMacEntry && link.port?.learning === false)
  return lost ? { ...usual, mtu, connection: own.connection } : { ...now, ...own }
}

/** The settings with which the kernel and Docker make a port. */
const usual: Omit<PortOrigin, 'mtu'> = tableOf(
  portBits.map(([setting]) => [setting, columnOf(portSettings, 'usual').some(([on]) => on === setting)])
)

/** A link that others put on the bridge, and that does not lead to another namespace, may have another use. */
function desirePort(host: HostIndex, span: DesiredSpan, link: Link, live: Port): Port {
  const { sealed } = treatments[live.role.kind]
  // A container's port as Docker makes it. With another MTU, the network is recreated, and its ports with it.
  const network = sealed && span.network ? host.networkOf(span.network.name) : undefined
  const hasAddress = link.addresses.some(({ family, automatic }) => family === 'inet6' && !automatic)
  return {
    ...live,
    owner: 'ours',
    up: sealed || link.up,
    mtu: network && networkMtu(network) === span.mtu ? span.mtu : link.mtu,
    isolated: span.sealed || (sealed && live.original.isolated),
    learning: false,
    flooding: true,
    // Set down, the link would lose a foreign address for good.
    ipv6: link.ipv6 && (!sealed || hasAddress),
    ownMacEntry: false,
    seal: sealed ? portSeal(host, span, link, live.seal) : desiredSeal('qdisc', live.seal),
    original: { ...live.original, connection: live.original.connection || live.role.connects !== null },
    known: true,
    obstacle: null
  }
}

/** How a port that leads elsewhere is sealed. */
export function portSeal(host: HostIndex, span: DesiredSpan, link: Link, now: Seal): Seal {
  if (span.sealed) return 'sealed'
  return findObstacle(host, link.name) === null ? 'marked' : now
}

function observePort({ desired, host }: ObservedState, link: Link, span: string | null, bridgeStays = false): Port {
  const role = portRole(desired, host, link)
  const { sealed, end } = treatments[role.kind]
  const obstacle = sealed && span !== null ? sealObstacle(desired, host, span, link.name) : null
  const seal = findSeal(host, link.name)
  // A port that loses its bridge has a row in the plan, whatever else is given back.
  const changed = bridgeStays ? link.port?.learning === false : span !== null
  const givenBack = (changed || seal !== undefined) && end === 'returned'
  const original = originOf(host, link, role)
  return {
    kind: 'port',
    id: link.name,
    spans: span === null ? [] : [span],
    owner: role.kind === 'left' ? 'ours' : obstacle !== null ? 'foreign' : givenBack ? 'adopted' : 'shared',
    attached: span !== null,
    role,
    mac: link.mac,
    ...readPort(link),
    seal: readSeal(host, link.name),
    handle: seal?.handle ?? sealHandle(link.name),
    original,
    known: role.connects === null || original.connection,
    inUse: isInUse(host, { ...link, master: null }),
    qdiscInUse: hasOtherFilters(host, link.name),
    bridgeStays,
    obstacle
  }
}

/**
 * After a container was connected again, its port has another name. Settings that spanplan does not manage stay as others have
 * set them meanwhile, and a port that others have taken off the bridge stays off.
 */
function rollbackPorts(ports: readonly Port[], then: ObservedState, now: ObservedState): Port[] {
  const bridgeOf = ({ host }: ObservedState, [span]: Port['spans']) => host.linkOf(span ?? null)
  const isOrphan = orphansOf(now.desired, now.host)
  return ports.flatMap((one) => {
    const link = findAgain(now.host, one)
    if (link === undefined) return []
    const [was, is] = [bridgeOf(then, one.spans), bridgeOf(now, one.spans)]
    if (one.attached && link.master !== one.spans[0]) {
      // A bridge that is gone is created first. Until then, the port stays as it is.
      if (is === undefined) return isOrphan(link) ? [observePort(now, link, null)] : []
      // The bridge is there, so others have taken the port off it.
      if (is.index === was?.index) return []
    }
    const { known, role, qdiscInUse } = observePort(now, link, one.spans[0] ?? null)
    const theirs = treatments[role.kind].sealed ? {} : { mtu: link.mtu, up: link.up, ipv6: link.ipv6 }
    const { name: id, mac } = link
    return [{ ...one, ...theirs, id, mac, known, seal: rollbackSeal(one.seal, qdiscInUse) }]
  })
}

/** The port that leads to the same endpoint now; else the link of the same name. */
export function findAgain(host: HostIndex, { id, attached, role: { connects } }: Port): Link | undefined {
  const endpoints = (attached && connects && host.containerOf(connects.container)?.endpoints) || []
  const again = endpoints.find(({ network }) => network === connects?.network)
  return (again && host.vethTo(again)) ?? host.linkOf(id)
}

/**
 * The steps that put an interface of our own on a span's bridge, as a plan wants a port to be. Whatever happens to a span's port
 * happens to this one: no mark tells it from the others. It is isolated, also where the span's sensors are not.
 */
export function joinSpan(
  { name, mac, mtu }: Pick<Link, 'name' | 'mac' | 'mtu'>,
  span: string,
  isSealed: boolean
): readonly Step[] {
  return joinSteps({
    ...usual,
    id: name,
    spans: [span],
    attached: true,
    mac,
    mtu,
    isolated: true,
    learning: false,
    ipv6: false,
    ownMacEntry: false,
    seal: isSealed ? 'sealed' : 'marked',
    handle: sealHandle(name),
    original: { ...usual, mtu, isolated: true }
  })
}

/** A port that is put on a bridge again has the kernel's defaults; it is sealed before. */
function joinSteps(after: PortState): Step[] {
  const fresh = { ...after, ...usual, seal: 'none' } as const
  const joining = step(after.id, ['ip', 'link', 'set', 'dev', after.id, 'master', after.spans[0] ?? ''])
  const others = Object.keys(portSettings).filter(
    (key) => !((key === 'ownMacEntry' || key === 'flooding') && after[key])
  )
  return [
    ...updateSteps(fresh, after, new Set(['seal'])),
    ...(after.attached ? [joining] : []),
    ...updateSteps(fresh, after, new Set(others))
  ]
}

/** Settings that only a port has are gone when the link leaves the bridge. */
function giveBackSteps(before: Port): Step[] {
  const { mtu, up, ipv6, clsact, connection: _, ...flags } = before.original
  const seal = clsact || before.qdiscInUse ? 'qdisc' : 'none'
  const after: Port = {
    ...before,
    // On another's bridge, a run that began before the port was put there may have set it.
    ...(before.bridgeStays && (before.attached || !before.learning) && flags),
    mtu,
    up: up || (before.up && before.inUse),
    ipv6,
    seal: before.seal === 'none' ? 'none' : seal
  }
  const changed = keysOf(port.fields).filter((key) => before[key] !== after[key])
  return updateSteps(before, after, new Set(changed), 'give back')
}

/** The mark is written before the port is changed, and removed after it is given back. */
function updateSteps(before: PortState, after: PortState, changed: ReadonlySet<string>, verb = 'set'): Step[] {
  const { id } = after
  const options = columnOf(portSettings, 'options')
    .filter(([setting]) => changed.has(setting))
    .flatMap(([setting, words]) => words.map((option) => [option, onOff(after[setting])]))
    .filter(([option]) => option !== 'bcast_flood' || !after.lacksBroadcast)
    .flat()
  const set = ['ip', 'link', 'set', 'dev', id] as const
  const entry = switchMacEntry(id, before.mac, 'master', after.ownMacEntry)
  // Once the MTU is large enough, IPv6 comes back with the kernel's defaults.
  const wakes = before.mtu < smallestIpv6Mtu && !after.ipv6
  const setsIpv6 = after.mtu >= smallestIpv6Mtu && (changed.has('ipv6') || wakes)
  const place = { handle: after.handle, classId: writePortClass(after.original) }
  const writesMark = changed.has('seal') || changed.has('known')
  const seal = writesMark ? sealCommands(id, before.seal, after.seal, place).map((argv) => step(id, argv, verb)) : []
  const marks = after.seal === 'sealed' || after.seal === 'marked'
  return [
    ...(marks ? seal : []),
    ...(changed.has('mtu') ? [step(id, [...set, 'mtu', String(after.mtu)], verb)] : []),
    ...(options.length > 0 ? [step(id, [...set, 'type', 'bridge_slave', ...options], verb)] : []),
    ...(changed.has('up') ? [step(id, [...set, after.up ? 'up' : 'down'], verb)] : []),
    ...(setsIpv6 ? [setSysctl(`${verb} the port ${id}`, switchIpv6(id, after.ipv6))] : []),
    ...(changed.has('ownMacEntry') ? [step(id, entry, verb)] : []),
    ...(marks ? [] : seal)
  ]
}

function step(device: string, argv: readonly [string, ...string[]], verb = 'set'): Step {
  return { summary: `${verb} the port ${device}`, argv }
}

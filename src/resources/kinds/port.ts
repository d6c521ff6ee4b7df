import { groupBy, type HostIndex } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import { isSealProgram } from '../../host/xdp/seal-program.ts'
import type { DesiredSpan, DesiredState } from '../desired-state.ts'
import { isInUse } from '../interface-use.ts'
import { deleteLink, type Kind, memoized, type ObservedState, type Resource } from '../kind.ts'
import { type PortOrigin, readPortClass, sealHandle } from '../marks.ts'
import { isOwnTunnel, markOf, ownNames, ownsBridge, tunnelOwner } from '../ownership.ts'
import { isLeaving, type PortRole, portRole, sensorPorts, treatments } from '../port-role.ts'
import { giveBackSteps, joinSteps, type LivePort, updateSteps, usualPort } from '../port-steps.ts'
import {
  desiredSeal,
  findObstacle,
  findSeal,
  hasOtherFilters,
  readSeal,
  rollbackSeal,
  type Seal,
  sealConflict,
  sealField,
  sealObstacle
} from '../seal-commands.ts'
import { portSettings, readPort, yesNo } from '../settings.ts'
import { bridge } from './bridge.ts'
import { networkMtu } from './network.ts'

/** A port of a span's bridge, most often the host's end of a sensor's interface; or a former port that still bears our mark. */
export interface Port extends Resource, LivePort {
  readonly kind: 'port'
  readonly id: string
  readonly role: PortRole
  /** false: a container is connected by the port, and its mark does not say so, as where it was sealed before Docker was read. */
  readonly known: boolean
  /** Why the port cannot be sealed. */
  readonly obstacle: string | null
}

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
      one.role.kind === 'left' ? [] : [desirePort(state, span, link, one)]
    ),
  observe: memoized((state) => {
    const { desired, host } = state
    const bridges = bridge.observe(state).filter(({ isBridge }) => isBridge)
    const orphans = host.links.filter(orphansOf(desired, host))
    const ports = [
      ...bridges.flatMap(({ id, owner }) =>
        host
          .portsOf(id)
          // That is taken off the bridge.
          .filter((link) => !isOwnTunnel(host, link))
          .map((link) => observePort(state, link, id, owner === 'adopted'))
      ),
      ...orphans.map((link) => observePort(state, link, null, link.port !== null))
    ]
    // They are resources of a kind of their own.
    return ports.filter(({ role }) => role.kind !== 'output')
  }),
  rollbackTarget: rollbackPorts,
  create: (after) => joinSteps(after),
  update: (before, after, fields) => {
    if (after.attached && !before.attached) return joinSteps(after, before)
    const late = isLate(before, after) ? lateFields : []
    return updateSteps(
      before,
      { ...after, ...(late.length > 0 && { forwarding: true }) },
      new Set(fields.filter((field) => !late.includes(field)))
    )
  },
  close: (before, after) => (isLate(before, after) ? updateSteps(before, after, new Set(lateFields)) : []),
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

const lateFields: readonly string[] = ['flooding', 'forwarding']

/** Of a sensor that hears all until now, the mirrors for its part come before the bridge hands it nothing more: no frame is missed. */
function isLate(before: Port, after: Port): boolean {
  return before.flooding && !after.flooding
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
    if (!isMarked || link.bridge !== null || tunnelOwner(host, link, ...ownNames(desired)) !== null) return false
    const master = host.linkOf(link.master)
    const isOfSpan =
      master !== undefined &&
      (markOf(host, master) !== null || desired.spanOn(master.name) !== undefined || ownsBridge(desired, host, master))
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
  const own = { clsact: host.hasQdisc(link.name, 'clsact'), connection: connects !== null, wasPort: true }
  if (!treatments[kind].sealed) return { ...usualPort, mtu, up, ipv6, ...own }
  const lost = seal !== undefined || (!ipv6 && !ownMacEntry && link.port?.learning === false)
  return lost ? { ...usualPort, mtu, connection: own.connection } : { ...now, flooding: now.flooding === true, ...own }
}

/** A link that others put on the bridge, and that does not lead to another namespace, may have another use. */
function desirePort(state: ObservedState, span: DesiredSpan, link: Link, live: Port): Port {
  const { host } = state
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
    flooding: !isFed(state, span, live),
    forwarding: !isFed(state, span, live) && (live.forwarding || (live.flooding !== true && link.carrier)),
    // As of the bridge: without `wire`, what it sets of a sensor's port does not stay.
    wireSize: span.wire ? live.wireSize || isFed(state, span, live) : live.wireSize && !isOfSensor(span, live),
    // Set down, the link would lose a foreign address for good.
    ipv6: link.ipv6 && (!sealed || hasAddress),
    ownMacEntry: false,
    seal: sealed ? portSeal(host, span, link, live.seal) : desiredSeal('qdisc', live.seal),
    original: { ...live.original, connection: live.original.connection || live.role.connects !== null },
    known: true,
    obstacle: null
  }
}

/**
 * Whether mirrors feed a port, and the bridge is to hand it nothing. Without Docker, it is not known whose a port is: one that gets nothing
 * of the bridge may be such a port. A span without a network has none.
 */
function isFed({ desired, host }: ObservedState, span: DesiredSpan, live: Port): boolean {
  const { flooding, role } = live
  const { connects } = role
  if (span.network === null) return false
  if (host.docker.state !== 'read' || isLeaving(host, desired.scope, span, connects)) return flooding !== true
  const container = isOfSensor(span, live) ? connects?.container : findUnclear(host, span, live)
  return span.feeds.some(({ kind, name }) => kind === 'sensor' && name === container)
}

/** The container of a port that may be Docker's: where it has several on the bridge, nothing tells which is. None gets more than its part. */
function findUnclear(host: HostIndex, { network }: DesiredSpan, { id }: Port): string | undefined {
  const { container } = host.attachmentOf(host.linkOf(id)) ?? {}
  const isUnclear = container?.endpoints.some((one) => one.network === network?.name && one.port === 'unknown')
  return isUnclear ? container?.name : undefined
}

/** Whether a container is known to be connected to a span by a port. */
function isOfSensor({ network }: DesiredSpan, { role: { connects } }: Pick<Port, 'role'>): boolean {
  return connects !== null && connects.network === network?.name
}

/** How a port that leads elsewhere is sealed. */
export function portSeal(host: HostIndex, span: DesiredSpan, link: Link, now: Seal): Seal {
  if (span.sealed) return 'sealed'
  return findObstacle(host, link.name) === null ? 'marked' : now
}

function observePort({ desired, host }: ObservedState, link: Link, on: string | null, bridgeStays = false): Port {
  const role = portRole(desired, host, link)
  const { sealed, end } = treatments[role.kind]
  const obstacle = sealed && on !== null ? sealObstacle(desired, host, on, link.name) : null
  const seal = findSeal(host, link.name)
  // A port that loses its bridge has a row in the plan, whatever else is given back.
  const changed = bridgeStays ? link.port?.learning === false : on !== null
  const givenBack = (changed || seal !== undefined) && end === 'returned'
  const original = originOf(host, link, role)
  return {
    kind: 'port',
    id: link.name,
    spans: on === null ? [] : [desired.names.nameOf(on)],
    owner: role.kind === 'left' ? 'ours' : obstacle !== null ? 'foreign' : givenBack ? 'adopted' : 'shared',
    master: link.master,
    attached: on !== null,
    role,
    mac: link.mac,
    ...readPort(link),
    seal: readSeal(host, link.name),
    handle: seal?.handle ?? sealHandle(link.name),
    original,
    known: role.connects === null || original.connection,
    inUse: isInUse(host, { ...link, master: null }),
    carrier: link.carrier,
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
  const isOrphan = orphansOf(now.desired, now.host)
  return ports.flatMap((one) => {
    const link = findAgain(now.host, one)
    if (link === undefined) return []
    const [was, is] = [then.host.linkOf(one.master), now.host.linkOf(one.master)]
    if (one.attached && link.master !== one.master) {
      // A bridge that is gone is created first. Until then, the port stays as it is.
      if (is === undefined) return isOrphan(link) ? [observePort(now, link, null)] : []
      // The bridge is there, so others have taken the port off it.
      if (is.index === was?.index) return []
    }
    const { known, role } = observePort(now, link, one.attached ? one.master : null)
    const theirs = treatments[role.kind].sealed ? {} : { mtu: link.mtu, up: link.up, ipv6: link.ipv6 }
    const { name: id, mac } = link
    return [{ ...one, ...theirs, id, mac, known, seal: rollbackSeal(now.host, id, one.seal) }]
  })
}

/** The port that leads to the same endpoint now; else the link of the same name. */
export function findAgain(host: HostIndex, { id, attached, role: { connects } }: Port): Link | undefined {
  const endpoints = (attached && connects && host.containerOf(connects.container)?.endpoints) || []
  const again = endpoints.find(({ network }) => network === connects?.network)
  return (again && host.vethTo(again)) ?? host.linkOf(id)
}

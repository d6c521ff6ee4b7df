import type { Diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import { type DesiredSpan, type DesiredState, linkOf } from '../desired-state.ts'
import { hasLinkLocal, judgeBridge, originOf, wireOffloadsOf } from '../foreign/bridge-adoption.ts'
import { findBridgeUsers } from '../foreign/bridge-users.ts'
import { explainDevice } from '../foreign/device-origin.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { explainIfMoved, explainIfRenamed, findRenamed } from '../foreign/renamed-bridge.ts'
import { isInUse } from '../interface-use.ts'
import { type Kind, memoized, type ObservedState } from '../kind.ts'
import { bridgeMac, type InterfaceMark, ownMark, readAlias, writeAlias } from '../marks.ts'
import { markedBy, markOf, ownNames, ownsBridge } from '../ownership.ts'
import { interfaceMark, isAnyOwed } from '../read-marks.ts'
import {
  desiredSeal,
  hasOtherFilters,
  readSeal,
  rollbackSeal,
  sealConflict,
  sealField,
  sealObstacle
} from '../seal-commands.ts'
import { bridgeSettings, noOptions, onOff, readBridge } from '../settings.ts'
import { addressBack, type Bridge, createBridge, everyOffload, removeBridge, updateBridge } from './bridge-steps.ts'
import { dockerBridgeMark } from './network.ts'
import { isTableFree } from './table.ts'

/** All link-local groups but the three that a bridge may not forward: BR_GROUPFWD_RESTRICTED in net/bridge/br_private.h. */
const everyGroup = 0xfff8

/** How bridges are desired, observed and changed. */
export const bridge: Kind<Bridge> = {
  kind: 'bridge',
  fields: {
    // A foreign alias may have 255 bytes.
    mark: {
      label: 'mark',
      words: (mark) => (readAlias(mark) ? ownMark : mark.replace(/^(.{60}).+$/su, '$1…') || 'none')
    },
    ...bridgeSettings,
    offloads: { label: 'wire-size frames', words: (offloads) => onOff(isWireSize(offloads)) },
    seal: sealField
  },
  desire: (state, live) => {
    const liveById = new Map(live.map((one) => [one.id, one]))
    return state.desired.spans.map((span) => desireBridge(state, span, liveById.get(span.bridge)))
  },
  observe: memoized((state) => {
    const { desired, host } = state
    const renamed = findRenamed(host)
    // The kernel makes no link with another's altname.
    const moved = ({ bridge: name }: DesiredSpan) =>
      ownNames(desired).flatMap((owner) => renamed({ name, mac: bridgeMac(owner, name) }) ?? [])[0]
    const takerOf = (span: DesiredSpan) => host.findLink(span.bridge) ?? host.findOpaque(span.bridge) ?? moved(span)
    return [
      ...host.links.flatMap((link) => observeBridge(desired, host, link)),
      ...desired.spans
        .filter((span) => host.linkOf(span.bridge) === undefined && takerOf(span) !== undefined)
        .map((span): Bridge => ({ ...desireBridge(state, span, undefined), owner: 'foreign' }))
    ]
  }),
  rollbackTarget: (bridges, _, now) =>
    bridges.map((one) => ({
      ...one,
      mac: addressBack(one, now.host.linkOf(one.id)?.mac),
      seal: rollbackSeal(now.host, one.id, one.seal)
    })),
  evidence: ({ hasNetwork }, side) => (side === 'live' && hasNetwork ? ['docker'] : []),
  create: createBridge,
  update: (before, after) => updateBridge(before, after),
  remove: removeBridge,
  summary: (resource) =>
    [
      ...['ageing 0', 'multicast snooping off', `mtu ${resource.mtu}`],
      ...(isWireSize(resource.offloads) ? [] : ['not wire-size']),
      resource.seal === 'sealed' ? 'sealed' : 'not sealed'
    ].join(', '),
  address: () => [],
  device: ({ id }) => id,
  makesDevice: true,
  remembers: ({ remembered }) => remembered.map((device) => ({ device })),
  conflict: explainConflict,
  // A bridge of ours that cannot be sealed still gets the copies.
  conflictCosts: ({ obstacle }) => (obstacle === null ? 'span' : 'itself'),
  // An adopted bridge is given back, with all that is on it.
  blockers: ({ id, mac, original }, now, planned) => {
    if (now.host.linkOf(id) === undefined) return explainIfMoved({ name: id, mac }, now.host)
    return original === null ? findBridgeUsers(id, now, planned) : []
  },
  removalNote: ({ original }) => (original === null ? '' : 'given back as it was before it was adopted'),
  adoptNote: 'a later destroy gives it back'
}

function isWireSize(offloads: Bridge['offloads']): boolean {
  return Object.values(offloads).every((isOn) => !isOn)
}

function explainConflict({ id, obstacle }: Bridge, { mac, spans: [span] }: Bridge, host: HostIndex): Diagnostic {
  const [moved] = host.linkOf(id) === undefined ? explainIfMoved({ name: id, mac }, host) : []
  if (moved !== undefined) return moved
  const opaque = host.findOpaque(id)
  if (opaque) return explainOpaque(opaque, `the span ${span} needs that name for its bridge`)
  const link = host.linkOf(id)
  if (obstacle !== null) return (link && explainIfRenamed(link, [], host)) ?? sealConflict(host, id)
  return explainDevice(host, id)
}

function desireBridge(state: ObservedState, span: DesiredSpan, live: Bridge | undefined): Bridge {
  const { desired, host } = state
  const interfaces = rememberedInterfaces(state, span)
  return {
    kind: 'bridge',
    id: span.bridge,
    spans: [span.name],
    owner: 'ours',
    ...markedBy(desired, desired.owner),
    origin: span.origin,
    isBridge: true,
    hasNetwork: span.network !== null,
    mark: writeAlias({
      owner: desired.owner,
      network: span.network !== null,
      original: live?.original ?? null,
      interfaces
    }),
    remembered: namesOf(host, interfaces),
    mac: bridgeMac(desired.owner, span.bridge),
    mtu: span.mtu,
    up: true,
    ...noOptions,
    groupForward: desiredGroups(state, span, live),
    ipv6: false,
    linkLocal: false,
    ownMacEntry: false,
    offloads: desiredOffloads(span, live),
    seal: desiredSeal(span.sealed ? 'sealed' : 'qdisc', live?.seal ?? 'none'),
    qdiscInUse: live?.qdiscInUse ?? false,
    obstacle: null,
    inUse: live?.inUse ?? false,
    original: live?.original ?? null
  }
}

/** Without `wire`, any offloads will do, except that `wire`'s own do not stay. */
function desiredOffloads({ wire }: DesiredSpan, live: Bridge | undefined): Bridge['offloads'] {
  if (wire) return { tx: false, tso: false, gso: false }
  return live && !isWireSize(live.offloads) ? live.offloads : everyOffload
}

/**
 * Frames to 01:80:c2:00:00:0e pass both chains of the table of nftables, unless the bridge forwards that group: then the table
 * drops them. Without the table, what is forwarded would reach the other sensors.
 */
function desiredGroups({ desired, host }: ObservedState, { sealed }: DesiredSpan, live: Bridge | undefined): number {
  if (host.readings.nftables !== 'read') return live?.groupForward ?? 0
  const isClosed = host.nftables?.state === 'usable' && isTableFree(desired, host)
  return sealed && isClosed ? everyGroup : (live?.original?.groupForward ?? 0)
}

function namesOf(host: HostIndex, interfaces: ReadonlyMap<number, unknown>): string[] {
  return [...interfaces.keys()].flatMap((index) => host.linkAt(index)?.name ?? [])
}

/** The interfaces that feed the span, and those that did before and are not given back yet. */
function rememberedInterfaces({ marks, host }: ObservedState, { bridge, mirrors, isUnread }: DesiredSpan) {
  const old = markOf(host, host.linkOf(bridge))?.interfaces ?? new Map<number, InterfaceMark>()
  const used = new Set(mirrors.map(({ device }) => device.name))
  const candidates = new Set([...used, ...namesOf(host, old)])
  return new Map([
    // What is not understood may still be owed what it was before, and what was not read may still be a source.
    ...[...old].filter(([index]) => host.isOpaque(index) || (isUnread && host.linkAt(index) !== undefined)),
    ...[...candidates].flatMap((device) => {
      const marked = marks.interfaces.get(device)
      const link = marked && linkOf(marked.device)
      // Of a bridge that spanplan has made, nothing needs to be remembered; and one that it makes now has no index.
      if (marked === undefined || marked.made !== null || link === undefined) return []
      const { index } = link
      if (used.has(device)) return [[index, interfaceMark(marked)] as const]
      const remembered = old.get(index)
      return remembered && isAnyOwed(marked) ? [[index, remembered] as const] : []
    })
  ])
}

function observeBridge(desired: DesiredState, host: HostIndex, link: Link): Bridge | [] {
  const span = desired.spanOn(link.name)
  const mark = markOf(host, link)
  const label = mark === null ? dockerBridgeMark(desired, host, link.name) : null
  const ours = ownsBridge(desired, host, link) || label !== null
  if (!ours && span === undefined) return []
  const obstacle = ours ? sealObstacle(desired, host, link.name, link.name) : null
  const adopted = !ours || label === 'adopted'
  const usable = ours && link.bridge !== null && obstacle === null
  const original = mark?.original ?? (adopted && mark === null && link.bridge !== null ? originOf(host, link) : null)
  return {
    kind: 'bridge',
    id: link.name,
    spans: [desired.names.nameOf(link.name)],
    owner: !usable ? 'foreign' : original === null ? 'ours' : 'adopted',
    ...markedBy(desired, mark?.owner ?? null),
    ...(!ours && mark === null && { adoption: judgeBridge(desired, host, link) }),
    isBridge: link.bridge !== null,
    hasNetwork: mark === null ? link.kind === 'bridge' && span?.network != null : mark.network,
    mark: link.alias ?? '',
    remembered: namesOf(host, mark?.interfaces ?? new Map()),
    ...readBridge(link),
    ipv6: link.addresses.some(({ family }) => family === 'inet6') || (link.ipv6 && link.generatesAddress),
    linkLocal: hasLinkLocal(link),
    offloads: wireOffloadsOf(link),
    seal: readSeal(host, link.name),
    qdiscInUse: hasOtherFilters(host, link.name),
    obstacle,
    inUse: isInUse(host, link),
    original
  }
}

import type { HostIndex } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import { sealPref } from '../../host/tc-conventions.ts'
import { tunnelKindOf } from '../../host/tunnels/registry.ts'
import { deleteFilter } from '../../host/write-filters.ts'
import type { DesiredOutput, DesiredSpan, DesiredState } from '../desired-state.ts'
import { writePart } from '../feeds/part-words.ts'
import { isInUse } from '../interface-use.ts'
import { type Kind, memoized, type ObservedState, type Resource, type Step } from '../kind.ts'
import { changeOwner, isOutputOf, outputHandle, ownMark, type PortOrigin, writePortClass } from '../marks.ts'
import { coversEverySpan, isInScope, isOwnTunnel, markedBy, markOf, ownNames } from '../ownership.ts'
import { isAttached, readPortMark } from '../port-role.ts'
import { giveBackSteps, joinSteps, type LivePort, updateSteps, usualPort } from '../port-steps.ts'
import {
  findSeal,
  hasOtherFilters,
  isSealOf,
  readSeal,
  rollbackSeal,
  sealCommands,
  sealConflict,
  sealField,
  sealObstacle
} from '../seal-commands.ts'
import { isWireSize, portSettings, readPort, smallestIpv6Mtu } from '../settings.ts'
import { explainLost, writeOutputTitle } from './host-output-kind.ts'

/**
 * An interface of the host that the frames of a span leave by: a port of the span's bridge, which spanplan puts there. What comes in
 * on it is dropped from before it is a port until after it is none any more. An earlier version put the links of tunnels there, too: these
 * are taken off.
 */
export interface Output extends Resource, LivePort {
  readonly kind: 'output'
  readonly id: string
  /** spanplan has made the link, which is that of a tunnel. */
  readonly isMade: boolean
  /** What the output is called. */
  readonly name: string
  /** What it gets of the span's frames, in words. */
  readonly gets: string
  /** Mirrors lead its share to it only when it is attached. */
  readonly isToShare: boolean
}

/** Whether a resource is an output. */
export function isOutput(resource: Resource): resource is Output {
  return resource.kind === 'output'
}

/** How outputs are attached, observed and given back. */
export const output: Kind<Output> = {
  kind: 'output',
  fields: {
    master: { label: 'bridge', words: (master) => master ?? 'none' },
    ...portSettings,
    seal: sealField,
    // The handle of its seal says whose it is.
    handle: { label: 'mark', words: () => ownMark }
  },
  desire: (state, live) => {
    const { desired, host } = state
    const liveById = new Map(live.map((one) => [one.id, one]))
    return desired.spans.flatMap((span) =>
      span.outputs.flatMap((one) => {
        const link = host.linkOf(one.device)
        return link === undefined || !one.isPort ? [] : [desireOutput(state, span, one, link, liveById.get(link.name))]
      })
    )
  },
  observe: memoized((state) => state.host.links.flatMap((link) => observeOutput(state, link))),
  rollbackTarget: (outputs, _, { host }) =>
    outputs.flatMap((one) => {
      const link = host.linkOf(one.id)
      return link === undefined ? [] : [{ ...one, mac: link.mac, seal: rollbackSeal(host, one.id, one.seal) }]
    }),
  create: (after) => joinSteps(after, { ...after, ...after.original, seal: 'none' }),
  update: updateOutput,
  remove: (before) => [
    ...(before.attached ? [leave(before)] : []),
    // The link of a tunnel needs nothing back.
    ...(before.isMade ? [] : giveBackSteps({ ...before, attached: false }))
  ],
  title: ({ name, spans: [span] }) => (span === undefined ? name : writeOutputTitle(name, span)),
  summary: ({ mtu, gets, isToShare }) =>
    `${gets}${isToShare ? ' by mirrors, once it is attached' : ''}, mtu ${mtu}; what comes in is dropped`,
  device: ({ id }) => id,
  conflict: ({ id }, _, host) => sealConflict(host, id, 'use another interface'),
  undone: ({ id }, reason) => explainLost(id, reason, 'use another interface'),
  removalNote: ({ isMade }) => (isMade ? '' : 'given back as it was')
}

/**
 * Bytes: the MTU of a span as far as a port can have it. A VLAN or a macvlan takes none that is larger than that of its lower link. An
 * interface keeps enough for IPv6: with less, the kernel forgets all that was set of IPv6 there, and with it, that the interface makes
 * itself no address.
 */
export function outputMtu(
  mtu: number,
  { largestMtu = Number.POSITIVE_INFINITY, lower }: Link,
  host: HostIndex
): number {
  const enough = Math.max(mtu, smallestIpv6Mtu)
  return Math.min(enough, largestMtu, host.linkAt(lower)?.mtu ?? enough)
}

/** What an output is like, whatever its link is. */
const attachedPort = {
  up: true,
  isolated: true,
  learning: false,
  flooding: true,
  ipv6: false,
  ownMacEntry: false,
  seal: 'sealed'
} as const

function desireOutput(
  { desired, host }: ObservedState,
  span: DesiredSpan,
  { name, item, origin }: DesiredOutput,
  link: Link,
  live: Output | undefined
): Output {
  const feed = span.feeds.find(({ kind, name: fed }) => kind === 'output' && fed === link.name)
  const isFed = feed !== undefined
  return {
    ...readOutput(
      desired,
      host,
      link,
      live?.original ?? { ...readPort(link), flooding: link.port?.flooding === true, ...ownBits(host, link) }
    ),
    spans: [span.name],
    owner: 'ours',
    ...markedBy(desired, desired.owner),
    handle: ownHandle(desired, findMark(desired, host, link.name) ?? outputHandle(desired.owner, link.name)),
    name,
    item,
    origin,
    master: span.bridge,
    gets: writePart(feed?.part ?? null),
    isToShare: feed?.absence === 'detached',
    attached: true,
    mtu: outputMtu(span.mtu, link, host),
    ...attachedPort,
    flooding: !isFed,
    // The kernel has a port forward as soon as it has a carrier.
    forwarding: !isFed && (link.port?.isDisabled !== true || (!link.port.flooding && link.carrier)),
    wireSize: isWireSize(link)
  }
}

const ownBits = (host: HostIndex, { name }: Link) => ({
  clsact: host.hasQdisc(name, 'clsact'),
  connection: false,
  wasPort: false
})

/** What a live output is called: an interface, or the tunnel that a link of spanplan's is. */
export function outputName(host: HostIndex, link: Link): string {
  const { tunnel, name } = link
  return tunnel !== undefined && isOwnTunnel(host, link) ? tunnelKindOf(tunnel).name(tunnel, 'out') : name
}

function readOutput(desired: DesiredState, host: HostIndex, link: Link, original: PortOrigin): Output {
  const { name: id, mac, master } = link
  return {
    kind: 'output',
    id,
    name: outputName(host, link),
    isMade: isOwnTunnel(host, link),
    spans: [],
    owner: 'shared',
    master,
    gets: writePart(null),
    isToShare: false,
    attached: false,
    mac,
    ...readPort(link),
    seal: readSeal(host, id),
    handle: findMark(desired, host, id) ?? outputHandle(desired.scope.name ?? desired.owner, id),
    original,
    inUse: false,
    carrier: link.carrier,
    qdiscInUse: hasOtherFilters(host, id),
    bridgeStays: false
  }
}

/** A link that bears our mark, or that is in the way of one: desired, and not to be sealed. */
function observeOutput({ desired, host }: ObservedState, link: Link): Output | [] {
  const mark = readPortMark(host, link)
  const wanted = desired.outputOf(link.name)
  const isMarked = mark?.wasPort === false
  const on = findBridge(desired, host, link)
  const isMade = isOwnTunnel(host, link)
  if (isMade && on === null) return []
  const isOurs = isMarked || (wanted !== undefined && (isMade || isAttached(host, link, wanted.span.bridge)))
  const obstacle = wanted === undefined || isMade ? null : sealObstacle(desired, host, wanted.span.bridge, link.name)
  if (!isOurs && obstacle === null) return []
  const bridge = on ?? wanted?.span.bridge
  // As the kernel makes a port, where the mark is lost.
  const original = isMarked ? mark : { ...usualPort, mtu: link.mtu, wasPort: false }
  const isRemovable = on !== null || wanted !== undefined || isStray(desired, host, link)
  return {
    ...readOutput(desired, host, link, original),
    name: wanted?.name ?? outputName(host, link),
    spans: bridge === undefined ? [] : [desired.names.nameOf(bridge)],
    owner: obstacle !== null ? 'foreign' : isRemovable ? 'adopted' : 'shared',
    ...markedBy(desired, findFormer(desired, findMark(desired, host, link.name) ?? 0) ?? desired.owner),
    attached: on !== null,
    inUse: isInUse(host, on === null ? link : { ...link, master: null })
  }
}

/** The bridge of a span of this run that a link is on; null: it is on none. */
export function findBridge(desired: DesiredState, host: HostIndex, { master }: Link): string | null {
  if (master === null) return null
  const owner = markOf(host, host.linkOf(master))?.owner
  return desired.spanOn(master) !== undefined || isInScope(desired, owner, master) ? master : null
}

/** The former name that the handle of a seal was made of; undefined: of none. */
function findFormer({ scope }: DesiredState, handle: number): string | undefined {
  return scope.formerly?.find((name) => isOutputOf(name, handle))
}

/** The handle of an output's seal; undefined: it has none. The seal of a former name is in the way, whatever other is there. */
function findMark(desired: DesiredState, host: HostIndex, device: string): number | undefined {
  const handles = host.filtersAt(device, 'ingress').flatMap((filter) => (isSealOf(filter, device) ? filter.handle : []))
  const former = handles.find((handle) => handle !== null && findFormer(desired, handle) !== undefined)
  return former ?? findSeal(host, device)?.handle ?? undefined
}

/** The handle with the name that marks get, where that of a seal was made of a former one. */
function ownHandle(desired: DesiredState, handle: number): number {
  return findFormer(desired, handle) === undefined ? handle : changeOwner(handle, desired.owner)
}

/** Whether a link that bears a mark of this owner is on no span's bridge any more, so that it is given back. */
function isStray(desired: DesiredState, host: HostIndex, { name, master }: Link): boolean {
  const handle = findSeal(host, name)?.handle ?? 0
  const isOwn = desired.scope.name === null || ownNames(desired).some((owner) => isOutputOf(owner, handle))
  return isOwn && coversEverySpan(desired) && markOf(host, host.linkOf(master)) === null
}

function updateOutput(live: Output, after: Output, fields: readonly string[]): Step[] {
  if (live.handle === after.handle) return updateMarked(live, after, fields)
  const place = { handle: after.handle, classId: writePortClass(live.original) }
  const seal = sealCommands(live.id, 'sealed', 'sealed', place)
  const unseal = ['tc', ...deleteFilter(live.id, 'ingress', sealPref, live.handle)] as const
  // The kernel changes no handle. With both, nothing comes in either.
  const steps = [...seal, unseal].map((argv): Step => ({ summary: `mark the output ${live.id}`, argv }))
  return [...steps, ...updateMarked({ ...live, handle: after.handle }, after, fields)]
}

function updateMarked(before: Output, after: Output, fields: readonly string[]): Step[] {
  if (before.master === after.master) return updateSteps(before, after, new Set(fields))
  if (after.attached) return joinSteps(after, before)
  return [...(before.attached ? [leave(before)] : []), ...updateSteps(before, after, new Set(fields))]
}

function leave({ id }: Output): Step {
  return { summary: `take the output ${id} off its bridge`, argv: ['ip', 'link', 'set', 'dev', id, 'nomaster'] }
}

import { label } from '../host/docker/docker-names.ts'
import { groupBy, type HostIndex } from '../host/host-index.ts'
import type { Filter, Link, TcHook } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-conventions.ts'
import { matchesSpan } from '../spec/scope.ts'
import {
  type DesiredSpans,
  type DesiredState,
  linkOf,
  type MarkedInterface,
  type MarkedRing,
  type MarkInventory,
  type MirrorMark,
  type OwnedMark,
  type SpanReceiver
} from './desired-state.ts'
import { bridgeFedAt, mirrorName, mirrorsOf, readFeed, readMirrorName, type SpanMirror } from './feeds/feeds.ts'
import { isInUse } from './interface-use.ts'
import { planBridge } from './kinds/bridge-steps.ts'
import { plannedTunnel } from './kinds/tunnel.ts'
import { bridgeMac, hashOf, type InterfaceMark, mirrorHandle, readCookie, readRingClass } from './marks.ts'
import { coversEverySpan, isInScope, markOf, ownNames, ownsBridge, tunnelOwner } from './ownership.ts'
import { ringOf } from './ring/ring-setting.ts'
import { readSeal } from './seal-commands.ts'
import {
  closingSettings,
  everyInterfaceSettings,
  type InterfaceSetting,
  interfaceBits,
  interfaceSettings,
  isClosing,
  sourceSettings
} from './settings.ts'

/** A mirror of a span, at an interface. */
interface Use extends SpanMirror {
  readonly bridge: string
}

/** Reads the marks that the host bears. */
export function readMarks(desired: DesiredState, host: HostIndex): MarkInventory {
  const bridges = host.links.flatMap((link) => {
    const mark = markOf(host, link)
    return mark === null ? [] : [{ bridge: link.name, mark }]
  })
  // The label of a network may be the only thing that still has a former name.
  const networks = bridges.flatMap(({ bridge }) => host.networksOn(bridge))
  const labelled = networks.flatMap(({ labels }) => labels[label.name] ?? [])
  const owners = [...new Set([...ownNames(desired), ...bridges.map(({ mark }) => mark.owner), ...labelled])]
  const usesOf = groupBy(
    // Whoever takes frames now, a span uses the interfaces of its sources.
    desired.spans.flatMap((span) =>
      mirrorsOf({ ...span, feedsBridge: true }).map((one): Use => ({ ...one, bridge: span.bridge }))
    ),
    ({ point }) => point.device.name
  )
  const findName = nameFinder(listNames(desired, host), owners)
  const mirrors = new Map(
    host.filters.flatMap((filter) => {
      return readMirror(desired, host, { owners, findName }, filter, usesOf(filter.device))
    })
  )
  const entriesOf = groupBy(
    [
      ...[...mirrors].map(([{ device }, entry]) => ({ ...entry, index: host.linkOf(device)?.index })),
      ...bridges.flatMap(({ bridge, mark: { owner, interfaces } }) => {
        const inScope = isInScope(desired, owner, bridge)
        return [...interfaces].map(([index, mark]) => ({ mark, bridge, inScope, index }))
      })
    ],
    ({ index }) => index
  )
  const isComplete =
    coversEverySpan(desired) && bridges.every(({ bridge, mark }) => isInScope(desired, mark.owner, bridge))
  const live = host.links.flatMap((link) => {
    const marks = entriesOf(link.index)
    const forgotten = isComplete ? readForgotten(desired, host, link, marks) : []
    const entries = [...marks, ...readClosing(desired, host, link, marks), ...forgotten]
    const uses = usesOf(link.name)
    const isMarked = entries.some(({ inScope }) => inScope) || uses.length > 0 || desired.also.has(link.index)
    if (!isMarked) return []
    const condition = {
      device: { name: link.name, link },
      made: settingsWhenMade(desired, host, link),
      now: new Set(allSettings.filter((setting) => interfaceSettings[setting].read(link, host))),
      needed: neededSettings(host, link, mirrors)
    }
    return [readInterface(desired, condition, entries, uses)]
  })
  const devices = desired.spans.flatMap((span) => span.mirrors.map(({ device }) => device))
  const planned = [...new Map(devices.map((device) => [device.name, device])).values()].flatMap((device) => {
    // A rollback finds it made.
    if (!('planned' in device) || host.linkOf(device.name) !== undefined) return []
    const condition = { device, made: device.planned, now: device.planned, needed: new Set<InterfaceSetting>() }
    return [readInterface(desired, condition, [], usesOf(device.name))]
  })
  return { mirrors, interfaces: new Map([...live, ...planned].map((one) => [one.device.name, one])) }
}

const allSettings = interfaceBits.map(([setting]) => setting)

const nothing: InterfaceMark = { before: new Set(), managed: new Set() }

/** Who may have made mirrors, and whose one is by its handle. */
interface Makers {
  readonly owners: readonly string[]
  readonly findName: NameFinder
}

function readMirror(
  desired: DesiredSpans,
  host: HostIndex,
  { owners, findName }: Makers,
  filter: Filter,
  likely: readonly Use[]
): (readonly [Filter, MirrorMark])[] {
  const { known, scope } = desired
  const { mirror, handle, pref, chain } = filter
  if (mirror === null || handle === null || pref !== mirrorPref || chain !== 0) return []
  // Where its target is gone, a mirror is most likely of a span that is to copy from its device: else all are tried.
  const read = readFeed(host, mirror.target)
  const bridges = read === null || read.bridge === null ? known : [read.bridge]
  const feeding = read === null ? [mirror.target] : bridges.map((bridge) => mirrorName(bridge, read.feed))
  const named = findName(filter, [
    ...feeding,
    ...likely.map(({ bridge, feed }) => mirrorName(bridge, feed)),
    ...findLeft(host, mirror.target, likely)
  ])
  // A mirror of any owner whose cookie was lost is recognised by its handle.
  const cookie =
    readCookie(mirror.cookie) ?? (named === undefined ? null : { owner: hashOf(named.owner), source: nothing })
  if (cookie === null) return []
  const name = named === undefined ? null : readMirrorName(named.name)
  const lost = named === undefined && read === null ? findUser(mirror.target, likely) : null
  const bridge =
    name?.bridge ??
    read?.bridge ??
    known.find((candidate) => candidate === mirror.target) ??
    (read?.feed.kind === 'tunnel' ? bridgeFedAt(host, filter) : null) ??
    lost
  const owned = scope.name === null || ownNames(desired).some((one) => cookie.owner === hashOf(one))
  const inScope = owned && matchesSpan(scope.spans, bridge === null ? null : desired.names.nameOf(bridge))
  const feed = read?.feed ?? name?.feed ?? (lost === null ? null : ({ kind: 'sensor', name: '' } as const))
  const mark = { ...cookie.source, ...readRingClass(filter.classId) }
  const maker = named?.owner ?? owners.find((one) => cookie.owner === hashOf(one))
  const made = named?.name ?? (bridge === null || feed?.name === '' ? null : mirrorName(bridge, feed))
  const owner = maker !== undefined && scope.formerly?.includes(maker) ? desired.owner : maker
  const { device, tcHook } = filter
  const handleAt = (hook: TcHook) =>
    made === null || owner === undefined ? handle : mirrorHandle({ owner, name: made, device, tcHook: hook })
  // While clsact goes, tc may print what is at one hook for the other, too.
  const isOther = handle === handleAt(tcHook === 'ingress' ? 'egress' : 'ingress')
  const identity = isOther ? handle : handleAt(tcHook)
  return [[filter, { mark, bridge, inScope, feed, owner: cookie.owner, identity }]]
}

/** The names of mirrors to ports that are gone, of containers that get no part any more. */
function findLeft(host: HostIndex, target: string, uses: readonly Use[]): string[] {
  if (target !== '*') return []
  const bridges = new Set(uses.map(({ bridge }) => bridge))
  return [...bridges].flatMap((bridge) =>
    host.containers.map(({ name }) => mirrorName(bridge, { kind: 'sensor', name }))
  )
}

/**
 * The names of the mirrors of each known span: to its bridge, to each receiver that the file has, and to each container on its network. The
 * span of a mirror whose target is gone may be paused, or copy from elsewhere now.
 */
function listNames({ known, receivers }: DesiredSpans, host: HostIndex): string[] {
  const connected = host.containers.flatMap(({ name, endpoints }) =>
    endpoints.flatMap(({ network }): SpanReceiver | [] => {
      const bridge = host.networkOf(network)?.labels[label.span]
      return bridge === undefined ? [] : { bridge, feed: { kind: 'sensor', name } }
    })
  )
  const receiversOf = groupBy([...receivers, ...connected], ({ bridge }) => bridge)
  return known.flatMap((bridge) => [
    ...new Set([bridge, ...receiversOf(bridge).map(({ feed }) => mirrorName(bridge, feed))])
  ])
}

/** The bridge of the span that a mirror to an interface that is gone was of: the only one that copies from there. null: there are several, or none. */
function findUser(target: string, uses: readonly Use[]): string | null {
  const [bridge, ...others] = new Set(uses.map((use) => use.bridge))
  return target === '*' && bridge !== undefined && others.length === 0 ? bridge : null
}

type NameFinder = ReturnType<typeof nameFinder>

/**
 * Finds whose a mirror is, by its handle, which is a hash: each name is tried. Mirrors stand mostly in the order of their spans, so the names
 * after the last one that was found are tried first.
 */
function nameFinder(names: readonly string[], owners: readonly string[]) {
  let last = 0
  return ({ device, tcHook, handle }: Filter, likely: readonly string[]) => {
    const nameOf = (name: string) => {
      const owner = owners.find((one) => mirrorHandle({ owner: one, name, device, tcHook }) === handle)
      return owner === undefined ? undefined : { owner, name }
    }
    for (const one of likely) {
      const name = nameOf(one)
      if (name !== undefined) return name
    }
    for (let tried = 0; tried < names.length; tried++) {
      const place = (last + tried) % names.length
      const name = nameOf(names[place] ?? '')
      if (name === undefined) continue
      last = place
      return name
    }
    return undefined
  }
}

/**
 * The filters that close an interface to the host are a mark themselves: without them, the interface was open. They belong to
 * whom the other marks belong to; without such a mark, to whoever has all spans in scope.
 */
function readClosing(desired: DesiredSpans, host: HostIndex, link: Link, entries: readonly OwnedMark[]): OwnedMark[] {
  const closed = new Set<InterfaceSetting>(
    closingSettings.flatMap(([setting]) => (sourceSettings[setting].read(link, host) ? [] : [setting]))
  )
  if (closed.size === 0) return []
  const inScope = entries.length > 0 ? entries.some((entry) => entry.inScope) : coversEverySpan(desired)
  return [{ mark: { before: closed, managed: closed }, bridge: null, inScope }]
}

/**
 * What spans have switched on at a span's bridge, where no mark says so any more: what the bridge is made with is known. A span out of
 * scope may need it, and no mark would say that either: while there is one, nothing counts as forgotten.
 */
function readForgotten(desired: DesiredState, host: HostIndex, link: Link, entries: readonly OwnedMark[]): OwnedMark[] {
  const made = settingsWhenMade(desired, host, link)
  if (made === null || !ownsBridge(desired, host, link)) return []
  const managed = everyInterfaceSettings.filter(
    (setting) =>
      sourceSettings[setting].read(link) && !made.has(setting) && !entries.some(({ mark }) => mark.managed.has(setting))
  )
  const mark = { before: made, managed: new Set(managed) }
  return managed.length === 0 ? [] : [{ mark, bridge: link.name, inScope: true }]
}

/** The settings that are on when a tunnel, or a bridge as its span needs it, is made; null: spanplan has not made it. */
function settingsWhenMade(desired: DesiredState, host: HostIndex, link: Link) {
  const { owner, scope, spanOn } = desired
  const names = [owner, ...(scope.formerly ?? [])]
  const { name } = link
  if (tunnelOwner(host, link, ...names) !== null) return plannedTunnel
  const mark = markOf(host, link)
  // The address of a bridge is a mark until the bridge has an alias. One that is adopted has both.
  const isMade = mark
    ? mark.original === null
    : link.kind === 'bridge' && names.some((one) => link.mac === bridgeMac(one, name))
  return isMade ? planBridge(spanOn(name) ?? { sealed: readSeal(host, name) === 'sealed' }) : null
}

/** What is known of an interface besides its marks. */
type Condition = Pick<MarkedInterface, 'device' | 'made' | 'now' | 'needed'>

function readInterface(
  { goingDown, names }: DesiredSpans,
  condition: Condition,
  entries: readonly OwnedMark[],
  uses: readonly Use[]
): MarkedInterface {
  const { device, made, now } = condition
  const bridges =
    uses.length > 0
      ? uses.map(({ bridge }) => bridge)
      : entries.flatMap(({ bridge, inScope }) => (inScope && bridge ? [bridge] : []))
  // Each mark that manages a setting says how the setting was before.
  const wasBefore = (setting: InterfaceSetting) => {
    if (setting === 'up' && goingDown.has(device.name)) return now.has(setting)
    const entry = entries.find(({ mark }) => mark.managed.has(setting))
    return (entry?.mark.before ?? made ?? now).has(setting)
  }
  const own = new Set(uses.flatMap(({ point }) => ['clsact' as const, ...point.settings]))
  const others = entries.filter(({ inScope }) => !inScope)
  return {
    ...condition,
    points: uses.map(({ point }) => point),
    spans: [...new Set(bridges)].map(names.nameOf),
    ours: entries.some(({ inScope }) => inScope),
    before: new Set(allSettings.filter(wasBefore)),
    live: new Set(entries.flatMap(({ mark }) => [...mark.managed])),
    own,
    desired: new Set([...others.flatMap(({ mark }) => [...mark.managed]), ...own]),
    ring: readRing(linkOf(device), entries, uses)
  }
}

/** A ring that only a mark of another name manages stays as it is. */
function readRing(link: Link | undefined, entries: readonly OwnedMark[], uses: readonly Use[]): MarkedRing {
  const now = (link && ringOf(link)?.now) ?? null
  const [marked] = entries.flatMap(({ mark }) => mark.ring ?? [])
  const [wanted] = uses.flatMap(({ point }) => point.ring ?? [])
  const before = marked ?? now
  const isOthers = entries.some(({ mark, inScope }) => !inScope && mark.ring !== undefined)
  const desired = now === null ? null : (wanted ?? (isOthers ? now : before))
  return { now, before, live: marked !== undefined, own: wanted !== undefined, desired }
}

/** Set down, an interface loses its addresses and routes for good. A clsact qdisc that is removed takes its filters along. */
function neededSettings(host: HostIndex, link: Link, mirrors: ReadonlyMap<Filter, OwnedMark>): Set<InterfaceSetting> {
  const isFiltered = host.filtersOf(link.name).some((filter) => !mirrors.has(filter) && !isClosing(filter))
  return new Set<InterfaceSetting>([
    ...(isInUse(host, link) ? (['up'] as const) : []),
    ...(isFiltered ? (['clsact'] as const) : [])
  ])
}

/**
 * The mark that the mirrors of an interface bear, and that the bridges they feed remember. The mark is written before the
 * interface is changed, and keeps a setting until that is given back.
 */
export function interfaceMark(marked: MarkedInterface): InterfaceMark {
  const managed = new Set([...marked.own, ...allSettings.filter((setting) => isOwed(marked, setting))])
  const { before: ring, own } = marked.ring
  return {
    before: new Set([...managed].filter((setting) => marked.before.has(setting))),
    managed,
    ...(ring !== null && (own || isRingOwed(marked)) && { ring })
  }
}

/** Whether an interface has to be given back anything. */
export function isAnyOwed(marked: MarkedInterface): boolean {
  return isRingOwed(marked) || [...marked.live].some((setting) => isOwed(marked, setting))
}

/** The same of its ring. One that was not read may have to be. */
function isRingOwed({ ring: { now, before, live, own, desired } }: MarkedInterface): boolean {
  return live && !own && (now === null || (now !== before && desired === before))
}

/** Whether a setting has to be given back: no span manages the setting any more, and its value differs from before. */
function isOwed({ live, desired, now, before, needed }: MarkedInterface, setting: InterfaceSetting): boolean {
  const isKept = needed.has(setting) && now.has(setting)
  return live.has(setting) && !desired.has(setting) && !isKept && now.has(setting) !== before.has(setting)
}

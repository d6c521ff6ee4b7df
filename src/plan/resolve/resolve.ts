import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, diagnostic, SpanplanError, sortByPlace } from '../../errors.ts'
import { canPodmanHandOut, dockerBridge, label, podmanWithSpans } from '../../host/docker/docker-names.ts'
import { groupsOf, type HostIndex } from '../../host/host-index.ts'
import type { Filter } from '../../host/snapshot.ts'
import { limitModule } from '../../host/tunnels/kernel-modules.ts'
import { type CopyPoint, type DesiredSpan, indexDesired, linkOf } from '../../resources/desired-state.ts'
import { mirrorName, readFeed } from '../../resources/feeds/feeds.ts'
import { warnOfForeignCopies } from '../../resources/foreign/foreign-copies.ts'
import type { ObservedState, Wait } from '../../resources/kind.ts'
import { planBridge } from '../../resources/kinds/bridge-steps.ts'
import { findListeners, networkMtu } from '../../resources/kinds/network.ts'
import { warnOfSubnet } from '../../resources/network-subnets.ts'
import { markOf } from '../../resources/ownership.ts'
import { readMarks } from '../../resources/read-marks.ts'
import {
  type Context,
  handleOf,
  joinResolved,
  type MirrorSource,
  type Resolved,
  type ResolvedSource,
  waitForMirror,
  waitForMirrors,
  writePoint,
  writeSourceName
} from '../../resources/sources/host-source-kind.ts'
import { hostKindOf } from '../../resources/sources/registry.ts'
import { findRenamedLinks } from '../../resources/sources/renamed-link.ts'
import { namesGoingDown } from '../../run-dir/going-down.ts'
import { filtersOf } from '../../spec/filter/filters-of.ts'
import type { SourceSpec } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { copiedOf, wordsOfCopied } from '../../spec/outputs/left-out-packets.ts'
import { placeFrom } from '../../spec/repeats.ts'
import { matchesSpan, namedSpans, namesOf } from '../../spec/scope.ts'
import { endOf } from '../../spec/sources/registry.ts'
import type { Spec } from '../../spec/spec.ts'
import { warnOfChains, warnOfEmptySources, warnOfOthers, warnOfSource, warnOfUnfedSources } from '../copy-warnings.ts'
import { warnOfDuplicates } from '../duplicates.ts'
import { holdNetwork } from '../hold.ts'
import { breakLoops, findOtherSpans, sortBySources } from '../loops.ts'
import type { Target } from '../target.ts'
import { listReceivers } from './find-receivers.ts'
import { resolveFeeds } from './resolve-feeds.ts'
import { inSpan, resolveCopied, warnOfFilter } from './resolve-filter.ts'
import { refuseOutputs, resolveOutputs, warnOfOutputs, withOutputs } from './resolve-outputs.ts'
import { findSharedNames, leaveNames, resolveSensors } from './resolve-sensors.ts'
import { warnOfOverlaps } from './sensor-overlaps.ts'

/** What a target is on a host, with what waits and what is worth a warning. */
export interface Resolution extends ObservedState {
  readonly waits: readonly Wait[]
  readonly warnings: readonly Diagnostic[]
}

/**
 * Resolves the spans of a file that are in scope: devices, programs, containers.
 *
 * @throws SpanplanError with all that cannot be resolved: an interface that is missing or is not Ethernet, a filter that does
 * not compile, a loop, a container that cannot be connected.
 */
export function resolveSpec(target: Target, reading: Pick<Context, 'host' | 'filters'>): Resolution {
  const { spec, scope, names, patient, recreate, known, subnetSeed } = target
  const { host } = reading
  const goingDown = namesGoingDown(target.goingDown, host.links)
  const specs = spec.spans.filter((span) => matchesSpan(scope.spans, span.name))
  const made = specs.filter(({ bridge }) => host.linkOf(bridge) === undefined && host.findOpaque(bridge) === undefined)
  const planned = new Map(made.map((span) => [span.bridge, planBridge(span)]))
  const context = { ...target, ...reading, planned, goingDown }
  const mtus = new Map<string, number>()
  const parts = new Map<SpanSpec, Resolved<DesiredSpan>>()
  for (const span of sortBySources(specs, spanSources(specs, spec, host))) {
    const recreates = matchesSpan(recreate, span.name)
    const held = holdNetwork(span, recreates, context)
    const part = resolveSpan(held?.span ?? span, recreates, mtus, context)
    parts.set(span, held === null ? part : { ...part, waits: [...part.waits, held.wait] })
    for (const { bridge, mtu } of part.items) mtus.set(bridge, mtu)
  }
  const resolved = joinResolved(specs.flatMap((span) => parts.get(span) ?? []))
  const others = findOtherSpans(resolved.items, target, host)
  const { spans: beside, refused } = refuseOutputs(resolved.items, others, host)
  const { spans: open, loops } = breakLoops(beside, others, withOutputs(host, beside, others))
  const shared = findSharedNames(open)
  const fed = resolveFeeds(patient ? leaveNames(open, shared) : open, specs, context)
  const { spans } = fed
  const errors = [
    ...resolved.errors,
    ...fed.errors,
    ...(patient ? [] : [...refused, ...loops, ...shared].map(({ diagnostic }) => diagnostic))
  ]
  if (errors.length > 0) throw new SpanplanError(sortByPlace(errors, spec.files))
  const listed = [...spec.spans, ...known].map(({ bridge }) => bridge)
  const bridges = [...listed, ...namedSpans(scope.spans).map(names.bridgeOf)]
  const receivers = listReceivers(spec, host)
  const marked = { names, known: knownBridges(bridges, host), receivers, also: new Set<number>(), goingDown }
  const desired = indexDesired({ owner: spec.name, scope, spans, ...marked, subnetSeed })
  const state = { desired, marks: readMarks(desired, host), host }
  // A watch goes on without the source, and removes its mirror: frames in a closed loop multiply at once.
  const leftOut = loops.flatMap(({ span, mirrors, diagnostic }) =>
    mirrors.map((point) => waitForMirror(span, point, diagnostic))
  )
  return {
    ...state,
    waits: [
      ...resolved.waits,
      ...fed.waits,
      ...(patient ? [...leftOut, ...[...refused, ...shared].map(({ wait }) => wait)] : [])
    ],
    warnings: [
      ...resolved.warnings,
      ...warnOfChains(spans, others),
      ...warnOfEmptySources(spans),
      ...warnOfUnfedSources(spans),
      ...spans.flatMap((span) => warnOfOutputs(span, host)),
      ...spans.flatMap((span) => warnOfForeignCopies(span, state))
    ]
  }
}

/** The spans that a span copies from, of these. */
function spanSources(specs: readonly SpanSpec[], spec: Spec, host: HostIndex): (span: SpanSpec) => SpanSpec[] {
  const byBridge = new Map(specs.map((span) => [span.bridge, span]))
  return ({ sources }) => {
    const devices = sources.flatMap((source) => hostKindOf(source).needs(source, spec).devices ?? [])
    return devices.flatMap((name) => {
      const link = host.findLink(name)
      return byBridge.get(name) ?? (link && byBridge.get(link.name)) ?? []
    })
  }
}

function knownBridges(listed: readonly string[], host: HostIndex): string[] {
  const bridges = host.links.filter((link) => markOf(host, link) !== null).map((link) => link.name)
  const networks = host.networks.flatMap((network) => network.labels[label.span] ?? [])
  return [...new Set([...listed, ...bridges, ...networks])]
}

/** By the bridge's name: the MTU that this plan gives the bridges of the spans that come before. */
type BridgeMtus = ReadonlyMap<string, number>

function resolveSpan(span: SpanSpec, recreate: boolean, mtus: BridgeMtus, context: Context): Resolved<DesiredSpan> {
  const { host, patient } = context
  const { sources, mtu, sensors: _, outputs: __, balances: ___, ...rest } = span
  const { name } = span
  const parts = sources.map((source) => resolveMirrors(span, source, context))
  const mirrors = joinResolved(parts)
  const points = [...mirrors.items, ...parts.flatMap(({ recalled }) => recalled)].filter(isFirst)
  const twice = mirrors.items.flatMap((one) => (points.includes(one) ? [] : (explainTwice(span, one, points) ?? [])))
  const awaited = twice.filter(({ isSelected }) => patient || isSelected)
  const sensors = resolveSensors(span, context)
  const outputs = resolveOutputs(span, context)
  const largest = Math.min(largestMtu(span, points, mtus, host), bridgeMaximum)
  const held = heldMtu(span, host)
  // It never shrinks under running sensors: these would lose their interface for frames that are smaller than they could be.
  const wantedMtu = mtu === 'auto' ? Math.max(largest, held ?? 0) : mtu
  const resolved: DesiredSpan = {
    ...rest,
    owner: context.spec.name,
    mtu: recreate ? wantedMtu : (held ?? wantedMtu),
    wantedMtu,
    mirrors: points,
    tunnels: [...parts.flatMap(({ tunnels }) => tunnels), ...outputs.tunnels],
    isUnread: parts.some((part) => part.isUnread),
    untouched: [...parts.flatMap(({ blocked }) => blocked), ...outputs.untouched],
    sensors: sensors.items,
    outputs: outputs.items,
    feeds: [],
    feedsBridge: true
  }
  return {
    items: [resolved],
    waits: [
      ...mirrors.waits,
      ...awaited.map(({ point, found }) => waitForMirror(name, point, found)),
      ...sensors.waits,
      ...outputs.waits
    ],
    errors: [
      ...mirrors.errors,
      ...twice.flatMap((one) => (awaited.includes(one) ? [] : inSpan(span, one.found))),
      ...sensors.errors,
      ...outputs.errors,
      ...refusePodman(span, host)
    ],
    warnings: [
      ...mirrors.warnings,
      ...filtersOf({ ...span, sources: [] }).flatMap((filtered) => warnOfFilter(span, filtered)),
      ...warnOfMtu(span, largest),
      ...sensors.warnings,
      ...warnOfOverlaps(span, sensors.items),
      ...warnOfSubnet(resolved, host),
      ...warnOfDuplicates({ name, mirrors: mirrors.items }, host),
      ...warnOfOthers(resolved, host).map((found) => ({ ...found, origin: span.origin }))
    ]
  }
}

/** What an older Podman does was not measured. A user's own has its networks in a network namespace of that user. */
function refusePodman({ name, network }: SpanSpec, { docker }: HostIndex): Diagnostic[] {
  if (network === null || docker.state !== 'read' || docker.podman === undefined) return []
  const { version, rootless } = docker.podman
  const isOld = !canPodmanHandOut(version)
  if (!isOld && !rootless) return []
  const why = isOld
    ? `that takes Podman ${podmanWithSpans}`
    : "it is a user's own (rootless), whose containers cannot be on a bridge of the host"
  const message = `span ${name}: Podman ${version} cannot hand out a span: ${why}`
  const remedy = isOld ? `Podman ${podmanWithSpans}, or Docker,` : "root's Podman, or Docker,"
  const hint = `use ${remedy} for the sensors; without sensors and network, Podman's containers can be sources, and ${name} can be captured`
  return [diagnostic('PODMAN_NETWORK', message, hint, network.origin)]
}

/** Whether no copy point before this one has the same hook. */
function isFirst(point: CopyPoint, _: number, all: readonly CopyPoint[]): boolean {
  return findFirst(point, all) === point
}

/** The first copy point of a hook. */
function findFirst({ device, tcHook }: CopyPoint, all: readonly CopyPoint[]): CopyPoint | undefined {
  return all.find((other) => other.device.name === device.name && other.tcHook === tcHook)
}

function warnOfMtu(span: SpanSpec, largest: number): Diagnostic[] {
  if (span.mtu === 'auto' || span.mtu >= largest) return []
  return [
    diagnostic(
      'MTU_SMALL',
      `span ${span.name}: its mtu is ${span.mtu}, but a source's is ${largest}: larger frames do not reach the sensors`,
      'write "mtu: auto"',
      span.origin
    )
  ]
}

/** Bytes: Ethernet's own (RFC 894), which most interfaces have. */
const ethernetMtu = 1500

/** Bytes: the most that the kernel takes for a bridge, and for a veth. Interfaces without hardware may have more, as a VRF has: 65,575. */
const bridgeMaximum = 65_535

/** While a source is missing, the bridge keeps its MTU: else its network would be recreated whenever an interface goes. */
function largestMtu(
  { bridge: name, sources }: SpanSpec,
  points: readonly CopyPoint[],
  mtus: BridgeMtus,
  host: HostIndex
) {
  const present = points.flatMap(({ device, mtu }) => mtu ?? mtus.get(device.name) ?? linkOf(device)?.mtu ?? [])
  const isComplete = sources.every(({ id }) => points.some(({ item }) => item === id))
  const bridge = isComplete ? undefined : host.linkOf(name)
  const known = [...present, ...(bridge?.kind === 'bridge' ? [bridge.mtu] : [])]
  return known.length > 0 ? Math.max(...known) : ethernetMtu
}

/** Bytes: the MTU of the interfaces of a span's running sensors; null: there are none. The kernel alone knows ports, and the bridge. */
function heldMtu({ bridge: name, network }: SpanSpec, host: HostIndex): number | null {
  if (network === null) return null
  if (host.docker.state !== 'read') {
    const bridge = host.linkOf(name)
    const mayHaveSensors = markOf(host, bridge)?.network === true && host.portsOf(name).some((port) => port.foreignPeer)
    return bridge && mayHaveSensors ? bridge.mtu : null
  }
  const live = host.networkOf(network.name)
  if (live === undefined || dockerBridge(live) !== name || findListeners(host, live.name).length === 0) return null
  const mtu = networkMtu(live)
  return Number.isNaN(mtu) ? null : mtu
}

/** `recalled`: the live mirrors that stay while it is not known where the source ends; `blocked`: the devices that wait. */
function resolveMirrors(span: SpanSpec, source: SourceSpec, context: Context) {
  const kind = hostKindOf(source)
  const {
    isUnread = false,
    tunnels = [],
    ...hooks
  } = limitSource(span, source, kind.resolve(source, span, context), context)
  const copied = copiedOf(source, span, context.spec)
  const words = wordsOfCopied(source, copied)
  const filter = resolveCopied(source, copied, context.filters)
  const { maxIdle, sample, limit, origin } = source
  const program = 'program' in filter ? filter.program : null
  const blocked = hooks.items.filter(({ problem }) => problem !== null)
  // Without a limit, what is mirrored goes on being mirrored: shares move, and members come and go.
  const held = blocked.filter((hook) => !(hook.problem?.code === 'MODULE_MISSING' && isMirrored(span, hook, context)))
  const possible = hooks.items.filter((hook) => hook.problem === null || isMirrored(span, hook, context))
  const items = possible.map(
    ({ problem, ...hook }): CopyPoint => ({
      ...hook,
      selection: {
        expression: copied,
        everyFrame: copied === null && sample === null,
        ...(words !== undefined && { words })
      },
      program,
      sample,
      maxIdle,
      limit: problem === null ? limit : (liveLimit(span, hook, context) ?? null),
      item: source.id,
      origin
    })
  )
  // One filter costs its source alone: a live mirror stays as it is.
  const reason = 'wait' in filter ? filter.wait : 'error' in filter && context.patient ? filter.error : null
  const waitAt = ({ source: id, direction }: MirrorSource, found: Diagnostic | null) =>
    found === null ? [] : waitForMirrors(span, source, id, found, [direction])
  const waits = firstOfEach(items).flatMap((point) => waitAt(point, reason))
  const blockedWaits = firstOfEach(blocked).flatMap((hook) => waitAt(hook, hook.problem))
  return {
    isUnread,
    tunnels,
    recalled: isUnread
      ? kind.recall(span, context).map((point) => ({ ...point, maxIdle, item: source.id, origin }))
      : [],
    blocked: [...held.map(({ device }) => device.name), ...(isUnread ? findRenamedLinks(span, context) : [])],
    items,
    waits: [...hooks.waits, ...blockedWaits, ...waits],
    errors: [...('error' in filter && !context.patient ? [inSpan(span, filter.error)] : []), ...hooks.errors],
    warnings: [
      ...warnOfFilter(span, source),
      ...hooks.warnings,
      ...items.flatMap((item) => warnOfSource(span.name, item, context.host))
    ]
  }
}

/** Where the kernel cannot limit what is copied of a source, nothing is. */
function limitSource(
  span: SpanSpec,
  source: SourceSpec,
  resolved: ResolvedSource,
  { host, patient }: Context
): ResolvedSource {
  const lacking = source.limit === null ? undefined : host.lacking?.find(({ name }) => name === limitModule)
  if (lacking === undefined) return resolved
  const message = `"limit" needs the kernel's ${limitModule}, without which nothing new is copied: ${lacking.message}`
  const found = diagnostic('MODULE_MISSING', message, lacking.command, source.origin)
  if (!patient) return { ...resolved, items: [], errors: [...resolved.errors, inSpan(span, found)] }
  // A live mirror stays as it is, without a limit: sensors that hear are not deafened.
  return { ...resolved, items: resolved.items.map((hook) => ({ ...hook, problem: hook.problem ?? found })) }
}

/** One of those that have the same name: two interfaces of one container. */
function firstOfEach<Hook extends MirrorSource>(hooks: readonly Hook[]): Hook[] {
  return [...groupsOf(hooks, writePoint).values()].map(([first]) => first)
}

/** Whether the span has a mirror at a hook: to its bridge, or to one of its receivers. */
function isMirrored(span: SpanSpec, hook: Hook, context: Context): boolean {
  return findMirrors(span, hook, context).length > 0
}

type Hook = Pick<CopyPoint, 'device' | 'tcHook'>

function findMirrors({ bridge }: SpanSpec, { device, tcHook }: Hook, { spec, host }: Context): Filter[] {
  return host.filtersAt(device.name, tcHook).filter(({ mirror, handle }) => {
    if (mirror === null) return false
    const read = readFeed(host, mirror.target)
    if (read?.bridge === bridge) return true
    const named = mirrorName(bridge, read?.feed ?? null)
    return namesOf(spec).some((owner) => handle === handleOf({ owner, name: named }, { device, tcHook }))
  })
}

/** The limit of the live mirrors at a hook. */
function liveLimit(span: SpanSpec, hook: Hook, context: Context): number | undefined {
  return findMirrors(span, hook, context).flatMap(({ mirror }) =>
    typeof mirror?.limit === 'number' ? mirror.limit : []
  )[0]
}

/**
 * Why a copy point is left out: another one has its hook. Two interfaces of the file are one under two names: only the host tells. Or
 * the host decides what a source ends in, as by a label, which anybody who starts containers can cause: that costs no more than the
 * copy point.
 *
 * @returns null: the host decides, and both copy the same of its frames.
 */
function explainTwice({ sources }: SpanSpec, point: CopyPoint, all: readonly CopyPoint[]) {
  const { device, tcHook, origin, selection, limit } = point
  const first = findFirst(point, all) ?? point
  const both = new Set([point.item, first.item])
  const isSelected = sources.some((source) => both.has(source.id) && endOf(source) !== 'interface')
  if (isSelected && limit === first.limit && isDeepStrictEqual(selection, first.selection)) return null
  const overlap = `the source in line ${origin.line} selects ${writeSourceName(point.source)}, as does an earlier one (${placeFrom(first.origin, origin)}), whose filter or limit is another: the earlier one holds`
  const shared = 'give both sources the same filter and limit, or let only one of them select the container'
  const double = `the ${tcHook} of ${device.name} is mirrored twice: sensors would see each frame twice`
  const found = isSelected
    ? diagnostic('SOURCE_TWICE', overlap, shared, origin)
    : diagnostic('SOURCE_TWICE', double, 'remove one of the two', origin)
  return { point, isSelected, found }
}

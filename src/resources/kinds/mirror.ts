import { isDeepStrictEqual } from 'node:util'
import { diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Filter } from '../../host/snapshot.ts'
import { writeDirection } from '../../spec/values/direction.ts'
import type { CopyPoint, DesiredSpan, FeedId } from '../desired-state.ts'
import { mirrorsOf, programOf, type SpanMirror } from '../feeds/feeds.ts'
import {
  explainForeignMirrors,
  findForeignMirrors,
  judgeForeignMirrors,
  planReplacement,
  replacesNone
} from '../foreign/mirrors.ts'
import type { Kind, ObservedState } from '../kind.ts'
import { hashOf, ownMark, readCookie, readRingClass, writeCookie, writeRingClass } from '../marks.ts'
import { finalizeMirrors } from '../mirrors/mirror-changes.ts'
import { findHandle } from '../mirrors/mirror-handle.ts'
import { filterId, type Mirror, mirrorId } from '../mirrors/mirror-resource.ts'
import { makeSteps, removeSteps, updateSteps } from '../mirrors/mirror-steps.ts'
import { nameMirror, nameTarget, programClause, writeLimit } from '../mirrors/mirror-words.ts'
import { explainLost } from '../outputs/host-output-kind.ts'
import { markedBy, markOf, ownNames, ownsBridge } from '../ownership.ts'
import { bucketCount, type Share } from '../programs/share-program.ts'
import { interfaceMark } from '../read-marks.ts'
import { onOff } from '../settings.ts'
import { livePoint } from '../sources/host-source-kind.ts'
import { identifySource } from '../sources/registry.ts'

/** How mirrors are desired, observed and changed. */
export const mirror: Kind<Mirror> = {
  kind: 'mirror',
  document: ({ point: { device, tcHook, source, direction, selection }, part, widening: _, ...mirror }) => ({
    ...mirror,
    part: part && {
      expression: part.expression,
      share: part.share && { ...part.share, buckets: [...part.share.buckets] }
    },
    device: device.name,
    tcHook,
    source,
    direction: writeDirection(direction),
    expression: selection.expression
  }),
  fields: {
    target: { label: 'target', words: (_, mirror) => nameTarget(mirror) },
    program: {
      label: 'filter',
      words: (_, mirror) => programClause(mirror)
    },
    control: { label: 'afterwards', words: String },
    protocol: { label: 'protocol', words: String },
    directAction: { label: 'direct-action', words: onOff },
    limit: { label: 'limit', words: writeLimit },
    cookie: { label: 'mark', words: (cookie) => (readCookie(cookie) ? ownMark : cookie || 'none') },
    classId: {
      label: 'mark of the receive ring',
      words: (classId) => (readRingClass(classId ?? null).ring === undefined ? (classId ?? 'none') : ownMark)
    },
    foreignMirrors: { label: 'foreign mirrors', words: (foreignMirrors) => String(foreignMirrors.length) }
  },
  desire: (state, live) => {
    const wanted = state.desired.spans.flatMap((span) => desireMirrors(state, span))
    const ids = new Set(wanted.map(({ id }) => id))
    return [...wanted, ...live.filter((one) => !ids.has(one.id) && isOfUnread(state, one))]
  },
  observe: (state) => [
    ...[...state.marks.mirrors].flatMap(([filter, { bridge, inScope, owner }]): Mirror | [] => {
      if (!inScope) return []
      // Whether the span still needs the mirror on an interface that is not understood is not known.
      const isKept = bridge !== null && state.desired.spanOn(bridge) && state.host.findOpaque(filter.device)
      const spans = bridge === null ? [] : [state.desired.names.nameOf(bridge)]
      const name = ownNames(state.desired).find((one) => hashOf(one) === owner) ?? null
      const found = { ...foreignMirror(state, filter), ...markedBy(state.desired, name) }
      return { ...found, spans, owner: isKept ? 'shared' : 'ours' }
    }),
    ...state.desired.spans.flatMap((span) => standingInTheWay(state, span))
  ],
  rollbackTarget: rollbackMirrors,
  finalize: finalizeMirrors,
  // A bridge that Docker has recreated bears no mark: only the label of its network says that it is the span's.
  evidence: ({ owner, spans: [span] }, side, { desired, host }) => {
    const bridge = span === undefined ? undefined : host.linkOf(desired.names.bridgeOf(span))
    const isUnknown = bridge?.kind === 'bridge' && markOf(host, bridge) === null && !ownsBridge(desired, host, bridge)
    return side === 'live' && owner === 'ours' && isUnknown ? ['docker'] : []
  },
  create: (after) => makeSteps(after, 'add'),
  prepare: ({ widening }) => [...widening],
  update: updateSteps,
  remove: removeSteps,
  title: nameMirror,
  summary: (mirror) =>
    mirror.foreignMirrors.length > 0
      ? `foreign: ${mirror.foreignMirrors.join('; ')}`
      : [programClause(mirror), ...(mirror.limit === null ? [] : [`limit ${writeLimit(mirror.limit)}`])].join(', '),
  address: ({ point, spans, handle, feed }) => [
    ...point.source,
    writeDirection(point.direction),
    ...(spans.length === 0 || feed?.name === '' ? [handle.toString(16)] : feed === null ? [] : [feed.kind, feed.name])
  ],
  device: ({ point }) => point.device.name,
  hangsOn: {
    kind: 'tunnel',
    id: ({ point, feed }) => (feed?.kind === 'tunnel' ? feed.name : point.device.name),
    goesWith: true
  },
  serves: ({ point }) => point.serves,
  remembers: ({ point, cookie }) => (cookie === '' ? [] : [{ device: point.device.name }]),
  conflict: (live, _, host) => explainForeignMirrors(live, live.target, host),
  // The span is not lost for one receiver. The port of a container goes whenever the container does.
  undone: ({ feed }, reason) => {
    if (feed === null) return undefined
    if (feed.kind !== 'sensor') return explainLost(feed.name, reason, 'see what the host lacks with: spanplan doctor')
    return diagnostic(
      'SENSOR_INTERFACE',
      `no mirror leads to ${feed.name}: ${reason}`,
      'apply again; a watch does so by itself'
    )
  },
  adoptNote: 'a later destroy removes it'
}

function desireMirrors(state: ObservedState, span: DesiredSpan): Mirror[] {
  const { desired, marks, host } = state
  return mirrorsOf(span).flatMap(({ point, feed }): Mirror | [] => {
    const { device, tcHook, item, origin } = point
    const target = feed === null ? span.bridge : feed.target
    const handle = findHandle(state, span, point, feed)
    const id = mirrorId(device.name, tcHook, handle)
    // While the desired program is not known, a live one stays. Without either, there is no mirror.
    const program =
      programOf({ point, feed }) ??
      host.filtersAt(device.name, tcHook).find((filter) => filterId(filter) === id)?.program
    const marked = marks.interfaces.get(device.name)
    if (program === undefined || program === null || marked === undefined || target === null) return []
    const mark = interfaceMark(marked)
    return {
      kind: 'mirror',
      id,
      spans: [span.name],
      owner: 'ours',
      ...markedBy(desired, desired.owner),
      point,
      handle,
      item,
      origin,
      feed: idOfFeed(feed),
      part: feed?.part ?? null,
      target,
      program,
      control: 'continue',
      protocol: 'all',
      directAction: false,
      limit: limitOf(point, feed?.part?.share ?? null),
      widening: [],
      cookie: writeCookie(desired.owner, mark),
      ...classOf(writeRingClass(mark)),
      ...replacesNone
    }
  })
}

/**
 * Whether a live mirror stays because it leads to the port of some sensor, and it is not known which: containers were not read. It does not
 * stay if the file no longer has its source.
 */
function isOfUnread({ desired, host }: ObservedState, { point, feed, target, spans: [name] }: Mirror): boolean {
  const isUnread = host.docker.state !== 'read' || host.unreadContainers.length > 0
  const isOfSome = isUnread && feed?.kind === 'sensor' && feed.name === ''
  const span = isOfSome && name !== undefined ? desired.spanOf(name) : undefined
  if (span === undefined) return false
  const { device, tcHook } = point
  return target !== '*' && span.mirrors.some((one) => one.device.name === device.name && one.tcHook === tcHook)
}

const classOf = (classId: string | undefined) => (classId === undefined ? {} : { classId })

/** The limit of one mirror: the members of a balance have the limit of a source together. */
export function limitOf({ limit }: Pick<CopyPoint, 'limit'>, share: Pick<Share, 'buckets'> | null): number | null {
  if (limit === null || share === null) return limit
  // The kernel counts bytes.
  return Math.max(8, Math.round((limit * share.buckets.size) / bucketCount / 8) * 8)
}

const idOfFeed = (feed: FeedId | null): FeedId | null => feed && { kind: feed.kind, name: feed.name }

function foreignMirror({ marks, host }: ObservedState, filter: Filter): Mirror {
  const points = marks.interfaces.get(filter.device)?.points
  const source = points?.find(({ tcHook }) => tcHook === filter.tcHook) ?? identifySource(filter, host)
  return {
    kind: 'mirror',
    id: filterId(filter),
    spans: [],
    owner: 'foreign',
    point: livePoint(filter, source, host),
    handle: filter.handle ?? 0,
    feed: marks.mirrors.get(filter)?.feed ?? null,
    part: null,
    target: filter.mirror?.target ?? '',
    program: filter.program ?? '',
    control: filter.mirror?.control ?? '',
    protocol: filter.protocol,
    directAction: filter.directAction,
    limit: filter.mirror?.limit ?? null,
    cookie: filter.mirror?.cookie ?? '',
    widening: [],
    ...classOf(filter.classId ?? undefined),
    ...replacesNone
  }
}

/**
 * Whether the mirrors of a receiver replace the foreign filters that lead to the bridge of the span: those that feed the bridge do, and
 * where none does, those of the first receiver. A foreign filter that leads to a port stands in nobody's way: without the mirror beside
 * it, the receiver would lack what the filter does not take.
 */
function replacesForeign({ feeds, feedsBridge }: DesiredSpan, feed: FeedId | null): boolean {
  const first = feeds.find(({ target }) => target !== null)
  return feed === null || (!feedsBridge && isDeepStrictEqual(idOfFeed(first ?? null), idOfFeed(feed)))
}

/** The foreign filters in the way of desired mirrors, each as a live mirror with the desired mirror's id. */
function standingInTheWay(state: ObservedState, span: DesiredSpan): Mirror[] {
  const mirrors = desireMirrors(state, span)
  return mirrorsOf(span).flatMap(({ point: want, feed }: SpanMirror): Mirror[] => {
    const target = feed === null ? span.bridge : feed.target
    if (target === null) return []
    const targets = new Set(replacesForeign(span, feed) ? [span.bridge] : [])
    const { copying, blocking } = findForeignMirrors(state, targets, want)
    const { device, tcHook } = want
    const id = mirrorId(device.name, tcHook, findHandle(state, span, want, feed))
    const meant = mirrors.find((one) => one.id === id)
    if (blocking) return [{ ...foreignMirror(state, blocking), id, spans: [span.name] }]
    if (copying.length === 0 || meant === undefined) return []
    const adoption = judgeForeignMirrors(copying)
    const replaced = planReplacement(state.host, device.name, copying)
    return [{ ...meant, owner: 'foreign', target: span.bridge, adoption, ...replaced }]
  })
}

/**
 * Foreign mirrors whose bridge went meanwhile, as Docker takes along a bridge that it has made, are still there, and copy nowhere. What feeds
 * one receiver leads to where that is now.
 */
function rollbackMirrors(mirrors: readonly Mirror[], then: ObservedState, now: ObservedState): readonly Mirror[] {
  const { host } = now
  const live = keepBeside(mirrors, now).filter(({ point }) => host.mayExist(point.device.name))
  return live.flatMap((one): Mirror | [] => {
    if (one.owner === 'foreign') return restoreForeign(one, then, host)
    const target = findTargetAgain(one, now)
    return target === null ? [] : { ...one, target }
  })
}

/**
 * Where a mirror of ours stood beside the foreign ones that it has replaced, it has the id that it has alone now: it stays, and they come back
 * beside it.
 */
function keepBeside(mirrors: readonly Mirror[], now: ObservedState): readonly Mirror[] {
  const idOf = ({ point, handle }: Mirror) => mirrorId(point.device.name, point.tcHook, handle)
  const isOurs = ({ owner }: Mirror) => owner !== 'foreign'
  const besides = mirrors.filter((one) => isOurs(one) && one.id !== idOf(one))
  if (besides.length === 0) return mirrors
  const observed = mirror.observe(now)
  const alone = new Map(
    besides.flatMap((one) => {
      const live = observed.filter(({ id }) => id === idOf(one))
      return live.length > 0 && live.every(isOurs) ? [[idOf(one), one.id] as const] : []
    })
  )
  return mirrors.map((one) => {
    const beside = alone.get(idOf(one))
    return beside === undefined ? one : { ...one, id: isOurs(one) ? idOf(one) : beside }
  })
}

function restoreForeign(one: Mirror, then: ObservedState, host: HostIndex): Mirror {
  if (one.foreignMirrors.length === 0) return one
  const { copying } = findForeignMirrors(then, new Set([one.target]), one.point)
  return { ...one, ...planReplacement(then.host, one.point.device.name, copying, host) }
}

/**
 * Where the frames of an earlier mirror go now. A container that was restarted has another port. null: nowhere, because its receiver
 * has ended or is not connected yet. A bridge or a tunnel that is gone is created before.
 */
function findTargetAgain({ target, feed, spans: [span] }: Mirror, { desired, host }: ObservedState): string | null {
  if (feed === null || feed.kind === 'tunnel') return target
  if (feed.kind === 'output') return host.mayExist(target) ? target : null
  const bridge = span === undefined ? undefined : desired.names.bridgeOf(span)
  // Somebody else's interface may have the name of a port that is gone.
  if (host.docker.state !== 'read') return host.linkOf(target)?.master === bridge ? target : null
  const links = host.containerOf(feed.name)?.endpoints.flatMap((endpoint) => host.vethTo(endpoint) ?? []) ?? []
  return links.find(({ master }) => master === bridge)?.name ?? null
}

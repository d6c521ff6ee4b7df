import { isDeepStrictEqual } from 'node:util'
import { diagnostic } from '../../errors.ts'
import type { Argv } from '../../host/exec.ts'
import type { Filter, Program, TcHook } from '../../host/snapshot.ts'
import { everyFrame, mirrorPref } from '../../host/tc-conventions.ts'
import { deleteFilter, writeMirror } from '../../host/write-filters.ts'
import { writeDirection } from '../../spec/values/direction.ts'
import { writeRate } from '../../spec/values/rate.ts'
import type { CopyPoint, DesiredSpan, FeedId, Part } from '../desired-state.ts'
import { mirrorName, mirrorsOf, programOf, type SpanMirror } from '../feeds/feeds.ts'
import {
  explainForeignMirrors,
  findForeignMirrors,
  judgeForeignMirrors,
  planReplacement,
  type ReplacedMirrors,
  replacesNone
} from '../foreign/mirrors.ts'
import type { Change, Kind, ObservedState, Resource, Step } from '../kind.ts'
import { ownMark, readCookie, readRingClass, writeCookie, writeRingClass } from '../marks.ts'
import { explainLost } from '../outputs/host-output-kind.ts'
import { markOf, ownsBridge } from '../ownership.ts'
import { readSample } from '../programs/sample-program.ts'
import {
  type Buckets,
  bucketCount,
  readShare,
  replaceShare,
  type Share,
  writeShare
} from '../programs/share-program.ts'
import { interfaceMark } from '../read-marks.ts'
import { onOff } from '../settings.ts'
import { handleOf, livePoint, writeMirrorTitle } from '../sources/host-source-kind.ts'
import { identifySource } from '../sources/registry.ts'

/** One tc filter that copies the frames at one hook of one interface into one span: to its bridge, or straight to one receiver. */
export interface Mirror extends Resource, ReplacedMirrors {
  readonly kind: 'mirror'
  readonly point: CopyPoint
  readonly handle: number
  /** The receiver; null: it feeds the span's bridge. */
  readonly feed: FeedId | null
  /** What the receiver takes of the source's frames; null: all, or what only the program of a live mirror says. */
  readonly part: Pick<Part, 'expression' | 'share'> | null
  /** The link that gets the copies; `*` if that is gone, also where there is a new link of the same name. */
  readonly target: string
  /** While the point's is not known, the live one. */
  readonly program: Program
  /** What happens to the frame itself: `continue` hands it to the next filter. */
  readonly control: string
  /** The protocol of the frames that the filter sees, or `all`. */
  readonly protocol: string
  /** With direct-action, the program's result is the verdict, and the action that copies is not run. */
  readonly directAction: boolean
  /** Bits per second that it copies at most; null: no limit. `unknown`: another policer stands before it. */
  readonly limit: number | null | 'unknown'
  readonly cookie: string
  /** What is done to other mirrors first. */
  readonly widening: readonly Step[]
  /** The class of its frames, which is the mark of the interface's receive ring. Missing: there is nothing to say of that. */
  readonly classId?: string
}

/** Whether a resource is a mirror. */
export function isMirror(resource: Resource): resource is Mirror {
  return resource.kind === 'mirror'
}

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
    ...[...state.marks.mirrors].flatMap(([filter, { span, inScope }]): Mirror | [] => {
      if (!inScope) return []
      // Whether the span still needs the mirror on an interface that is not understood is not known.
      const isKept = span !== null && state.desired.spanOf(span) && state.host.findOpaque(filter.device)
      const spans = span === null ? [] : [span]
      return { ...foreignMirror(state, filter), spans, owner: isKept ? 'shared' : 'ours' }
    }),
    ...state.desired.spans.flatMap((span) => standingInTheWay(state, span))
  ],
  rollbackTarget: rollbackMirrors,
  finalize: (changes) => widenFirst(removeBesideMoved(changes.map(explainRecompiled).map(explainMoved))),
  // A bridge that Docker has recreated bears no mark: only the label of its network says that it is the span's.
  evidence: ({ owner, spans: [span] }, side, { desired, host }) => {
    const bridge = span === undefined ? undefined : host.linkOf(span)
    const isUnknown = bridge?.kind === 'bridge' && markOf(host, bridge) === null && !ownsBridge(desired, host, bridge)
    return side === 'live' && owner === 'ours' && isUnknown ? ['docker'] : []
  },
  create: (after) => makeSteps(after, 'add'),
  prepare: ({ widening }) => [...widening],
  update: updateSteps,
  remove: removeSteps,
  title: nameMirror,
  summary: (mirror) =>
    [programClause(mirror), ...(mirror.limit === null ? [] : [`limit ${writeLimit(mirror.limit)}`])].join(', '),
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
  conflict: (live, desired, host) => explainForeignMirrors(live, desired.target, host),
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

function programClause({ point, program, part }: Mirror): string {
  const share = part?.share ?? readShare(program)
  // What a share alone takes of a source of which every frame is copied.
  const isAll = program === everyFrame || (share !== null && program === writeShare(share))
  const { expression } = part ?? point.selection
  const isFiltered = part !== null && expression !== null && point.selection.expression === null
  const source = writeFrames({ selection: { ...point.selection, everyFrame: isAll || isFiltered }, program })
  const sample = point.sample ?? readSample(program)
  const clauses = [
    source,
    part?.expression ?? null,
    sample && `${sample.take} of ${sample.of} ${sample.kind}${sample.kind === 'frames' ? ', at random' : ''}`,
    share && writeShareClause(share)
  ]
  return clauses.filter((clause) => clause !== null).join('; ') || 'every frame'
}

function writeShareClause({ hash, buckets, rest }: Share): string {
  const flows = `${buckets.size} of ${bucketCount} buckets of flows${hash === 'addresses' ? '' : ` by ${hash}`}`
  return rest ? `${flows}, and what is not IP` : flows
}

/** The frames that are copied, in words; null: every frame. */
export function writeFrames({ selection, program }: Pick<CopyPoint, 'selection' | 'program'>): string | null {
  const { expression, everyFrame: isEvery } = selection
  return isEvery ? null : (expression ?? `a program of length ${(program ?? '').split(',')[0]}`)
}

function desireMirrors({ desired, marks, host }: ObservedState, span: DesiredSpan): Mirror[] {
  return mirrorsOf(span).flatMap(({ point, feed }): Mirror | [] => {
    const { device, tcHook, item, origin } = point
    const target = feed === null ? span.name : feed.target
    const handle = handleOf({ owner: span.owner, name: mirrorName(span.name, feed) }, point)
    const id = idOf(device.name, tcHook, handle)
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
 * Whether a live mirror leads to a port of which only the description of a container tells whose it is, and that was not read: what the
 * sensor gets stays as it is. Of a source that the file has no more, nobody gets anything.
 */
function isOfUnread({ desired, host }: ObservedState, { point, feed, target, spans: [name] }: Mirror): boolean {
  const isUnread = host.docker.state !== 'read' || host.unreadContainers.length > 0
  const span = isUnread && feed?.kind === 'sensor' && feed.name === '' ? desired.spanOf(name ?? '') : undefined
  if (span === undefined) return false
  const { device, tcHook } = point
  return target !== '*' && span.mirrors.some((one) => one.device.name === device.name && one.tcHook === tcHook)
}

const classOf = (classId: string | undefined) => (classId === undefined ? {} : { classId })

/** Those that share the frames of a source have its limit together. */
export function limitOf({ limit }: Pick<CopyPoint, 'limit'>, share: Pick<Share, 'buckets'> | null): number | null {
  if (limit === null || share === null) return limit
  // The kernel counts bytes.
  return Math.max(8, Math.round((limit * share.buckets.size) / bucketCount / 8) * 8)
}

function writeLimit(limit: Mirror['limit']): string {
  if (limit === 'unknown') return 'another policer'
  return limit === null ? 'none' : writeRate(limit)
}

const idOfFeed = (feed: FeedId | null): FeedId | null => feed && { kind: feed.kind, name: feed.name }

const receivers: Readonly<Record<FeedId['kind'], string>> = {
  tunnel: 'a tunnel',
  sensor: 'a port',
  output: 'an interface'
}

function nameTarget({ target, feed, spans }: Mirror): string {
  if (target !== '*') return target
  if (spans.length === 0 || feed?.name === '') return 'an interface that is gone'
  return `${feed === null ? 'a bridge' : receivers[feed.kind]} that is gone`
}

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

/** The foreign filters in the way of desired mirrors, each as a live mirror with the desired mirror's id. */
function standingInTheWay(state: ObservedState, span: DesiredSpan): Mirror[] {
  const mirrors = desireMirrors(state, span)
  return mirrorsOf(span).flatMap(({ point: want, feed }: SpanMirror): Mirror[] => {
    const target = feed === null ? span.name : feed.target
    if (target === null) return []
    const { copying, blocking } = findForeignMirrors(state, target, want)
    const { device, tcHook } = want
    const id = idOf(device.name, tcHook, handleOf({ owner: span.owner, name: mirrorName(span.name, feed) }, want))
    const meant = mirrors.find((one) => one.id === id)
    if (blocking) return [{ ...foreignMirror(state, blocking), id, spans: [span.name] }]
    if (copying.length === 0 || meant === undefined) return []
    const adoption = judgeForeignMirrors(copying)
    return [{ ...meant, owner: 'foreign', adoption, ...planReplacement(state.host, device.name, copying) }]
  })
}

/** Foreign mirrors whose bridge went meanwhile, as Docker takes along a bridge that it has made, are still there, and copy nowhere. */
function rollbackMirrors(mirrors: readonly Mirror[], then: ObservedState, { host }: ObservedState): readonly Mirror[] {
  const live = mirrors.filter(({ point }) => host.mayExist(point.device.name))
  return live.map((one) => {
    if (one.foreignMirrors.length === 0) return one
    const { copying } = findForeignMirrors(then, one.target, one.point)
    return { ...one, ...planReplacement(then.host, one.point.device.name, copying, host) }
  })
}

/**
 * While buckets move, a frame may come twice, and is never lost: each mirror takes what it gains before another one loses that. New mirrors
 * are made first.
 */
function widenFirst(changes: readonly Change<Mirror>[]): readonly Change<Mirror>[] {
  const early = changes.map((change) => (change.action === 'update' && isGain(change) ? prepareGain(change) : change))
  const losing = early.flatMap((change) => {
    if (change.action !== 'update') return []
    const [was, is] = [readShare(change.before.program), readShare(change.after.program)]
    if (is === null) return []
    // By another hash, any flow may be in any bucket. What had no share before gets all.
    const both = was?.hash === is.hash ? joinShares(was, is) : { ...is, buckets: allBuckets, rest: true }
    if (was === null) return [{ change, widening: [] }]
    if (both.buckets.size === is.buckets.size && both.rest === is.rest) return []
    const isGaining = was.hash !== is.hash || both.buckets.size > was.buckets.size || both.rest !== was.rest
    const wide = { ...change.after, program: replaceShare(change.after.program, both) }
    return [{ change, widening: isGaining ? makeSteps(wide, 'widen') : [] }]
  })
  const [first] = losing
  if (first === undefined) return early
  const others = early.filter((change) => !losing.some((one) => one.change === change))
  const widening = losing.flatMap((one) => one.widening)
  const widened = { ...first.change, before: { ...first.change.before, widening } }
  return [...others, widened, ...losing.slice(1).map(({ change }) => change)]
}

type Update = Extract<Change<Mirror>, { readonly before: Mirror; readonly after: Mirror }>

/** Whether a mirror that is there takes more than before, and loses nothing. */
function isGain({ before, after }: Update): boolean {
  const [was, is] = [readShare(before.program), readShare(after.program)]
  if (was === null || is === null || before.target !== after.target || was.hash !== is.hash) return false
  return joinShares(was, is).buckets.size === is.buckets.size && (is.rest || !was.rest)
}

/** Whoever takes over from another has it before that one is disconnected. */
function prepareGain({ before, after, ...change }: Update): Update {
  return { ...change, before: { ...before, widening: makeSteps(after, 'repair') }, after }
}

const allBuckets: Buckets = new Set(Array.from({ length: bucketCount }, (_, bucket) => bucket))

function joinShares(one: Share, other: Share): Share {
  return { ...other, buckets: new Set([...one.buckets, ...other.buckets]), rest: one.rest || other.rest }
}

/** Another version of libpcap compiles an expression to the same tests in another order: nobody has changed that mirror. */
function explainRecompiled(change: Change<Mirror>): Change<Mirror> {
  if (change.action !== 'update') return change
  const { before, after } = change
  const isRecompiled = before.program !== after.program && listTests(before.program) === listTests(after.program)
  if (!isRecompiled) return change
  const selection = { ...before.point.selection, expression: 'the same tests in another order' }
  return { ...change, before: { ...before, point: { ...before.point, selection } } }
}

/** Where only a share differs, what else the mirror copies is known. */
function explainMoved(change: Change<Mirror>): Change<Mirror> {
  if (change.action !== 'update') return change
  const { before, after } = change
  const [was, is] = [readShare(before.program), readShare(after.program)]
  if (was === null || is === null || replaceShare(before.program, is) !== after.program) return change
  const { selection, sample } = after.point
  const part = { expression: after.part?.expression ?? null, share: was }
  return { ...change, before: { ...before, point: { ...before.point, selection, sample }, part } }
}

/** The instructions of a program, as `code jt jf k`, in one order and without their jumps. */
function listTests(program: Program): string {
  const tests = program.split(',').slice(1)
  return tests
    .map((test) => test.replace(/ \d+ \d+ /, ' '))
    .sort()
    .join()
}

/** The kernel does not change the protocol of a preference: all mirrors of a hook are removed before the first is added. */
function removeBesideMoved(changes: readonly Change<Mirror>[]): readonly Change<Mirror>[] {
  const moves = changes.flatMap((change) =>
    change.action === 'update' && change.before.protocol !== change.after.protocol ? [change] : []
  )
  const isBeside = ({ point: one }: Mirror, { point: other }: Mirror) =>
    one.device.name === other.device.name && one.tcHook === other.tcHook
  return changes.map((change) => {
    const [first] = moves.filter(({ before }) => change.action === 'update' && isBeside(before, change.before))
    if (change !== first) return change
    const removal = moves.filter(({ before }) => isBeside(before, first.before)).map(({ before }) => deletion(before))
    return { ...first, before: { ...first.before, removal: [...first.before.removal, ...removal] } }
  })
}

function updateSteps(before: Mirror, after: Mirror): Step[] {
  const isInTheWay = before.foreignMirrors.length === 0 && after.foreignMirrors.length > 0 && !after.onIngress
  const summary = `remove what stands in the way of the mirror ${nameMirror(before)}`
  const steps = makeSteps(after, 'repair')
  if (isDeepStrictEqual(before.widening, steps)) return []
  return [
    ...before.removal.map((argv) => ({ summary, argv })),
    // Where the old ingress qdisc is back, the mirror went with clsact; where foreign mirrors are, it is not there yet.
    ...(isInTheWay ? removeSteps(before) : []),
    ...steps
  ]
}

function makeSteps(after: Mirror, verb: string): Step[] {
  if (after.foreignMirrors.length > 0) {
    return after.restoration.map((argv) => ({ summary: `restore the foreign mirror of ${nameMirror(after)}`, argv }))
  }
  const { device, tcHook } = after.point
  const argv = ['tc', ...writeMirror({ ...after, device: device.name, tcHook })] as const
  return [{ summary: `${verb} the mirror ${nameMirror(after)}`, argv }]
}

function removeSteps(before: Mirror): Step[] {
  return [{ summary: `remove the mirror ${nameMirror(before)}`, argv: deletion(before) }]
}

function deletion({ point: { device, tcHook }, handle }: Mirror): Argv {
  return ['tc', ...deleteFilter(device.name, tcHook, mirrorPref, handle)]
}

function nameMirror(mirror: Mirror): string {
  const { point, spans, feed } = mirror
  return writeMirrorTitle(point, (feed === null ? spans[0] : feed.name) || nameTarget(mirror))
}

/** The id of the mirror that a filter is. */
export function filterId(filter: Filter): string {
  return idOf(filter.device, filter.tcHook, filter.handle ?? 0)
}

function idOf(device: string, tcHook: TcHook, handle: number): string {
  return `${device} ${tcHook} ${handle.toString(16)}`
}

import type { Argv } from '../../host/exec.ts'
import type { Filter, Program, TcHook } from '../../host/snapshot.ts'
import { everyFrame, mirrorPref } from '../../host/tc-conventions.ts'
import { deleteFilter, writeMirror } from '../../host/write-filters.ts'
import { writeDirection } from '../../spec/values/direction.ts'
import type { CopyPoint, DesiredSpan } from '../desired-state.ts'
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
import { markOf, ownsBridge } from '../ownership.ts'
import { interfaceMark } from '../read-marks.ts'
import { onOff } from '../settings.ts'
import { handleOf, livePoint, writeMirrorTitle } from '../sources/host-source-kind.ts'
import { identifySource } from '../sources/registry.ts'

/** One tc filter that copies the frames at one hook of one interface into one span. */
export interface Mirror extends Resource, ReplacedMirrors {
  readonly kind: 'mirror'
  readonly point: CopyPoint
  readonly handle: number
  /** The bridge that gets the copies; `*` if that bridge is gone, also where there is a new bridge of the same name. */
  readonly target: string
  /** While the point's is not known, the live one. */
  readonly program: Program
  /** What happens to the frame itself: `continue` hands it to the next filter. */
  readonly control: string
  /** The protocol of the frames that the filter sees, or `all`. */
  readonly protocol: string
  /** With direct-action, the program's result is the verdict, and the action that copies is not run. */
  readonly directAction: boolean
  readonly cookie: string
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
  document: ({ point: { device, tcHook, source, direction, selection }, ...mirror }) => ({
    ...mirror,
    device: device.name,
    tcHook,
    source,
    direction: writeDirection(direction),
    expression: selection.expression
  }),
  fields: {
    target: { label: 'target', words: nameTarget },
    program: {
      label: 'filter',
      words: (_, mirror) => programClause(mirror)
    },
    control: { label: 'afterwards', words: String },
    protocol: { label: 'protocol', words: String },
    directAction: { label: 'direct-action', words: onOff },
    cookie: { label: 'mark', words: (cookie) => (readCookie(cookie) ? ownMark : cookie || 'none') },
    classId: {
      label: 'mark of the receive ring',
      words: (classId) => (readRingClass(classId ?? null).ring === undefined ? (classId ?? 'none') : ownMark)
    },
    foreignMirrors: { label: 'foreign mirrors', words: (foreignMirrors) => String(foreignMirrors.length) }
  },
  desire: (state) => state.desired.spans.flatMap((span) => desireMirrors(state, span)),
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
  finalize: (changes) => removeBesideMoved(changes.map(explainRecompiled)),
  // A bridge that Docker has recreated bears no mark: only the label of its network says that it is the span's.
  evidence: ({ owner, spans: [span] }, side, { desired, host }) => {
    const bridge = span === undefined ? undefined : host.linkOf(span)
    const isUnknown = bridge?.kind === 'bridge' && markOf(host, bridge) === null && !ownsBridge(desired, host, bridge)
    return side === 'live' && owner === 'ours' && isUnknown ? ['docker'] : []
  },
  create: (after) => makeSteps(after, 'add'),
  update: updateSteps,
  remove: removeSteps,
  title: nameMirror,
  summary: programClause,
  address: ({ point, spans, handle }) => [
    ...point.source,
    writeDirection(point.direction),
    ...(spans.length === 0 ? [handle.toString(16)] : [])
  ],
  device: ({ point }) => point.device.name,
  hangsOn: { kind: 'tunnel', id: ({ point }) => point.device.name, goesWith: true },
  serves: ({ point }) => point.serves,
  remembers: ({ point, cookie }) => (cookie === '' ? [] : [{ device: point.device.name }]),
  conflict: (live, desired, host) => explainForeignMirrors(live, desired.target, host),
  adoptNote: 'a later destroy removes it'
}

function programClause({ point, program }: Mirror): string {
  const selection = { ...point.selection, everyFrame: program === everyFrame }
  return writeFrames({ selection, program }) ?? 'every frame'
}

/** The frames that are copied, in words; null: every frame. */
export function writeFrames({ selection, program }: Pick<CopyPoint, 'selection' | 'program'>): string | null {
  const { expression, everyFrame: isEvery } = selection
  return isEvery ? null : (expression ?? `a program of length ${(program ?? '').split(',')[0]}`)
}

function desireMirrors({ desired, marks, host }: ObservedState, span: DesiredSpan): Mirror[] {
  return span.mirrors.flatMap((point): Mirror | [] => {
    const { device, tcHook, item, origin } = point
    const handle = handleOf(span, point)
    const id = idOf(device.name, tcHook, handle)
    // While the desired program is not known, a live one stays. Without either, there is no mirror.
    const program =
      point.program ?? host.filtersAt(device.name, tcHook).find((filter) => filterId(filter) === id)?.program
    const marked = marks.interfaces.get(device.name)
    if (program === undefined || program === null || marked === undefined) return []
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
      target: span.name,
      program,
      control: 'continue',
      protocol: 'all',
      directAction: false,
      cookie: writeCookie(desired.owner, mark),
      ...classOf(writeRingClass(mark)),
      ...replacesNone
    }
  })
}

const classOf = (classId: string | undefined) => (classId === undefined ? {} : { classId })

function nameTarget(target: string): string {
  return target === '*' ? 'a bridge that is gone' : target
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
    target: filter.mirror?.target ?? '',
    program: filter.program ?? '',
    control: filter.mirror?.control ?? '',
    protocol: filter.protocol,
    directAction: filter.directAction,
    cookie: filter.mirror?.cookie ?? '',
    ...classOf(filter.classId ?? undefined),
    ...replacesNone
  }
}

/** The foreign filters in the way of desired mirrors, each as a live mirror with the desired mirror's id. */
function standingInTheWay(state: ObservedState, span: DesiredSpan): Mirror[] {
  const mirrors = desireMirrors(state, span)
  return span.mirrors.flatMap((want): Mirror[] => {
    const { copying, blocking } = findForeignMirrors(state, span.name, want)
    const { device, tcHook } = want
    const id = idOf(device.name, tcHook, handleOf(span, want))
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

/** Another version of libpcap compiles an expression to the same tests in another order: nobody has changed that mirror. */
function explainRecompiled(change: Change<Mirror>): Change<Mirror> {
  if (change.action !== 'update') return change
  const { before, after } = change
  const isRecompiled = before.program !== after.program && listTests(before.program) === listTests(after.program)
  if (!isRecompiled) return change
  const selection = { ...before.point.selection, expression: 'the same tests in another order' }
  return { ...change, before: { ...before, point: { ...before.point, selection } } }
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
  return [
    ...before.removal.map((argv) => ({ summary, argv })),
    // Where the old ingress qdisc is back, the mirror went with clsact; where foreign mirrors are, it is not there yet.
    ...(isInTheWay ? removeSteps(before) : []),
    ...makeSteps(after, 'repair')
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

function nameMirror({ point, target, spans }: Mirror): string {
  return writeMirrorTitle(point, spans[0] ?? nameTarget(target))
}

/** The id of the mirror that a filter is. */
export function filterId(filter: Filter): string {
  return idOf(filter.device, filter.tcHook, filter.handle ?? 0)
}

function idOf(device: string, tcHook: TcHook, handle: number): string {
  return `${device} ${tcHook} ${handle.toString(16)}`
}

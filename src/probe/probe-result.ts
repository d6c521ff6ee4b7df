import { type Diagnostic, diagnostic } from '../errors.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Exchanged, Sighting } from '../host/traffic/exchange-frames.ts'
import { absences } from '../status/parts.ts'
import type { SpanReport } from '../status/report.ts'
import { counted, listAll } from '../text-lines.ts'
import { macHeader } from './probe-frame.ts'
import {
  canTake,
  ownTrouble,
  type ProbeFrame,
  type ProbePlan,
  type Receiver,
  type UnaskedMirror,
  type Way
} from './probe-plan.ts'

/** What came of a frame at a receiver. `changed`: it came, and not as it was sent. */
export type FrameState = 'received' | 'changed' | 'missed'

/** A frame, and what came of it at a receiver. */
export interface FrameResult {
  readonly size: number
  readonly state: FrameState
  /** From the bridge of the span to the port; null: it did not come, or not over the bridge. */
  readonly microseconds: number | null
  /** How often it came. */
  readonly copies: number
}

/** What came of the frames of one way at a receiver. */
export interface WayResult {
  readonly way: Way
  readonly frames: readonly FrameResult[]
  /** What did not come, and why as far as that is known; null: all came, as it was sent. */
  readonly problem: Diagnostic | null
}

/**
 * How a receiver is. `received`: it got every frame. `missed`: it did not. `absent`: it has no port that could take one. `resting`: it is to
 * get nothing now.
 */
export type ReceiverState = 'received' | 'missed' | 'absent' | 'resting'

/** What came of a probe at a receiver. */
export interface ReceiverResult {
  readonly kind: Receiver['kind']
  readonly name: string
  /** The port, or the output; null: there is none now. */
  readonly interface: string | null
  readonly state: ReceiverState
  readonly ways: readonly WayResult[]
  /** Why nothing was sent for it, in a clause; null: something was. */
  readonly reason: string | null
  /** What is wrong with the sensor by itself, as status has it, or what the output waits for; null: nothing that is known. */
  readonly health: Diagnostic | null
}

/** What came of the probe of a span. */
export interface SpanProbe {
  readonly span: string
  readonly description: string | null
  /** Every port that must get the frames got them. null: nothing was sent. */
  readonly passed: boolean | null
  /** Why nothing was sent; null: something was, or nobody gets frames. */
  readonly problem: Diagnostic | null
  /** ISO 8601; null: the span is not paused. */
  readonly pausedUntil: string | null
  /** By how many changes the span differs from the file. */
  readonly changes: number
  readonly receivers: readonly ReceiverResult[]
  readonly unasked: readonly UnaskedMirror[]
  /** The other spans that got the frames, too. */
  readonly downstream: readonly string[]
  /** The command that shows what differs from the file. */
  readonly planCommand: string
}

/** Writes a command of spanplan for the files that are probed. */
export type WriteCommand = (name: 'plan' | 'apply' | 'status', ...flags: readonly string[]) => string

/** The same, where the files are those of a watch. */
export const writePlain: WriteCommand = (...words) => shellLine(['spanplan', ...words])

/** The result of a span of which nothing can be had now. */
export function notPlanned(span: string, description: string | null, problem: Diagnostic): SpanProbe {
  const nothing = { pausedUntil: null, changes: 0, receivers: [], unasked: [], downstream: [], planCommand: '' }
  return { span, description, passed: null, problem, ...nothing }
}

/** The result of a span whose bridge is not there. */
export function notLive(
  { name, description, pausedUntil, changes }: SpanReport,
  write: WriteCommand = writePlain
): SpanProbe {
  const problem = diagnostic(
    'SPAN_NOT_LIVE',
    `${name} is in the file, but not on this host yet: there is nothing to probe`,
    `create it first: ${write('apply')}`
  )
  return { ...notPlanned(name, description, problem), pausedUntil, changes: changes.length }
}

/** Tells of each receiver what it got. */
export function judgeProbe(
  plan: ProbePlan,
  exchanged: Exchanged,
  report: SpanReport,
  write: WriteCommand = writePlain
): SpanProbe {
  const judge = openJudge(plan, exchanged, report, write)
  const receivers = plan.receivers.map(judge)
  return {
    span: plan.span,
    description: report.description,
    passed: receivers.every(({ state }) => state === 'received' || state === 'resting'),
    problem: null,
    pausedUntil: report.pausedUntil,
    changes: report.changes.length,
    receivers,
    unasked: plan.unasked,
    downstream: plan.downstream,
    planCommand: write('plan')
  }
}

/** Sensors of which nothing has to be told, because they may just not be ready. */
const isUnready = ({ health }: Receiver) => health?.state === 'starting'

/** Absences that keep a receiver from frames on purpose: others have its flows meanwhile; or that are not known. */
const restful: ReadonlySet<Receiver['absence']> = new Set(['starting', 'unhealthy', 'unread'])

function openJudge(plan: ProbePlan, exchanged: Exchanged, report: SpanReport, write: WriteCommand) {
  const seen = new Map<string, Sighting[]>()
  for (const sighting of exchanged.sightings) {
    const key = keyOf(sighting.link, sighting.frame)
    seen.set(key, [...(seen.get(key) ?? []), sighting])
  }
  const at = (link: number | undefined, frame: number) =>
    link === undefined ? [] : (seen.get(keyOf(link, frame)) ?? [])
  const frameResult = (frame: ProbeFrame, number: number, { link }: Receiver): FrameResult => {
    const [first, ...others] = at(link?.index, number)
    if (first === undefined) return { size: frame.size, state: 'missed', microseconds: null, copies: 0 }
    // Where there are many ports, the frame is sent again for some of them.
    const start = at(plan.bridge, number).findLast(({ time }) => time <= first.time)
    return {
      size: frame.size,
      state: first.isWhole ? 'received' : 'changed',
      microseconds: start === undefined ? null : Number(first.time - start.time) / 1000,
      copies: 1 + others.length
    }
  }
  return (receiver: Receiver): ReceiverResult => {
    const { kind, name, link } = receiver
    const result = { kind, name, interface: link?.name ?? null, health: ownTrouble(receiver) }
    if (!canTake(receiver)) return { ...result, ways: [], ...whyAbsent(receiver, plan.docker) }
    const own = plan.frames.flatMap((frame, number) => (frame.receivers.includes(receiver) ? [{ frame, number }] : []))
    const ways = [...new Set(own.map(({ frame }) => frame.way))].map((way): WayResult => {
      const sent = own.filter(({ frame }) => frame.way === way)
      const frames = sent.map(({ frame, number }) => frameResult(frame, number, receiver))
      const causes = sent.flatMap(({ number }) => exchanged.unsent.get(number) ?? [])
      return { way, frames, problem: explainMisses({ way, frames, causes, receiver, plan, report, write }) }
    })
    const isDeaf = link !== null && exchanged.deaf.has(link.index)
    if (isDeaf) return { ...result, ways: [], state: 'absent', reason: 'its port has gone meanwhile' }
    const state = ways.every(({ problem }) => problem === null) ? 'received' : 'missed'
    return { ...result, state, ways, reason: null }
  }
}

const keyOf = (link: number, frame: number) => `${link} ${frame}`

/** Whether the file has a receiver that must be there. */
const isRequired = ({ kind, health }: Receiver) => kind === 'output' || health?.listed === true

/** Why no frame was sent for a receiver, and whether it should have had one. */
function whyAbsent(receiver: Receiver, docker: Diagnostic | null): Pick<ReceiverResult, 'state' | 'reason'> {
  const { link, absence, health, wait, isDetached } = receiver
  const state = !isRequired(receiver) || restful.has(absence) || isUnready(receiver) ? 'resting' : 'absent'
  if (absence !== null) return { state, reason: `gets nothing ${absences[absence]}` }
  if (health?.state === 'unknown') {
    const why = docker === null ? '' : `: ${docker.message}`
    return { state, reason: `which port is its is not known${why}` }
  }
  if (isDetached) return { state, reason: 'is no port of the bridge' }
  if (link === null) return { state, reason: health === null || wait ? 'is not there' : 'has no port' }
  return { state, reason: link.up ? 'has no carrier' : 'is down' }
}

/** What is known of the frames of one way, for one receiver. */
interface Outcome {
  readonly way: Way
  readonly frames: readonly FrameResult[]
  /** Why frames could not be sent. */
  readonly causes: readonly string[]
  readonly receiver: Receiver
  readonly plan: ProbePlan
  readonly report: SpanReport
  readonly write: WriteCommand
}

/** Which frames a receiver missed, or got changed, and why; null: none. */
function explainMisses({ way, frames, causes, receiver, plan, report, write }: Outcome): Diagnostic | null {
  const { name, link, suspects } = receiver
  const { span } = plan
  const { changes } = report
  const missed = frames.filter(({ state }) => state === 'missed')
  const changed = frames.filter(({ state }) => state === 'changed')
  if (missed.length + changed.length === 0) return null
  const who = link === null || link.name === name ? name : `${name} (${link.name})`
  const sizesOf = (some: readonly FrameResult[]) => `${listAll(some.map(({ size }) => String(size)))} bytes`
  const what = [
    ...(missed.length > 0
      ? [`did not get ${missed.length === frames.length ? 'any frame' : 'the frames'} of ${sizesOf(missed)}`]
      : []),
    ...(changed.length > 0 ? [`got the frames of ${sizesOf(changed)} changed`] : [])
  ]
  const message = `${who} ${listAll(what)}${places[way.kind](way, span)}`
  const tooLarge = link !== null && missed.length > 0 && missed.every(({ size }) => size > link.mtu + macHeader)
  const [suspect] = causes.length === 0 ? suspects : []
  const others = suspect === undefined ? causes : [suspect.message]
  const why = tooLarge ? `the MTU of ${link.name} is ${link.mtu}` : [...new Set(others)].join(', ')
  const hint =
    changes.length > 0
      ? `the span differs from the file by ${counted(changes.length, 'change')}: ${write('plan')}`
      : tooLarge
        ? 'give the span, and all that is on it, one mtu in the file'
        : (suspect?.hint ?? `see what is lost where: ${write('status', '--span', span, '--for', '10s')}`)
  return diagnostic('PROBE_MISSED', why === '' ? message : `${message}: ${why}`, hint)
}

/** Where the frames were sent, after what did not come. */
const places: { readonly [Kind in Way['kind']]: (way: Way, span: string) => string } = {
  bridge: (_, span) => `, sent into ${span}`,
  port: () => ', sent straight to it',
  mirror: (way, span) => `, sent to ${'source' in way ? way.source : way.device} and mirrored from there into ${span}`
}

import { setTimeout as sleep } from 'node:timers/promises'
import { type Diagnostic, diagnostic, diagnosticOf, ifForeseen } from '../errors.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { listDownstream } from '../probe/other-spans.ts'
import type { ReceiverResult, SpanProbe } from '../probe/probe-result.ts'
import { probeSpans } from '../probe/probe-spans.ts'
import { readWindowTime } from '../run-dir/window-time.ts'
import { framePathsOf, takeSample } from '../status/counters/frame-path.ts'
import { makeReport, type Report, readMoment } from '../status/report.ts'
import type { ProbedPort, ProbeState, WatchState } from '../status/watch-state.ts'
import type { EmitEvent } from './events/event.ts'
import { trackTransitions } from './events/transition-tracker.ts'

/** What probing needs of a watch. */
export interface ProbedWatch {
  state(): WatchState
  /** Reads the host and plans all that the files say. It changes nothing. */
  refresh(): Promise<PlanView>
  /** When the run under way began; null: there is none. */
  busySince(): number | null
  /** When the last run ended. */
  lastEnd(): number
}

/** Milliseconds until it is looked again whether a run has ended. */
const runPatience = 500

/** What a round of probes has found. */
interface Round {
  /** The spans of the files. */
  readonly spans: readonly string[]
  readonly ports: readonly ProbedPort[]
  /** Which spans were probed, and when. */
  readonly probed: ProbeState['probed']
}

/**
 * Probes the spans from time to time, between the runs of a watch, which do not wait for that: it takes no lock, and what a run may have
 * changed meanwhile is not judged. A span that is paused, or differs from the file, is left out. A port that misses a frame is reported
 * when it misses the next one too. Nothing is sent to the containers that are sources, nor into a bridge from which a span copies that has a `max_idle` there.
 *
 * @param fail gets an error that nobody has foreseen.
 * @param signal ends it.
 */
export function openProbing(
  interval: number,
  watched: ProbedWatch,
  emit: EmitEvent,
  fail: (error: unknown) => void,
  signal: AbortSignal
) {
  const record = openProbeRecorder(emit)
  let state: ProbeState = { failure: null, ports: [], probed: [] }

  /** null: a run began, or has ended, meanwhile. */
  const undisturbed = async <Result>(work: () => Promise<Result>): Promise<Result | null> => {
    while (watched.busySince() !== null) await sleep(runPatience, undefined, { signal })
    const before = watched.lastEnd()
    const result = await work()
    return watched.busySince() === null && watched.lastEnd() === before ? result : null
  }
  const probe = async (only: ReadonlySet<string> | null): Promise<Round> => {
    const view = await watched.refresh()
    const sample = await takeSample(framePathsOf(view))
    const moment = readMoment()
    const report = makeReport({ view, watch: watched.state(), first: sample, later: sample, ...moment })
    const isOpen = readWindowTime() !== null
    const isWanted = (span: Report['spans'][number]) =>
      isSettled(span) && (only?.has(span.name) ?? true) && !isMinded(span.name, view)
    const spans = isOpen ? [] : report.spans.filter(isWanted)
    const results = await probeSpans({ view, spans, mirrors: false }, signal)
    const at = new Date().toISOString()
    return {
      spans: report.spans.map(({ name }) => name),
      ports: results.flatMap((one) => portsOf(one, at)),
      probed: results.flatMap(({ span, passed }) => (passed === null ? [] : { span, at }))
    }
  }
  const round = async (): Promise<Round | null> => {
    const first = await undisturbed(() => probe(null))
    const doubtful = new Set(first?.ports.flatMap(({ span, problem }) => (problem === null ? [] : [span])))
    if (first === null || doubtful.size === 0) return first
    const second = await undisturbed(() => probe(doubtful))
    if (second === null) return null
    const isCertain = ({ span }: { readonly span: string }) => !doubtful.has(span)
    return {
      spans: second.spans,
      ports: [...first.ports.filter(isCertain), ...second.ports],
      probed: [...first.probed.filter(isCertain), ...second.probed]
    }
  }
  const follow = async () => {
    for (;;) {
      await sleep(interval, undefined, { signal, ref: false })
      try {
        const found = await round()
        if (signal.aborted) return
        if (found !== null) {
          state = { failure: null, ports: found.ports, probed: latestOf(state.probed, found) }
          record.round(found)
        }
      } catch (error) {
        if (signal.aborted) return
        const failure = diagnosticOf(ifForeseen(error))
        state = { failure, ports: [], probed: state.probed }
        record.failed(failure)
      }
    }
  }
  follow().catch((error: unknown) => {
    if (!signal.aborted) fail(error)
  })
  return { state: (): ProbeState => state }
}

/** A span that waits for a container is probed all the same: others may get its frames. */
function isSettled({ changes, pausedUntil }: Report['spans'][number]): boolean {
  return changes.length === 0 && pausedUntil === null
}

/** Whether a span gets what is sent into this one, and would take that for frames of its source. */
function isMinded(name: string, view: PlanView): boolean {
  const span = view.desired.spanOf(name)
  return span !== undefined && listDownstream(span, view).some(({ minds }) => minds)
}

/** When each span of the files was last probed. */
export function latestOf(before: ProbeState['probed'], { spans, probed }: Pick<Round, 'spans' | 'probed'>) {
  const now = new Set(probed.map(({ span }) => span))
  return [...before.filter(({ span }) => !now.has(span) && spans.includes(span)), ...probed]
}

/** The ports of a span for which frames were sent, and its outputs that could take none. */
export function portsOf({ span, receivers }: SpanProbe, at = new Date().toISOString()): ProbedPort[] {
  return receivers.flatMap((receiver): ProbedPort | [] => {
    const { kind, name, interface: link, ways, state, reason, health } = receiver
    const port = { span, kind, name, device: link ?? name, at }
    if (kind === 'output' && state === 'absent') {
      const found = diagnostic('PROBE_MISSED', health?.message ?? `${name} ${reason}`, health?.hint)
      return { ...port, problem: found, microseconds: null }
    }
    if (link === null || ways.length === 0) return []
    return { ...port, problem: problemOf(receiver), microseconds: longestOf(receiver) }
  })
}

function problemOf({ ways }: ReceiverResult): Diagnostic | null {
  return ways.find(({ problem }) => problem !== null)?.problem ?? null
}

function longestOf({ ways }: ReceiverResult): number | null {
  const times = ways.flatMap(({ frames }) => frames.flatMap(({ microseconds }) => microseconds ?? []))
  return times.length === 0 ? null : Math.max(...times)
}

/** Makes what emits the events of probes. */
export function openProbeRecorder(emit: EmitEvent) {
  const missed = trackTransitions<ProbedPort>(({ span, kind, name }) => JSON.stringify([span, kind, name]))
  const failures = trackTransitions<Diagnostic>(() => '')
  return {
    round: ({ spans, ports }: Pick<Round, 'spans' | 'ports'>): void => {
      for (const diagnostic of failures.update([]).ended) emit({ type: 'probe_works', diagnostic })
      const keyed = new Map(ports.map((port) => [JSON.stringify([port.span, port.kind, port.name]), port]))
      const now = (port: ProbedPort) => keyed.get(JSON.stringify([port.span, port.kind, port.name]))
      // Of what was not probed now, nothing is known: its span may be paused, or its container may just restart.
      const { started, ended } = missed.update(
        ports.filter(({ problem }) => problem !== null),
        (port) => now(port) === undefined && spans.includes(port.span)
      )
      for (const port of started) if (port.problem) emit({ type: 'probe_missed', port, diagnostic: port.problem })
      for (const port of ended) {
        if (port.problem && now(port) !== undefined) emit({ type: 'probe_received', port, diagnostic: port.problem })
      }
    },
    failed: (diagnostic: Diagnostic): void => {
      for (const one of failures.update([diagnostic]).started) emit({ type: 'probe_failed', diagnostic: one })
    }
  }
}

import type { Diagnostic } from '../errors.ts'
import type { Histogram } from './output/exposition.ts'
import type { SensorHealth } from './sensor-health.ts'

/** What starts a run of the watch. */
export type Trigger =
  | 'start'
  | 'file'
  | 'link'
  | 'filter'
  | 'nftables'
  | 'offload'
  | 'docker'
  | 'hangup'
  | 'interval'
  | 'hook'
  | 'resume'
  | 'retry'

/** What came of a run: all was in sync, changes were applied, something failed, or drift was only reported (--dry-run). */
export type Result = 'unchanged' | 'changed' | 'failed' | 'drift'

/** Why a span is not kept in sync. */
export interface Degraded {
  /** null: all spans. */
  readonly span: string | null
  /** `contested`: something else undoes the same changes again and again. */
  readonly reason: 'failed' | 'contested'
  readonly diagnostic: Diagnostic
  /** When the next attempt is due, as ISO 8601. */
  readonly until: string
}

/** One run of the watch. */
export interface Run {
  /** When it ended, as ISO 8601. */
  readonly at: string
  readonly trigger: Trigger
  readonly result: Result
  readonly milliseconds: number
}

/** A monitor of the host that fails. What it would report is found by the next run at an interval. */
export interface FailedMonitor {
  readonly trigger: Trigger
  readonly diagnostic: Diagnostic
}

/** The state of a watch, for `spanplan status` and for metrics. It is JSON. */
export interface WatchState {
  /** The name whose spans it keeps in sync. */
  readonly name: string
  readonly pid: number
  /** When it began, as ISO 8601. */
  readonly since: string
  readonly dryRun: boolean
  /** The files as they are now. While they are invalid, the last valid ones are in force. */
  readonly file: { readonly valid: boolean; readonly diagnostics: readonly Diagnostic[] }
  readonly last: Run | null
  /** When the last run ended after which all was in sync, as ISO 8601. */
  readonly lastSuccess: string | null
  readonly degraded: readonly Degraded[]
  /** The sensors, as the watch last saw them. */
  readonly sensors: readonly SensorHealth[]
  readonly failedMonitors: readonly FailedMonitor[]
  /** How many runs there were since the watch started, by trigger and result. */
  readonly runs: readonly { readonly trigger: Trigger; readonly result: Result; readonly count: number }[]
  /** How many seconds runs took. */
  readonly durations: Histogram
  /** How many changes were needed in runs after the first one of each file. */
  readonly drift: number
  /** Missing: the watch does not probe the spans, or is of an earlier version. */
  readonly probes?: ProbeState
}

/** What the probes of a watch have found. */
export interface ProbeState {
  /** Why the last probe could not be sent; null: it was, or there was none yet. */
  readonly failure: Diagnostic | null
  /** The ports of the spans that were probed in the last round, as that has found them. */
  readonly ports: readonly ProbedPort[]
  /** When each span was last probed, as ISO 8601. */
  readonly probed: readonly { readonly span: string; readonly at: string }[]
}

/** A port that frames were sent for, or an output that could take none. */
export interface ProbedPort {
  readonly span: string
  readonly kind: 'sensor' | 'output' | 'port'
  /** What the container or the output is called; or the name of the port. */
  readonly name: string
  readonly device: string
  /** Its span was probed then, as ISO 8601. */
  readonly at: string
  /** What did not come; null: every frame came, as it was sent. */
  readonly problem: Diagnostic | null
  /** The longest time from the bridge to the port; null: nothing came over the bridge. */
  readonly microseconds: number | null
}

/** A watch that does not answer: it hangs, it was killed, or only another user may ask it. */
export type SilentWatch =
  | { readonly is: 'hanging'; readonly pid: number }
  | { readonly is: 'killed' }
  | { readonly is: 'hidden' }

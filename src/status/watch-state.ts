import type { Diagnostic } from '../errors.ts'

/** What makes a watch look again. */
export type Trigger =
  | 'start'
  | 'file'
  | 'link'
  | 'filter'
  | 'docker'
  | 'hangup'
  | 'interval'
  | 'hook'
  | 'resume'
  | 'retry'

/** What came of a look: all was as wanted, it was made so, it could not be, or it was only reported (--dry-run). */
export type Result = 'unchanged' | 'changed' | 'failed' | 'drift'

/** A span that is not kept true just now, and why; null: all of them. */
export interface Degraded {
  readonly span: string | null
  /** `contested`: something else changes the same again and again. */
  readonly reason: 'failed' | 'contested'
  readonly diagnostic: Diagnostic
  /** When it is tried again, as ISO 8601. */
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

/** How long runs took: how many took at most so many seconds, for each bound, and all together. */
export interface Durations {
  readonly buckets: readonly { readonly seconds: number; readonly count: number }[]
  readonly count: number
  /** Seconds. */
  readonly sum: number
}

/** What the host is heard by: where one fails, what it would have told is found at the next regular look. */
export interface FailedMonitor {
  readonly trigger: Trigger
  readonly diagnostic: Diagnostic
}

/** What a watch tells of itself, to `spanplan status` and for metrics. It is JSON. */
export interface WatchState {
  /** Whose spans it keeps. */
  readonly name: string
  readonly pid: number
  /** When it began, as ISO 8601. */
  readonly since: string
  readonly dryRun: boolean
  /** Of the files as they are now; while they are broken, the last good ones are in force. */
  readonly file: { readonly valid: boolean; readonly diagnostics: readonly Diagnostic[] }
  readonly last: Run | null
  /** The last run after which all was as wanted, as ISO 8601. */
  readonly lastSuccess: string | null
  readonly degraded: readonly Degraded[]
  readonly failedMonitors: readonly FailedMonitor[]
  /** How many runs there were since it began, by trigger and result. */
  readonly runs: readonly { readonly trigger: Trigger; readonly result: Result; readonly count: number }[]
  readonly durations: Durations
  /** Changes that runs found to be needed, after the first one. */
  readonly drift: number
}

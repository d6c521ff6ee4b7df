import { readdirSync } from 'node:fs'
import { uptime } from 'node:os'
import { basename, dirname } from 'node:path'
import type { Diagnostic } from '../../errors.ts'
import type { Sample } from '../../host/read-counters.ts'
import { isTrustedFolder, runFile } from '../../run-dir/folder.ts'
import { sendRequest } from '../../run-dir/socket.ts'
import type { SourceFile } from '../../spec/spec.ts'
import type { FlowHistory } from '../../status/history/flow-history.ts'
import type { WatchState } from '../../status/watch-state.ts'
import type { KeptEvents } from '../events/event-history.ts'
import type { InterfaceEvent } from '../triggers/take-hook-event.ts'

/** The files that a watch keeps the host in sync with. */
export interface FilesInForce {
  /** The absolute paths of the files and folders that were named. */
  readonly paths: readonly string[]
  /** The absolute paths of the files that are in force. A watch of an earlier version does not tell them. */
  readonly read?: readonly string[]
  /** Whether it removes spans of its name that the files do not have. */
  readonly prune?: boolean
  /** The contents are in base64. */
  readonly files: readonly (Omit<SourceFile, 'bytes'> & { readonly content: string })[]
  /** Why the files as they are now are not in force; none: they are. */
  readonly refusals: readonly Diagnostic[]
}

/** What a watch answers, by request. */
export type WatchAnswers = {
  readonly state: () => WatchState
  /** The counters when the watch first saw the host; null: it has not seen the host yet. */
  readonly 'first-sample': () => { readonly sample: Sample | null }
  /** The files that are in force, also while they are invalid by now. */
  readonly 'files-in-force': () => FilesInForce
  /** What has happened in so many milliseconds until now. */
  readonly events: (milliseconds: string) => KeptEvents
  /** What was counted in so many milliseconds until now: at the mirrors, or with "every" behind the number at every hop. */
  readonly rates: (request: string) => FlowHistory
  /** A hook asks for a run now. */
  readonly hook: () => true
  /** A hook sends an interface event, by {@link notifyWatches}. */
  readonly interface: (event: string) => Promise<boolean>
  /** `spanplan resume` asks for a run now. */
  readonly resume: () => true
}

/** Milliseconds that a watch has to answer. */
export const answerTime = 2000

const suffix = '.watch'

/** Which file of the run directory is the socket of the watch of a name. */
export function watchSocket(name: string): string {
  return `${name}${suffix}`
}

/**
 * Asks the watch of a name in this network namespace.
 *
 * @param limit milliseconds that it has to answer.
 * @returns null where none runs, or none answers in time.
 */
export async function askWatch<Request extends keyof WatchAnswers>(
  name: string,
  request: Request,
  limit = answerTime,
  ...argument: Parameters<WatchAnswers[Request]>
): Promise<Awaited<ReturnType<WatchAnswers[Request]>> | null> {
  try {
    const answer = await sendRequest(watchSocket(name), [request, ...argument].join(' '), limit)
    // Only a watch of this user or of root is believed: its answer is what the type says.
    return answer as Awaited<ReturnType<WatchAnswers[Request]>>
  } catch {
    return null
  }
}

/**
 * Sends an interface event to the watches of this network namespace.
 *
 * @param patience milliseconds for a watch that runs: it may have to wait for changes that are being made.
 * @returns whether one of them, which reads the same files, does what the hook would do.
 */
export async function notifyWatches(event: Omit<InterfaceEvent, 'until'>, patience: number): Promise<boolean> {
  const until = uptime() + Math.max(patience, answerTime) / 1000
  const answers = watchNames().map(async (name) => {
    // One that is stuck does not answer this either.
    if ((await askWatch(name, 'state')) === null) return false
    // It may be stuck from now on: after this time, the hook has given up, and the watch must leave the event alone.
    const left = (until - uptime()) * 1000
    return askWatch(name, 'interface', left, JSON.stringify({ ...event, until }))
  })
  return (await Promise.all(answers)).includes(true)
}

/** The names of the watches that run, or have run, in this network namespace. */
export function watchNames(): string[] {
  if (!isTrustedFolder()) return []
  // A name stands between the network namespace's number and the suffix.
  const example = runFile(watchSocket(''))
  const prefix = basename(example).slice(0, -suffix.length)
  try {
    return readdirSync(dirname(example))
      .filter((file) => file.startsWith(prefix) && file.endsWith(suffix))
      .map((file) => file.slice(prefix.length, -suffix.length))
  } catch {
    return []
  }
}

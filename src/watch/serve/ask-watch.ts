import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Sample } from '../../host/read-counters.ts'
import { isTrustedFolder, runFile } from '../../run-dir/folder.ts'
import { converse } from '../../run-dir/socket.ts'
import type { Trigger, WatchState } from '../../status/watch-state.ts'

/** What a watch may be asked: to look at the host now, what it knows of itself, what was counted when it began. */
export type Request =
  | { readonly ask: 'look'; readonly trigger: Extract<Trigger, 'hook' | 'resume'> }
  | { readonly ask: 'state' }
  | { readonly ask: 'first-sample' }

/** What was counted when a watch first saw the host; null: it has not seen it yet. */
export interface FirstSample {
  readonly sample: Sample | null
}

/** Milliseconds for which one that asks waits for its answer. */
const answerWithin = 2000

const suffix = '.watch'

/** The socket at which the watch of a name listens. */
export function controlPath(name: string): string {
  return runFile(`${name}${suffix}`)
}

/**
 * Asks the watch of a name in this network namespace.
 *
 * @returns null where none runs, or none answers in time.
 */
export function askWatch(name: string, asks: { readonly ask: 'state' }): Promise<WatchState | null>
export function askWatch(name: string, asks: { readonly ask: 'first-sample' }): Promise<FirstSample | null>
export function askWatch(name: string, asks: Extract<Request, { ask: 'look' }>): Promise<{ readonly ok: true } | null>
export async function askWatch(name: string, asks: Request): Promise<unknown> {
  try {
    return JSON.parse(await converse(controlPath(name), JSON.stringify(asks), answerWithin))
  } catch {
    return null
  }
}

/** The names whose watches run, or have run, in this network namespace. */
export function watchNames(): string[] {
  // The name is one part of a file's name, between the namespace's and the suffix.
  const example = controlPath('')
  const prefix = basename(example).slice(0, -suffix.length)
  if (!isTrustedFolder()) return []
  try {
    return readdirSync(dirname(example))
      .filter((file) => file.startsWith(prefix) && file.endsWith(suffix))
      .map((file) => file.slice(prefix.length, -suffix.length))
  } catch {
    return []
  }
}

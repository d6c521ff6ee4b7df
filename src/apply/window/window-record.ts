import { accessSync, constants, rmSync } from 'node:fs'
import * as z from 'zod'
import { diagnostic, Exit, messageOf, SpanplanError } from '../../errors.ts'
import { indexHost } from '../../host/host-index.ts'
import type { Compiled } from '../../host/parsers/pcap.ts'
import type { Snapshot } from '../../host/snapshot.ts'
import { type PlanView, planTarget } from '../../plan/plan-view.ts'
import { makeTarget, type Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import { namespaceId, readRunFile, runFile, runFolder, writeRunFile } from '../../run-dir/folder.ts'
import { loadSpec } from '../../spec/load.ts'
import { everySpan, noSpan, scopeOf } from '../../spec/scope.ts'
import type { SourceFile } from '../../spec/spec.ts'
import type { Installation } from '../install-file.ts'
import { endSchema, next, openPhases, type WindowEvent } from './window-transitions.ts'

const base64 = z.base64().transform((text): Uint8Array => Buffer.from(text, 'base64'))

const openSchema = z.object({
  phase: z.enum(openPhases),
  id: z.string(),
  /** When the apply began: ISO 8601. */
  since: z.iso.datetime(),
  /** How long it is open. */
  milliseconds: z.number(),
  install: z
    .object({ path: z.string(), bytes: base64, before: z.string().nullable(), insecure: z.boolean() })
    .nullable(),
  files: z.array(z.object({ path: z.string(), bytes: base64 })),
  only: z.array(z.string()).nullable(),
  adopt: z.boolean(),
  recreate: z.boolean(),
  deferDocker: z.boolean(),
  // Only root can have written it, and spanplan itself wrote it: its type is what was written.
  snapshot: z.custom<Snapshot>((value) => typeof value === 'object' && value !== null),
  filters: z.array(z.custom<[string, Compiled]>((value) => Array.isArray(value)))
})

const endedSchema = endSchema.extend({ phase: z.literal('ended'), id: z.string() })

const recordSchema = z.object({ namespace: z.string(), window: z.unknown() })

const windowSchema = z.union([openSchema, endedSchema])

/** A detached window that has not ended, with all that it takes to roll back its apply. */
export type OpenWindow = Readonly<z.infer<typeof openSchema>>

/** A detached window that has ended. */
type EndedWindow = Readonly<z.infer<typeof endedSchema>>

/** Which file of the run directory has the last detached window. */
const kind = 'window-record'

/** Bytes. A host with a thousand links has some two mebibytes. */
const largestRecord = 256 * 1024 * 1024

/** Records a window of an apply that is about to begin. `first` is the host to which a rollback leads. */
export function makeWindow(
  id: string,
  milliseconds: number,
  { scope, adopt, recreate, deferDocker }: Target,
  first: PlanView,
  files: readonly SourceFile[],
  install: Installation | null
): OpenWindow {
  const only = 'only' in scope.spans ? [...scope.spans.only] : null
  return {
    phase: 'applying',
    id,
    since: new Date().toISOString(),
    milliseconds,
    install,
    files: [...files],
    only,
    adopt,
    recreate: 'except' in recreate,
    deferDocker,
    snapshot: first.host.snapshot,
    filters: [...first.filters]
  }
}

/**
 * The target of a recorded window, and the plan view that was applied.
 *
 * @throws SpanplanError WINDOW_UNREADABLE.
 */
export function restoreWindow({ id, files, only, adopt, recreate, deferDocker, snapshot, filters }: OpenWindow): {
  readonly target: Target
  readonly first: PlanView
} {
  try {
    const spec = loadSpec(files)
    const spans = only === null ? { except: new Set<string>() } : { only: new Set(only) }
    const selected = scopeOf(spec, spans)
    const target = makeTarget(spec, {
      scope: selected,
      adopt,
      recreate: recreate ? everySpan : noSpan,
      deferDocker,
      subnetSeed: ''
    })
    return { target, first: planTarget(target, { host: indexHost(snapshot), filters: new Map(filters) }) }
  } catch (error) {
    // Another version of spanplan wrote it.
    throw windowUnreadable(id, error)
  }
}

/** What is said where a window cannot be rolled back, because its record cannot be read. */
export function windowUnreadable(id: string | null, cause?: unknown): SpanplanError {
  const reason = cause === undefined ? '' : `: ${messageOf(cause)}`
  const message = `the record of ${id === null ? 'the last window' : `the window ${printable(id)}`} cannot be read${reason}\nThe changes of its apply stay, and nobody has confirmed them.`
  const hint = 'to take them back, run spanplan apply with the file from before'
  return new SpanplanError(diagnostic('WINDOW_UNREADABLE', message, hint), Exit.partial, { cause })
}

/**
 * Reads the last detached window of this network namespace.
 *
 * @returns null if there was none since the machine was started, or its record is another user's. `unreadable`: its record is
 * broken, or of a spanplan whose records are different.
 */
export function readWindow(): OpenWindow | EndedWindow | { readonly phase: 'unreadable' } | null {
  try {
    accessSync(runFile(kind), constants.R_OK)
  } catch {
    return null
  }
  try {
    const { namespace, window } = recordSchema.parse(JSON.parse(readRunFile(kind, runFolder(), largestRecord) ?? ''))
    // The file's name has the namespace's inode, which the kernel gives to another namespace later.
    return namespace === namespaceId() ? windowSchema.parse(window) : null
  } catch {
    return { phase: 'unreadable' }
  }
}

/**
 * Writes a window, for this user alone.
 *
 * @throws SpanplanError FILE_UNWRITABLE.
 */
export function writeWindow(window: OpenWindow | EndedWindow): void {
  writeRunFile(kind, JSON.stringify({ namespace: namespaceId(), window }, writeBytes), 0o600)
}

/**
 * Records what an event makes of a window. One that is to be rolled back is recorded once that is done. The caller holds the lock.
 *
 * @throws SpanplanError FILE_UNWRITABLE where the window has not ended.
 */
export function recordEvent(window: OpenWindow, event: WindowEvent): void {
  const state = next(window, event)
  if (state.phase === 'rejected') return
  try {
    writeWindow(
      state.phase === 'ended' ? { phase: 'ended', id: window.id, ...state.end } : { ...window, phase: state.phase }
    )
  } catch (error) {
    if (state.phase !== 'ended') throw error
    // The disk is full. Without a record, nobody takes the window for one that is left.
    removeWindow()
  }
}

/** Does the work with which a window ends, and records the end. The caller holds the lock. */
export async function recordEnd<T>(window: OpenWindow, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work()
    recordEvent(window, { installed: window.install })
    return result
  } catch (failed) {
    recordEvent(window, { failed })
    throw failed
  }
}

/** Removes the record of the last window. */
export function removeWindow(): void {
  rmSync(runFile(kind), { force: true })
}

/** A replacer for JSON.stringify, which calls a Buffer's own toJSON first. */
function writeBytes(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Readonly<Record<string, unknown>>)[key]
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value
}

import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { readFactsFor } from '../../apply/refresh.ts'
import { SpanplanError } from '../../errors.ts'
import { isTrustedUser } from '../../host/file-permissions.ts'
import {
  digestText,
  type PlanDocument,
  planDocument,
  type SavedSelection,
  savedDocument
} from '../../plan/output/json.ts'
import { asShown, readSavedPlan, type SavedPlan, type ShownPlan } from '../../plan/output/saved-plan.ts'
import { findDifferences } from '../../plan/output/saved-plan-check.ts'
import { type Facts, type PlanView, planTarget } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printable, printableJson } from '../../printable.ts'
import type { SourceFile } from '../../spec/spec.ts'
import type { Session } from '../session.ts'
import { choosePaths, loadFile } from './spec-files.ts'
import { loadSpecTarget, type SpecSelection } from './target.ts'

/** Bytes; a plan for a thousand spans has some ten mebibytes. */
const largestPlan = 64 * 1024 * 1024

/** What says of Docker that it cannot be asked, and of the plan nothing. */
const absences: ReadonlySet<string> = new Set(['DOCKER_UNREACHABLE', 'DOCKER_FORBIDDEN', 'DOCKER_REMOTE'])

/** So many differences are told. */
const mostTold = 10

/** A plan that was saved, and is to be carried out. */
export interface Saved {
  readonly target: Target
  /**
   * Looks at the host, and plans again.
   *
   * @throws SpanplanError PLAN_STALE if that is not the plan that was saved.
   */
  refresh(): Promise<PlanView>
}

/**
 * Reads a saved plan, and the files that it was made from. Nothing of it is ever carried out: it says which files to read,
 * and what their plan has to be. Whoever can write to it can keep it from being applied, or have another plan applied that
 * spanplan itself makes of files that root may trust, but cannot have a command run.
 *
 * @throws SpanplanError with what is wrong with the plan or the files; PLAN_STALE if the files have changed.
 */
export async function openSaved(
  session: Session,
  path: string,
  { insecureFile }: { readonly insecureFile: boolean }
): Promise<Saved> {
  const saved = readSavedPlan(await readPlan(path, insecureFile), path)
  const { files, spans, prune, adopt, defer_docker: deferDocker } = saved.selection
  const selection = { file: files, span: spans ?? [], prune, adopt, deferDocker, insecureFile }
  const target = await aimAtFiles(session, saved, selection)
  return { target, refresh: () => lookAgain(target, saved) }
}

/** What a plan has to say of its files for {@link openSaved} to find them again; `read`: those that it is made from. */
export function describeSelection(options: SpecSelection, read: readonly SourceFile[]): SavedSelection {
  return {
    files: choosePaths(options.file).map(({ path }) => resolve(path)),
    digests: digestFiles(read),
    spans: options.span.length > 0 ? options.span : null,
    prune: options.prune,
    adopt: options.adopt,
    defer_docker: options.deferDocker
  }
}

/**
 * Writes a plan, whole or not at all, for its owner alone.
 *
 * @throws SpanplanError if it cannot be written there.
 */
export function writePlan(path: string, document: PlanDocument, selection: SavedSelection): void {
  const text = `${printableJson(savedDocument(document, selection), 2)}\n`
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    // To rename over a device or a link would replace that itself.
    const there = lstatSync(path, { throwIfNoEntry: false })
    if (there?.isFile() === false) throw new Error('it is there, and no file')
    if (there !== undefined && !isTrustedUser(there.uid))
      throw new Error(`it belongs to another user (uid ${there.uid})`)
    writeWhole(draft, text)
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    const reason = error instanceof Error ? error.message : String(error)
    throw new SpanplanError({
      code: 'FILE_UNWRITABLE',
      message: `the plan cannot be written to ${printable(path)}: ${printable(reason)}`,
      hint: 'name another file with --out'
    })
  }
}

function writeWhole(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    const bytes = Buffer.from(text)
    for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

async function readPlan(path: string, insecureFile: boolean): Promise<Uint8Array> {
  try {
    return await loadFile(path, insecureFile ? 'all' : 'safe', largestPlan)
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const diagnostics = error.diagnostics.map((diagnostic) =>
      diagnostic.code === 'FILE_UNREADABLE' ? { ...diagnostic, code: 'PLAN_INVALID' } : diagnostic
    )
    throw new SpanplanError(diagnostics, error.exit)
  }
}

async function aimAtFiles(session: Session, saved: SavedPlan, selection: SpecSelection): Promise<Target> {
  let target: Awaited<ReturnType<typeof loadSpecTarget>>
  try {
    target = await loadSpecTarget(session, selection)
  } catch (error) {
    // That a file is wrong now matters less than that it is another one.
    if (session.files.length > 0) checkFiles(session, saved)
    throw error
  }
  checkFiles(session, saved)
  if (target.spec.digest !== saved.spec.digest) throw stale(['the files are put together in another way'])
  return target
}

function checkFiles({ files }: Session, { selection }: SavedPlan): void {
  const was = new Map(Object.entries(selection.digests))
  const is = new Map(Object.entries(digestFiles(files)))
  const changes = [...new Set([...was.keys(), ...is.keys()])].flatMap((path) => {
    if (was.get(path) === is.get(path)) return []
    return [`${printable(path)} ${was.has(path) ? (is.has(path) ? 'has changed' : 'is gone') : 'is new'}`]
  })
  if (changes.length > 0) throw stale(changes)
}

function digestFiles(files: readonly SourceFile[]): Record<string, string> {
  return Object.fromEntries(files.map(({ path, bytes }) => [resolve(path), digestText(bytes)]))
}

async function lookAgain(target: Target, saved: SavedPlan): Promise<PlanView> {
  const view = planAgain(target, await readFactsFor(target), saved)
  const differences = findDifferences(saved, show(view))
  if (differences.length === 0) return view
  throw stale(differences, view.plan.changes.length === 0 ? 'all is in sync: there is nothing to do' : undefined)
}

/** What stands in the way now did not when the plan was made. Docker may come back. */
function planAgain(target: Target, facts: Facts, saved: SavedPlan): PlanView {
  try {
    return planTarget(target, facts)
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.diagnostics.some(({ code }) => absences.has(code))) throw error
    const restarted = saved.host.boot_id === facts.host.bootId ? [] : ['the host was restarted']
    const conflicts = error.diagnostics.map(({ address, message }) =>
      printable(address === undefined ? message : `${address}: ${message}`)
    )
    throw stale([...restarted, ...conflicts])
  }
}

function show({ plan, host, filters }: PlanView): ShownPlan {
  return asShown(planDocument(plan, { spec: null, host, filters, version: SPANPLAN_VERSION, created: '' }))
}

function stale(differences: readonly string[], hint = 'look at a new plan: spanplan plan --out FILE'): SpanplanError {
  const told = differences.slice(0, mostTold).map((line) => `\n  ${line}`)
  const more = differences.length > mostTold ? [`\n  and ${differences.length - mostTold} more`] : []
  return new SpanplanError({
    code: 'PLAN_STALE',
    message: `the saved plan no longer fits:${[...told, ...more].join('')}\nNothing was changed.`,
    hint
  })
}

import { existsSync, statSync } from 'node:fs'
import { isAbout } from '../../codes/meanings.ts'
import { SpanplanError } from '../../errors.ts'
import type { CallLimits } from '../../host/docker/call-limits.ts'
import { shellLine } from '../../host/quote-command.ts'
import { keepNames } from '../../look/listening.ts'
import { readHostFor } from '../../look/read-host.ts'
import { findDifferences, listDifferences } from '../../plan/output/compare-plans.ts'
import { readSavedPlan, type SavedPlan, showView } from '../../plan/output/saved-plan.ts'
import { type HostReading, type PlanView, planTarget } from '../../plan/plan-view.ts'
import type { Target } from '../../plan/target.ts'
import { printable } from '../../printable.ts'
import { digestFiles } from '../output/save-plan.ts'
import type { Session } from '../session.ts'
import { loadSpecTarget, type SpecSelection } from './load-target.ts'
import { loadFile } from './spec-files.ts'

/** Bytes. A plan for a thousand spans has some ten mebibytes. */
const largestPlan = 64 * 1024 * 1024

/**
 * Reads a saved plan, and the files that it was made from. Nothing in it is carried out: it says which files to read, and
 * what their plan has to be. Whoever can write to it can keep it from being applied, or have another plan applied that
 * spanplan itself makes of files that root trusts; they cannot have a command run.
 *
 * @returns the target, and a function that reads the host and plans again. It throws a SpanplanError PLAN_STALE if the new
 * plan is not the saved plan.
 * @throws SpanplanError with what is wrong with the plan or the files; PLAN_STALE if the files have changed.
 */
export async function openSavedPlan(
  session: Session,
  path: string,
  { insecureFile }: Pick<SpecSelection, 'insecureFile'>
): Promise<{ readonly target: Target; refresh(limits: CallLimits): Promise<PlanView> }> {
  const saved = readSavedPlan(await readPlanFile(path, insecureFile), path)
  const { files, spans, prune, adopt, recreate, defer_docker: deferDocker, subnet_seed: seed } = saved.selection
  const selection = { file: files, span: spans ?? [], prune, adopt, recreate, deferDocker, insecureFile }
  const loaded = await loadSavedTarget(session, saved, selection)
  const target = seed === undefined ? loaded : { ...loaded, subnetSeed: seed }
  return { target, refresh: (limits) => refreshAndCheck(target, saved, limits) }
}

async function readPlanFile(path: string, insecureFile: boolean): Promise<Uint8Array> {
  try {
    return await loadFile(path, insecureFile, largestPlan)
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const meant = suggestOption(path)
    const diagnostics = error.diagnostics.map((diagnostic) =>
      diagnostic.code === 'FILE_UNREADABLE'
        ? {
            ...diagnostic,
            ...(meant && { hint: `did you mean: spanplan apply ${meant}` }),
            code: 'PLAN_INVALID' as const
          }
        : diagnostic
    )
    throw new SpanplanError(diagnostics, error.exit)
  }
}

/** The option with which an argument that is no file may be meant; null: none. */
function suggestOption(path: string): string | null {
  if (existsSync(path)) return statSync(path).isDirectory() ? shellLine(['-f', path]) : null
  return /[./]|^-/.test(path) ? null : shellLine(['--span', path])
}

async function loadSavedTarget(session: Session, saved: SavedPlan, selection: SpecSelection): Promise<Target> {
  let target: Target
  try {
    target = await loadSpecTarget(session, selection)
  } finally {
    // That a file has changed matters more than that it is wrong now.
    if (session.files.length > 0) checkFiles(session, saved)
  }
  if (target.spec.digest !== saved.spec.digest) throw planStale(['the same files now make another configuration'])
  return target
}

function checkFiles({ files }: Session, { selection }: SavedPlan): void {
  const then = new Map(Object.entries(selection.digests))
  const now = new Map(Object.entries(digestFiles(files)))
  const changes = [...new Set([...then.keys(), ...now.keys()])].flatMap((path) => {
    if (then.get(path) === now.get(path)) return []
    return [`${printable(path)} ${then.has(path) ? (now.has(path) ? 'has changed' : 'is gone') : 'is new'}`]
  })
  if (changes.length > 0) throw planStale(changes)
}

async function refreshAndCheck(target: Target, saved: SavedPlan, limits: CallLimits): Promise<PlanView> {
  const view = await keepNames(target, planAgain(target, await readHostFor(target, limits), saved))
  const differences = findDifferences(saved, showView(view))
  if (differences.length === 0) return view
  throw planStale(
    differences,
    view.plan.changes.length === 0 ? 'everything is in sync: there is nothing to do' : undefined
  )
}

/** A conflict that there is now was not there when the plan was saved. Docker that cannot be asked may answer later. */
function planAgain(target: Target, reading: HostReading, saved: SavedPlan): PlanView {
  try {
    return planTarget(target, reading)
  } catch (error) {
    if (!(error instanceof SpanplanError) || error.diagnostics.some(isAbout('docker'))) throw error
    const restarted = saved.host.boot_id === reading.host.bootId ? [] : ['the host was restarted']
    throw planStale([...restarted, ...error.diagnostics.map(({ message }) => printable(message))])
  }
}

function planStale(differences: readonly string[], hint = 'make a new plan: spanplan plan --out FILE'): SpanplanError {
  return new SpanplanError({
    code: 'PLAN_STALE',
    message: `the saved plan no longer fits:${listDifferences(differences)}\nNothing was changed.`,
    hint
  })
}

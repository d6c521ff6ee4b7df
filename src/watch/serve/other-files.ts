import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { attempt, diagnostic } from '../../errors.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Target } from '../../plan/target.ts'
import { indexInterfaces, writeMatch } from '../../spec/interfaces.ts'
import { loadSpec } from '../../spec/load.ts'
import { printSpec } from '../../spec/print.ts'
import { matchesSpan, type Scope } from '../../spec/scope.ts'
import { sourceSummary } from '../../spec/sources/registry.ts'
import type { SourceFile, Spec } from '../../spec/spec.ts'
import type { OtherFiles } from '../../status/advice.ts'
import { listNames } from '../../text-lines.ts'
import { askWatch, type FilesInForce } from './ask-watch.ts'

/** How to end a watch. */
export const endWatch = 'end the watch first: systemctl stop spanplan.service, or end its process'

/**
 * Finds out whether a watch keeps the spans of a name as other files say than those that a command has read. A file that is
 * reached by another path is the same file.
 *
 * @param files the paths that the watch has to read to keep the same; by default, those that were read.
 * @returns null: it keeps the same, or no watch runs that this user may ask and that changes the host.
 */
export async function findOtherFiles(
  target: Pick<Target, 'spec' | 'scope'>,
  files = target.spec.files
): Promise<OtherFiles | null> {
  const former = target.spec.formerly.map((name) => findFormerWatch(name, target, files))
  const all = await Promise.all([findWatchOfOthers(target, files), ...former])
  return all.find((one) => one !== null) ?? null
}

/** A watch of a name from before, of other files. One of these files gets their name with them. */
async function findFormerWatch(
  name: string,
  { spec, scope }: Pick<Target, 'spec' | 'scope'>,
  files: readonly string[]
): Promise<OtherFiles | null> {
  const [state, kept] = await Promise.all([askWatch(name, 'state'), askWatch(name, 'files-in-force')])
  if (state === null || kept === null || state.dryRun || areRead(files, kept)) return null
  const places = listNames(kept.paths)
  const message = `a watch of the name ${name} (pid ${state.pid}) runs, which this file had before: it follows ${places}, and keeps nothing in sync that bears the name ${spec.name}`
  return {
    diagnostic: diagnostic('WATCH_FORMER_NAME', message, `${endWatch}; then start one with this file`),
    undone: spec.spans.flatMap((span) => (matchesSpan(scope.spans, span.name) ? span.name : [])),
    clause: `the watch of the name ${name}, which follows ${places}, is to be ended first`,
    isLost: false
  }
}

async function findWatchOfOthers(
  { spec, scope }: Pick<Target, 'spec' | 'scope'>,
  files: readonly string[]
): Promise<OtherFiles | null> {
  const [state, kept] = await Promise.all([askWatch(spec.name, 'state'), askWatch(spec.name, 'files-in-force')])
  if (state === null || kept === null || state.dryRun) return null
  const isSame = areRead(files, kept)
  if (isSame && kept.refusals.length === 0) return null
  const undone = findUndone(kept, spec, scope)
  if (isSame && undone.length === 0) return null
  const [refusal] = kept.refusals
  const places = listNames(kept.paths)
  const says = kept.paths.length === 1 ? 'says' : 'say'
  const said = refusal === undefined ? says : `said before (now: ${refusal.message})`
  const which = isSame ? 'an apply' : 'an apply of other files'
  const effect =
    undone.length === 0 ? 'it does not read these files' : `it undoes what ${which} changes in ${listNames(undone)}`
  const message = `the watch of the name ${spec.name} (pid ${state.pid}) keeps the spans as ${places} ${said}: ${effect}`
  const advice = adviseOnOther(kept, isSame, undone, onlyFile(scope, files))
  return {
    diagnostic: diagnostic('WATCH_OTHER_FILES', message, advice),
    undone,
    clause: `an apply would not last: the watch keeps ${places}`,
    isLost: refusal !== undefined
  }
}

/** The files of an answer, to be loaded. */
export function decodeFiles({ files }: FilesInForce): SourceFile[] {
  return files.map(({ content, ...one }) => ({ ...one, bytes: Buffer.from(content, 'base64') }))
}

/** Whether two lists of paths lead to the same files and folders. */
export function isSamePlace(some: readonly string[], others: readonly string[]): boolean {
  const [one, other] = [new Set(some.map(realPath)), new Set(others.map(realPath))]
  return one.size === other.size && [...one].every((path) => other.has(path))
}

/** Whether a watch reads these files and no others. A file that has just come into its folder, or gone from there, is one. */
function areRead(files: readonly string[], { paths, read }: FilesInForce): boolean {
  if (read === undefined) return true
  const folders = new Set(paths.map(realPath))
  const isInFolder = (path: string) => folders.has(realPath(dirname(resolve(path))))
  const own = new Set(files.map(realPath))
  const kept = new Set(read.map(realPath))
  return (
    files.every((path) => !isDescriptor(path) && (kept.has(realPath(path)) || isInFolder(path))) &&
    read.every((path) => own.has(realPath(path)) || (isInFolder(path) && !existsSync(path)))
  )
}

/** A descriptor of another process leads elsewhere. */
const isDescriptor = (path: string) => /^\/(dev|proc)\//.test(path)

/** Of what is gone, the folder counts. */
function realPath(path: string): string {
  const full = resolve(path)
  for (const [known, rest] of [[full], [dirname(full), basename(full)]] as const) {
    try {
      return join(realpathSync(known), rest ?? '')
    } catch {}
  }
  return full
}

/** The spans in which the watch undoes what an apply of another spec changes. */
function findUndone(kept: FilesInForce, spec: Spec, { spans }: Scope): string[] {
  // This version may read them otherwise than that of the watch.
  const [own, its] = [spansOf(spec), spansOf(attempt(() => loadSpec(decodeFiles(kept))) ?? spec)]
  return [...new Set([...own.keys(), ...its.keys()])].filter(
    (name) => matchesSpan(spans, name) && own.get(name) !== its.get(name) && (its.has(name) || kept.prune !== false)
  )
}

/** What the files say of each span that has an effect on the host. */
function spansOf(spec: Spec): Map<string, string> {
  const find = indexInterfaces(spec.interfaces)
  return new Map(
    spec.spans.map((span) => {
      const identities = span.sources.map((source) => sourceSummary(source, find).identity)
      const interfaces = spec.interfaces.filter(({ match }) => identities.includes(writeMatch(match)))
      const sources = span.sources.map((source) => ({ ...source, maxIdle: null }))
      return [span.name, printSpec({ ...spec, interfaces, spans: [{ ...span, sources, description: null }] })]
    })
  )
}

/** The file of a command that is about all of one file; null: it is about more, or less. */
function onlyFile({ spans }: Scope, [file, ...others]: readonly string[]): string | null {
  const isWhole = 'except' in spans && others.length === 0
  return isWhole && file !== undefined && !isDescriptor(file) ? file : null
}

/** @param file that of the command, where it is about all of that one; else null. */
function adviseOnOther(
  { paths, read = paths, refusals }: FilesInForce,
  isSame: boolean,
  undone: readonly string[],
  file: string | null
): string {
  if (isSame) return `to keep what is applied, ${endWatch}`
  if (undone.length === 0) return 'to have these files followed, start the watch again with them'
  const [place, ...more] = read
  const canInstall = file !== null && place !== undefined && more.length === 0 && refusals.length === 0
  if (!canInstall) return `write the change into its files; or ${endWatch}`
  const command = shellLine(['spanplan', 'apply', '-f', file, '--install', place])
  return `put this file into the place of its file: ${command}; or ${endWatch}`
}

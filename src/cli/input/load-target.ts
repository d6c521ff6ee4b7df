import { isAbout } from '../../codes/meanings.ts'
import { type Diagnostic, SpanplanError } from '../../errors.ts'
import { subnetSeed } from '../../host/docker/subnet-seed.ts'
import { hasCapability } from '../../host/process/process-rights.ts'
import { shellLine } from '../../host/quote-command.ts'
import { makeDestroyTarget, makeTarget, type Target } from '../../plan/target.ts'
import { everySpan, noSpan, scopeOf } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Session } from '../session.ts'
import { type FileSelection, loadFiles } from './spec-files.ts'

/** The options that select files and spans. */
export interface Selection extends FileSelection {
  readonly span: readonly string[]
  readonly deferDocker: boolean
}

/** The same, with what the target may change besides the spans of the file. */
export interface SpecSelection extends Selection {
  /** Spans with the file's name that are not in the file are removed. */
  readonly prune: boolean
  readonly adopt: boolean
  /** What disconnects running sensors is done; else it waits. */
  readonly recreate: boolean
}

/** The options that select what is removed. */
export interface DestroySelection extends Selection {
  /** The spans of this name, without a file. */
  readonly name?: string
  /** The spans of every name, without a file. */
  readonly all: boolean
}

/**
 * Reads the files, and makes their spans the target, or the selected spans.
 *
 * @throws SpanplanError with all that is wrong with the files.
 */
export async function loadSpecTarget(session: Session, selection: SpecSelection): Promise<Target> {
  return targetOf(await loadFiles(selection, session), selection)
}

/** Makes the spans of a file the target, or the selected spans. */
export function targetOf(spec: Spec, selection: Omit<SpecSelection, keyof FileSelection>): Target {
  const { span, prune, adopt, recreate, deferDocker } = selection
  const listed = spec.spans.map(({ name }) => name)
  const selected = span.length > 0 ? span : prune ? null : listed
  const spans = selected ? { only: new Set(selected) } : everySpan
  const rest = { deferDocker, adopt, recreate: recreate ? everySpan : noSpan, subnetSeed }
  return makeTarget(spec, { scope: scopeOf(spec, spans), ...rest })
}

/**
 * Makes no span the target: of one name, which is the file's if none is given, or of every name.
 *
 * @throws SpanplanError with all that is wrong with the files, where the name is theirs.
 */
export async function loadDestroyTarget(session: Session, selection: DestroySelection): Promise<Target> {
  const { name, all, span, deferDocker } = selection
  const spec = all || name !== undefined ? null : await loadNamed(session, selection)
  const owner = all ? null : (name ?? spec?.name ?? null)
  const spans = span.length > 0 ? { only: new Set(span) } : everySpan
  const known = spec?.spans ?? []
  // A name alone has no former ones.
  const scope = spec === null ? { name: owner, spans } : scopeOf(spec, spans)
  return makeDestroyTarget(owner, { scope, known, deferDocker })
}

/** A destroy needs the name alone, which can be given without a file. */
async function loadNamed(session: Session, selection: FileSelection): Promise<Spec> {
  try {
    return await loadFiles(selection, session)
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const without = 'without a file, remove the spans of one name with --name, or of every name with --all'
    const addName = ({ hint }: Diagnostic) => (hint === undefined ? without : `${hint}; ${without}`)
    const diagnostics = error.diagnostics.map((one) => (isAbout('files')(one) ? { ...one, hint: addName(one) } : one))
    throw new SpanplanError(diagnostics, error.exit, { cause: error })
  }
}

/** Writes the apply of what a command is about, or of one span of it, as this user can run it. */
export function writeApply({ span, ...files }: Omit<Selection, 'deferDocker'>) {
  return (only: string | null) => {
    const spans = only === null ? span : [only]
    return writeCommand(files)('apply', ...spans.flatMap((name) => ['--span', name]))
  }
}

/** Writes a command for the files that another one is about, as this user can run it. */
export function writeCommand({ file, insecureFile }: FileSelection) {
  return (name: 'apply' | 'plan' | 'status', ...flags: readonly string[]) => {
    const words = [...file.flatMap((path) => ['-f', path]), ...flags, ...(insecureFile ? ['--insecure-file'] : [])]
    return shellLine([...(hasCapability('CAP_NET_ADMIN') ? [] : ['sudo']), 'spanplan', name, ...words])
  }
}

import { makeDestroyTarget, makeTarget, type Target } from '../../plan/target.ts'
import { everySpan } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Session } from '../session.ts'
import { loadFiles } from './spec-files.ts'

/** The options that select files and spans. */
export interface Selection {
  readonly file: readonly string[]
  readonly span: readonly string[]
  readonly deferDocker: boolean
  readonly insecureFile: boolean
}

/** The same, with what the target may change besides the spans of the file. */
export interface SpecSelection extends Selection {
  /** Spans with the file's name that are not in the file are removed. */
  readonly prune: boolean
  readonly adopt: boolean
}

/**
 * Reads the files, and makes their spans the target, or the selected spans.
 *
 * @throws SpanplanError with all that is wrong with the files.
 */
export async function loadSpecTarget(session: Session, selection: SpecSelection): Promise<Target> {
  const spec = await loadSessionFiles(session, selection)
  const { span, prune, adopt, deferDocker } = selection
  const listed = spec.spans.map(({ name }) => name)
  const selected = span.length > 0 ? span : prune ? null : listed
  const spans = selected ? { only: new Set(selected) } : everySpan
  return makeTarget(spec, { scope: { name: spec.name, spans }, deferDocker, adopt })
}

/**
 * Makes no span the target: of one name, which is the file's if none is given, or of every name.
 *
 * @throws SpanplanError with all that is wrong with the files, where the name is theirs.
 */
export async function loadDestroyTarget(
  session: Session,
  selection: Selection & { readonly name: string | undefined; readonly all: boolean }
): Promise<Target> {
  const spec = selection.all || selection.name !== undefined ? null : await loadSessionFiles(session, selection)
  const owner = selection.all ? null : (selection.name ?? spec?.name ?? null)
  const spans = selection.span.length > 0 ? { only: new Set(selection.span) } : everySpan
  const known = spec?.spans.map(({ name }) => name) ?? []
  return makeDestroyTarget(owner, { scope: { name: owner, spans }, known, deferDocker: selection.deferDocker })
}

/** Reads the files. From then on, errors can point into them. */
function loadSessionFiles(session: Session, { file, insecureFile }: Selection): Promise<Spec> {
  return loadFiles(file, {
    trust: insecureFile ? 'all' : 'safe',
    onFiles: (files) => {
      session.files = files
    }
  })
}

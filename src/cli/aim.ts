import type { Aim } from '../apply/look.ts'
import { Exit, SpanplanError } from '../errors.ts'
import type { Spec } from '../spec/spec.ts'
import { suggestHint } from '../spec/suggest.ts'
import { loadFiles } from './files.ts'
import type { Session } from './session.ts'

/** The options that say which spans of which files a command is about. */
export interface Selection {
  readonly file: readonly string[]
  readonly span: readonly string[]
  readonly deferDocker: boolean
}

/** The spans of the files, or the selected ones, as they should be. */
export function aimAtSpec(session: Session, selection: Selection): Extract<Aim, { want: 'spec' }> {
  const spec = loadSession(session, selection.file)
  const names = spec.spans.map(({ name }) => name)
  const unknown = selection.span.filter((span) => !names.includes(span))
  if (unknown.length > 0) {
    throw new SpanplanError(
      unknown.map((span) => ({
        code: 'SPAN_UNKNOWN',
        message: `--span ${span}: the file has no such span`,
        hint: suggestHint(span, names) ?? `it has: ${names.join(', ') || 'none'}`
      })),
      Exit.usage
    )
  }
  const spans = new Set(selection.span.length > 0 ? selection.span : names)
  return { want: 'spec', spec, scope: { name: spec.name, spans }, deferDocker: selection.deferDocker }
}

/** All that a name, or every name, made is to go. */
export function aimAtNothing(
  session: Session,
  selection: Selection & { readonly name: string | undefined; readonly all: boolean }
): Aim {
  const spec = selection.all || selection.name !== undefined ? null : loadSession(session, selection.file)
  const owner = selection.all ? null : (selection.name ?? spec?.name ?? null)
  const spans = selection.span.length > 0 ? new Set(selection.span) : null
  return {
    want: 'nothing',
    owner: owner ?? 'default',
    scope: { name: owner, spans },
    known: spec?.spans.map(({ name }) => name) ?? [],
    deferDocker: selection.deferDocker
  }
}

/** Reads the files, which errors from then on can point into. */
function loadSession(session: Session, paths: readonly string[]): Spec {
  return loadFiles(paths, (files) => {
    session.files = files
  })
}

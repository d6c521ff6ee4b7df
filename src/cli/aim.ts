import type { Aim } from '../apply/look.ts'
import type { Spec } from '../spec/spec.ts'
import { loadFiles } from './files.ts'
import type { Session } from './session.ts'

/** The options that say which spans of which files a command is about. */
export interface Selection {
  readonly file: readonly string[]
  readonly span: readonly string[]
  readonly deferDocker: boolean
  readonly insecureFile: boolean
}

/** With what a command that makes the file true may do beside that. */
export interface SpecSelection extends Selection {
  /** Spans of this name that the file does not know go. */
  readonly prune: boolean
  readonly adopt: boolean
}

/** The spans of the files, or the selected ones, as they should be. */
export function aimAtSpec(session: Session, selection: SpecSelection): Extract<Aim, { want: 'spec' }> {
  const spec = loadSession(session, selection)
  const { span, prune, adopt, deferDocker } = selection
  const listed = new Set(spec.spans.map(({ name }) => name))
  const spans = span.length > 0 ? new Set(span) : prune ? null : listed
  return { want: 'spec', spec, scope: { name: spec.name, spans }, deferDocker, adopt }
}

/** All that a name, or every name, made is to go. */
export function aimAtNothing(
  session: Session,
  selection: Selection & { readonly name: string | undefined; readonly all: boolean }
): Aim {
  const spec = selection.all || selection.name !== undefined ? null : loadSession(session, selection)
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
function loadSession(session: Session, { file, insecureFile }: Selection): Spec {
  return loadFiles(file, {
    trust: insecureFile ? 'all' : 'safe',
    onFiles: (files) => {
      session.files = files
    }
  })
}

import type { SpecTarget, Target } from '../../plan/target.ts'
import { everySpan } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Session } from '../session.ts'
import { loadFiles } from './spec-files.ts'

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
export async function targetOfSpec(session: Session, selection: SpecSelection): Promise<SpecTarget> {
  const spec = await loadSession(session, selection)
  const { span, prune, adopt, deferDocker } = selection
  const listed = spec.spans.map(({ name }) => name)
  const named = span.length > 0 ? span : prune ? null : listed
  const spans = named ? { only: new Set(named) } : everySpan
  return {
    ...{ want: 'spec', spec, scope: { name: spec.name, spans }, deferDocker, adopt },
    ...{ patient: false, goingDown: [] }
  }
}

/** All that a name, or every name, made is to go. */
export async function targetOfNothing(
  session: Session,
  selection: Selection & { readonly name: string | undefined; readonly all: boolean }
): Promise<Target> {
  const spec = selection.all || selection.name !== undefined ? null : await loadSession(session, selection)
  const owner = selection.all ? null : (selection.name ?? spec?.name ?? null)
  const spans = selection.span.length > 0 ? { only: new Set(selection.span) } : everySpan
  return {
    want: 'nothing',
    owner: owner ?? 'default',
    scope: { name: owner, spans },
    known: spec?.spans.map(({ name }) => name) ?? [],
    deferDocker: selection.deferDocker
  }
}

/** Reads the files, which errors from then on can point into. */
function loadSession(session: Session, { file, insecureFile }: Selection): Promise<Spec> {
  return loadFiles(file, {
    trust: insecureFile ? 'all' : 'safe',
    onFiles: (files) => {
      session.files = files
    }
  })
}

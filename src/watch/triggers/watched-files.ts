import { createHash } from 'node:crypto'
import { asForeseen, type Diagnostic } from '../../errors.ts'
import { loadSpec } from '../../spec/load.ts'
import type { SourceFile, Spec } from '../../spec/spec.ts'

/** The files of a watch: as they are now, and the last good ones, which are in force. */
export interface FileInForce {
  readonly spec: Spec
  /** Why the files as they are now are not in force; none: they are. */
  readonly diagnostics: readonly Diagnostic[]
  /** As they were last read. */
  readonly files: readonly SourceFile[]
  /** When what was read last is believed, if they still say so, in milliseconds of the monotonic clock; null: it is already. */
  readonly settles: number | null
  /** Reads them again. `same`: there is nothing new in them, or nothing that is believed already. */
  reload(now: number): 'same' | 'accepted' | 'refused'
}

/**
 * Milliseconds for which files have to say that a span is to go, or to be broken, before that is believed. A `git pull`
 * removes each file before it writes it anew, and what is half-written may be without its last spans.
 */
const patience = 1000

/** What a file may not say, though it is valid; null: nothing stands against it. */
type Objection = (spec: Spec, before: Spec) => Diagnostic | null

/**
 * Reads the files for the first time.
 *
 * @param read gives the files, or throws a SpanplanError.
 * @throws SpanplanError with all that is wrong with them.
 */
export function openFile(read: () => readonly SourceFile[], objection: Objection): FileInForce {
  let files = read()
  let seen = fingerprint(files)
  let spec = loadSpec(files)
  let diagnostics: readonly Diagnostic[] = []
  let doubted: { readonly print: string; readonly until: number } | null = null
  const judge = (): { readonly wanted: Spec } | { readonly refusals: readonly Diagnostic[] } => {
    try {
      const wanted = loadSpec(files)
      const against = objection(wanted, spec)
      return against === null ? { wanted } : { refusals: [against] }
    } catch (error) {
      return { refusals: asForeseen(error).diagnostics }
    }
  }
  const reread = (): { readonly print: string; readonly failure: readonly Diagnostic[] } => {
    try {
      files = read()
      return { print: fingerprint(files), failure: [] }
    } catch (error) {
      const failure = asForeseen(error).diagnostics
      return { print: JSON.stringify(failure), failure }
    }
  }
  return {
    get spec() {
      return spec
    },
    get diagnostics() {
      return diagnostics
    },
    get files() {
      return files
    },
    get settles() {
      return doubted?.until ?? null
    },
    reload: (now) => {
      const { print, failure } = reread()
      if (print === seen) {
        doubted = null
        return 'same'
      }
      const judged = failure.length > 0 ? { refusals: failure } : judge()
      if (!('wanted' in judged) || losesSpans(judged.wanted, spec)) {
        if (doubted?.print !== print) doubted = { print, until: now + patience }
        if (now < doubted.until) return 'same'
      }
      doubted = null
      seen = print
      if ('wanted' in judged) spec = judged.wanted
      diagnostics = 'wanted' in judged ? [] : judged.refusals
      return diagnostics.length === 0 ? 'accepted' : 'refused'
    }
  }
}

function losesSpans(wanted: Spec, before: Spec): boolean {
  const kept = new Set(wanted.spans.map(({ name }) => name))
  return before.spans.some(({ name }) => !kept.has(name))
}

function fingerprint(files: readonly SourceFile[]): string {
  const hash = createHash('sha256')
  for (const { path, bytes } of files) hash.update(`${path}\0${bytes.length}\0`).update(bytes)
  return hash.digest('hex')
}

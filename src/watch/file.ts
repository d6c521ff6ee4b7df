import { createHash } from 'node:crypto'
import { asForeseen, type Notice } from '../errors.ts'
import { loadSpec } from '../spec/load.ts'
import type { SourceFile, Spec } from '../spec/spec.ts'

/** The files of a watch: as they are now, and the last good ones, which are in force. */
export interface FileInForce {
  readonly spec: Spec
  /** Why the files as they are now are not in force; none: they are. */
  readonly notices: readonly Notice[]
  /** As they were last read. */
  readonly files: readonly SourceFile[]
  /** Reads them again. `same`: there is nothing new in them. */
  reload(): 'same' | 'accepted' | 'refused'
}

/** What a file may not say, though it is valid; null: nothing stands against it. */
type Objection = (spec: Spec, before: Spec) => Notice | null

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
  let notices: readonly Notice[] = []
  const take = (): Notice[] => {
    try {
      const wanted = loadSpec(files)
      const against = objection(wanted, spec)
      if (against !== null) return [against]
      spec = wanted
      return []
    } catch (error) {
      return [...asForeseen(error).notices]
    }
  }
  const reread = (): { readonly print: string; readonly failure: readonly Notice[] } => {
    try {
      files = read()
      return { print: fingerprint(files), failure: [] }
    } catch (error) {
      const failure = asForeseen(error).notices
      return { print: JSON.stringify(failure), failure }
    }
  }
  return {
    get spec() {
      return spec
    },
    get notices() {
      return notices
    },
    get files() {
      return files
    },
    reload: () => {
      const { print, failure } = reread()
      if (print === seen) return 'same'
      seen = print
      notices = failure.length > 0 ? failure : take()
      return notices.length === 0 ? 'accepted' : 'refused'
    }
  }
}

function fingerprint(files: readonly SourceFile[]): string {
  const hash = createHash('sha256')
  for (const { path, bytes } of files) hash.update(`${path}\0${bytes.length}\0`).update(bytes)
  return hash.digest('hex')
}

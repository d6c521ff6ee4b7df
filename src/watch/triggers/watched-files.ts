import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { asForeseen, type Diagnostic } from '../../errors.ts'
import { loadSpec } from '../../spec/load.ts'
import type { SourceFile, Spec } from '../../spec/spec.ts'

/**
 * Milliseconds for which files must stay the same, where they are invalid or lack a span that they had. A `git pull` removes
 * each file before it writes the new one, and a file that is half written may lack its last spans.
 */
const doubtTime = 1000

/** What the files say now: a spec that is accepted, or why there is none. */
type Loaded = { readonly next: Spec } | { readonly refusals: readonly Diagnostic[] }

/** Why a file is not accepted whose syntax is valid; nothing: it is. `pending`: that is not known yet, and will be soon. */
export type Refusals = readonly Diagnostic[] | 'pending'

/**
 * Reads the files for the first time. The last valid ones are in force, whatever they say later.
 *
 * @param read gives the files, or throws a SpanplanError.
 * @param check judges a file whose syntax is valid: also again, as long as it is not in force.
 * @throws SpanplanError with all errors of the files.
 */
export function openFiles(read: () => readonly SourceFile[], check: (next: Spec, before: Spec) => Refusals) {
  let files = read()
  let seen = fingerprint(files)
  let spec = loadSpec(files)
  let inForce = files
  let diagnostics: readonly Diagnostic[] = []
  /** What the files say now, where that is not in force, and may come to be without a change of the files. */
  let candidate: { readonly next: Spec; readonly isPending: boolean } | null = null
  let doubt: { readonly print: string; readonly until: number } | null = null
  const load = (): Loaded => {
    try {
      return { next: loadSpec(files) }
    } catch (error) {
      return { refusals: asForeseen(error).diagnostics }
    }
  }
  const judge = (next: Spec) => {
    const refusals = check(next, spec)
    candidate = { next, isPending: refusals === 'pending' }
    if (refusals === 'pending') return 'same'
    diagnostics = refusals
    if (refusals.length > 0) return 'refused'
    ;[spec, inForce, candidate] = [next, files, null]
    return 'accepted'
  }
  /** The files are the same. What compiles their filters may not be. */
  const judgeAgain = () => {
    const before = diagnostics
    const result = candidate === null ? 'same' : judge(candidate.next)
    return result === 'refused' && isDeepStrictEqual(diagnostics, before) ? 'same' : result
  }
  const tryToRead = (): { readonly print: string; readonly load: () => Loaded } => {
    try {
      files = read()
      return { print: fingerprint(files), load }
    } catch (error) {
      const refusals = asForeseen(error).diagnostics
      return { print: JSON.stringify(refusals), load: () => ({ refusals }) }
    }
  }
  return {
    /** What is in force. */
    spec: () => spec,
    /** The files' contents as they are in force. */
    inForce: () => inForce,
    /** What the files may come to say: what is in force, and what is still being judged. */
    specs: () => (candidate === null ? [spec] : [spec, candidate.next]),
    /** What the files say now, where it is not known yet whether that is accepted; null: it is known. */
    pending: () => (candidate?.isPending ? candidate.next : null),
    /** Why the files as they are now are not in force; nothing: they are. */
    diagnostics: () => diagnostics,
    /** The files' contents at the last reload. */
    lastRead: () => files,
    /** When doubtful files are accepted or refused if they stay the same, in milliseconds of the monotonic clock; Infinity: none are. */
    settlesAt: () => doubt?.until ?? Infinity,
    /** Reads the files again. `same`: they have not changed, or what they say now is still doubtful. */
    reload: (now: number): 'same' | 'accepted' | 'refused' => {
      const { print, load } = tryToRead()
      if (print === seen) {
        doubt = null
        return judgeAgain()
      }
      const loaded = load()
      if (!('next' in loaded) || losesSpans(loaded.next, spec)) {
        if (doubt?.print !== print) doubt = { print, until: now + doubtTime }
        if (now < doubt.until) return 'same'
      }
      doubt = null
      seen = print
      if ('next' in loaded) return judge(loaded.next)
      candidate = null
      diagnostics = loaded.refusals
      return 'refused'
    }
  }
}

/** A span that only has another name is not lost. */
function losesSpans(next: Spec, before: Spec): boolean {
  const kept = new Set(next.spans.map(({ bridge }) => bridge))
  return before.spans.some(({ bridge }) => !kept.has(bridge))
}

function fingerprint(files: readonly SourceFile[]): string {
  const hash = createHash('sha256')
  for (const { path, bytes } of files) hash.update(`${path}\0${bytes.length}\0`).update(bytes)
  return hash.digest('hex')
}

import { type Diagnostic, diagnostic, SpanplanError } from '../../errors.ts'
import { spanUnknown } from '../../plan/live-spans.ts'
import { explainSilentWatch } from '../../status/health.ts'
import { answerTime, askWatch, type WatchAnswers, watchNames } from '../../watch/serve/ask-watch.ts'
import { findWatch } from '../../watch/serve/find-watch.ts'
import { readKnownSpans } from './known-spans.ts'

/** What the watches of this host keep. */
type Kept = 'events' | 'rates'

/** The answer of the watch of a name. */
export type NamedAnswer<Request extends Kept> = { readonly name: string } & Awaited<ReturnType<WatchAnswers[Request]>>

/** What the watches of this host answer, and why some do not. */
export interface WatchAnswersOf<Request extends Kept> {
  readonly answers: readonly NamedAnswer<Request>[]
  readonly silent: readonly Diagnostic[]
}

/**
 * Asks all watches of this host.
 *
 * @throws SpanplanError where none answers: WATCH_MISSING, or why those that run do not.
 */
export async function askWatches<Request extends Kept>(
  request: Request,
  ...argument: Parameters<WatchAnswers[Request]>
): Promise<WatchAnswersOf<Request>> {
  const all = await Promise.all(
    watchNames().map(async (name) => ({ name, kept: await askWatch(name, request, answerTime, ...argument) }))
  )
  const answers = all.flatMap(({ name, kept }) => (kept === null ? [] : [{ name, ...kept }]))
  const unanswered = all.filter(({ kept }) => kept === null)
  const silent = (await Promise.all(unanswered.map(({ name }) => explainSilence(name, request)))).flat()
  if (answers.length === 0) throw new SpanplanError(silent.length > 0 ? silent : [nobodyRuns(request)])
  return { answers, silent }
}

/** A watch that has ended in order keeps nothing, and nobody misses its answer. */
async function explainSilence(name: string, request: Kept): Promise<Diagnostic[]> {
  const { silent } = await findWatch(name)
  if (silent?.is !== 'hidden') return explainSilentWatch(name, silent)
  const message = `the ${request} of the watch of ${name} are for its user and for root alone`
  return [diagnostic('RIGHT_MISSING', message, 'run it as root, with sudo')]
}

function nobodyRuns(request: Kept): Diagnostic {
  const message = `no watch is running: only a watch keeps ${request}`
  const hint = 'start one with spanplan watch; journalctl --unit spanplan has what an earlier one told'
  return { code: 'WATCH_MISSING', message, hint }
}

/**
 * Of a span that is known, nothing may have happened.
 *
 * @param told the spans in the watch's answer.
 * @throws SpanplanError SPAN_UNKNOWN.
 */
export async function checkSpans(spans: readonly string[], told: readonly string[], option = ''): Promise<void> {
  if (spans.every((span) => told.includes(span))) return
  const { listed, live, names } = await readKnownSpans({ file: [], insecureFile: false })
  const known = [...live, ...listed]
  const unknown = spans.filter((span) => !known.includes(span) && !told.includes(span))
  if (unknown.length > 0) throw spanUnknown(unknown, [...known, ...told], names, option)
}

import { SpanplanError } from '../../errors.ts'
import { spanUnknown } from '../../plan/live-spans.ts'
import { answerTime, askWatch, type WatchAnswers, watchNames } from '../../watch/serve/ask-watch.ts'
import { listedSpans, readLiveSpans } from './known-spans.ts'

/** What the watches of this host keep. */
type Kept = 'events' | 'rates'

/** The answer of the watch of a name. */
export type NamedAnswer<Request extends Kept> = { readonly name: string } & Awaited<ReturnType<WatchAnswers[Request]>>

/**
 * Asks all watches of this host.
 *
 * @throws SpanplanError WATCH_MISSING where none answers.
 */
export async function askWatches<Request extends Kept>(
  request: Request,
  ...argument: Parameters<WatchAnswers[Request]>
): Promise<NamedAnswer<Request>[]> {
  const answers = await Promise.all(
    watchNames().map(async (name) => ({ name, kept: await askWatch(name, request, answerTime, ...argument) }))
  )
  const named = answers.flatMap(({ name, kept }) => (kept === null ? [] : [{ name, ...kept }]))
  if (named.length === 0) throw nobodyAnswers(answers.length, request)
  return named
}

/** @param silent how many watches there are, or have been. */
function nobodyAnswers(silent: number, request: Kept): SpanplanError {
  const message =
    silent === 0 ? `no watch is running: only a watch keeps ${request}` : 'no watch answers: it has ended, or hangs'
  const hint = 'start one with spanplan watch; journalctl --unit spanplan has what an earlier one told'
  return new SpanplanError({ code: 'WATCH_MISSING', message, hint })
}

/**
 * Of a span that is known, nothing may have happened.
 *
 * @param told the spans that a watch tells of.
 * @throws SpanplanError SPAN_UNKNOWN.
 */
export async function checkSpans(spans: readonly string[], told: readonly string[], option = ''): Promise<void> {
  if (spans.every((span) => told.includes(span))) return
  const { live } = await readLiveSpans()
  const known = [...live, ...(await listedSpans({ file: [], insecureFile: false }))]
  const unknown = spans.filter((span) => !known.includes(span) && !told.includes(span))
  if (unknown.length > 0) throw spanUnknown(unknown, [...known, ...told], option)
}

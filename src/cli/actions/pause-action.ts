import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { spanUnknown } from '../../plan/live-spans.ts'
import { takeLock } from '../../run-dir/lock.ts'
import { lockPatience } from '../../run-dir/lock-limits.ts'
import { lastPause, type Pause, readOwnPauses, readPauses, writePauses } from '../../run-dir/pauses.ts'
import { suggestHint } from '../../spec/schema/did-you-mean.ts'
import { askWatch, watchNames } from '../../watch/serve/ask-watch.ts'
import { listedSpans, readKnownSpans } from '../input/known-spans.ts'
import type { FileSelection } from '../input/spec-files.ts'
import { awaitingLock, during, readingHost } from '../output/activity.ts'
import { printResult } from '../output/progress.ts'
import type { Session } from '../session.ts'

/** undefined: every span. */
type SpanOption = { readonly span: string | undefined }

/** `spanplan pause`: has watches and hooks leave a span, or every span, alone for a while. */
export async function pauseCommand(
  session: Session,
  { span, for: milliseconds, ...files }: FileSelection & SpanOption & { readonly for: number }
): Promise<ExitCode> {
  if (span !== undefined) await during(session, readingHost, checkSpan(span, files))
  const pause: Pause = { span: span ?? null, until: new Date(Date.now() + milliseconds).toISOString() }
  const add = (pauses: readonly Pause[]) => [...pauses.filter((other) => other.span !== pause.span), pause]
  await during(session, awaitingLock, changePauses(add))
  const [what, them] = span === undefined ? ['all spans are', 'them'] : [`${span} is`, 'it']
  const { paused, resume } = writePause(pause.span, lastPause(pause.span, readPauses(Date.now()).pauses) ?? pause)
  const text = `${what} ${paused}: watch and hook leave ${them} alone. To resume earlier: ${resume}`
  printResult(session, text, 'paused', pause)
  return Exit.done
}

/** `spanplan resume`: ends the pause of a span, or every pause; and has watches try again what they leave alone by themselves. */
export async function resumeCommand(session: Session, { span }: SpanOption): Promise<ExitCode> {
  const retried = await readLeftAlone(span)
  let ended: readonly Pause[] = []
  const end = (pauses: readonly Pause[]) => {
    ended = pauses.filter((pause) => span === undefined || pause.span === span)
    if (ended.length + retried.length === 0 && span !== undefined) throw notPaused(span, pauses)
    return pauses.filter((pause) => !ended.includes(pause))
  }
  await during(session, awaitingLock, changePauses(end))
  const spans = ended.map((pause) => pause.span)
  const text = spans.length === 0 ? 'Nothing was paused.' : `Resumed: ${listSpans(spans)}.`
  const again = retried.length === 0 ? '' : ` The watch tries again at once: ${listSpans(retried)}.`
  const left = span === undefined ? renderPausesLeft() : renderPauseLeft(span)
  printResult(session, `${text}${again}${left}`, 'resumed', { spans, retried })
  return Exit.done
}

/** The spans that watches do not keep in sync, and try again later: each once. */
async function readLeftAlone(span: string | undefined): Promise<readonly Pause['span'][]> {
  const states = await Promise.all(watchNames().map((name) => askWatch(name, 'state')))
  const degraded = states.flatMap((state) => state?.degraded ?? [])
  const found = degraded.filter((one) => span === undefined || one.span === null || one.span === span)
  return [...new Set(found.map((one) => one.span))]
}

/** The pauses in root's run directory, which another user cannot end. */
function renderPausesLeft(): string {
  const { pauses } = readPauses(Date.now())
  return pauses.length === 0
    ? ''
    : `\nStill paused by root: ${listSpans(pauses.map((pause) => pause.span))}. To resume: sudo spanplan resume`
}

/** What goes on pausing a span whose own pause has ended. */
function renderPauseLeft(span: string): string {
  const last = lastPause(span, readPauses(Date.now()).pauses)
  if (last === undefined) return ''
  const { paused, resume } = writePause(span, last)
  return `\n${span} is still ${paused}. To resume: ${resume}`
}

/** In words: a pause of a span, or of all spans with it; and the command that ends the pause. */
function writePause(span: string | null, last: Pause) {
  const isOwn = readOwnPauses(Date.now()).pauses.some((pause) => pause.span === last.span && pause.until === last.until)
  const also = last.span === span ? '' : ', as all spans are'
  return {
    paused: `paused until ${localTime(last.until)}${also}`,
    resume: [...(isOwn ? [] : ['sudo']), 'spanplan', 'resume', ...(last.span === null ? [] : [last.span])].join(' ')
  }
}

function listSpans(spans: readonly Pause['span'][]): string {
  return spans.map((span) => span ?? 'all spans').join(', ')
}

function notPaused(span: string, pauses: readonly Pause[]): SpanplanError {
  const named = pauses.flatMap((pause) => pause.span ?? [])
  const all = pauses.find((pause) => pause.span === null)
  return new SpanplanError({
    code: 'NOT_PAUSED',
    message: `${span} is not paused${all ? `, but all spans together are, until ${localTime(all.until)}` : ''}`,
    hint: all ? 'spanplan resume' : (suggestHint(span, named) ?? `paused are: ${named.join(', ') || 'none'}`)
  })
}

/** Changes the pauses, and has every watch make a run. */
async function changePauses(change: (pauses: readonly Pause[]) => readonly Pause[]): Promise<void> {
  const lock = await takeLock({ timeout: lockPatience.pause, duringWindow: true })
  try {
    const own = readOwnPauses(Date.now())
    writePauses({ ...own, pauses: change(own.pauses) })
  } finally {
    lock.release()
  }
  await Promise.all(watchNames().map((name) => askWatch(name, 'resume')))
}

/** Checks that the file or the host knows a span. A file that is broken or missing does not matter. */
async function checkSpan(span: string, files: FileSelection): Promise<void> {
  if ((await listedSpans(files)).some(({ name }) => name === span)) return
  const { listed, live, names } = await readKnownSpans(files)
  if (!live.includes(span)) throw spanUnknown([span], [...listed, ...live], names)
}

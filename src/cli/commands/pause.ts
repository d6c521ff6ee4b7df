import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { liveSpans, spanUnknown } from '../../plan/live-spans.ts'
import { takeLock } from '../../run-dir/lock.ts'
import { type Pause, readOwnPauses, readPauses, writePauses } from '../../run-dir/pauses.ts'
import { suggestHint } from '../../spec/schema/did-you-mean.ts'
import { askWatch, watchNames } from '../../watch/serve/ask-watch.ts'
import { everyOwner, listedSpans, readKernelHost } from '../input/known-spans.ts'
import { printEvent } from '../output/progress.ts'
import { commandLine, type Session } from '../session.ts'

interface PauseOptions {
  readonly file: readonly string[]
  readonly insecureFile: boolean
  /** undefined: every span. */
  readonly span: string | undefined
}

/** Milliseconds to wait for the lock: a watch may be in the middle of a run. */
const lockTimeout = 30_000

/** `spanplan pause`: has watches and hooks leave a span, or every span, alone for a while. */
export async function pauseCommand(
  session: Session,
  { span, for: milliseconds, ...options }: PauseOptions & { readonly for: number }
): Promise<ExitCode> {
  if (span !== undefined) await checkSpan(span, options)
  const pause: Pause = { span: span ?? null, until: new Date(Date.now() + milliseconds).toISOString() }
  await changePauses((pauses) => [...pauses.filter((other) => other.span !== pause.span), pause])
  const what = span === undefined ? 'all spans are' : `${span} is`
  const message = `${what} paused until ${localTime(pause.until)}: watch and hook leave ${span === undefined ? 'them' : 'it'} alone`
  if (session.json) printEvent('paused', pause)
  else
    process.stdout.write(`${message}. To end it before: ${['spanplan', 'resume', ...(span ? [span] : [])].join(' ')}\n`)
  return Exit.done
}

/** `spanplan resume`: ends the pause of a span, or every pause. */
export async function resumeCommand(session: Session, { span }: Pick<PauseOptions, 'span'>): Promise<ExitCode> {
  let ended: readonly Pause[] = []
  await changePauses((pauses) => {
    ended = pauses.filter((pause) => span === undefined || pause.span === span)
    if (ended.length === 0 && span !== undefined) throw notPaused(span, pauses)
    return pauses.filter((pause) => !ended.includes(pause))
  })
  if (session.json) printEvent('resumed', { spans: ended.map((pause) => pause.span) })
  else process.stdout.write(`${renderEnded(ended)}\n${span === undefined ? renderPausesLeft() : ''}`)
  return Exit.done
}

function renderEnded(ended: readonly Pause[]): string {
  if (ended.length === 0) return 'Nothing was paused.'
  return `Not paused any more: ${listSpans(ended)}.`
}

/** The pauses in root's run directory, which another user cannot end. */
function renderPausesLeft(): string {
  const { pauses } = readPauses(Date.now())
  return pauses.length === 0 ? '' : `Paused by root: ${listSpans(pauses)}. To end it: sudo spanplan resume\n`
}

function listSpans(pauses: readonly Pause[]): string {
  return pauses.map(({ span }) => span ?? 'all spans').join(', ')
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
  const lock = await takeLock({
    command: commandLine(),
    timeout: lockTimeout,
    signal: new AbortController().signal
  })
  try {
    const own = readOwnPauses(Date.now())
    writePauses({ ...own, pauses: change(own.pauses) })
  } finally {
    lock.release()
  }
  await Promise.all(watchNames().map((name) => askWatch(name, 'resume')))
}

/** Checks that the file or the host knows a span. A file that is broken or missing does not matter. */
async function checkSpan(span: string, options: Omit<PauseOptions, 'span'>): Promise<void> {
  const listed = await listedSpans(options)
  if (listed.includes(span)) return
  const names = [...listed, ...liveSpans({ scope: everyOwner }, await readKernelHost())]
  if (!names.includes(span)) throw spanUnknown([span], names)
}

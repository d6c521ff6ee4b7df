import { Exit, type ExitCode, SpanplanError } from '../../errors.ts'
import { localTime } from '../../local-time.ts'
import { liveSpans } from '../../plan/live-spans.ts'
import { takeLock } from '../../run-dir/lock.ts'
import { type Pause, readOwnPauses, readPauses, writePauses } from '../../run-dir/pauses.ts'
import { suggestHint } from '../../spec/schema/did-you-mean.ts'
import { askWatch, watchNames } from '../../watch/serve/ask-watch.ts'
import { everyone, listedSpans, readLinks, spanUnknown } from '../input/known-spans.ts'
import { printEvent } from '../output/progress.ts'
import type { Session } from '../session.ts'

interface PauseOptions {
  readonly file: readonly string[]
  readonly insecureFile: boolean
  /** undefined: all of them. */
  readonly span: string | undefined
}

/** Milliseconds to wait for another spanplan: a watch may be at work. */
const patience = 30_000

/** `spanplan pause`: keeps watches and hooks off a span, or off all, for a while. */
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
    const all = pauses.find((pause) => pause.span === null)
    if (ended.length === 0 && span !== undefined) throw notPaused(span, pauses, all)
    return pauses.filter((pause) => !ended.includes(pause))
  })
  if (session.json) printEvent('resumed', { spans: ended.map((pause) => pause.span) })
  else process.stdout.write(`${describeEnded(ended)}\n${span === undefined ? describeLeft() : ''}`)
  return Exit.done
}

function describeEnded(ended: readonly Pause[]): string {
  if (ended.length === 0) return 'Nothing was paused.'
  const names = ended.map(({ span }) => span ?? 'all spans')
  return `Not paused any more: ${names.join(', ')}.`
}

/** Of root's, in root's own run directory, another user cannot end any. */
function describeLeft(): string {
  const names = readPauses(Date.now()).pauses.map(({ span }) => span ?? 'all spans')
  return names.length === 0 ? '' : `Paused by root: ${names.join(', ')}. To end it: sudo spanplan resume\n`
}

function notPaused(span: string, pauses: readonly Pause[], all: Pause | undefined): SpanplanError {
  const named = pauses.flatMap((pause) => pause.span ?? [])
  return new SpanplanError({
    code: 'NOT_PAUSED',
    message: `${span} is not paused${all ? `, but all spans together are, until ${localTime(all.until)}` : ''}`,
    hint: all ? 'spanplan resume' : (suggestHint(span, named) ?? `paused are: ${named.join(', ') || 'none'}`)
  })
}

async function changePauses(change: (pauses: readonly Pause[]) => readonly Pause[]): Promise<void> {
  const command = ['spanplan', ...process.argv.slice(2)].join(' ')
  const lock = await takeLock({ command, timeout: patience, signal: new AbortController().signal })
  try {
    const holds = readOwnPauses(Date.now())
    writePauses({ ...holds, pauses: change(holds.pauses) })
  } finally {
    lock.release()
  }
  await Promise.all(watchNames().map((name) => askWatch(name, 'resume')))
}

/** A span that neither the file nor the host knows is a slip of the pen; a file that is broken or missing is no obstacle. */
async function checkSpan(span: string, options: Omit<PauseOptions, 'span'>): Promise<void> {
  const listed = await listedSpans(options)
  if (listed.includes(span)) return
  const names = [...listed, ...liveSpans({ scope: everyone }, await readLinks())]
  if (!names.includes(span)) throw spanUnknown(span, names)
}

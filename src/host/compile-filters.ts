import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { SpanplanError } from '../errors.ts'
import { run, sideBySide, timeLimit } from './exec.ts'
import { compileCommand, parseCompiled } from './parsers/pcap.ts'
import type { Compiled } from './snapshot.ts'

/** What is known of an expression in this process. Times are milliseconds of the monotonic clock. */
interface Entry {
  /** null: nothing yet. */
  readonly result: Compiled | null
  /** The work under way, and since when; null: there is none. */
  readonly work: { readonly done: Promise<void>; readonly since: number } | null
  /** Somebody went on without what the work under way will give. */
  missed: boolean
  /** It is not compiled again before. */
  readonly until: number
  /** How long it took. */
  readonly took: number
}

/** Milliseconds. What takes longer is compiled again only on demand: libpcap's optimiser needs 14 s for 400 networks. */
const quick = 1000

/** Milliseconds after which an expression that tcpdump refused is tried again: a host's name may be known, or a right there. */
const refusalLasts = 10_000

const unknown: Entry = { result: null, work: null, missed: false, until: 0, took: 0 }

const entries = new Map<string, Entry>()
const followers = new Set<() => void>()
const stop = new AbortController()

/**
 * What tcpdump makes of each expression. A process compiles each text once, whatever comes of it, and remembers that.
 *
 * @param patience milliseconds for which the work on one is waited for. After that, what was known before counts; where
 * that is nothing, it is `pending`. null: all is waited for.
 * @throws SpanplanError if tcpdump cannot be run.
 */
export async function compileFilters(
  expressions: readonly string[],
  patience: number | null = null
): Promise<Map<string, Compiled>> {
  const texts = [...new Set(expressions)]
  const now = performance.now()
  begin(texts.filter((text) => now >= (entries.get(text)?.until ?? 0)))
  await Promise.all(texts.map((text) => waitFor(entries.get(text)?.work ?? null, patience)))
  return new Map(
    texts.map((text) => {
      const entry = entries.get(text)
      if (entry?.work) entry.missed = true
      return [text, entry?.result ?? { state: 'pending' }]
    })
  )
}

/**
 * Compiles these again in the background, for a name of a host in one may mean another host by now; all others are forgotten.
 *
 * @param which `quick`: less what takes long.
 */
export function recompileFilters(expressions: readonly string[], which: 'all' | 'quick'): void {
  for (const text of [...entries.keys()]) if (!expressions.includes(text)) entries.delete(text)
  begin([...entries].flatMap(([text, { took }]) => (which === 'quick' && took > quick ? [] : [text])))
}

/** Tells whenever something that somebody has gone on without is compiled, until `signal` ends it, and all work with it. */
export function followFilters(wake: () => void, signal: AbortSignal): void {
  followers.add(wake)
  signal.addEventListener('abort', () => stop.abort(), { once: true })
}

async function waitFor(work: Entry['work'], patience: number | null): Promise<void> {
  if (work === null || patience === null) return work?.done
  const timer = new AbortController()
  const left = Math.max(0, work.since + patience - performance.now())
  const late = sleep(left, undefined, { signal: timer.signal }).catch(() => undefined)
  await Promise.race([work.done, late]).finally(() => timer.abort())
}

/** Begins to compile what is not being compiled already. */
function begin(texts: readonly string[]): void {
  const idle = texts.filter((text) => !entries.get(text)?.work)
  if (idle.length === 0) return
  const done = sideBySide(idle, compileOne)
  const since = performance.now()
  for (const text of idle) entries.set(text, { ...(entries.get(text) ?? unknown), work: { done, since } })
  // Whoever waits for it learns of it too.
  done.catch(() => {
    for (const text of idle) {
      const entry = entries.get(text)
      if (entry?.work?.done === done) entries.set(text, { ...entry, work: null })
    }
  })
}

async function compileOne(text: string): Promise<void> {
  const began = performance.now()
  const result = await compile(text)
  const now = performance.now()
  const before = entries.get(text)
  // It was forgotten meanwhile, or killed.
  if (before === undefined || stop.signal.aborted) return
  const lasts = result.state === 'compiled' || result.state === 'endless' ? Number.POSITIVE_INFINITY : refusalLasts
  entries.set(text, { result, work: null, missed: false, until: now + lasts, took: now - began })
  if (before.missed && !isDeepStrictEqual(result, before.result)) for (const wake of followers) wake()
}

async function compile(expression: string): Promise<Compiled> {
  try {
    return parseCompiled(expression, await run(compileCommand(expression), '', { cancel: stop.signal }))
  } catch (error) {
    const hangs = error instanceof SpanplanError && error.diagnostics.some(({ code }) => code === 'PROGRAM_HANGS')
    if (hangs) return { state: 'endless', limit: timeLimit / 1000 }
    throw error
  }
}

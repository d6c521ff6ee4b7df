import { isDeepStrictEqual } from 'node:util'
import { SpanplanError } from '../errors.ts'
import { commandFailed, forEachConcurrently, mapConcurrently, run, within } from './exec.ts'
import { type Compiled, type CompiledFilters, checkCommand, compileCommand, parseCompiled } from './parsers/pcap.ts'
import { timeLimit } from './process/run-limits.ts'

/** What this process knows of an expression. Times are milliseconds of the monotonic clock. */
interface Entry {
  /** null: not compiled yet. */
  readonly result: Compiled | null
  /** The compilation that is running, and its start; null: none is running. */
  work: { readonly done: Promise<void>; readonly since: number } | null
  /** A caller did not wait for the running compilation. */
  missed: boolean
  /** The result is used until then. */
  readonly until: number
  /** Milliseconds that the compilation took. */
  readonly took: number
}

/** Milliseconds. A slower expression is compiled again only on demand: libpcap's optimiser needs 14 s for 400 networks. */
const quick = 1000

/** Milliseconds until an expression that tcpdump refused is tried again: a port's name may come into /etc/services, or a right be granted. */
const retryRefusedAfter = 10_000

const unknown: Entry = { result: null, work: null, missed: false, until: 0, took: 0 }

const entries = new Map<string, Entry>()
const followers = new Set<() => void>()
const stop = new AbortController()

/**
 * Compiles expressions with tcpdump. A process compiles each expression once, and keeps the result.
 *
 * @param patience milliseconds to wait for each compilation. After that the previous result is returned, or `pending` if there is
 * none. null: no limit.
 * @throws SpanplanError if there is no limit, and tcpdump cannot be run.
 */
export async function compileFilters(
  expressions: readonly string[],
  patience: number | null = null
): Promise<CompiledFilters> {
  const texts = [...new Set(expressions)]
  startCompiling(texts)
  await Promise.all(texts.map((text) => waitFor(entries.get(text)?.work ?? null, patience)))
  const results = resultsOf(texts)
  return patience === null ? throwUnavailable(results) : results
}

/** What is known of expressions by now. Those that are not known are compiled in the background: see {@link followFilters}. */
export function peekFilters(expressions: readonly string[]): CompiledFilters {
  startCompiling(expressions)
  return resultsOf(expressions)
}

function resultsOf(expressions: readonly string[]): CompiledFilters {
  return new Map(
    expressions.map((text): [string, Compiled] => {
      const entry = entries.get(text)
      if (entry?.work) entry.missed = true
      return [text, entry?.result ?? { state: 'pending' }]
    })
  )
}

/**
 * Compiles expressions again in the background: a port's name may stand for another number by now. All others are forgotten.
 *
 * @param which `quick`: leaves out the slow ones.
 */
export function recompileFilters(expressions: readonly string[], which: 'all' | 'quick'): void {
  for (const text of [...entries.keys()]) if (!expressions.includes(text)) entries.delete(text)
  const again = [...entries].flatMap(([text, { took }]) => (which === 'quick' && took > quick ? [] : [text]))
  startCompiling(again, Number.POSITIVE_INFINITY)
}

/** Calls `wake` whenever a compilation ends that a caller did not wait for. `signal` ends that, and all compilations. */
export function followFilters(wake: () => void, signal: AbortSignal): void {
  followers.add(wake)
  signal.addEventListener('abort', () => stop.abort(), { once: true })
}

async function waitFor(work: Entry['work'], patience: number | null): Promise<void> {
  if (work === null || patience === null) return work?.done
  await within(Math.max(0, work.since + patience - performance.now()), work.done)
}

/** Starts to compile the expressions whose results are used no longer at this time, and that are not being compiled already. */
function startCompiling(texts: readonly string[], time = performance.now()): void {
  const idle = texts.filter((text) => !entries.get(text)?.work && time >= (entries.get(text)?.until ?? 0))
  if (idle.length === 0) return
  const work = { done: forEachConcurrently(idle, compileOne), since: performance.now() }
  for (const text of idle) entries.set(text, { ...(entries.get(text) ?? unknown), work })
}

async function compileOne(text: string): Promise<void> {
  const began = performance.now()
  const result = await compile(text)
  const now = performance.now()
  const before = entries.get(text)
  // The expression has been forgotten, or the compilation killed.
  if (before === undefined || stop.signal.aborted) return
  const lifetime =
    result.state === 'compiled' || result.state === 'endless' ? Number.POSITIVE_INFINITY : retryRefusedAfter
  entries.set(text, { result, work: null, missed: false, until: now + lifetime, took: now - began })
  if (before.missed && !isDeepStrictEqual(result, before.result)) for (const wake of followers) wake()
}

/**
 * Compiles expressions only to check them: without a right, and without the host's interfaces.
 *
 * @throws SpanplanError if tcpdump cannot be run.
 */
export async function checkFilters(expressions: readonly string[]): Promise<CompiledFilters> {
  return throwUnavailable(await mapConcurrently([...new Set(expressions)], (text) => compile(text, checkCommand)))
}

function throwUnavailable(results: CompiledFilters): CompiledFilters {
  for (const result of results.values()) if (result.state === 'unavailable') throw result.error
  return results
}

async function compile(expression: string, command = compileCommand): Promise<Compiled> {
  try {
    const argv = command(expression)
    const output = await run(argv, '', { cancel: stop.signal })
    // It ends with 1 where it refuses an expression: with any other status, it could not judge it.
    if (output.status > 1) return { state: 'unavailable', error: commandFailed(argv, output) }
    return parseCompiled(expression, output)
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const hangs = error.diagnostics.some(({ code }) => code === 'PROGRAM_HANGS')
    return hangs ? { state: 'endless', limit: timeLimit / 1000 } : { state: 'unavailable', error }
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { systemCode, systemReason } from '../../errors.ts'
import type { StatsSpec } from '../../spec/items/stats-key.ts'
import { readTail } from '../files/read-tail.ts'
import { askMetrics } from './ask-metrics.ts'
import { parseCaptureLoss } from './parse-capture-loss.ts'
import { parseEve } from './parse-eve.ts'
import { parseMetrics } from './parse-metrics.ts'
import type { NotTold, Told } from './tool-count.ts'

/** What a tool says of itself. A reading is JSON, which another process can use. */
export interface ToolReading {
  readonly stats: StatsSpec
  /** When it was read, in milliseconds since 1970. */
  readonly readAt: number
  readonly told: Told | NotTold
}

/** Milliseconds for all tools together. */
const timeLimit = 2000

/** Bytes that are read of a file, from its end, and of an answer. A row of Zeek has some 60: of a cluster, a thousand processes are read. */
const most = { eve: 1024 * 1024, zeek: 64 * 1024, prometheus: 1024 * 1024 } as const

/** Readings of files that have not ended yet, by their path and kind. */
const pending = new Map<string, Promise<Told | NotTold>>()

/** Reads what tools say of themselves, of all at once. What one of them does not say costs the others nothing. */
export async function readTools(specs: readonly StatsSpec[]): Promise<readonly ToolReading[]> {
  if (specs.length === 0) return []
  const distinct = new Map(specs.map((stats) => [JSON.stringify(stats), stats]))
  const [ended, answered] = [new AbortController(), new AbortController()]
  const late = sleep(timeLimit, undefined, { signal: answered.signal }).then(
    (): NotTold => ({ problem: `it took longer than ${timeLimit / 1000} s` }),
    (): NotTold => ({ problem: '' })
  )
  try {
    return await Promise.all(
      [...distinct.values()].map(async (stats): Promise<ToolReading> => {
        const told = await Promise.race([readTool(stats, ended.signal), late])
        return { stats, readAt: Date.now(), told }
      })
    )
  } finally {
    answered.abort()
    ended.abort()
  }
}

async function readTool(stats: StatsSpec, signal: AbortSignal): Promise<Told | NotTold> {
  if (stats.kind === 'prometheus') {
    const answer = await askMetrics(stats.url, most.prometheus, signal)
    return 'problem' in answer ? answer : parseMetrics(answer.page, stats.received, stats.dropped, Date.now())
  }
  // A file that hangs takes a thread, of which there are few: it is not read again before that has ended.
  const key = JSON.stringify(stats)
  const reading = pending.get(key) ?? readFile(stats).finally(() => pending.delete(key))
  pending.set(key, reading)
  return reading
}

async function readFile({ kind, path }: Exclude<StatsSpec, { kind: 'prometheus' }>): Promise<Told | NotTold> {
  try {
    const tail = await readTail(path, most[kind])
    if ('problem' in tail) return tail
    return kind === 'eve' ? parseEve(tail) : parseCaptureLoss(tail)
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    if (systemCode(error) === 'EAGAIN')
      return {
        problem: 'another program holds the file',
        hint: 'its lease is in /proc/locks, with the process that has it'
      }
    return { problem: systemReason(error, { ENOENT: 'it does not exist', ENOTDIR: 'a part of the path is no folder' }) }
  }
}

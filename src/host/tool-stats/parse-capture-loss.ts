import type { Tail } from '../files/read-tail.ts'
import {
  longestLine,
  type NotTold,
  readCount,
  readJsonLine,
  readTime,
  type Told,
  type ToolCount
} from './tool-count.ts'

/** A row of the log: what one of Zeek's processes has counted since its last row. */
interface Row {
  readonly at: number
  readonly seconds: number
  readonly peer: string
  readonly gaps: number
  readonly acks: number
}

/** In the order in which Zeek writes them (policy/misc/capture-loss.zeek). */
const usualFields: readonly string[] = ['ts', 'ts_delta', 'peer', 'gaps', 'acks', 'percent_lost']

/**
 * Reads the newest rows of Zeek's capture_loss.log, as tabs part them or as JSON. Each process of a cluster writes a row of its own: those
 * of one round are added up.
 */
export function parseCaptureLoss({ text, isCut }: Tail): Told | NotTold {
  const lines = text.split('\n').slice(0, -1)
  let fields = usualFields
  const rows = lines.flatMap((line): Row[] => {
    if (line.length > longestLine) return []
    if (line.startsWith('{')) return readRow(readJsonLine(line) ?? {})
    if (line.startsWith('#fields\t')) fields = line.split('\t').slice(1)
    if (line.startsWith('#')) return []
    const values = line.split('\t')
    return readRow(Object.fromEntries(fields.map((field, index) => [field, fromText(field, values[index] ?? '')])))
  })
  const newest = rows.reduce<Row | null>((last, row) => (last === null || row.at >= last.at ? row : last), null)
  if (newest !== null) return addUp(newest, rows)
  const isEmpty = lines.every((line) => line.startsWith('#'))
  if (isEmpty && !isCut)
    return { problem: 'no row is in it yet', hint: 'Zeek writes one a minute after its start: see whether it runs' }
  return {
    problem: 'no row of it can be read',
    hint: 'name the capture_loss.log of Zeek, as policy/misc/capture-loss writes it'
  }
}

/** Seconds, a month: nobody waits longer for a row. */
const longestInterval = 31 * 24 * 3600

/** The rows of the round of the newest one: that of each process. */
function addUp({ at, seconds }: Row, rows: readonly Row[]): Told | NotTold {
  const round = new Map<string, Row>()
  for (const row of rows) {
    const known = round.get(row.peer)
    if (at - row.at <= (seconds * 1000) / 2 && (known === undefined || row.at >= known.at)) round.set(row.peer, row)
  }
  const sum = (key: 'acks' | 'gaps') => readCount([...round.values()].reduce((total, row) => total + row[key], 0))
  const [received, dropped] = [sum('acks'), sum('gaps')]
  if (received === null || dropped === null) return { problem: 'its numbers are too large' }
  const latest: ToolCount = { at, seconds, received, dropped, gaps: null }
  return { latest, before: null }
}

function readRow({ ts, ts_delta: delta, peer, gaps, acks }: Readonly<Record<string, unknown>>): Row[] {
  // With LogAscii::json_timestamps, a time may be a text.
  const at = typeof ts === 'string' ? readTime(ts) : typeof ts === 'number' ? Math.round(ts * 1000) : null
  const [missed, seen, time] = [readCount(gaps), readCount(acks), readCount(at)]
  if (missed === null || seen === null || time === null) return []
  if (typeof delta !== 'number' || !(delta > 0 && delta <= longestInterval)) return []
  return [{ at: time, seconds: delta, peer: typeof peer === 'string' ? peer : '', gaps: missed, acks: seen }]
}

/** A value of a row that is text. A time may be written as ISO 8601. */
function fromText(field: string, value: string): unknown {
  return field !== 'peer' && /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : value
}

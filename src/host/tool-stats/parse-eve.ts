import type { Tail } from '../files/read-tail.ts'
import {
  asMapping,
  longestLine,
  type NotTold,
  readCount,
  readJsonLine,
  readTime,
  type Told,
  type ToolCount
} from './tool-count.ts'

/** Reads the newest stats events of Suricata's eve.json (output-json-stats.c): their counters are since its start. */
export function parseEve({ text, isCut }: Tail): Told | NotTold {
  const found: ToolCount[] = []
  let isOther = false
  for (const line of findLines(text)) {
    if (found.length === 2) break
    const event = readJsonLine(line)
    if (event === null || event.event_type !== 'stats') continue
    const count = readEvent(event)
    if (count === null) isOther = true
    else found.push(count)
  }
  const [latest, before = null] = found
  if (latest !== undefined) return { latest, before }
  if (isOther)
    return { problem: 'its stats events have no counters of the capture: eve-log needs "stats: {totals: yes}"' }
  if (text === '' && !isCut) return { problem: 'nothing is in it yet' }
  if (!isCut) return { problem: 'no stats event is in it: eve-log needs "stats" among its types' }
  return {
    problem: 'no stats event is in its last MiB: give the stats an eve-log of their own, and name the file of that'
  }
}

/** The lines that may be stats events, from the last one on: the others, which are many, are not even taken apart. */
function* findLines(text: string): Generator<string> {
  let end = text.length
  for (let count = 0; count < mostLines; count++) {
    const at = text.lastIndexOf('"stats"', end)
    if (at === -1) return
    const [start, stop] = [text.lastIndexOf('\n', at) + 1, text.indexOf('\n', at)]
    if (stop - start <= longestLine) yield text.slice(start, stop)
    if (start === 0) return
    end = start - 1
  }
}

/** Lines that look like stats events and may be none, as the alerts about a site for statistics. */
const mostLines = 500

/** null: it has not what a capture counts. A counter that is 0 may be left out. */
function readEvent(event: Readonly<Record<string, unknown>>): ToolCount | null {
  const stats = asMapping(event.stats)
  const at = typeof event.timestamp === 'string' ? readTime(event.timestamp) : null
  if (stats === null || at === null) return null
  const [capture, decoder, tcp] = ['capture', 'decoder', 'tcp'].map((name) => asMapping(stats[name]))
  // With "totals: no", there are only those of each thread.
  if (!capture && !decoder && stats.threads !== undefined) return null
  const [kernel, decoded] = [capture?.kernel_packets, decoder?.pkts]
  const counts = [kernel ?? decoded, capture?.kernel_drops, capture?.kernel_ifdrops, tcp?.reassembly_gap].map(
    (value) => (value === undefined ? 0 : readCount(value))
  )
  const [received = null, drops = null, before = null, gaps = null] = counts
  const seconds = readCount(stats.uptime)
  if (received === null || drops === null || before === null || gaps === null || seconds === null) return null
  const dropped = readCount(drops + before)
  return dropped === null ? null : { at, seconds, received, dropped, gaps }
}

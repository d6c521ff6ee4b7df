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
  let other: NotTold | null = null
  for (const line of findLines(text)) {
    if (found.length === 2) break
    const event = readJsonLine(line)
    if (event === null || event.event_type !== 'stats') continue
    const count = readEvent(event)
    if ('problem' in count) other ??= count
    else found.push(count)
  }
  const [latest, before = null] = found
  if (latest !== undefined) return { latest, before }
  if (other !== null) return other
  if (text === '' && !isCut)
    return { problem: 'nothing is in it yet', hint: 'see whether Suricata runs, and writes there' }
  if (isCut)
    return {
      problem: 'no stats event is in its last MiB',
      hint: 'give the stats an eve-log of their own, and name the file of that'
    }
  return { problem: 'no stats event is in it', hint: 'write "stats" among the "types" of eve-log in suricata.yaml' }
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

const noTotals: NotTold = {
  problem: 'its stats events have no counters of the capture',
  hint: 'write "stats: {totals: yes}" among the "types" of eve-log in suricata.yaml'
}
const outOfRange: NotTold = {
  problem: 'the time or the numbers of its stats events cannot be right',
  hint: 'look at the last line with "event_type":"stats": is it of Suricata?'
}

/** Seconds, ten years: no Suricata runs for longer. */
const longestUptime = 10 * 365 * 24 * 3600

/** A counter that is 0 may be left out. */
function readEvent(event: Readonly<Record<string, unknown>>): ToolCount | NotTold {
  const stats = asMapping(event.stats)
  const at = typeof event.timestamp === 'string' ? readTime(event.timestamp) : null
  if (stats === null || at === null) return outOfRange
  const [capture, decoder, tcp] = ['capture', 'decoder', 'tcp'].map((name) => asMapping(stats[name]))
  // With "totals: no", there are only those of each thread.
  if (!capture && !decoder && stats.threads !== undefined) return noTotals
  const [kernel, decoded] = [capture?.kernel_packets, decoder?.pkts]
  const counts = [kernel ?? decoded, capture?.kernel_drops, capture?.kernel_ifdrops, tcp?.reassembly_gap].map(
    (value) => (value === undefined ? 0 : readCount(value))
  )
  const [captured = null, drops = null, before = null, gaps = null] = counts
  const seconds = readCount(stats.uptime)
  if (captured === null || drops === null || before === null || gaps === null) return outOfRange
  if (seconds === null || seconds > longestUptime) return outOfRange
  // What the interface dropped did not come to the capture.
  const [received, dropped] = [captured, drops].map((count) => readCount(count + before))
  return received == null || dropped == null ? outOfRange : { at, seconds, received, dropped, gaps }
}

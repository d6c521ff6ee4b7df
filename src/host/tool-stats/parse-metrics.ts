import { longestLine, type NotTold, readCount, type Told } from './tool-count.ts'

/**
 * The value of a sample in Prometheus' text format or in OpenMetrics, behind its name: labels, whose values are quoted; perhaps a time, of
 * OpenMetrics in seconds with a fraction; and there an exemplar, of which nothing is read.
 */
const sample = /^(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?[ \t]+(\S+)(?:[ \t]+-?\d+(?:\.\d+)?)?[ \t]*(?:[ \t]# \{.*)?$/

/** The line that ends a page of OpenMetrics. */
const end = /^# EOF\r?$/

/**
 * Reads two counters of a page in Prometheus' text format, or in OpenMetrics. A counter with labels has several values: they are added up.
 *
 * @param at when the page was read, in milliseconds since 1970.
 */
export function parseMetrics(page: string, received: string, dropped: string, at: number): Told | NotTold {
  const all = page.split('\n')
  const last = all.findIndex((line) => end.test(line))
  const lines = last === -1 ? all : all.slice(0, last)
  const [got, lost] = [received, dropped].map((name) => addSamples(lines, name))
  if (got === undefined || typeof got !== 'number') return { problem: got?.problem ?? 'nothing is there' }
  if (lost === undefined || typeof lost !== 'number') return { problem: lost?.problem ?? 'nothing is there' }
  return { latest: { at, seconds: null, received: got, dropped: lost, gaps: null }, before: null }
}

function addSamples(lines: readonly string[], name: string): number | NotTold {
  const values = lines.flatMap((line) => {
    if (!line.startsWith(name) || line.length > longestLine) return []
    const rest = line.slice(name.length).replace(/\r$/, '')
    // Of another metric, whose name begins with this one.
    if (!/^[{ \t]/.test(rest)) return []
    return [Number(sample.exec(rest)?.[1] ?? Number.NaN)]
  })
  if (values.length === 0) return { problem: `no metric ${name} is there` }
  const sum = values.every((value) => readCount(value) !== null)
    ? readCount(values.reduce((total, value) => total + value, 0))
    : null
  return sum ?? { problem: `a value of ${name} is no number of packets` }
}

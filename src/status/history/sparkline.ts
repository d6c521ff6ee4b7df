/** Eighths of a line. The lowest one alone is no frame at all. */
const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const

/** A value in a time; null: not known. */
export interface Timed {
  readonly begin: number
  readonly end: number
  readonly value: number | null
}

/**
 * Draws values over a time in so many characters, from 0 to the greatest. A space is a time of which nothing is known, and the lowest bar
 * is a time in which the value was 0.
 */
export function drawSparkline(values: readonly Timed[], from: number, to: number, width: number): string {
  const step = (to - from) / width
  const means = Array.from({ length: width }, (_, index) =>
    meanIn(values, from + index * step, from + (index + 1) * step)
  )
  const greatest = Math.max(...means.map((mean) => mean ?? 0))
  return means
    .map((mean) => {
      if (mean === null) return ' '
      const height = mean === 0 ? 0 : Math.max(1, Math.round((mean / greatest) * (bars.length - 1)))
      return bars[height] ?? ' '
    })
    .join('')
    .trimEnd()
}

/** null: nothing is known of that time. */
function meanIn(values: readonly Timed[], from: number, to: number): number | null {
  let [sum, time] = [0, 0]
  for (const { begin, end, value } of values) {
    const overlap = Math.min(end, to) - Math.max(begin, from)
    if (value === null || overlap <= 0) continue
    sum += value * overlap
    time += overlap
  }
  return time === 0 ? null : sum / time
}

/** An event as a watch keeps it. */
export interface KeptEvent {
  readonly at: string
  /** null: it is about no single span. */
  readonly span: string | null
  readonly isTrouble: boolean
  /** The line for people, without colours; null: the line of an event beside it says this too. */
  readonly text: string | null
  /** What programs read: its type, and more. */
  readonly event: { readonly type: string }
}

/** What a watch has kept. */
export interface KeptEvents {
  readonly events: readonly KeptEvent[]
  /** The time of the last event that was dropped to make room; null: none was. */
  readonly dropped: string | null
}

/** Milliseconds that an event is kept: a day. */
export const longestKept = 24 * 60 * 60 * 1000

/** Characters of all events together, as JSON. A quiet watch of a hundred spans tells a tenth of that in a day. */
const mostCharacters = 1_000_000

/** An event as it is kept. */
interface Entry {
  /** By the wall clock as it was then, in milliseconds since 1970. */
  readonly time: number
  /** By the monotonic clock: the other one may be set. */
  readonly monotonic: number
  /** Its place among all. */
  readonly number: number
  readonly text: string
}

/** Makes an empty history of events: a day of them, and no more than a megabyte. Of the span that tells most, the oldest go first. */
export function openEventHistory() {
  const bySpan = new Map<string | null, { size: number; entries: Entry[] }>()
  let [size, told] = [0, 0]
  let dropped: number | null = null

  const dropFirst = (span: string | null): Entry | undefined => {
    const own = bySpan.get(span)
    const first = own?.entries.shift()
    if (own === undefined || first === undefined) return undefined
    own.size -= first.text.length
    size -= first.text.length
    if (own.entries.length === 0) bySpan.delete(span)
    return first
  }
  const largest = () => [...bySpan].reduce((most, one) => (one[1].size > most[1].size ? one : most))[0]

  return {
    /**
     * @param now milliseconds since 1970.
     * @param monotonic milliseconds of a clock that nobody sets.
     */
    add: (events: readonly KeptEvent[], now: number, monotonic: number): void => {
      for (const event of events) {
        const text = JSON.stringify(event)
        const own = bySpan.get(event.span) ?? { size: 0, entries: [] }
        bySpan.set(event.span, own)
        own.entries.push({ time: now, monotonic, number: told++, text })
        own.size += text.length
        size += text.length
      }
      for (const [span, { entries }] of bySpan) {
        while ((entries[0]?.monotonic ?? monotonic) < monotonic - longestKept) dropFirst(span)
      }
      while (size > mostCharacters) dropped = Math.max(dropped ?? 0, dropFirst(largest())?.time ?? 0)
    },
    /** The events since a time, in milliseconds since 1970, in their order. */
    since: (start: number): KeptEvents => ({
      events: [...bySpan.values()]
        .flatMap(({ entries }) => entries.filter(({ time }) => time >= start))
        .sort((one, other) => one.number - other.number)
        .map(({ text }) => JSON.parse(text) as KeptEvent),
      dropped: dropped !== null && dropped >= start ? new Date(dropped).toISOString() : null
    })
  }
}

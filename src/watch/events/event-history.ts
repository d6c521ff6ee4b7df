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

/** Makes an empty history of events: a day of them, and no more than a megabyte. The oldest go first. */
export function openEventHistory() {
  const kept: { readonly time: number; readonly text: string }[] = []
  let size = 0
  let dropped: string | null = null
  const dropFirst = () => {
    const first = kept.shift()
    size -= first?.text.length ?? 0
    return first
  }
  return {
    /** @param now milliseconds since 1970. */
    add: (events: readonly KeptEvent[], now: number): void => {
      for (const event of events) {
        const text = JSON.stringify(event)
        kept.push({ time: now, text })
        size += text.length
      }
      while (kept[0] !== undefined && kept[0].time < now - longestKept) dropFirst()
      while (size > mostCharacters) {
        const first = dropFirst()
        if (first !== undefined) dropped = new Date(first.time).toISOString()
      }
    },
    /** The events since a time, in milliseconds since 1970. */
    since: (start: number): KeptEvents => ({
      events: kept.filter(({ time }) => time >= start).map(({ text }) => JSON.parse(text) as KeptEvent),
      dropped: dropped !== null && Date.parse(dropped) >= start ? dropped : null
    })
  }
}

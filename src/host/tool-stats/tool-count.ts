/** What a tool says that it has counted, as packets or, of Zeek, as acknowledgements of TCP. */
export interface ToolCount {
  /** When it said so, in milliseconds since 1970. */
  readonly at: number
  /** For how many seconds it has counted until then: since its start, or since it last said so. null: it does not say. */
  readonly seconds: number | null
  /** What came to it, with what it dropped of that. */
  readonly received: number
  readonly dropped: number
  /** Gaps in the streams of TCP; null: it does not say. */
  readonly gaps: number | null
}

/** What a tool has said last, and the time before; the latter is null where that is not known. */
export interface Told {
  readonly latest: ToolCount
  readonly before: ToolCount | null
}

/** Why it is not known what a tool says. */
export interface NotTold {
  readonly problem: string
  /** What to do; missing: to check what the file of spanplan says. */
  readonly hint?: string
}

/** A number as it may stand for a count: anything else that a tool writes is none. */
export function readCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null
}

/** Characters of the longest line that is read: a stats event of Suricata with 32 threads has about 200,000. */
export const longestLine = 256 * 1024

const time = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(?:Z|([+-]\d\d):?(\d\d))$/

/** Reads ISO 8601 with its zone, as milliseconds since 1970; null: it is no time. Suricata writes a zone without a colon. */
export function readTime(text: string): number | null {
  const [, seconds, fraction = '', hours = '+00', minutes = '00'] = time.exec(text) ?? []
  const found = Date.parse(`${seconds}${fraction.slice(0, 4)}${hours}:${minutes}`)
  return Number.isNaN(found) ? null : found
}

/** What a line of JSON says; null: it is none, or no mapping. */
export function readJsonLine(line: string): Readonly<Record<string, unknown>> | null {
  try {
    return asMapping(JSON.parse(line))
  } catch {
    return null
  }
}

/** A value with keys of its own; null: it is none. */
export function asMapping(value: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  // A cast: whatever is under a key is unknown. Without a prototype, no key is there that the text does not have.
  return Object.assign(Object.create(null), value) as Readonly<Record<string, unknown>>
}

import type { SourceSpec } from '../items/source-item.ts'

/** Which frames of a source are copied. */
export interface Selection {
  /** The pcap-filter(7) expression; null: there is none, or only the program of a live mirror is known. */
  readonly expression: string | null
  /** Nothing is left out: a frame that is not copied is lost. */
  readonly everyFrame: boolean
}

/** What the file selects. */
export function selectionOf({ filter }: Pick<SourceSpec, 'filter'>): Selection {
  return { expression: filter?.expression ?? null, everyFrame: filter === null }
}

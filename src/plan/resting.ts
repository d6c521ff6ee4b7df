/** What a watch leaves alone for a while. What keeps sensors from sending is never left alone. */
export interface Resting {
  /** Things that somebody undoes again and again: the instance of each, by its address. */
  readonly things: ReadonlyMap<string, string>
  /** Spans that fail. */
  readonly spans: ReadonlySet<string>
}

/** Nothing is left alone. */
export const nothingRests: Resting = { things: new Map(), spans: new Set() }

/** What is asked of a change. */
interface Restable {
  readonly address: string
  readonly kind: string
  readonly span: string | null
  readonly action: string
  readonly device: string | null
  readonly instance: string
  readonly closes: boolean
}

type IsPart = (part: Restable, whole: Restable) => boolean

/** What cannot be made while a resource of a kind is missing. */
const dependants: Readonly<Record<string, IsPart>> = {
  bridge: (part, whole) => part.span === whole.span,
  network: (part, whole) => part.span === whole.span && (part.kind === 'sensor' || part.kind === 'note'),
  qdisc: (part, whole) => part.device === whole.device && part.kind === 'mirror'
}

/** The changes without those that rest, and without what cannot be made before those. */
export function leaveResting<Change extends Restable>(
  changes: readonly Change[],
  { things, spans }: Resting
): readonly Change[] {
  if (things.size + spans.size === 0) return changes
  const rests = ({ address, instance, span, closes }: Restable) =>
    !closes && (things.get(address) === instance || spans.has(span ?? ''))
  const missing = changes.filter((change) => change.action !== 'update' && rests(change))
  const isLeft = (change: Restable) =>
    rests(change) || (!change.closes && missing.some((whole) => dependants[whole.kind]?.(change, whole)))
  return changes.filter((change) => !isLeft(change))
}

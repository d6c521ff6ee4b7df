/** What is going on, so that each thing is told once when it begins, and once when it ends. */
export interface Ongoing<Thing> {
  /** This, and nothing else, goes on now. */
  update(things: readonly Thing[]): { readonly begun: readonly Thing[]; readonly ended: readonly Thing[] }
}

/** @param keyOf tells one thing from the other: what has the same key is the same. */
export function openOngoing<Thing>(keyOf: (thing: Thing) => string): Ongoing<Thing> {
  let current = new Map<string, Thing>()
  return {
    update: (things) => {
      const before = current
      current = new Map(things.map((thing) => [keyOf(thing), thing]))
      return {
        begun: [...current].flatMap(([key, thing]) => (before.has(key) ? [] : [thing])),
        ended: [...before].flatMap(([key, thing]) => (current.has(key) ? [] : [thing]))
      }
    }
  }
}

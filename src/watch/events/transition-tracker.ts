/** What is going on, so that each thing is told once when it begins, and once when it ends. */
export interface TransitionTracker<Thing> {
  /**
   * This goes on now.
   *
   * @param isUnknown whether it cannot be told now of what went on before: then it goes on. Without it, all else has ended.
   */
  update(
    things: readonly Thing[],
    isUnknown?: (thing: Thing) => boolean
  ): { readonly begun: readonly Thing[]; readonly ended: readonly Thing[] }
}

/** @param keyOf tells one thing from the other: what has the same key is the same. */
export function trackTransitions<Thing>(keyOf: (thing: Thing) => string): TransitionTracker<Thing> {
  let current = new Map<string, Thing>()
  return {
    update: (things, isUnknown = () => false) => {
      const before = current
      const still = [...before.values()].filter(isUnknown)
      current = new Map([...still, ...things].map((thing) => [keyOf(thing), thing]))
      return {
        begun: [...current].flatMap(([key, thing]) => (before.has(key) ? [] : [thing])),
        ended: [...before].flatMap(([key, thing]) => (current.has(key) ? [] : [thing]))
      }
    }
  }
}

/**
 * Knows which states last, so that each is reported once when it starts, and once when it ends.
 *
 * @param keyOf gives equal keys for equal states.
 */
export function trackTransitions<State>(keyOf: (state: State) => string) {
  let current = new Map<string, State>()
  return {
    /**
     * @param states those that last now.
     * @param isUnknown whether nothing is known now of a state that lasted before: such a state goes on. Without it, every
     * state that is not in `states` has ended.
     * @returns what has started since the last update, and what has ended.
     */
    update: (states: readonly State[], isUnknown: (state: State) => boolean = () => false) => {
      const before = current
      const unknown = [...before.values()].filter(isUnknown)
      current = new Map([...unknown, ...states].map((state) => [keyOf(state), state]))
      return {
        started: [...current].flatMap(([key, state]) => (before.has(key) ? [] : [state])),
        ended: [...before].flatMap(([key, state]) => (current.has(key) ? [] : [state]))
      }
    }
  }
}

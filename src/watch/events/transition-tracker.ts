/** What has started since the last update, and what has ended. */
export interface Transitions<State> {
  readonly started: readonly State[]
  readonly ended: readonly State[]
}

/** Knows which states last, so that each is reported once when it starts, and once when it ends. */
export interface TransitionTracker<State> {
  /**
   * @param states those that last now.
   * @param isUnknown whether nothing is known now of a state that lasted before: such a state goes on. Without it, every state
   * that is not in `states` has ended.
   */
  update(states: readonly State[], isUnknown?: (state: State) => boolean): Transitions<State>
}

/** @param keyOf gives equal keys for equal states. */
export function trackTransitions<State>(keyOf: (state: State) => string): TransitionTracker<State> {
  let current = new Map<string, State>()
  return {
    update: (states, isUnknown = () => false) => {
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

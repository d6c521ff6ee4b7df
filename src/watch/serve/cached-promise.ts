/**
 * Shares what is costly to get: who asks while it is being got, or for a while after, gets the same, be it an error.
 *
 * @param rest milliseconds after which it is got anew.
 */
export function share<T>(get: () => Promise<T>, rest: number): () => Promise<T> {
  let current: { readonly result: Promise<T>; until: number } | null = null
  return () => {
    if (current !== null && performance.now() < current.until) return current.result
    const taken = { result: get(), until: Number.POSITIVE_INFINITY }
    const settle = () => {
      taken.until = performance.now() + rest
    }
    taken.result.then(settle, settle)
    current = taken
    return taken.result
  }
}

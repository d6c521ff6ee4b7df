/**
 * Caches what is costly to get: callers while it is being got, and for a while after, share one result or error.
 *
 * @param lifetimeOf milliseconds for which a result is kept that took so many milliseconds to get.
 */
export function cachePromise<T>(get: () => Promise<T>, lifetimeOf: (took: number) => number): () => Promise<T> {
  let cached: { readonly result: Promise<T>; until: number } | null = null
  return () => {
    if (cached !== null && performance.now() < cached.until) return cached.result
    const start = performance.now()
    const entry = { result: get(), until: Number.POSITIVE_INFINITY }
    const expire = () => {
      const now = performance.now()
      entry.until = now + lifetimeOf(now - start)
    }
    entry.result.then(expire, expire)
    cached = entry
    return entry.result
  }
}

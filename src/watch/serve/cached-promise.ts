/**
 * Caches what is costly to get: callers while it is being got, and for a while after, share one result or error.
 *
 * @param lifetime milliseconds for which a result is kept.
 */
export function cachePromise<T>(get: () => Promise<T>, lifetime: number): () => Promise<T> {
  let cached: { readonly result: Promise<T>; until: number } | null = null
  return () => {
    if (cached !== null && performance.now() < cached.until) return cached.result
    const entry = { result: get(), until: Number.POSITIVE_INFINITY }
    const expire = () => {
      entry.until = performance.now() + lifetime
    }
    entry.result.then(expire, expire)
    cached = entry
    return entry.result
  }
}

/** How walks are searched for one that fails. */
import fc from 'fast-check'

/** Milliseconds for making a shorter walk of one that fails: after that, the shortest so far is reported. */
const SHRINK_MS = 900_000

/** Milliseconds after which a walk hangs: a search takes a few minutes on a quiet machine. */
export const WALK_MS = 3_600_000

/**
 * Takes as many walks.
 *
 * The seed is printed. It is `usual`, so that a run can be repeated, or `WALK_SEED` where that is set; with `WALK_SEED=random`,
 * other walks are taken each time. `WALK_PATH`, as fast-check names it, leads to one walk. With `WALK_QUICK`, a walk that fails
 * is not made shorter.
 */
export async function searchWalks<T>(
  walk: fc.Arbitrary<T>,
  take: (walk: T) => Promise<void>,
  count: number,
  usual: number
): Promise<void> {
  const { WALK_SEED, WALK_PATH, WALK_QUICK } = process.env
  const random = Math.trunc(Math.random() * 2 ** 31)
  const seed = WALK_SEED === undefined ? usual : WALK_SEED === 'random' ? random : Number(WALK_SEED)
  console.info(`random walks: WALK_SEED=${seed}`)
  let end = Number.POSITIVE_INFINITY
  const property = fc.asyncProperty(walk, async (one) => {
    // No walk is shorter that is not taken any more.
    if (performance.now() > end) return
    try {
      await take(one)
    } catch (error) {
      end = Math.min(end, performance.now() + SHRINK_MS)
      throw error
    }
  })
  await fc.assert(property, {
    seed,
    numRuns: count,
    endOnFailure: WALK_QUICK !== undefined,
    ...(WALK_PATH !== undefined && { path: WALK_PATH })
  })
}

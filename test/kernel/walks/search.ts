/** How walks are searched for one that fails. */
import fc from 'fast-check'

/**
 * Takes as many walks.
 *
 * The seed is printed. It is `usual`, so that a run can be repeated, or `WALK_SEED` where that is set; with `WALK_SEED=random`,
 * other walks are taken each time. `WALK_PATH`, as fast-check names it, leads to one walk. With `WALK_QUICK`, a walk that fails
 * is not made shorter.
 */
export async function searchWalks<T>(property: fc.IAsyncProperty<[T]>, count: number, usual: number): Promise<void> {
  const { WALK_SEED, WALK_PATH, WALK_QUICK } = process.env
  const random = Math.trunc(Math.random() * 2 ** 31)
  const seed = WALK_SEED === undefined ? usual : WALK_SEED === 'random' ? random : Number(WALK_SEED)
  console.info(`random walks: WALK_SEED=${seed}`)
  await fc.assert(property, {
    seed,
    numRuns: count,
    endOnFailure: WALK_QUICK !== undefined,
    ...(WALK_PATH !== undefined && { path: WALK_PATH }),
    interruptAfterTimeLimit: SEARCH_MS,
    markInterruptAsFailure: true
  })
}

/** Time for making a shorter walk of one that fails; the walks themselves take a small part of it on any machine. */
const SEARCH_MS = 1_200_000
/** The same, and for the last to end. */
export const WALK_MS = SEARCH_MS + 60_000

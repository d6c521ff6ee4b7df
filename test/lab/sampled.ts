/**
 * What a run of tests takes of many that are alike. With `TEST_ALL`, as before a release, it takes all of them: they are more
 * than there is time for at each commit.
 */

import { groupsOf } from '../../src/host/host-index.ts'

/** Each `step`-th of them, from `first` on: lists that walk through the same moments can take turns. */
export function sampled<T>(all: readonly T[], step: number, first = 0): readonly T[] {
  return process.env.TEST_ALL === undefined ? all.filter((_, index) => index % step === first) : all
}

/** The same of each kind, so that there is one of each, however few it has. */
export function sampledByKind<T>(all: readonly T[], step: number, kindOf: (one: T) => string): readonly T[] {
  return [...groupsOf(all, kindOf).values()].flatMap((alike) => sampled(alike, step))
}

/** So many in a usual run, and so many in one that takes all. */
export function sampledCount(usual: number, all: number): number {
  return process.env.TEST_ALL === undefined ? usual : all
}

import type { Holds } from '../../../src/run-dir/pauses.ts'
import { chainsOf } from '../../../src/status/frame-path.ts'
import { bookLosses } from '../../../src/status/loss-totals.ts'
import type { Measures } from '../../../src/status/metrics.ts'
import { makeReport } from '../../../src/status/report.ts'
import { noHolds, samplesOf, see, type Traffic, watch } from './views.ts'

/** What there is to tell of a host, once frames have passed. */
export function measure(view = see(), traffic: Traffic = {}, state = watch, holds: Holds = noHolds): Measures {
  const { first, later } = samplesOf(view, traffic)
  const chains = chainsOf(view)
  const losses = bookLosses(bookLosses(new Map(), chains, first), chains, later)
  return { report: makeReport({ view, holds, watch: state, first, later }), chains, sample: later, losses }
}

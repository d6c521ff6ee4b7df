import type { Pause } from '../../../src/run-dir/pauses.ts'
import { framePathsOf } from '../../../src/status/counters/frame-path.ts'
import { addLosses } from '../../../src/status/counters/loss-totals.ts'
import type { Measurement } from '../../../src/status/output/metrics.ts'
import { makeReport } from '../../../src/status/report.ts'
import { samplesOf, see, type Traffic, watch } from '../fixtures/converged.ts'

/** What a scrape measures once frames have passed. */
export function measure(
  view = see(),
  traffic: Traffic = {},
  state = watch,
  pauses: readonly Pause[] = []
): Measurement {
  const { first, later, ...about } = samplesOf(view, traffic)
  const paths = framePathsOf(view)
  const losses = addLosses(addLosses(new Map(), paths, first), paths, later)
  return {
    report: makeReport({ view, pauses, watch: state, window: null, first, later, ...about }),
    paths,
    sample: later,
    losses
  }
}

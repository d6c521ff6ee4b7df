/** Graphs to draw: of a file, of the plan's fixture `converged`, and of hosts that differ from it. */
import { join } from 'node:path'
import { SpanplanError } from '../../src/errors.ts'
import { drawFile, type Graph } from '../../src/graph/graph.ts'
import { drawHost } from '../../src/graph/host-graph.ts'
import { type PlanView, planTarget } from '../../src/plan/plan-view.ts'
import { loadSpec } from '../../src/spec/load.ts'
import type { Spec } from '../../src/spec/spec.ts'
import { makeReport, type ReportInput } from '../../src/status/report.ts'
import { converged, fixture, samplesOf, see } from '../lab/fixtures/converged.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'

const load = (text: string) => loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }])

/** The graph of a file alone. */
export const fileGraph = (text: string): Graph => drawFile(load(text))

/** The graph of the fixture's host, or of one like it, with the fixture's file, or one like that. */
export function hostGraph(host = converged, text = fixture('spans.yaml'), more: Partial<ReportInput> = {}): Graph {
  return viewGraph(see(host, text), load(text), more)
}

/** The graph of a plan. */
export function viewGraph(view: PlanView, spec: Spec, more: Partial<ReportInput> = {}): Graph {
  const { later, ...about } = samplesOf(view)
  const report = makeReport({ view, pauses: [], watch: null, window: null, ...about, first: later, later, ...more })
  return drawHost({ spec, spans: spec.spans, view, report })
}

/** The plan of a case; null: it has none. */
export function planCase(name: string) {
  try {
    const path = join(casesFolder, name)
    const host = readSnapshot(path, 'host.json')
    const target = { ...readTarget(path, host.links), patient: true }
    return { view: planTarget(target, readingOf(host)), spec: target.spec }
  } catch (error) {
    if (error instanceof SpanplanError) return null
    throw error
  }
}

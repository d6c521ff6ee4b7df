/** A span with two sensors, as the plan's fixture `converged` has it, with frames on their way. */

import { readFileSync } from 'node:fs'
import type { Sample } from '../../../src/host/read-counters.ts'
import { type PlanView, planTarget } from '../../../src/plan/plan-view.ts'
import { makeTarget, type Target } from '../../../src/plan/target.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import { everySpan } from '../../../src/spec/scope.ts'
import { framePathsOf } from '../../../src/status/counters/frame-path.ts'
import type { ReportInput } from '../../../src/status/report.ts'
import type { WatchState } from '../../../src/status/watch-state.ts'
import { type CapturedHost, factsOf, readHostFile } from '../plan/host-file.ts'

/** A file of the fixture. */
export const fixture = (name: string) =>
  readFileSync(new URL(`../../fixtures/plan/converged/${name}`, import.meta.url), 'utf8')
/** The fixture's host, which is in sync with the file. */
export const converged = readHostFile(fixture('host.json'))

/** The plan view of that host, or one like it, with the fixture's file, or one like that. */
export function see(
  host: CapturedHost = converged,
  text = fixture('spans.yaml'),
  more: Partial<Target> = {}
): PlanView {
  const spec = loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }])
  const scope = { name: spec.name, spans: everySpan }
  const target = makeTarget(spec, { scope, deferDocker: false, patient: true, subnetSeed: 'subnet', ...more })
  return planTarget(target, factsOf(host))
}

/** The frames that come. */
export interface Traffic {
  /** Seconds since the last frame. */
  readonly idle?: number
  /** How many frames come; 1000 if not given. */
  readonly frames?: number
  /** Of the frames that each place has seen, those that did not come to the second port. */
  readonly lost?: number
  /** Whether the interfaces have a carrier; they do if not given. */
  readonly carrier?: boolean
}

/** Samples of the host before and after frames of 100 bytes, one second apart. */
export function samplesOf(
  view: PlanView,
  { idle = 0, frames: all = 1000, lost = 0, carrier = true }: Traffic = {}
): Pick<ReportInput, 'first' | 'later' | 'now' | 'isRoot' | 'advise'> {
  const [path] = framePathsOf(view)
  const sample = (at: number, frames: number): Sample => {
    const links = view.host.links.map(({ index, name, mtu, up }) => {
      const packets = index === 8 ? Math.max(0, frames - lost) : frames
      return {
        index,
        name,
        mtu,
        up,
        running: up && (carrier || name !== 'ens192'),
        carrierChanges: 1,
        rx: { packets, bytes: packets * 100, errors: 0, dropped: 0, missed: 0, over: 0, fifo: 0 },
        tx: { packets, bytes: packets * 100, errors: 0, dropped: 0 }
      }
    })
    return {
      at: at * 1000,
      links,
      mirrors: (path?.mirrors ?? []).map(({ device, tcHook, handle }) => ({
        device,
        tcHook,
        handle,
        target: 'span0',
        overlimits: 0,
        drops: 0,
        ...(tcHook === 'ingress' ? { packets: frames, bytes: frames * 100 } : { packets: 0, bytes: 0 }),
        installed: 90_061 + at,
        idle: tcHook === 'ingress' ? idle : 90_061 + at
      })),
      listeners: (path?.ports ?? []).flatMap(({ sensor }) =>
        sensor
          ? [{ inside: sensor.inside, sockets: [{ cookie: '1', device: 'eth0', hears: 'every', drops: null }] }]
          : []
      ),
      totals: []
    }
  }
  const advise = () => ({ command: 'spanplan apply -f a.yaml' })
  return {
    first: sample(0, 0),
    later: sample(1, all),
    now: Date.parse('2026-01-01T00:00:00.000Z'),
    isRoot: true,
    advise
  }
}

/** A watch that has not run yet. */
export const watch: WatchState = {
  name: 'default',
  pid: 7,
  since: '2026-01-01T00:00:00.000Z',
  dryRun: false,
  ...{
    file: { valid: true, diagnostics: [] },
    last: null,
    lastSuccess: null,
    runs: [],
    drift: 0,
    failedMonitors: [],
    degraded: [],
    sensors: []
  },
  durations: { buckets: [], count: 0, sum: 0 }
}

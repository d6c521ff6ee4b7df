/** A host on which nothing is wrong, as the plan's fixture `converged` has it, for the doctor. */

import { neededModules } from '../../src/doctor/gather/needed-modules.ts'
import type { DoctorReadings, Installation } from '../../src/doctor/readings.ts'
import { parseFirewall } from '../../src/host/nftables/firewall.ts'
import type { PlanView } from '../../src/plan/plan-view.ts'
import { makeTarget } from '../../src/plan/target.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { everySpan } from '../../src/spec/scope.ts'
import { framePathsOf } from '../../src/status/counters/frame-path.ts'
import { makeReport, type ReportInput } from '../../src/status/report.ts'
import { fixture, samplesOf, see, type Traffic, watch } from '../lab/fixtures/converged.ts'

const programs = ['ip', 'tc', 'bridge', 'ethtool', 'tcpdump', 'nft', 'bpftool', 'sysctl', 'flock', 'setpriv', 'unshare']

/** Debian's package, where it installs its command. */
export const packaged: Installation = {
  path: '/usr/bin/spanplan',
  target: '/usr/share/spanplan/bin/spanplan.js',
  isPackaged: true,
  npmPrefix: null
}

/** Those readings, and some that differ. */
export function readingsWith(more: Partial<DoctorReadings> = {}): DoctorReadings {
  const spec = loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(fixture('spans.yaml')) }])
  const view = see()
  return {
    file: {
      state: 'valid',
      target: makeTarget(spec, { scope: { name: spec.name, spans: everySpan }, deferDocker: false, subnetSeed: '' })
    },
    fileArguments: [],
    otherNames: [],
    unitFolder: '/lib/spanplan/examples/systemd',
    node: '20.19.2',
    architecture: 'amd64',
    isRoot: true,
    canAdminister: true,
    canCapture: true,
    programs: new Map(programs.map((name) => [name, { version: '1.0' }])),
    modules: new Map(neededModules(undefined).map((name) => [name, { known: 'loaded' }])),
    docker: {
      state: 'answers',
      address: 'unix:///var/run/docker.sock',
      isNamed: false,
      isPodman: false,
      version: '26.1.5',
      api: '1.45',
      rootless: false,
      liveRestore: { known: true },
      settings: { known: null }
    },
    host: { known: view.host },
    managers: { known: [{ name: 'ens192', manager: null, tcConnection: { known: null } }] },
    spans: reportOn(view),
    runDirectory: null,
    otherFiles: null,
    watches: [{ name: spec.name, socket: '/run/spanplan/net-1.default.watch', state: watch, silent: null }],
    leftFiles: [],
    firewall: { known: parseFirewall({ nftables: [] }) },
    listeners: { known: [] },
    units: {
      known: [
        {
          id: 'spanplan.service',
          loadState: 'loaded',
          activeState: 'active',
          fileState: 'enabled',
          result: 'success',
          exitStatus: '0',
          needsReload: false,
          file: '/usr/lib/systemd/system/spanplan.service',
          hidden: null,
          program: '/usr/bin/spanplan',
          mainPid: 7
        }
      ]
    },
    installations: [{ ...packaged }],
    ...more
  }
}

/** What the doctor knows of the spans of a plan. */
export function reportOn(
  view: PlanView,
  traffic: Traffic = {},
  window: ReportInput['window'] = null
): Extract<DoctorReadings['spans'], { readonly known: unknown }> {
  const samples = samplesOf(view, traffic)
  const report = makeReport({ view, pauses: [], watch, window, ...samples })
  const advise = () => ({ command: 'spanplan apply' })
  return { known: { conflicts: null, view, advise, report, paths: framePathsOf(view), sample: samples.later } }
}

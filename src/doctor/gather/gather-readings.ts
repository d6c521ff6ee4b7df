import { setTimeout as sleep } from 'node:timers/promises'
import { type Diagnostic, diagnosticOf, SpanplanError } from '../../errors.ts'
import { hasCapability, isRoot } from '../../host/process/process-rights.ts'
import { ownArchitecture } from '../../host/tunnels/kernel-modules.ts'
import { readHostFor } from '../../look/read-host.ts'
import { viewLive } from '../../plan/live-view.ts'
import { type HostReading, planTarget } from '../../plan/plan-view.ts'
import { findFaultyFilters } from '../../plan/resolve/filter-errors.ts'
import { makeDestroyTarget, type Target } from '../../plan/target.ts'
import { findRunDistrust } from '../../run-dir/folder.ts'
import { adviseApply, adviseNothing, type OtherFiles } from '../../status/advice.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { makeReport, readMoment } from '../../status/report.ts'
import { findOtherFiles } from '../../watch/serve/other-files.ts'
import type { Known } from '../known.ts'
import type { DockerReading, DoctorReadings, DoctorRequest, SpansReading, WatchReading } from '../readings.ts'
import { spanplanLine } from '../wording.ts'
import { doctorLimits, filterPatience } from './doctor-limits.ts'
import { findInstallations } from './installations.ts'
import { readManagers } from './managers.ts'
import { readModules } from './needed-modules.ts'
import { isPodmanWithoutSpans, readDockerDaemon } from './read-docker-daemon.ts'
import { readFirewall } from './read-firewall.ts'
import { readPacketListeners } from './read-packet-listeners.ts'
import { readPrograms } from './read-programs.ts'
import { readUnits } from './systemd.ts'
import { findLeftFiles, readWatches } from './watches.ts'

/** Milliseconds between the two samples of the counters. */
const sampleTime = 200

/** Gathers all that the checks rest on. It changes nothing, and whatever hangs is given up after some seconds. */
export async function gatherReadings(request: DoctorRequest): Promise<DoctorReadings> {
  const target = request.file.state === 'valid' ? request.file.target : null
  const [{ docker, planned }, programs, modules, units, watches, otherFiles, firewall, listeners] = await Promise.all([
    readPlanned(target),
    readPrograms(),
    readModules(target?.spec),
    readUnits(),
    readWatches(target?.spec.name ?? null),
    target === null ? null : findOtherFiles(target),
    readFirewall(),
    readPacketListeners()
  ])
  return {
    ...request,
    node: process.versions.node,
    architecture: ownArchitecture,
    isRoot: isRoot(),
    canAdminister: hasCapability('CAP_NET_ADMIN'),
    canCapture: hasCapability('CAP_NET_RAW'),
    programs,
    modules: new Map(modules),
    docker,
    units,
    watches,
    otherFiles,
    firewall,
    listeners,
    ...('unknown' in planned
      ? { host: planned, managers: planned, spans: planned }
      : await describeSpans(request, planned.known, watches, otherFiles)),
    runDirectory: findRunDistrust(),
    leftFiles: findLeftFiles(),
    installations: findInstallations()
  }
}

/** What was read for the target. */
interface Planned extends Pick<SpansReading, 'conflicts' | 'view'> {
  /** The target of the plan; null: there is no plan. */
  readonly target: Target | null
  /** Why the file is invalid, where only its filters show that. */
  readonly faults: readonly Diagnostic[]
}

async function readPlanned(
  file: Target | null
): Promise<{ readonly docker: DockerReading; readonly planned: Known<Planned> }> {
  const docker = await readDockerDaemon()
  // What such a Podman answers about containers can be used; about networks it cannot.
  const wantsNetwork = file?.spec.spans.some(({ network }) => network !== null) ?? true
  const deferDocker = docker.state === 'unreachable' ? docker.hangs : isPodmanWithoutSpans(docker) && wantsNetwork
  const target = file === null ? makeDestroyTarget(null, { deferDocker }) : { ...file, deferDocker, filterPatience }
  const planned = await readKnown(async () => plan(file && target, await readHostFor(target, doctorLimits)))
  return { docker, planned }
}

/** The plan for a target; or what is live, where there is none. */
function plan(target: Target | null, reading: HostReading): Planned {
  const live = () => ({ view: viewLive(reading.host, target?.names), target: null, faults: [] })
  if (target === null) return { ...live(), conflicts: [] }
  const faults = findFaultyFilters(target.spec, reading.filters)
  if (faults.length > 0) return { ...live(), conflicts: [], faults }
  try {
    return { view: planTarget(target, reading), target, conflicts: null, faults }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return { ...live(), conflicts: error.diagnostics }
  }
}

async function readKnown<T>(read: () => Promise<T>): Promise<Known<T>> {
  try {
    return { known: await read() }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return { unknown: `the host cannot be read: ${diagnosticOf(error).message}` }
  }
}

async function describeSpans(
  request: DoctorRequest,
  { view, target, conflicts, faults }: Planned,
  watches: readonly WatchReading[],
  otherFiles: OtherFiles | null
): Promise<Pick<DoctorReadings, 'file' | 'host' | 'managers' | 'spans'>> {
  const spans = await readKnown(async (): Promise<SpansReading> => {
    const paths = framePathsOf(view)
    const first = await takeSample(paths)
    await sleep(sampleTime)
    const sample = await takeSample(paths)
    const watch = watches.find(({ name }) => name === view.desired.owner)?.state ?? null
    const write = (span: string | null) => spanplanLine(request, 'apply', ...(span === null ? [] : ['--span', span]))
    const advise = target === null ? adviseNothing : adviseApply(target, view, write, otherFiles)
    const report = makeReport({ view, watch, first, later: sample, advise, ...readMoment() })
    return { conflicts, view, advise, report, paths, sample }
  })
  return {
    file:
      faults.length === 0
        ? request.file
        : { state: 'invalid', faults: faults.map((diagnostic) => ({ diagnostic, command: null })) },
    host: { known: view.host },
    managers: readManagers(view),
    spans
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { type Diagnostic, diagnosticOf, SpanplanError } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { hasCapability, isRoot } from '../../host/process/process-rights.ts'
import type { Link } from '../../host/snapshot.ts'
import { readHostFor } from '../../look/read-host.ts'
import { viewLive } from '../../plan/live-view.ts'
import { type HostReading, type PlanView, planTarget } from '../../plan/plan-view.ts'
import { findFaultyFilters } from '../../plan/resolve-filter.ts'
import { makeDestroyTarget, type Target } from '../../plan/target.ts'
import { linksOf } from '../../resources/desired-state.ts'
import { findRunDistrust } from '../../run-dir/folder.ts'
import { readPauses } from '../../run-dir/pauses.ts'
import { readWindowTime } from '../../run-dir/window-time.ts'
import { adviseApply, adviseNothing, type OtherFiles } from '../../status/advice.ts'
import { framePathsOf, takeSample } from '../../status/counters/frame-path.ts'
import { makeReport } from '../../status/report.ts'
import { findOtherFiles } from '../../watch/serve/other-files.ts'
import type {
  DockerReading,
  DoctorReadings,
  DoctorRequest,
  FileReading,
  Known,
  SpansReading,
  WatchReading
} from '../readings.ts'
import { spanplanLine } from '../wording.ts'
import { doctorLimits, filterPatience } from './doctor-limits.ts'
import { findInstallations } from './installations.ts'
import { moduleNames, readModule } from './kernel-modules.ts'
import { readManagers } from './managers.ts'
import { isPodmanWithoutSpans, readDockerDaemon } from './read-docker-daemon.ts'
import { readPacketListeners } from './read-packet-listeners.ts'
import { readPrograms } from './read-programs.ts'
import { readUnits } from './systemd.ts'
import { findLeftFiles, readWatches } from './watches.ts'

/** Milliseconds between the two samples of the counters. */
const sampleTime = 200

/** Node's names of processors, and Debian's. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** Gathers all that the checks rest on. It changes nothing, and whatever hangs is given up after some seconds. */
export async function gatherReadings(request: DoctorRequest): Promise<DoctorReadings> {
  const target = request.file.state === 'valid' ? request.file.target : null
  const [spans, programs, modules, units, watches, otherFiles, listeners] = await Promise.all([
    readSpans(target),
    readPrograms(),
    Promise.all(moduleNames.map(async (name) => [name, await tryToReadModule(name)] as const)),
    readUnits(),
    readWatches(target?.spec.name ?? null),
    target === null ? null : findOtherFiles(target),
    readPacketListeners()
  ])
  return {
    ...request,
    file: spans.file ?? request.file,
    node: process.versions.node,
    architecture: architectures[process.arch] ?? process.arch,
    isRoot: isRoot(),
    canAdminister: hasCapability('CAP_NET_ADMIN'),
    canCapture: hasCapability('CAP_NET_RAW'),
    programs,
    modules: new Map(modules),
    docker: spans.docker,
    units,
    watches,
    otherFiles,
    listeners,
    host: 'known' in spans.reading ? { known: spans.reading.known.host } : spans.reading,
    managers: managersIn(spans.reading, spans.view),
    spans: await reportOn(request, spans, watches, otherFiles),
    runDirectory: findRunDistrust(),
    leftFiles: findLeftFiles(),
    installations: findInstallations()
  }
}

async function tryToReadModule(name: (typeof moduleNames)[number]) {
  const state = await readModule(name)
  return state === null
    ? { unknown: `whether the kernel has ${name} is not known: neither modprobe nor its configuration is here` }
    : { known: state }
}

/** What was read for the target. */
interface Reading {
  readonly docker: DockerReading
  readonly reading: Known<HostReading>
  /** The plan; or what is live, where there is none. null: the host could not be read. */
  readonly view: PlanView | null
  /** The target of the plan; null: there is no plan. */
  readonly target: Target | null
  readonly conflicts: readonly Diagnostic[] | null
  /** The file, where only its filters show that it is invalid. */
  readonly file?: FileReading
}

async function readSpans(file: Target | null): Promise<Reading> {
  const docker = await readDockerDaemon()
  // What such a Podman answers about containers can be used; about networks it cannot.
  const wantsNetwork = file?.spec.spans.some(({ network }) => network !== null) ?? true
  const deferDocker = docker.state === 'unreachable' ? docker.hangs : isPodmanWithoutSpans(docker) && wantsNetwork
  const nothing = makeDestroyTarget(null, { deferDocker })
  const target = file === null ? nothing : { ...file, deferDocker, filterPatience }
  const reading = await readKnown(() => readHostFor(target, doctorLimits))
  if (!('known' in reading)) return { docker, reading, view: null, target: null, conflicts: null }
  const live = (conflicts: readonly Diagnostic[]) => {
    return { docker, reading, view: viewLive(reading.known.host), target: null, conflicts }
  }
  if (file === null) return live([])
  const faults = findFaultyFilters(file.spec, reading.known.filters)
  if (faults.length > 0) {
    return {
      ...live([]),
      file: { state: 'invalid', faults: faults.map((diagnostic) => ({ diagnostic, command: null })) }
    }
  }
  try {
    return { docker, reading, view: planTarget(target, reading.known), target, conflicts: null }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return live(error.diagnostics)
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

function managersIn(reading: Known<HostReading>, view: PlanView | null): DoctorReadings['managers'] {
  if (!('known' in reading)) return reading
  if (view === null) return { unknown: 'without the host, its interfaces are not known' }
  return readManagers(managedLinks(view))
}

/** The interfaces that are mirrored, and the bridges of the spans with their ports. */
function managedLinks({ desired, host }: PlanView): Link[] {
  const links = desired.spans.flatMap(({ name, mirrors }) => [...linksOf(mirrors), ...bridgeOf(host, name)])
  return [...new Map(links.map((link) => [link.index, link])).values()]
}

function bridgeOf(host: HostIndex, name: string): readonly Link[] {
  const bridge = host.linkOf(name)
  return bridge?.bridge ? [bridge, ...host.portsOf(name)] : []
}

async function reportOn(
  request: DoctorRequest,
  { reading, view, target, conflicts }: Reading,
  watches: readonly WatchReading[],
  otherFiles: OtherFiles | null
): Promise<DoctorReadings['spans']> {
  if (view === null) return 'unknown' in reading ? reading : { unknown: 'there is no plan' }
  return readKnown(async (): Promise<SpansReading> => {
    const paths = framePathsOf(view)
    const first = await takeSample(paths)
    await sleep(sampleTime)
    const sample = await takeSample(paths)
    const watch = watches.find(({ name }) => name === view.desired.owner)?.state ?? null
    const now = Date.now()
    const write = (span: string | null) => spanplanLine(request, ...applyWords(span))
    const advise = target === null ? adviseNothing : adviseApply(target, view, write, otherFiles)
    const report = makeReport({
      view,
      pauses: readPauses(now).pauses,
      watch,
      window: readWindowTime(),
      now,
      isRoot: isRoot(),
      first,
      later: sample,
      advise
    })
    return { conflicts, view, advise, report, paths, sample }
  })
}

const applyWords = (span: string | null) => ['apply', ...(span === null ? [] : ['--span', span])]

import type { Diagnostic, Fault } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Firewall } from '../host/nftables/firewall.ts'
import type { PacketListener } from '../host/parsers/packet-listeners.ts'
import type { Sample } from '../host/read-counters.ts'
import type { Manager } from '../host/snapshot.ts'
import type { ModuleName, ModuleState } from '../host/tunnels/kernel-modules.ts'
import type { PlanView } from '../plan/plan-view.ts'
import type { Target } from '../plan/target.ts'
import type { AdviseApply, OtherFiles } from '../status/advice.ts'
import type { FramePath } from '../status/counters/frame-path.ts'
import type { Report } from '../status/report.ts'
import type { FoundWatch } from '../watch/serve/find-watch.ts'
import type { UnitReading } from './gather/systemd.ts'
import type { Known } from './known.ts'

/** The files as the command line names them. */
export type FileReading =
  | { readonly state: 'valid'; readonly target: Target }
  | { readonly state: 'missing'; readonly diagnostic: Diagnostic }
  | { readonly state: 'invalid'; readonly faults: readonly Fault[] }

/** What the command line gives. */
export interface DoctorRequest {
  readonly file: FileReading
  /** The options that name the files, for the commands that are printed. */
  readonly fileArguments: readonly string[]
  /** The names that other files of this host give to spans. */
  readonly otherNames: readonly string[]
  /** The folder of the units that come with spanplan. */
  readonly unitFolder: string
}

/** A program: its version (empty where it does not say one), or why it cannot be run. */
export type ProgramReading = { readonly version: string } | { readonly missing: string }

/** Docker, or what answers in its place. */
export type DockerReading =
  | {
      readonly state: 'unreachable'
      readonly reason: Diagnostic
      /** It took the connection, and did not answer in time. */
      readonly hangs: boolean
      /** Whether a dockerd is installed. */
      readonly installed: boolean
    }
  | {
      readonly state: 'answers'
      readonly address: string
      /** DOCKER_HOST names the socket. */
      readonly isNamed: boolean
      /** Podman answers in Docker's place. */
      readonly isPodman: boolean
      readonly version: string
      readonly api: string
      /** A user's own: its networks are not the host's. */
      readonly rootless: boolean
      readonly liveRestore: Known<boolean>
      /** What is in /etc/docker/daemon.json; null: there is no such file. */
      readonly settings: Known<string | null>
    }

/** The spans of the file on this host; where there is no plan for a file, those that are live. */
export interface SpansReading {
  /** All that keeps spanplan from making a plan for the file; null: there is a plan. Empty: there is no file to plan. */
  readonly conflicts: readonly Diagnostic[] | null
  readonly view: PlanView
  /** What to do about what differs from the file. */
  readonly advise: AdviseApply
  readonly report: Report
  readonly paths: readonly FramePath[]
  /** The later of the report's samples. */
  readonly sample: Sample
}

/** A watch that has a socket in the run directory, or that holds its name. */
export type WatchReading = FoundWatch & { readonly name: string }

/** A spanplan that the search path leads to. */
export interface Installation {
  /** Where the search path has it. */
  readonly path: string
  /** The file behind that. */
  readonly target: string
  /** It is of Debian's package. */
  readonly isPackaged: boolean
  /** The prefix of the npm that has installed it; null: none has. */
  readonly npmPrefix: string | null
}

/** Who manages an interface. */
export interface ManagerReading {
  readonly name: string
  readonly manager: Manager | null
  /** The UUID of NetworkManager's connection that sets queueing disciplines or filters; null: none does. */
  readonly tcConnection: Known<string | null>
}

/** All that the checks rest on. */
export interface DoctorReadings extends DoctorRequest {
  /** Of Node.js, as in `20.19.2`. */
  readonly node: string
  /** As Debian names it. */
  readonly architecture: string
  readonly isRoot: boolean
  readonly canAdminister: boolean
  readonly canCapture: boolean
  readonly programs: ReadonlyMap<string, ProgramReading>
  readonly modules: ReadonlyMap<ModuleName, Known<ModuleState>>
  readonly docker: DockerReading
  readonly host: Known<HostIndex>
  readonly managers: Known<readonly ManagerReading[]>
  /** What the chains of nftables let in and out. */
  readonly firewall: Known<Firewall>
  /** The packet sockets of this network namespace that get every frame. */
  readonly listeners: Known<readonly PacketListener[]>
  readonly spans: Known<SpansReading>
  /** Why the run directory is not used; null: it is. */
  readonly runDirectory: Fault | null
  readonly watches: readonly WatchReading[]
  /** What a watch keeps instead of the file; null: it keeps the file, or none runs. */
  readonly otherFiles: OtherFiles | null
  /** Files of the run directory that a killed process has left. */
  readonly leftFiles: readonly string[]
  readonly units: Known<readonly UnitReading[]>
  /** In the order of the search path. */
  readonly installations: readonly Installation[]
}

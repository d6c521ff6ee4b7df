import type { Origin } from '../errors.ts'
import type { Container, Link, Program } from '../host/snapshot.ts'
import type { Scope } from '../spec/scope.ts'
import type { NetworkSpec, TcHook } from '../spec/spec.ts'
import type { MarkInventory } from './mark-inventory.ts'
import type { InterfaceSetting } from './marks.ts'

/** The name of a source, in parts: an interface's name; or a container's name, and the Docker network of its interface. */
export type SourceId = readonly [string, ...string[]]

/** A network device of this host. */
export interface Device {
  readonly name: string
  /** null: the device does not exist yet. */
  readonly link: Link | null
}

/** One hook of one device, whose frames are copied into a span. */
export interface CopyPoint {
  readonly source: SourceId
  readonly device: Device
  /** tc's hook, as the host sees it. */
  readonly tcHook: TcHook
  /** The direction, as the source sees it. */
  readonly direction: TcHook
  readonly expression: string | null
  /** null: not known. A live program stays as it is. */
  readonly program: Program | null
  /** What the device needs besides its clsact qdisc. */
  readonly settings: readonly InterfaceSetting[]
  /** Milliseconds without a frame after which the source is unhealthy; null: no limit. */
  readonly maxIdle: number | null
  /** The place of the source in the file: the same for all copy points of a source. */
  readonly origin: Origin
}

/** A container to connect. */
export interface DesiredSensor {
  readonly container: Container
  /** The name for its interface; null: as it is, or as Docker chooses. */
  readonly interfaceName: string | null
  readonly origin: Origin
}

/** One span of the file, with its names resolved on this host. */
export interface DesiredSpan {
  readonly name: string
  readonly description: string | null
  /** Bytes. */
  readonly mtu: number
  readonly wire: boolean
  readonly sealed: boolean
  readonly mirrors: readonly CopyPoint[]
  readonly network: NetworkSpec | null
  /** The containers that exist. Those that do not are waits. */
  readonly sensors: readonly DesiredSensor[]
  readonly origin: Origin
}

/** The desired spans of a command, without the marks of the host. */
export interface DesiredSpans {
  /** The owner in the marks of what is made. */
  readonly owner: string
  readonly scope: Scope
  readonly spans: readonly DesiredSpan[]
  /** The names of all spans of the file and of the host: a mirror whose target is gone may belong to any of them. */
  readonly known: readonly string[]
  /** By index: interfaces to consider though no span copies from them and no mark describes them. */
  readonly also: ReadonlySet<number>
  /** The names of interfaces that are going down: spanplan does not set these up. */
  readonly goingDown: ReadonlySet<string>
}

/** The desired spans, with the marks of the host. */
export interface DesiredState extends DesiredSpans {
  readonly marks: MarkInventory
}

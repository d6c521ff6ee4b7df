import type { Origin } from '../errors.ts'
import type { Container, Link, Program } from '../host/snapshot.ts'
import type { Scope } from '../spec/scope.ts'
import type { NetworkSpec, TcHook } from '../spec/spec.ts'
import type { MarkInventory } from './mark-inventory.ts'
import type { InterfaceSetting } from './marks.ts'

/** What a source is called, in parts: an interface's name; a container's, and the Docker network of one of its interfaces. */
export type SourceId = readonly [string, ...string[]]

/** A network device of this host. */
export interface Device {
  readonly name: string
  /** null: it is not there yet. */
  readonly link: Link | null
}

/** One hook of one device, to be copied into a span. */
export interface CopyPoint {
  readonly source: SourceId
  readonly device: Device
  /** tc's hook, as the host sees it. */
  readonly tcHook: TcHook
  /** The direction, as the source sees it. */
  readonly direction: TcHook
  readonly expression: string | null
  /** null: it is not known. A program that is there stays. */
  readonly program: Program | null
  /** What the device needs besides its clsact qdisc. */
  readonly settings: readonly InterfaceSetting[]
  /** Milliseconds without any frame of this source after which it is unhealthy; null: however long. */
  readonly maxIdle: number | null
  /** Of the source: all copy points of one have the same. */
  readonly origin: Origin
}

/** A container that is to be connected. */
export interface DesiredSensor {
  readonly container: Container
  /** What its interface is to be called; null: as it is, or as Docker chooses. */
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
  /** The containers that exist; the others wait. */
  readonly sensors: readonly DesiredSensor[]
  readonly origin: Origin
}

/** What a command wants of the host, whatever marks the host bears. */
export interface DesiredSpans {
  /** The owner of what is made. */
  readonly owner: string
  readonly scope: Scope
  readonly spans: readonly DesiredSpan[]
  /** The names of spans, of the file and of the host, that a mirror without a target may belong to. */
  readonly known: readonly string[]
  /** By index: interfaces that concern it though no span copies from them and no mark speaks of them. */
  readonly also: ReadonlySet<number>
  /** The names of interfaces that are going down: whether they are up is for whoever takes them down to say. */
  readonly goingDown: ReadonlySet<string>
}

/** The same, beside the marks that the host bears. */
export interface DesiredState extends DesiredSpans {
  readonly marks: MarkInventory
}

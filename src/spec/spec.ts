import type { ItemId, Origin } from '../errors.ts'
import type { InterfaceSpec } from './interfaces.ts'
import type { SourceByKind } from './sources/registry.ts'
import type { ContainerSelector } from './values/container-selector.ts'
import type { Direction } from './values/direction.ts'
import type { Written } from './yaml/tree.ts'

/** A file as it is on disk. */
export interface SourceFile {
  readonly path: string
  readonly bytes: Uint8Array
  /** The path to which a link has led, out of the folder in which the user named it: nothing of the file is printed. */
  readonly elsewhere?: string
}

/** A pcap-filter(7) expression. */
export interface FilterSpec {
  readonly expression: string
  readonly origin: Origin
  /** For the places within the expression. */
  readonly written: Written
}

/** What a span copies from, with its defaults filled in. */
export type SourceSpec = SourceByKind & {
  readonly id: ItemId
  /** At least one. */
  readonly directions: readonly Direction[]
  /** null: every frame. */
  readonly filter: FilterSpec | null
  /** Milliseconds without any frame after which the source is unhealthy; null: never. */
  readonly maxIdle: number | null
  readonly origin: Origin
}

/** What a span copies from, of one kind. */
export type SourceOf<Kind extends SourceSpec['kind']> = Extract<SourceSpec, { readonly kind: Kind }>

/** The Docker network that hands out a span. */
export interface NetworkSpec {
  readonly name: string
  /** An IPv4 prefix as the user wrote it; null: a free one is chosen. */
  readonly subnet: string | null
  readonly origin: Origin
}

/** The containers to connect. */
export type SensorSpec = ContainerSelector & {
  readonly id: ItemId
  /** The name of the interface in the container; null: Docker chooses. */
  readonly interfaceName: string | null
  readonly origin: Origin
}

/** One span, with its defaults filled in. */
export interface SpanSpec {
  /** Also the name of the bridge. */
  readonly name: string
  readonly description: string | null
  readonly sources: readonly SourceSpec[]
  /** null: no Docker network. */
  readonly network: NetworkSpec | null
  readonly sensors: readonly SensorSpec[]
  /** Bytes, or `auto`: that of the largest source. */
  readonly mtu: number | 'auto'
  readonly wire: boolean
  readonly sealed: boolean
  readonly origin: Origin
}

/** All files merged and checked, with defaults filled in and the place of every value. */
export interface Spec {
  /** The owner's name. */
  readonly name: string
  readonly files: readonly string[]
  /** `sha256:` and 64 hex digits, over the files' bytes in order. */
  readonly digest: string
  readonly interfaces: readonly InterfaceSpec[]
  readonly spans: readonly SpanSpec[]
}

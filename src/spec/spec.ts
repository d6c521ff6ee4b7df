import type { Origin } from '../errors.ts'
import type { InterfaceSpec } from './interfaces.ts'
import type { SourceByKind } from './sources/registry.ts'
import type { ContainerSelector } from './values/container-selector.ts'

/** Which way a frame passes the source: received by it, or sent by it. One tc hook each. */
export type TcHook = 'ingress' | 'egress'

/** Which way frames are copied. */
export type Direction = TcHook | 'both'

/** A file as read from disk, before anything is known of its content. */
export interface SourceFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** What a span copies from, with its defaults filled in. */
export type SourceSpec = SourceByKind & {
  readonly direction: Direction
  /** A pcap-filter(7) expression, or null for every frame. */
  readonly filter: { readonly expression: string; readonly origin: Origin } | null
  /** Milliseconds without any frame after which the source is unhealthy; null: never. */
  readonly maxIdle: number | null
  readonly origin: Origin
}

/** The Docker network that hands a span out. */
export interface NetworkSpec {
  readonly name: string
  /** An IPv4 prefix as the user wrote it, or null for a free one. */
  readonly subnet: string | null
  readonly origin: Origin
}

/** Containers that are to be connected. */
export type SensorSpec = ContainerSelector & {
  /** What the interface is to be called in the container; null: Docker chooses. */
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
  /** Bytes, or `auto`: the largest source's. */
  readonly mtu: number | 'auto'
  readonly wire: boolean
  readonly sealed: boolean
  readonly origin: Origin
}

/** All files put together, checked, with defaults filled in and every value's place kept. */
export interface Spec {
  /** Whose these spans are. */
  readonly name: string
  readonly files: readonly string[]
  /** `sha256:` and 64 hex digits, over the files' bytes in order. */
  readonly digest: string
  readonly interfaces: readonly InterfaceSpec[]
  readonly spans: readonly SpanSpec[]
}

import type { Origin } from '../errors.ts'

/** Which way a frame passes the source: received by it, or sent by it. One tc hook each. */
export type TcHook = 'ingress' | 'egress'

/** Which way frames are copied. */
export type Direction = TcHook | 'both'

/** A file as read from disk, before anything is known of its content. */
export interface SourceFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** How a card is found: by its name (altnames too) or by its permanent MAC address, lower case with colons. */
export type InterfaceMatch = { readonly name: string } | { readonly macaddress: string }

/** What the file says of one card. A card that only `sources` name has no entry. */
export interface InterfaceSpec {
  readonly key: string
  readonly match: InterfaceMatch
  /** A capture-only card: no ARP, no IPv6, nothing merged by GRO or LRO. */
  readonly dedicated: boolean
  readonly origin: Origin
}

/** What a span copies from. */
export interface SourceSpec {
  /** A key of `interfaces`, or a device. */
  readonly interface: string
  /** The default is filled in: `both`, `ingress` for a dedicated card. */
  readonly direction: Direction
  /** A pcap-filter(7) expression, or null for every frame. */
  readonly filter: { readonly expression: string; readonly origin: Origin } | null
  /** Milliseconds without any frame after which it is unhealthy; null: however long. */
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

/** Which containers are meant: the one of a name, or however many have a label, or are of a Compose service. */
export type ContainerSelector =
  | { readonly container: string }
  | { readonly label: { readonly key: string; readonly value: string } }
  | { readonly compose: { readonly project: string; readonly service: string } }

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

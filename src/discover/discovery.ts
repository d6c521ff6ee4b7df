import type { ClassFilter, Filter, MirrorAction, TcHook } from '../host/snapshot.ts'
import type { FlowHash } from '../spec/items/balance.ts'
import type { DiscoveredSource } from './docker-sources.ts'

/** A container or an interface that gets frames. */
export interface DiscoveredReceiver {
  readonly name: string
  readonly remarks: readonly string[]
}

/** Sensors and outputs that share the frames. */
export interface DiscoveredBalance {
  readonly hash: FlowHash
  readonly members: readonly { readonly kind: 'sensor' | 'output'; readonly name: string }[]
  readonly remarks: readonly string[]
}

/** A bridge that mirrors feed, or whose ports they feed, as a span of a file. */
export interface DiscoveredSpan {
  readonly name: string
  readonly remarks: readonly string[]
  readonly sources: readonly DiscoveredSource[]
  readonly network: { readonly name: string; readonly subnet: string | null } | null
  /** The containers that share its frames with nobody. */
  readonly sensors: readonly DiscoveredReceiver[]
  /** The interfaces that its frames leave by, and that share them with nobody. */
  readonly outputs: readonly DiscoveredReceiver[]
  readonly balances: readonly DiscoveredBalance[]
  readonly mtu: number | null
}

/** The mirrors of a host, of spanplan and of others. */
export interface Discovery {
  /** The name in the marks of these spans; null: they have no mark, or nothing tells its name. */
  readonly owner: string | null
  readonly spans: readonly DiscoveredSpan[]
  /** What the file cannot express. */
  readonly remarks: readonly string[]
}

/** A filter at a hook, or in a class. */
export type AnyFilter = Filter | ClassFilter

/** A mirror action that is reached: one filter, one target. */
export interface Copy {
  readonly filter: AnyFilter
  readonly tcHook: TcHook
  readonly action: MirrorAction
}

import type { z } from 'zod'
import type { FindInterface } from '../interfaces.ts'
import type { Direction } from '../values/direction.ts'
import type { Family } from '../values/ip-address.ts'

/** What the files alone say of the tunnel that a source ends in. Sources of one identity end in one interface. */
export interface TunnelSummary {
  /** Of the packets. */
  readonly family: Family
  /** What the kernel has one interface for. */
  readonly sharedBy: string
  /** What senders take two of, to have two interfaces. */
  readonly apart: string
}

/** What the files alone say of a source. */
export interface SourceSummary {
  /** The source as a message names it. */
  readonly title: string
  /** Sources with the same identity copy the same frames. */
  readonly identity: string
  /** The name of the interface that is copied; null: only the host can tell. */
  readonly device: string | null
  /** What is copied where the file does not say it. */
  readonly defaultDirections: readonly Direction[]
  /** There are no frames of another direction. Missing: there are. */
  readonly isOneWay?: true
  /** Missing: the source is no tunnel. */
  readonly tunnel?: TunnelSummary
}

/**
 * One kind of source, as the files write it. `Data` holds the keys that make an item of `sources` one of this kind: an item
 * has exactly one of them. `Source` is what they say.
 */
export interface SourceSyntax<Data, Source> {
  /** What its frames are copied at: interfaces of the host; those of containers, by whose names they are known; a Docker network; or a tunnel that ends here. */
  readonly end: 'interface' | 'container' | 'network' | 'tunnel'
  readonly keys: { readonly [Key in keyof Data]-?: z.ZodType<Data[Key]> }
  /** undefined: the item has none of the keys. */
  load(data: Data): Source | undefined
  print(source: Source): Data
  summary(source: Source, findInterface: FindInterface): SourceSummary
}

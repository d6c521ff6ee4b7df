import type { z } from 'zod'
import type { FindInterface } from '../interfaces.ts'
import type { TunnelSpec } from '../sources/tunnel-spec.ts'

/** What the files alone say of an output. */
export interface OutputSummary {
  /** The output as a message names it. */
  readonly title: string
  /** Outputs with the same identity are one; so are an output and a source that has it. */
  readonly identity: string
  /** The name of the interface that the frames leave by; null: only the host can tell. */
  readonly device: string | null
  /** What two outputs, or an output and a source, must not have in common: the end of a hint that says "use another …". */
  readonly apart: string
  /** The interface is for capture only. */
  readonly isDedicated: boolean
}

/**
 * One kind of output, as the files write it. `Data` holds the keys that make an item of `outputs` one of this kind: an item has
 * exactly one of them. `Output` is what they say.
 */
export interface OutputSyntax<Data, Output> {
  readonly keys: { readonly [Key in keyof Data]-?: z.ZodType<Data[Key]> }
  /** undefined: the item has none of the keys. */
  load(data: Data): Output | undefined
  print(output: Output): Data
  summary(output: Output, findInterface: FindInterface): OutputSummary
  /**
   * The pcap expressions of what it sends itself to carry the frames, and of what comes back about that: a span must not copy these, for
   * each copy would be sent again. Missing: it sends the frames alone.
   */
  packets?(output: Output): readonly string[]
  /** Whether the kernel takes what comes from its other end for its own, where it would be that of another tunnel. Missing: of none. */
  takesPackets?(output: Output, other: TunnelSpec): boolean
}

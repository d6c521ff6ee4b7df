import type { InterfaceSpec } from './interfaces.ts'
import type { SpanSpec } from './items/span-item.ts'

/** A file as it is on disk. */
export interface SourceFile {
  readonly path: string
  readonly bytes: Uint8Array
  /** The path to which a link has led, out of the folder in which the user named it: nothing of the file is printed. */
  readonly elsewhere?: string
}

/** All files merged and checked, with defaults filled in and the place of every value. */
export interface Spec {
  /** The owner's name. */
  readonly name: string
  /** The names that the owner had before. What bears their marks is the file's. */
  readonly formerly: readonly string[]
  readonly files: readonly string[]
  /** `sha256:` and 64 hex digits, over the files' bytes in order. */
  readonly digest: string
  readonly interfaces: readonly InterfaceSpec[]
  readonly spans: readonly SpanSpec[]
}

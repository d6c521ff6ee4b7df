import { nullIfForeseen } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { readHostFor } from '../../look/read-host.ts'
import { liveSpans } from '../../plan/live-spans.ts'
import { makeDestroyTarget } from '../../plan/target.ts'
import type { NamedSpan, SpanNames } from '../../spec/span-names.ts'
import { type FileSelection, loadFiles } from './spec-files.ts'

/** The spans in the files; none where a file is broken or missing. */
export async function listedSpans(files: FileSelection): Promise<readonly NamedSpan[]> {
  const spec = await loadFiles(files).catch(nullIfForeseen)
  return spec?.spans ?? []
}

/** The spans of a host and of the files. */
export interface KnownSpans {
  readonly host: HostIndex
  /** The names of the spans of the files. */
  readonly listed: readonly string[]
  /** The names of the live spans, of every owner: those that the files give them. */
  readonly live: readonly string[]
  readonly names: SpanNames
}

/**
 * Reads the files, and the host without Docker.
 *
 * @throws SpanplanError if the kernel's state cannot be read.
 */
export async function readKnownSpans(files: FileSelection): Promise<KnownSpans> {
  const known = await listedSpans(files)
  const target = makeDestroyTarget(null, { known, deferDocker: true })
  const { host } = await readHostFor(target)
  return { host, listed: known.map(({ name }) => name), live: liveSpans(target, host), names: target.names }
}

import { nullIfForeseen } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { readHostFor } from '../../look/read-host.ts'
import { liveSpans } from '../../plan/live-spans.ts'
import { makeDestroyTarget } from '../../plan/target.ts'
import { type FileSelection, loadFiles } from './spec-files.ts'

/** The names of the spans in the files; none where a file is broken or missing. */
export async function listedSpans(files: FileSelection): Promise<string[]> {
  const spec = await loadFiles(files).catch(nullIfForeseen)
  return spec?.spans.map(({ name }) => name) ?? []
}

/**
 * Reads the host without Docker. `live`: the names of the spans of every owner.
 *
 * @throws SpanplanError if the kernel's state cannot be read.
 */
export async function readLiveSpans(): Promise<{ readonly host: HostIndex; readonly live: string[] }> {
  const target = makeDestroyTarget(null, { deferDocker: true })
  const { host } = await readHostFor(target)
  return { host, live: liveSpans(target, host) }
}

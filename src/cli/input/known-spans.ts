import { readFactsFor } from '../../apply/refresh.ts'
import { SpanplanError } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { makeDestroyTarget } from '../../plan/target.ts'
import { everySpan, type Scope } from '../../spec/scope.ts'
import { loadFiles } from './spec-files.ts'

/** The options that say which files list the spans. */
export interface FileSelection {
  readonly file: readonly string[]
  readonly insecureFile: boolean
}

/** Every span of every owner. */
export const everyOwner: Scope = { name: null, spans: everySpan }

/** The names of the spans in the files; none where a file is broken or missing. */
export async function listedSpans({ file, insecureFile }: FileSelection): Promise<string[]> {
  try {
    const spec = await loadFiles(file, { trust: insecureFile ? 'all' : 'safe', onFiles: () => undefined })
    return spec.spans.map(({ name }) => name)
  } catch (error) {
    if (error instanceof SpanplanError) return []
    throw error
  }
}

/**
 * Reads the host without Docker.
 *
 * @throws SpanplanError if the kernel's state cannot be read.
 */
export async function readKernelHost(): Promise<HostIndex> {
  return (await readFactsFor(makeDestroyTarget(null, { deferDocker: true }))).host
}

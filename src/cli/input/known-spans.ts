import { readFactsFor } from '../../apply/refresh.ts'
import { Exit, SpanplanError } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { suggestHint } from '../../spec/schema/did-you-mean.ts'
import { everySpan, type Scope } from '../../spec/scope.ts'
import { loadFiles } from './spec-files.ts'

/** Where the spans are listed. */
export interface Listing {
  readonly file: readonly string[]
  readonly insecureFile: boolean
}

/** All spans of all names. */
export const everyone: Scope = { name: null, spans: everySpan }

/** The spans of the file; none where that is broken or missing. */
export async function listedSpans({ file, insecureFile }: Listing): Promise<string[]> {
  try {
    const spec = await loadFiles(file, { trust: insecureFile ? 'all' : 'safe', onFiles: () => undefined })
    return spec.spans.map(({ name }) => name)
  } catch (error) {
    if (error instanceof SpanplanError) return []
    throw error
  }
}

/**
 * The host, less its Docker.
 *
 * @throws SpanplanError if it cannot be read.
 */
export async function readLinks(): Promise<HostIndex> {
  const target = { want: 'nothing', owner: 'default', scope: everyone, known: [], deferDocker: true } as const
  return (await readFactsFor(target)).host
}

/** A slip of the pen. */
export function spanUnknown(span: string, names: readonly string[]): SpanplanError {
  return new SpanplanError(
    {
      code: 'SPAN_UNKNOWN',
      message: `${span}: neither the file nor this host has such a span`,
      hint: suggestHint(span, names) ?? `there are: ${[...new Set(names)].join(', ') || 'none'}`
    },
    Exit.usage
  )
}

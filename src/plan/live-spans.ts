import { Exit, SpanplanError } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { printable } from '../printable.ts'
import { readMark } from '../resources/marks.ts'
import { isInScope, ownsNetwork } from '../resources/ownership.ts'
import { suggestHint } from '../spec/schema/did-you-mean.ts'
import { everySpan, isFileName, namedSpans } from '../spec/scope.ts'
import type { Target } from './target.ts'

/** The names of the spans on the host that belong to the owner of this scope, whichever spans the scope selects. */
export function liveSpans({ scope }: Pick<Target, 'scope'>, host: HostIndex): string[] {
  const anySpan = { scope: { ...scope, spans: everySpan } }
  const bridges = host.links
    .filter((link) => isInScope(anySpan, readMark(link)?.owner, link.name))
    .map(({ name }) => name)
  const networks = host.networks
    .filter((network) => ownsNetwork(anySpan, network))
    .map(({ labels }) => labels[label.span] ?? '')
  return [...new Set([...bridges, ...networks])]
}

/**
 * Checks that the file or the host knows each span that is selected by name: any other name is a typing error.
 *
 * @throws SpanplanError SPAN_UNKNOWN.
 */
export function checkSelectedSpans(target: Target, host: HostIndex): void {
  const names = [...target.spec.spans.map(({ name }) => name), ...target.known, ...liveSpans(target, host)]
  const unknown = namedSpans(target.scope.spans).filter((span) => !names.includes(span))
  if (unknown.length > 0) throw spanUnknown(unknown, names, '--span ')
}

const suggestFile = (span: string) => (isFileName(span) ? `a file is named with -f: -f ${printable(span)}` : undefined)

/**
 * The error for spans that neither the file nor the host knows.
 *
 * @param names of the known spans.
 * @param option stands before the name in the message.
 */
export function spanUnknown(spans: readonly string[], names: readonly string[], option = ''): SpanplanError {
  return new SpanplanError(
    spans.map((span) => ({
      code: 'SPAN_UNKNOWN',
      message: `${option}${span}: neither the file nor this host has such a span`,
      hint: suggestFile(span) ?? suggestHint(span, names) ?? `there are: ${[...new Set(names)].join(', ') || 'none'}`
    })),
    Exit.usage
  )
}

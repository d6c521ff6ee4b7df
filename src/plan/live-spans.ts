import { type Diagnostic, diagnostic, Exit, SpanplanError } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import { printable } from '../printable.ts'
import { explainIfMoved } from '../resources/foreign/renamed-bridge.ts'
import { bridgeMac } from '../resources/marks.ts'
import { destroyOf, isInScope, markOf, ownsNetwork } from '../resources/ownership.ts'
import { suggestHint } from '../spec/schema/did-you-mean.ts'
import { everySpan, isFileName, namedSpans } from '../spec/scope.ts'
import { listFew } from '../text-lines.ts'
import type { Target } from './target.ts'

/** The names of the spans on the host that belong to the owner of this scope, whichever spans the scope selects. */
export function liveSpans({ scope }: Pick<Target, 'scope'>, host: HostIndex): string[] {
  const anySpan = { scope: { ...scope, spans: everySpan } }
  const bridges = host.links
    .filter((link) => isInScope(anySpan, markOf(host, link)?.owner, link.name))
    .map(({ name }) => name)
  const networks = host.networks
    .filter((network) => ownsNetwork(anySpan, network))
    .map(({ labels }) => labels[label.span] ?? '')
  return [...new Set([...bridges, ...networks])]
}

/** The spans on the host, of every owner: a span that two owners claim is each's. */
function spansOfOwners(host: HostIndex): ReadonlyMap<string, readonly string[]> {
  const bridges = host.links.map((link) => [markOf(host, link)?.owner, link.name] as const)
  const networks = host.networks.map(({ labels }) => [labels[label.name], labels[label.span]] as const)
  const owners = new Map<string, string[]>()
  for (const [owner, span] of [...bridges, ...networks]) {
    if (owner === undefined || span === undefined) continue
    const spans = owners.get(owner) ?? []
    if (!spans.includes(span)) owners.set(owner, [...spans, span])
  }
  return owners
}

/** The number of names that a message lists, and of spans of each. */
const listed = 5

/** Says which names have spans on the host, where a destroy finds nothing of its own. */
export function warnOfOtherOwners({ scope }: Pick<Target, 'scope'>, host: HostIndex): Diagnostic[] {
  const owners = [...spansOfOwners(host)]
  const [other] = owners
  if (scope.name === null || other === undefined || owners.some(([owner]) => owner === scope.name)) return []
  const all = owners.map(([owner, spans]) => `${owner} (${listFew(spans, listed)})`)
  const message = `nothing on this host has the name ${scope.name}; there are spans of ${listFew(all, listed)}`
  return [diagnostic('NAME_UNKNOWN', message, `to remove those: ${shellLine(destroyOf(other[0]))}`)]
}

/**
 * Checks that the file or the host knows each span that is selected by name: any other name is a typing error. One whose bridge has
 * another name is not destroyed: its bridge would stay.
 *
 * @throws SpanplanError SPAN_UNKNOWN, BRIDGE_RENAMED.
 */
export function checkSelectedSpans(target: Target, host: HostIndex): void {
  const selected = namedSpans(target.scope.spans)
  const owner = target.scope.name ?? target.spec.name
  const moved = (target.isDestroy ? selected : []).flatMap((name) =>
    explainIfMoved({ name, mac: bridgeMac(owner, name) }, host)
  )
  if (moved.length > 0) throw new SpanplanError(moved)
  const names = [...target.spec.spans.map(({ name }) => name), ...target.known, ...liveSpans(target, host)]
  const unknown = selected.filter((span) => !names.includes(span))
  if (unknown.length === 0) return
  const owners = spansOfOwners(host)
  const ownerOf = (span: string) => [...owners].find(([, spans]) => spans.includes(span))?.[0]
  throw spanUnknown(unknown, names, '--span ', (span) => {
    const owner = ownerOf(span)
    if (owner === undefined) return undefined
    const command = target.isDestroy ? `; to remove that one: ${shellLine(destroyOf(owner, span))}` : ''
    return `a span ${span} belongs to the name ${owner}${command}`
  })
}

const suggestFile = (span: string) => (isFileName(span) ? `a file is named with -f: -f ${printable(span)}` : undefined)

/**
 * The error for spans that neither the file nor the host knows.
 *
 * @param names of the known spans.
 * @param option stands before the name in the message.
 * @param explain what is known of such a span all the same.
 */
export function spanUnknown(
  spans: readonly string[],
  names: readonly string[],
  option = '',
  explain: (span: string) => string | undefined = () => undefined
): SpanplanError {
  return new SpanplanError(
    spans.map((span) => ({
      code: 'SPAN_UNKNOWN',
      message: `${option}${span}: neither the file nor this host has such a span`,
      hint:
        explain(span) ??
        suggestFile(span) ??
        suggestHint(span, names) ??
        `there are: ${[...new Set(names)].join(', ') || 'none'}`
    })),
    Exit.usage
  )
}

import { type Diagnostic, diagnostic, Exit, SpanplanError } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import { groupsOf, type HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import { printable } from '../printable.ts'
import { explainIfMoved } from '../resources/foreign/renamed-bridge.ts'
import { bridgeMac } from '../resources/marks.ts'
import { destroyOf, markOf, ownNames } from '../resources/ownership.ts'
import { suggestHint } from '../spec/schema/did-you-mean.ts'
import { isFileName, matchesName, namedSpans } from '../spec/scope.ts'
import type { SpanNames } from '../spec/span-names.ts'
import { listFew } from '../text-lines.ts'
import type { Target } from './target.ts'

/** The names of the spans on the host that belong to the owner of this scope, whichever spans the scope selects. */
export function liveSpans({ scope, names }: Pick<Target, 'scope' | 'names'>, host: HostIndex): string[] {
  const own = spansOfOwners(names, host).filter(({ owner }) => matchesName(scope, owner))
  return [...new Set(own.map(({ span }) => span))]
}

/** The spans on the host, of every owner: a span that two owners claim is each's. */
function spansOfOwners({ nameOf }: SpanNames, host: HostIndex) {
  const bridges = host.links.map((link) => ({ owner: markOf(host, link)?.owner, bridge: link.name }))
  const networks = host.networks.map(({ labels }) => ({ owner: labels[label.name], bridge: labels[label.span] ?? '' }))
  return [...bridges, ...networks].flatMap(({ owner, bridge }) =>
    owner === undefined ? [] : { owner, span: nameOf(bridge) }
  )
}

/** The number of names that a message lists, and of spans of each. */
const listed = 5

/** Says which names have spans on the host, where a destroy finds nothing of its own. */
export function warnOfOtherOwners({ scope, names }: Pick<Target, 'scope' | 'names'>, host: HostIndex): Diagnostic[] {
  // A label may name an owner and no span.
  const named = spansOfOwners(names, host).filter(({ span }) => span !== '')
  const owners = groupsOf(named, ({ owner }) => owner)
  const [other] = owners.keys()
  if (scope.name === null || other === undefined || [...owners.keys()].some((one) => matchesName(scope, one))) return []
  const all = [...owners].map(([owner, claims]) => {
    const spans = [...new Set(claims.map(({ span }) => span))]
    return `${owner} (${listFew(spans, listed)})`
  })
  const message = `nothing on this host has the name ${scope.name}; there are spans of ${listFew(all, listed)}`
  return [diagnostic('NAME_UNKNOWN', message, `to remove those: ${shellLine(destroyOf(other))}`)]
}

/**
 * Checks that the file or the host knows each span that is selected by name: any other name is a typing error. One whose bridge has
 * another name is not destroyed: its bridge would stay.
 *
 * @throws SpanplanError SPAN_UNKNOWN, BRIDGE_RENAMED.
 */
export function checkSelectedSpans(target: Target, host: HostIndex): void {
  const selected = namedSpans(target.scope.spans)
  const owners = ownNames({ owner: target.spec.name, scope: target.scope })
  const moved = (target.isDestroy ? selected : []).flatMap((span) => {
    const name = target.names.bridgeOf(span)
    return owners.flatMap((owner) => explainIfMoved({ name, mac: bridgeMac(owner, name) }, host)).slice(0, 1)
  })
  if (moved.length > 0) throw new SpanplanError(moved)
  const names = [
    ...target.spec.spans.map(({ name }) => name),
    ...target.known.map(({ name }) => name),
    ...liveSpans(target, host)
  ]
  const unknown = selected.filter((span) => !names.includes(span))
  if (unknown.length === 0) return
  const others = [...groupsOf(spansOfOwners(target.names, host), ({ owner }) => owner)]
  throw spanUnknown(unknown, names, target.names, '--span ', (span) => {
    const owner = others.find(([, claims]) => claims.some((one) => one.span === span))?.[0]
    if (owner === undefined) return undefined
    const command = target.isDestroy
      ? `; to remove that one: ${shellLine(destroyOf(owner, target.names.bridgeOf(span)))}`
      : ''
    return `a span ${span} belongs to the name ${owner}${command}`
  })
}

/** A span is called by its name, also where that of its bridge is another one. */
export const explainBridge = (word: string, span: string) =>
  span === word ? undefined : `${word} is the bridge of the span ${span}: write ${span}`

const suggestFile = (span: string) => (isFileName(span) ? `a file is named with -f: -f ${printable(span)}` : undefined)

/**
 * The error for spans that neither the file nor the host knows.
 *
 * @param known the names of the known spans.
 * @param names which bridges these have.
 * @param option stands before the name in the message.
 * @param explain what is known of such a span all the same.
 */
export function spanUnknown(
  spans: readonly string[],
  known: readonly string[],
  { nameOf }: SpanNames,
  option = '',
  explain: (span: string) => string | undefined = () => undefined
): SpanplanError {
  return new SpanplanError(
    spans.map((span) => ({
      code: 'SPAN_UNKNOWN',
      message: `${option}${span}: neither the file nor this host has such a span`,
      hint:
        explainBridge(span, nameOf(span)) ??
        explain(span) ??
        suggestFile(span) ??
        suggestHint(span, known) ??
        `there are: ${[...new Set(known)].join(', ') || 'none'}`
    })),
    Exit.usage
  )
}

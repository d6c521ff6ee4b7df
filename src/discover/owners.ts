import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Link } from '../host/snapshot.ts'
import { bridgeMac, hashOf, readCookie } from '../resources/marks.ts'
import { markOf } from '../resources/ownership.ts'
import { listNames } from '../text-lines.ts'
import type { Copy, DiscoveredSpan, Discovery } from './discovery.ts'
import { refusalOf } from './refusal.ts'

/** The name that a span is marked with; null: it has no mark; `unknown`: its mirrors have a hash of the name alone. */
export type Owner = string | null | { readonly unknown: true }

/** A span with its name. */
export interface OwnedSpan {
  readonly span: DiscoveredSpan
  readonly owner: Owner
}

/**
 * Whose span a bridge is: its alias says so; or, where that is lost, its address or its mirrors, to who knows the name.
 *
 * @param copies into the bridge.
 * @param name that somebody has told.
 */
export function ownerOf(bridge: Link, copies: readonly Copy[], host: HostIndex, name: string | null): Owner {
  const marked = markOf(host, bridge)?.owner
  if (marked !== undefined) return marked
  const marks = host.links.flatMap((link) => markOf(host, link)?.owner ?? [])
  const known = [...(name === null ? [] : [name]), ...marks, 'default']
  const hashes = new Set(copies.flatMap(({ action }) => readCookie(action.cookie)?.owner ?? []))
  const isOwner = (one: string) => bridge.mac === bridgeMac(one, bridge.name) || hashes.has(hashOf(one))
  return known.find(isOwner) ?? (hashes.size > 0 ? { unknown: true } : null)
}

/**
 * Chooses the spans for a file, which has one name, and says which are left out.
 *
 * @param name whose spans are wanted; null: those of the first name that there is, and those that have none.
 */
export function chooseName(found: readonly OwnedSpan[], name: string | null): Discovery {
  const names = [...new Set(found.flatMap(({ owner }) => (typeof owner === 'string' ? owner : [])))].sort()
  const chosen = name ?? names[0] ?? null
  const isChosen = ({ owner }: OwnedSpan) =>
    typeof owner === 'string' ? owner === chosen : name === null && (owner === null || chosen === null)
  const spans = found.flatMap((one) => (isChosen(one) ? one.span : []))
  const left = found.filter((one) => !isChosen(one))
  const problem = chosen === null ? null : refusalOf({ name: chosen, spans: {} })
  return {
    owner: problem === null ? chosen : null,
    spans,
    remarks: [
      ...names.flatMap((owner) => {
        const command = shellLine(['spanplan', 'import', '--name', owner])
        return sayOf(
          left.filter((one) => one.owner === owner),
          (list) => `left out, for a file has one name: ${list}, of the name ${owner}. For a file of that: ${command}`
        )
      }),
      ...sayOf(
        left.filter(({ owner }) => owner === null),
        (list) => `left out, for it bears no name: ${list}. Without --name, it is in the file.`
      ),
      ...sayOf(
        found.filter((one) => isUnknown(one) && !spans.includes(one.span)),
        (list) => `left out: ${list}, of a name that is not known. ${findOut}`
      ),
      ...sayOf(
        found.filter((one) => isUnknown(one) && spans.includes(one.span)),
        (list) => `of a name that is not known: ${list}. ${findOut}`
      ),
      ...(name !== null && spans.length === 0 ? [`nothing on this host bears the name ${name}`] : []),
      ...(problem === null ? [] : [`the name that these spans are marked with is left out: ${problem}`])
    ]
  }
}

const isUnknown = ({ owner }: OwnedSpan) => typeof owner === 'object' && owner !== null

const findOut = 'With the name of the file that it was applied from, NAME, run: spanplan import --name NAME'

function sayOf(spans: readonly OwnedSpan[], say: (list: string) => string): string[] {
  return spans.length === 0 ? [] : [say(listNames(spans.map(({ span }) => span.name)))]
}

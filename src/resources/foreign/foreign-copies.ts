import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { Argv } from '../../host/exec.ts'
import { shellLine } from '../../host/quote-command.ts'
import { writePlace } from '../../host/tc-conventions.ts'
import { removeFilter } from '../../host/write-filters.ts'
import type { DesiredSpan } from '../desired-state.ts'
import type { ObservedState } from '../kind.ts'
import { filterWords, leadsTo, placeOf } from './filter-words.ts'
import { type ForeignMirror, judgeForeignMirrors } from './mirrors.ts'

/** The filters of others that copy or redirect to one of these devices from another one. */
export function findForeignCopies({ marks, host }: ObservedState, targets: ReadonlySet<string>): ForeignMirror[] {
  const filters = [...targets].flatMap((target) =>
    host.filtersInto(target).flatMap(({ filter }) => (filter.device === target ? [] : [filter]))
  )
  return [...new Set(filters)].filter((filter) => 'parent' in filter || !marks.mirrors.has(filter))
}

/** The command that removes a filter of others. */
export function removalOf(filter: ForeignMirror): Argv {
  return ['tc', ...(removeFilter(filter) ?? ['filter', 'del', ...writePlace(filter), 'pref', String(filter.pref)])]
}

/** Of more filters, a warning each is too many. */
const most = 3

/**
 * Warns of the filters of others that copy or redirect to a span's bridge, or straight to one of its ports: sensors get frames that
 * the file does not name. One that leads to the bridge from where the span has a source is a conflict, or is adopted.
 *
 * @returns one warning for each filter; for many of them, one.
 */
export function warnOfForeignCopies(
  { name, bridge, mirrors, origin }: DesiredSpan,
  state: ObservedState
): Diagnostic[] {
  const isConflict = (filter: ForeignMirror) =>
    leadsTo(filter, new Set([bridge])) &&
    mirrors.some(
      ({ device, tcHook }) =>
        device.name === filter.device && tcHook === ('parent' in filter ? 'egress' : filter.tcHook)
    )
  const targets = new Set([bridge, ...state.host.portsOf(bridge).map((port) => port.name)])
  const filters = findForeignCopies(state, targets).filter((filter) => !isConflict(filter))
  // Of many, the first stands for all.
  const named = filters.length > most ? filters.slice(0, 1) : filters
  const more = filters.length - named.length
  return named.map((filter) => ({
    ...diagnostic('COPIES_FOREIGN', copiesMessage(name, filter, more), adviseOn(bridge, filter, more), origin),
    subject: { span: name, kind: 'bridge', id: [] }
  }))
}

const meaning = 'sensors get frames that the file does not name'

/** @param more how many others it stands for. */
function copiesMessage(span: string, first: ForeignMirror, more: number): string {
  const where = `${first.device} ${placeOf(first)} at preference ${first.pref}`
  if (more > 0)
    return `${more + 1} filters that spanplan did not create copy into span ${span}: ${meaning}; the first is on ${where}`
  return `a filter of ${where} that spanplan did not create ${first.redirects ? 'redirects' : 'copies'} into span ${span} (${filterWords(first)}): ${meaning}`
}

function adviseOn(bridge: string, first: ForeignMirror, more: number): string {
  const removal = `if nothing needs ${more === 0 ? 'it' : 'the first'}: ${shellLine(removalOf(first))}`
  const isAdoptable = leadsTo(first, new Set([bridge])) && judgeForeignMirrors([first]).possible
  const keep = 'to keep its frames, write the interface as a source'
  return isAdoptable ? `${keep}, and apply with --adopt; ${removal}` : `${removal}; ${keep}`
}

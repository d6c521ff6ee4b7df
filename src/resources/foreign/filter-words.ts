import { groupsOf } from '../../host/host-index.ts'
import type { ClassFilter, Filter, TcFilter } from '../../host/snapshot.ts'
import { writeHandle } from '../../host/write-filters.ts'
import { joinAnd } from '../../text-lines.ts'

/** Whether a filter copies or redirects frames to one of these devices. */
export function leadsTo({ copies, redirects = [] }: TcFilter, targets: ReadonlySet<string>): boolean {
  return [...copies.map(({ target }) => target), ...redirects].some((target) => targets.has(target))
}

/** Where on its device a filter is, in tc's words. */
export function placeOf(filter: Filter | ClassFilter): string {
  return 'parent' in filter ? `parent ${filter.parent}` : filter.tcHook
}

/** What a foreign filter is and does, as far as spanplan can read it. */
export function filterWords(filter: TcFilter): string {
  const handle = writeHandle(filter)
  return [filter.kind, `protocol ${filter.protocol}`, ...(handle === null ? [] : [`handle ${handle}`])]
    .join(', ')
    .concat(`, which ${workOf(filter, 1)}`)
}

/** What several filters are and do. Filters of one kind that do the same are counted. */
export function countFilters(filters: readonly TcFilter[]): string {
  const groups = groupsOf(filters, (filter) => `${filter.kind} ${workOf(filter, 1)}`)
  if (groups.size > 2) return `${filters.length} filters`
  const words = [...groups.values()].map(({ length, 0: first }) => {
    const what = length === 1 ? 'filter' : 'filters'
    return `${length} ${first.kind} ${what} that ${workOf(first, length)}`
  })
  return words.length === 0 ? 'no filter' : joinAnd(words)
}

/** Whether an old script is likely to have made a filter: it copies with mirred, and does nothing else. */
export function isOfScripts({ kind, copies, others }: TcFilter): boolean {
  return (kind === 'u32' || kind === 'matchall') && copies.length === 1 && !others
}

function workOf({ copies, redirects = [], others, classId }: TcFilter, count: number): string {
  const s = count === 1 ? 's' : ''
  if (redirects.length > 0) return `redirect${s} to ${[...new Set(redirects)].join(', ')}`
  const targets = [...new Set(copies.map(({ target }) => (target === '*' ? 'an interface that is gone' : target)))]
  if (targets.length > 0) return `mirror${s} into ${targets.join(', ')}${others ? ` and do${s && 'es'} more` : ''}`
  if (classId !== null && !others) return `sort${s} into the class ${classId}`
  return `do${s && 'es'} other work`
}

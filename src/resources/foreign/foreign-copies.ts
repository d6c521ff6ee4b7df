import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { Argv } from '../../host/exec.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Filter } from '../../host/snapshot.ts'
import { removeFilter } from '../../host/write-filters.ts'
import type { DesiredSpan, DesiredState } from '../desired-state.ts'
import { writeAddress } from '../kind.ts'
import { describeFilter } from './describe-filter.ts'

/** The filters of others that copy to one of these devices from another one. */
export function findForeignCopies(
  { marks }: DesiredState,
  host: HostIndex,
  targets: ReadonlySet<string>
): readonly Filter[] {
  return host.filters.filter(
    (filter) =>
      filter.copies.some(({ target }) => target !== filter.device && targets.has(target)) && !marks.mirrors.has(filter)
  )
}

/** The command that removes a filter of others. */
export function removalOf(filter: Filter): Argv {
  const { device, tcHook, pref } = filter
  return ['tc', ...(removeFilter(filter) ?? ['filter', 'del', 'dev', device, tcHook, 'pref', String(pref)])]
}

/** Of more filters, a warning each is too many. */
const most = 3

/**
 * Warns of the filters of others that copy to a span's bridge, or straight to one of its ports, from where the span has no source:
 * sensors get frames that the file does not name. Where the span has a source, such a filter is a conflict, or is adopted.
 *
 * @returns one warning for each filter; for many of them, one.
 */
export function warnOfForeignCopies(
  { name, mirrors, origin }: DesiredSpan,
  desired: DesiredState,
  host: HostIndex
): Diagnostic[] {
  const isSource = ({ device, tcHook }: Filter) =>
    mirrors.some((point) => point.device.name === device && point.tcHook === tcHook)
  const targets = new Set([name, ...host.portsOf(name).map((port) => port.name)])
  const filters = findForeignCopies(desired, host, targets).filter((filter) => !isSource(filter))
  const groups = filters.length > most ? [filters] : filters.map((filter) => [filter])
  return groups.map((group) => ({
    ...diagnostic('COPIES_FOREIGN', describeCopies(name, group), adviseOn(group), origin),
    address: writeAddress(name, 'bridge')
  }))
}

const meaning = 'sensors get frames that the file does not name'

function describeCopies(span: string, [first, ...others]: readonly Filter[]): string {
  if (first === undefined) return meaning
  const { device, tcHook, pref } = first
  const where = `${device} ${tcHook} at preference ${pref}`
  if (others.length > 0)
    return `${others.length + 1} filters that spanplan did not create copy into span ${span}: ${meaning}; the first is on ${where}`
  return `a filter of ${where} that spanplan did not create copies into span ${span} (${describeFilter(first)}): ${meaning}`
}

function adviseOn([first, ...others]: readonly Filter[]): string {
  if (first === undefined) return ''
  const removal = `if nothing needs ${others.length === 0 ? 'it' : 'the first'}: ${shellLine(removalOf(first))}`
  return `to keep its frames, write the interface as a source, and apply with --adopt; ${removal}`
}

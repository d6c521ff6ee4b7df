import type { Notice } from '../errors.ts'
import type { Filter, Snapshot } from '../host/host.ts'
import type { Argv } from '../host/run.ts'
import { deleteFilter, dropProgram, sealPref, writeSeal } from '../host/tc.ts'
import { shellLine } from '../host/words.ts'
import { countFilters, describeFilter } from './filter-words.ts'
import { sealHandle } from './mark.ts'
import { type Field, yesNo } from './resource.ts'
import { notice, type Wanted } from './wanted.ts'

/** What keeps the filter from being added to a device; null if nothing does. */
export function sealObstacle(wanted: Wanted, host: Snapshot, span: string, device: string): string | null {
  const wants = wanted.spans.some(({ name, sealed }) => name === span && sealed)
  if (!wants || isSealed(host, device)) return null
  const qdisc = host.qdiscs.find((one) => one.device === device && one.kind === 'ingress')
  if (qdisc) {
    const filters = host.filters.filter((one) => one.device === device)
    return `${device} has an ingress qdisc, which excludes the clsact that seals it; it holds ${countFilters(filters)}`
  }
  const filter = host.filters.find(
    (one) =>
      one.device === device &&
      one.hook === 'ingress' &&
      one.chain === 0 &&
      one.pref === sealPref &&
      one.handle !== sealHandle(device)
  )
  return filter
    ? `${device} has a filter at preference ${sealPref}, which the one that seals it takes: ${describeFilter(filter)}`
    : null
}

/** The conflict that this is. */
export function sealConflict(obstacle: string, device: string): Notice {
  return notice(
    'SEAL_BLOCKED',
    obstacle,
    `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, 'ingress'])}; or write "sealed: false"`
  )
}

/** How far a device is sealed: not at all; it has the hook (clsact); or our filter on it drops all that enters. */
export type Seal = 'none' | 'hook' | 'sealed'

/** How that is shown. */
export const sealField: Field<{ seal: Seal }, 'seal'> = {
  label: 'sealed',
  words: (seal) => yesNo(seal === 'sealed')
}

/** How far a device is sealed. */
export function readSeal(host: Snapshot, device: string): Seal {
  if (isSealed(host, device)) return 'sealed'
  return host.qdiscs.some((qdisc) => qdisc.device === device && qdisc.kind === 'clsact') ? 'hook' : 'none'
}

/** How far it is to be, for all that was there before: an empty hook harms nobody. */
export function desiredSeal(sealed: boolean, now: Seal): Seal {
  if (sealed) return 'sealed'
  return now === 'sealed' ? 'hook' : now
}

/** How far it can be sealed again as it was: a hook that holds others' filters stays. */
export function recallSeal(then: Seal, host: Snapshot, device: string): Seal {
  const others = host.filters.some((filter) => filter.device === device && !isSeal(filter))
  return then === 'none' && others ? 'hook' : then
}

/** The commands that lead from one to the other. */
export function sealCommands(device: string, from: Seal, to: Seal): Argv[] {
  const handle = sealHandle(device)
  const hook: Argv = ['tc', 'qdisc', 'replace', 'dev', device, 'clsact']
  switch (to) {
    case 'sealed':
      return [hook, ['tc', ...writeSeal(device, handle)]]
    case 'hook':
      return from === 'sealed' ? [['tc', ...deleteFilter(device, 'ingress', sealPref, handle)]] : [hook]
    case 'none':
      return [['tc', 'qdisc', 'del', 'dev', device, 'clsact']]
  }
}

/** Whether our filter drops all that enters a device. */
function isSealed(host: Snapshot, device: string): boolean {
  return host.filters.some((filter) => filter.device === device && isSeal(filter))
}

function isSeal(filter: Filter): boolean {
  return (
    filter.hook === 'ingress' &&
    filter.pref === sealPref &&
    filter.protocol === 'all' &&
    filter.handle === sealHandle(filter.device) &&
    filter.directAction &&
    filter.program === dropProgram
  )
}

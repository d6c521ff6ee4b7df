import type { Notice } from '../errors.ts'
import type { Snapshot } from '../host/host.ts'
import { dropProgram, sealPref } from '../host/tc.ts'
import { sealHandle } from './mark.ts'
import { notice, type Wanted } from './wanted.ts'

/** What keeps the filter from being added to a device; null if nothing does. */
export function sealObstacle(wanted: Wanted, host: Snapshot, span: string, device: string): string | null {
  const wants = wanted.spans.some(({ name, sealed }) => name === span && sealed)
  if (!wants || isSealed(host, device)) return null
  const qdisc = host.qdiscs.find((one) => one.device === device && one.kind === 'ingress')
  if (qdisc) return `${device} has an ingress qdisc, which excludes the clsact that seals it`
  const filter = host.filters.find(
    (one) =>
      one.device === device &&
      one.hook === 'ingress' &&
      one.chain === 0 &&
      one.pref === sealPref &&
      one.handle !== sealHandle(device)
  )
  return filter ? `${device} has a filter at preference ${sealPref}, which the one that seals it takes` : null
}

/** The conflict that this is. */
export function sealConflict(obstacle: string, device: string): Notice {
  return notice(
    'SEAL_BLOCKED',
    obstacle,
    `look at it with: tc filter show dev ${device} ingress; or write "sealed: false"`
  )
}

/** Whether our filter drops all that enters a device. */
export function isSealed(host: Snapshot, device: string): boolean {
  return host.filters.some(
    (filter) =>
      filter.device === device &&
      filter.hook === 'ingress' &&
      filter.pref === sealPref &&
      filter.protocol === 'all' &&
      filter.handle === sealHandle(device) &&
      filter.directAction &&
      filter.program === dropProgram
  )
}

import type { Snapshot } from '../host/host.ts'
import { dropProgram, sealPref } from '../host/tc.ts'
import { sealHandle } from './mark.ts'

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

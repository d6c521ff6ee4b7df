import { type Check, type Finding, orOk, problem, warning } from '../finding.ts'
import type { DoctorReadings } from '../readings.ts'
import { spanplanLine } from '../wording.ts'

export const rights: Check = (readings) => {
  const { canAdminister, canCapture } = readings
  return orOk(
    [
      ...(canAdminister ? [] : [missing(readings, 'CAP_NET_ADMIN: apply and watch need it')]),
      ...(canCapture ? [] : [missing(readings, 'CAP_NET_RAW: filters with "vlan" and capture need it')])
    ],
    'CAP_NET_ADMIN, CAP_NET_RAW'
  )
}

/** Root lacks a right in a container or a unit only; any other user may have chosen to look without. */
function missing(readings: DoctorReadings, what: string): Finding {
  if (readings.isRoot) return problem(`root has no ${what}. Grant it to the container or the unit that this runs in`)
  return warning(`this user has no ${what}`, asRoot(readings))
}

/** The same command, as root. */
export function asRoot(readings: DoctorReadings): string {
  return `sudo ${spanplanLine(readings, 'doctor')}`
}

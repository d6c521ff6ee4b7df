import { isDeepStrictEqual } from 'node:util'
import type { Argv } from '../../host/exec.ts'
import { mirrorPref } from '../../host/tc-conventions.ts'
import { deleteFilter, writeMirror } from '../../host/write-filters.ts'
import type { Step } from '../kind.ts'
import type { Mirror } from './mirror-resource.ts'
import { nameMirror } from './mirror-words.ts'

/** The steps that change a mirror. */
export function updateSteps(before: Mirror, after: Mirror): Step[] {
  const isInTheWay = before.foreignMirrors.length === 0 && after.foreignMirrors.length > 0 && !after.onIngress
  const summary = `remove what stands in the way of the mirror ${nameMirror(before)}`
  const steps = makeSteps(after, 'repair')
  if (isDeepStrictEqual(before.widening, steps)) return []
  return [
    ...before.removal.map((argv) => ({ summary, argv })),
    // Where the old ingress qdisc is back, the mirror went with clsact; where foreign mirrors are, it is not there yet.
    ...(isInTheWay ? removeSteps(before) : []),
    ...steps
  ]
}

/** The steps that write a mirror, or the foreign mirrors that it had replaced. */
export function makeSteps(after: Mirror, verb: string): Step[] {
  if (after.foreignMirrors.length > 0) {
    return after.restoration.map((argv) => ({ summary: `restore the foreign mirror of ${nameMirror(after)}`, argv }))
  }
  const { device, tcHook } = after.point
  const argv = ['tc', ...writeMirror({ ...after, device: device.name, tcHook })] as const
  return [{ summary: `${verb} the mirror ${nameMirror(after)}`, argv }]
}

/** The steps that remove a mirror. */
export function removeSteps(before: Mirror): Step[] {
  return [{ summary: `remove the mirror ${nameMirror(before)}`, argv: deletion(before) }]
}

/** The command that removes a mirror. */
export function deletion({ point: { device, tcHook }, handle }: Mirror): Argv {
  return ['tc', ...deleteFilter(device.name, tcHook, mirrorPref, handle)]
}

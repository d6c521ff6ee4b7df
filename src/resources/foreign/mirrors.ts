import type { Argv } from '../../host/exec.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { ClassFilter, Filter } from '../../host/snapshot.ts'
import { mirrorPref } from '../../host/tc-syntax.ts'
import { removeFilter, writeFilter } from '../../host/write-filters.ts'
import type { TcHook } from '../../spec/spec.ts'
import type { CopyPoint, DesiredState } from '../desired-state.ts'
import { isSameFilter } from '../mark-inventory.ts'
import { isOfScripts } from './describe-filter.ts'

/** A filter of others', on a device that a span copies from, that copies into that span's bridge too. */
export type ForeignMirror = Filter | ClassFilter

/** What stands in the way of a mirror, on its hook of its device. */
export interface ForeignMirrors {
  /** Sensors would see each frame twice. */
  readonly copying: readonly ForeignMirror[]
  /** It has the mirror's preference, and does something else. */
  readonly blocking: Filter | undefined
}

/** The filters of others' that a wanted mirror meets. */
export function findForeignMirrors(
  wanted: DesiredState,
  host: HostIndex,
  span: string,
  { device: { name: device }, tcHook }: CopyPoint
): ForeignMirrors {
  const copies = (filter: ForeignMirror) => filter.copies.some(({ target }) => target === span)
  const marked = wanted.marks.mirrors.filter(({ filter }) => filter.device === device)
  const onHook = host
    .filtersAt(device, tcHook)
    .filter((filter) => !marked.some((live) => isSameFilter(live.filter, filter)))
  // What a device sends passes its own queueing discipline too.
  const onRoot = tcHook === 'egress' ? host.classFiltersOf(device) : []
  return {
    copying: [...onHook, ...onRoot].filter(copies),
    blocking: onHook.find(
      (filter) => filter.chain === 0 && filter.pref === mirrorPref && !copies(filter) && !isOtherSpans(wanted, filter)
    )
  }
}

/** It copies into another span what that copies too, which is that span's conflict; the kernel adds any mirror beside it. */
function isOtherSpans({ spans }: DesiredState, filter: Filter): boolean {
  const isBeside = filter.kind === 'bpf' && filter.protocol === 'all'
  const meets = ({ device, tcHook }: CopyPoint) => device.name === filter.device && tcHook === filter.tcHook
  return (
    isBeside &&
    spans.some(({ name, mirrors }) => mirrors.some(meets) && filter.copies.some(({ target }) => target === name))
  )
}

/** Why a rival cannot be replaced by a mirror; null if it can, and could be put back. */
export function refuseAdoption(filter: ForeignMirror): string | null {
  const what = `the ${filter.kind} filter at preference ${filter.pref}`
  if (filter.copies.length !== 1 || filter.others) return `${what} does more than copy into this span`
  // A filter of a queueing discipline also chooses the class.
  if ('parent' in filter && filter.classId !== null) return `${what} also sorts frames into the class ${filter.classId}`
  if (writeFilter(filter) === null) return `${what} is not completely understood, so it could not be written again`
  return null
}

/** What a rival is, and where it hangs, in words. */
export function describeForeignMirror(filter: ForeignMirror): string {
  const where = 'parent' in filter ? `the queueing discipline ${filter.parent}` : `the ${filter.tcHook} hook`
  return `${filter.kind} at preference ${filter.pref} of ${where}${isOfScripts(filter) ? ', as old scripts make' : ''}`
}

/** The commands that show what hangs where a device's rivals can. */
export function showForeignMirrors(host: HostIndex, device: string, tcHook: TcHook): string {
  const parents = host.classFiltersOf(device).map(({ parent }) => parent)
  const places = [
    ...(host.filtersAt(device, tcHook).length > 0 ? [[tcHook]] : []),
    ...(tcHook === 'egress' ? [...new Set(parents)].map((parent) => ['parent', parent]) : [])
  ]
  return places.map((place) => shellLine(['tc', 'filter', 'show', 'dev', device, ...place])).join('; ')
}

/** The filter of others' at the mirrors' preference, of that handle. */
export function findBlocking(host: HostIndex, device: string, tcHook: TcHook, handle: number): Filter | undefined {
  return host
    .filtersAt(device, tcHook)
    .find(({ chain, pref, ...filter }) => chain === 0 && pref === mirrorPref && (filter.handle ?? 0) === handle)
}

/** The rivals' queueing disciplines that hold nothing else, and do nothing but what the default does. */
function emptied(host: HostIndex, foreignMirrors: readonly ForeignMirror[]): { device: string; handle: string }[] {
  const devices = [...new Set(foreignMirrors.map(({ device }) => device))]
  return devices
    .flatMap((name) => host.qdiscsOf(name))
    .filter(({ device, handle, root, plainPrio }) => {
      const filters = host.classFiltersOf(device)
      const children = host.qdiscsOf(device).some((other) => other.parent?.startsWith(handle))
      return (
        plainPrio &&
        root &&
        !children &&
        filters.length > 0 &&
        filters.every((filter) => foreignMirrors.includes(filter))
      )
    })
}

/** The commands that remove the rivals; those on an old ingress qdisc go with it. */
export function removeForeignMirrors(host: HostIndex, foreignMirrors: readonly ForeignMirror[]): Argv[] {
  const roots = emptied(host, foreignMirrors)
  const alone = foreignMirrors.filter(
    (filter) =>
      !roots.some(({ device }) => device === filter.device && 'parent' in filter) &&
      !('tcHook' in filter && hasIngress(host, filter.device))
  )
  return [
    ...alone.map(removeFilter).flatMap((words): Argv[] => (words === null ? [] : [['tc', ...words]])),
    ...roots.map(({ device }): Argv => ['tc', 'qdisc', 'del', 'dev', device, 'root'])
  ]
}

/** The commands that put them back. */
export function restoreForeignMirrors(host: HostIndex, foreignMirrors: readonly ForeignMirror[]): Argv[] {
  return [
    ...emptied(host, foreignMirrors).map(
      ({ device, handle }): Argv => ['tc', 'qdisc', 'add', 'dev', device, 'root', 'handle', handle, 'prio']
    ),
    ...foreignMirrors.flatMap((filter): Argv[] => {
      const words = writeFilter(filter)
      if (words === null) return []
      // tc tells of it as it was added; on the old ingress qdisc, scripts say "parent ffff:".
      const old = hasIngress(host, filter.device)
      return [
        [
          'tc',
          ...words.flatMap((word, index) => (old && index === 4 && word === 'ingress' ? ['parent', 'ffff:'] : [word]))
        ]
      ]
    })
  ]
}

/** The device has the old ingress qdisc, not clsact. */
export function hasIngress(host: HostIndex, device: string): boolean {
  return host.hasQdisc(device, 'ingress')
}

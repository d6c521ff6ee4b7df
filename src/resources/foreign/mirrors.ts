import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { Argv } from '../../host/exec.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { ClassFilter, Filter } from '../../host/snapshot.ts'
import { mirrorPref } from '../../host/tc-syntax.ts'
import { removeFilter, writeFilter } from '../../host/write-filters.ts'
import type { TcHook } from '../../spec/spec.ts'
import type { CopyPoint, DesiredState } from '../desired-state.ts'
import { type Adoption, adoptUnless } from '../kind.ts'
import { describeFilter, isOfScripts } from './describe-filter.ts'

/** A foreign filter on an interface that a span copies from; the filter copies into that span's bridge too. */
export type ForeignMirror = Filter | ClassFilter

/** The foreign filters in the way of a mirror, at its hook of its interface. */
export interface ForeignMirrors {
  /** Filters that copy into the same span: with the mirror beside them, sensors would see each frame twice. */
  readonly copying: readonly ForeignMirror[]
  /** A filter at the mirror's preference that does something else. */
  readonly blocking: Filter | undefined
}

/** Finds the foreign filters in the way of a desired mirror. */
export function findForeignMirrors(
  desired: DesiredState,
  host: HostIndex,
  span: string,
  { device: { name: device }, tcHook }: CopyPoint
): ForeignMirrors {
  const copies = (filter: ForeignMirror) => filter.copies.some(({ target }) => target === span)
  const onHook = host.filtersAt(device, tcHook).filter((filter) => !desired.marks.mirrors.has(filter))
  // Frames that an interface sends pass its root qdisc too.
  const onRoot = tcHook === 'egress' ? host.classFiltersOf(device) : []
  return {
    copying: [...onHook, ...onRoot].filter(copies),
    blocking: onHook.find(
      (filter) => filter.chain === 0 && filter.pref === mirrorPref && !copies(filter) && !isOtherSpans(desired, filter)
    )
  }
}

/** Whether a filter copies what another span copies too: that is the other span's conflict, and leaves room for our mirror. */
function isOtherSpans({ spans }: DesiredState, filter: Filter): boolean {
  const isBeside = filter.kind === 'bpf' && filter.protocol === 'all'
  const meets = ({ device, tcHook }: CopyPoint) => device.name === filter.device && tcHook === filter.tcHook
  return (
    isBeside &&
    spans.some(({ name, mirrors }) => mirrors.some(meets) && filter.copies.some(({ target }) => target === name))
  )
}

/** The foreign mirrors that a mirror of ours replaces. */
export interface ReplacedMirrors {
  /** What each is, and where, in words. */
  readonly foreignMirrors: readonly string[]
  /** The commands that remove them. */
  readonly removal: readonly Argv[]
  /** The commands that restore them. */
  readonly restoration: readonly Argv[]
  /** The interface has the old ingress qdisc. The kernel removes the filters with it, and so it does with clsact's. */
  readonly onIngress: boolean
}

/** A mirror that replaces none. */
export const replacesNone: ReplacedMirrors = { foreignMirrors: [], removal: [], restoration: [], onIngress: false }

/** How a mirror of an interface replaces foreign mirrors. */
export function planReplacement(
  host: HostIndex,
  device: string,
  foreignMirrors: readonly ForeignMirror[]
): ReplacedMirrors {
  return {
    foreignMirrors: foreignMirrors.map(describeForeignMirror),
    removal: removeForeignMirrors(host, foreignMirrors),
    restoration: restoreForeignMirrors(host, foreignMirrors),
    onIngress: host.hasQdisc(device, 'ingress')
  }
}

/** Whether foreign mirrors may be adopted: a rollback has to be able to restore each. */
export function judgeForeignMirrors(foreignMirrors: readonly ForeignMirror[]): Adoption {
  return adoptUnless(foreignMirrors.map(findObjection).find((reason) => reason !== undefined))
}

function findObjection(filter: ForeignMirror): string | undefined {
  const what = `the ${filter.kind} filter at preference ${filter.pref}`
  if (filter.copies.length !== 1 || filter.others) return `${what} does more than copy into this span`
  // A filter of a root qdisc also chooses the class.
  if ('parent' in filter && filter.classId !== null) return `${what} also sorts frames into the class ${filter.classId}`
  const isUnclear = writeFilter(filter) === null
  return isUnclear ? `${what} is not completely understood, so it could not be written again` : undefined
}

function describeForeignMirror(filter: ForeignMirror): string {
  const where = 'parent' in filter ? `the queueing discipline ${filter.parent}` : `the ${filter.tcHook} hook`
  return `${filter.kind} at preference ${filter.pref} of ${where}${isOfScripts(filter) ? ', as old scripts make' : ''}`
}

/** The place of a mirror of ours. */
interface Place {
  readonly device: string
  readonly tcHook: TcHook
  readonly handle: number
  readonly spans: readonly string[]
}

/** Explains the conflict of a mirror of ours with the foreign filters in its place. */
export function explainForeignMirrors(
  { device, tcHook, handle, spans, foreignMirrors, removal }: Place & ReplacedMirrors,
  host: HostIndex
): Diagnostic {
  if (foreignMirrors.length > 0) {
    return diagnostic(
      'MIRROR_TWICE',
      `the ${tcHook} of ${device} is mirrored into ${spans[0]} already, by foreign filters (${foreignMirrors.join('; ')}): sensors would see each frame twice`,
      `see it with: ${showForeignMirrors(host, device, tcHook)}${alternative(removal)}`
    )
  }
  const filter = findBlocking(host, device, tcHook, handle)
  const words = filter && removeFilter(filter)
  return diagnostic(
    'FILTER_FOREIGN',
    `${device} ${tcHook} has a filter at preference ${mirrorPref} that spanplan did not make${filter ? `: ${describeFilter(filter)}` : ''}`,
    `see it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, tcHook])}; move it to another preference${alternative(words ? [['tc', ...words]] : [])}`
  )
}

function alternative(commands: readonly Argv[]): string {
  return commands.length === 0 ? '' : `; if nothing needs it: ${commands.map(shellLine).join('; ')}`
}

/** The commands that show the filters at each place where foreign mirrors of an interface can be. */
function showForeignMirrors(host: HostIndex, device: string, tcHook: TcHook): string {
  const parents = host.classFiltersOf(device).map(({ parent }) => parent)
  const places = [
    ...(host.filtersAt(device, tcHook).length > 0 ? [[tcHook]] : []),
    ...(tcHook === 'egress' ? [...new Set(parents)].map((parent) => ['parent', parent]) : [])
  ]
  return places.map((place) => shellLine(['tc', 'filter', 'show', 'dev', device, ...place])).join('; ')
}

/** The foreign filter at the mirrors' preference that has a handle. */
function findBlocking(host: HostIndex, device: string, tcHook: TcHook, handle: number): Filter | undefined {
  return host
    .filtersAt(device, tcHook)
    .find(({ chain, pref, ...filter }) => chain === 0 && pref === mirrorPref && (filter.handle ?? 0) === handle)
}

/** The root qdiscs that hold nothing but these foreign mirrors, and treat frames as the default qdisc does. */
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

/** Foreign mirrors on an ingress qdisc are removed with that qdisc. */
function removeForeignMirrors(host: HostIndex, foreignMirrors: readonly ForeignMirror[]): Argv[] {
  const roots = emptied(host, foreignMirrors)
  const alone = foreignMirrors.filter(
    (filter) =>
      !roots.some(({ device }) => device === filter.device && 'parent' in filter) &&
      !('tcHook' in filter && host.hasQdisc(filter.device, 'ingress'))
  )
  return [
    ...alone.map(removeFilter).flatMap((words): Argv[] => (words === null ? [] : [['tc', ...words]])),
    ...roots.map(({ device }): Argv => ['tc', 'qdisc', 'del', 'dev', device, 'root'])
  ]
}

function restoreForeignMirrors(host: HostIndex, foreignMirrors: readonly ForeignMirror[]): Argv[] {
  return [
    ...emptied(host, foreignMirrors).map(
      ({ device, handle }): Argv => ['tc', 'qdisc', 'add', 'dev', device, 'root', 'handle', handle, 'prio']
    ),
    ...foreignMirrors.flatMap((filter): Argv[] => {
      const words = writeFilter(filter)
      if (words === null) return []
      // On the old ingress qdisc, a filter's parent is ffff:, as scripts write it.
      const old = host.hasQdisc(filter.device, 'ingress')
      return [
        [
          'tc',
          ...words.flatMap((word, index) => (old && index === 4 && word === 'ingress' ? ['parent', 'ffff:'] : [word]))
        ]
      ]
    })
  ]
}

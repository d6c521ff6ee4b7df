import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { Argv } from '../../host/exec.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { ClassFilter, Filter, Qdisc, TcHook } from '../../host/snapshot.ts'
import { mirrorPref } from '../../host/tc-conventions.ts'
import { removeFilter, writeFilter, writeHandle } from '../../host/write-filters.ts'
import type { CopyPoint, DesiredState } from '../desired-state.ts'
import { type Adoption, adoptUnless, type ObservedState } from '../kind.ts'
import { filterWords, isOfScripts, leadsTo, placeOf } from './filter-words.ts'

/** A foreign filter on an interface that a span copies from; the filter copies into that span's bridge too. */
export type ForeignMirror = Filter | ClassFilter

/**
 * Finds the foreign filters in the way of a mirror, at its hook of its interface.
 *
 * @param targets where those lead that it is to replace.
 * @returns `copying`: the filters that copy there too: with the mirror beside them, sensors would see each frame twice.
 * `blocking`: a filter at the mirror's preference that does something else.
 */
export function findForeignMirrors(
  { desired, marks, host }: ObservedState,
  targets: ReadonlySet<string>,
  { device: { name: device }, tcHook }: CopyPoint
) {
  const copies = (filter: ForeignMirror) => leadsTo(filter, targets)
  const onHook = host.filtersAt(device, tcHook).filter((filter) => !marks.mirrors.has(filter))
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
  if (filter.kind !== 'bpf' || filter.protocol !== 'all') return false
  const meets = ({ device, tcHook }: CopyPoint) => device.name === filter.device && tcHook === filter.tcHook
  return spans.some(
    ({ bridge, mirrors }) => mirrors.some(meets) && filter.copies.some(({ target }) => target === bridge)
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

/**
 * How a mirror of an interface replaces foreign mirrors of that interface.
 *
 * @param now the host that they are restored on. Where their bridge went meanwhile, they are there and copy nowhere.
 */
export function planReplacement(
  host: HostIndex,
  device: string,
  foreignMirrors: readonly ForeignMirror[],
  now: HostIndex = host
): ReplacedMirrors {
  const onIngress = host.hasQdisc(device, 'ingress')
  const root = findEmptied(host, device, foreignMirrors)
  // Foreign mirrors on an ingress qdisc are removed with that qdisc.
  const alone = foreignMirrors.filter((filter) => ('parent' in filter ? root === undefined : !onIngress))
  const qdisc = ['dev', device, 'root'] as const
  const isRootGone = root !== undefined && now.qdiscsOf(device).every(({ handle }) => handle !== root.handle)
  const dead = new Set([...now.filtersOf(device), ...now.classFiltersOf(device)].filter(isDead).map(placeKey))
  return {
    foreignMirrors: foreignMirrors.map(foreignMirrorTitle),
    removal: [
      ...alone.flatMap((filter) => asCommand(removeFilter(filter))),
      ...(root === undefined ? [] : [['tc', 'qdisc', 'del', ...qdisc] as const])
    ],
    restoration: [
      ...(isRootGone ? [['tc', 'qdisc', 'add', ...qdisc, 'handle', root.handle, 'prio'] as const] : []),
      ...foreignMirrors.flatMap((filter) => {
        const words = writeFilter(filter)
        // On the old ingress qdisc, a filter's parent is ffff:, as scripts write it.
        const isOld = onIngress && words?.[4] === 'ingress'
        return [
          ...(dead.has(placeKey(filter)) ? asCommand(removeFilter(filter)) : []),
          ...asCommand(isOld ? words.toSpliced(4, 1, 'parent', 'ffff:') : words)
        ]
      })
    ],
    onIngress
  }
}

/** Whether a device that a filter copies to has gone. */
function isDead({ copies }: ForeignMirror): boolean {
  return copies.some(({ target }) => target === '*')
}

/** A filter's place on its device: the same for the same filter, whatever it does. */
function placeKey(filter: ForeignMirror): string {
  return [placeOf(filter), filter.chain, filter.pref, filter.kind, writeHandle(filter)].join(' ')
}

/** The root qdisc that holds nothing but these foreign mirrors, and treats frames as the default qdisc does. */
function findEmptied(host: HostIndex, device: string, foreignMirrors: readonly ForeignMirror[]): Qdisc | undefined {
  const filters = host.classFiltersOf(device)
  if (filters.length === 0 || !filters.every((filter) => foreignMirrors.includes(filter))) return undefined
  const qdiscs = host.qdiscsOf(device)
  return qdiscs.find(
    ({ handle, root, plainPrio }) => plainPrio && root && !qdiscs.some(({ parent }) => parent?.startsWith(handle))
  )
}

function asCommand(words: readonly string[] | null): Argv[] {
  return words === null ? [] : [['tc', ...words]]
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
  return isUnclear ? `${what} could not be understood completely, so it could not be restored` : undefined
}

function foreignMirrorTitle(filter: ForeignMirror): string {
  const where = 'parent' in filter ? `the queueing discipline ${filter.parent}` : `the ${filter.tcHook} hook`
  return `${filter.kind} at preference ${filter.pref} of ${where}${isOfScripts(filter) ? ', as old scripts make' : ''}`
}

/** Explains the conflict of a mirror of ours with the foreign filters in its place. */
export function explainForeignMirrors(
  mirror: ReplacedMirrors & { readonly point: CopyPoint; readonly handle: number },
  bridge: string,
  host: HostIndex
): Diagnostic {
  const { point, handle, foreignMirrors, removal } = mirror
  const { tcHook } = point
  const device = point.device.name
  if (foreignMirrors.length > 0) {
    return diagnostic(
      'MIRROR_TWICE',
      `the ${tcHook} of ${device} is already mirrored into ${bridge} by foreign filters (${foreignMirrors.join('; ')}): sensors would see each frame twice`,
      `see it with: ${showForeignMirrors(host, device, tcHook)}${alternative(removal)}`
    )
  }
  const filter = host
    .filtersAt(device, tcHook)
    .find((one) => one.chain === 0 && one.pref === mirrorPref && (one.handle ?? 0) === handle)
  const removals = asCommand(filter ? removeFilter(filter) : null)
  return diagnostic(
    'FILTER_FOREIGN',
    `${device} ${tcHook} has a filter at preference ${mirrorPref} that spanplan did not create${filter ? `: ${filterWords(filter)}` : ''}`,
    `see it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, tcHook])}; move it to another preference${alternative(removals)}`
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

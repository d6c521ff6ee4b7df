import { type Diagnostic, diagnostic } from '../errors.ts'
import type { Argv } from '../host/exec.ts'
import type { HostIndex, TcIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Filter, TcFilter } from '../host/snapshot.ts'
import { dropProgram, passProgram, sealPref } from '../host/tc-conventions.ts'
import { deleteFilter, removeFilter, writeDirectAction } from '../host/write-filters.ts'
import type { DesiredState } from './desired-state.ts'
import { countFilters, filterWords } from './foreign/filter-words.ts'
import type { Field } from './kind.ts'
import { readPortClass, sealHandle, sealsInterface } from './marks.ts'
import { yesNo } from './settings.ts'

/** What keeps an interface from being sealed, in words, and the command that takes it away; null: that is for its owner to do. */
interface Obstacle {
  readonly words: string
  readonly removal: Argv | null
}

/** Why a bridge of a span, or a port of it, cannot be sealed, or why a frame that enters it may miss the seal; null if neither is so. */
export function sealObstacle(desired: DesiredState, host: HostIndex, bridge: string, device: string): string | null {
  if (!desired.spanOn(bridge)?.sealed) return null
  return (findObstacle(host, device) ?? findBefore(host, device))?.words ?? null
}

/** Why spanplan's filter cannot be added to an interface, or would not be this interface's alone; null if it can. */
export function findObstacle(host: TcIndex, device: string): Obstacle | null {
  const qdisc = host.qdiscsOf(device).find(({ kind }) => kind === 'ingress' || kind === 'clsact')
  if (qdisc && qdisc.block !== null) {
    const words = `the ${qdisc.kind} qdisc of ${device} takes filters from the shared block ${qdisc.block}, which are not its own`
    return { words, removal: null }
  }
  if (qdisc?.kind === 'ingress') {
    const held = countFilters(host.filtersOf(device))
    const words = `${device} has an ingress qdisc, which excludes the clsact qdisc that seals it; it holds ${held}`
    return { words, removal: ['tc', 'qdisc', 'del', 'dev', device, 'ingress'] }
  }
  if (findSeal(host, device) !== undefined) return null
  const filter = host.filtersAt(device, 'ingress').find(({ chain, pref }) => chain === 0 && pref === sealPref)
  return filter
    ? explainFilter(filter, `preference ${sealPref}, which the one that seals it takes: ${filterWords(filter)}`)
    : null
}

/** Why a frame that enters an interface may not come to the filter that seals it; null if every frame does. */
function findBefore(host: TcIndex, device: string): Obstacle | null {
  const filter = host
    .filtersAt(device, 'ingress')
    .find((one) => one.chain === 0 && one.pref < sealPref && !isTransparent(one))
  if (filter === undefined) return null
  const place = `preference ${filter.pref}, before the one that seals it: ${filterWords(filter)}`
  return explainFilter(filter, `${place}; what it lets in is not dropped`)
}

function explainFilter(filter: Filter, place: string): Obstacle {
  const removal = removeFilter(filter)
  return { words: `${filter.device} has a filter at ${place}`, removal: removal && ['tc', ...removal] }
}

/** Whether a filter leaves every frame to the next filter, whatever else it does. */
export function isTransparent({ program, directAction, copies, others }: TcFilter): boolean {
  if (directAction) return program === passProgram
  return !others && copies.length > 0 && copies.every(({ control }) => control === 'continue')
}

/** What keeps an interface from being sealed, as a conflict. @param instead what else helps. */
export function sealConflict(host: TcIndex, device: string, instead = 'write "sealed: false"'): Diagnostic {
  const { words, removal } = findObstacle(host, device) ??
    findBefore(host, device) ?? { words: `${device} cannot be sealed`, removal: null }
  const remove = removal === null ? '' : `; if nothing needs it: ${shellLine(removal)}`
  const look = `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, 'ingress'])}`
  return diagnostic('SEAL_BLOCKED', words, `${look}${remove}; or ${instead}`)
}

/**
 * How far an interface is sealed. `none`: not at all. `qdisc`: it has a clsact qdisc. `broken`: it has our filter, which
 * somebody has changed so that it does not work. `marked`: our filter lets every frame in, and only keeps what the interface
 * was like before. `sealed`: our filter drops every frame that enters.
 */
export type Seal = 'none' | 'qdisc' | 'broken' | 'marked' | 'sealed'

/** How a seal is shown. */
export const sealField: Field<{ seal: Seal }, 'seal'> = {
  label: 'sealed',
  words: (seal) => yesNo(seal === 'sealed'),
  closes: true
}

/**
 * Reads how far an interface is sealed.
 *
 * @param madeAs the name of which the handle of our filter is made.
 */
export function readSeal(host: TcIndex, device: string, madeAs = device): Seal {
  const filter = findSeal(host, device, madeAs)
  if (filter === undefined) return host.hasQdisc(device, 'clsact') ? 'qdisc' : 'none'
  if (!isWhole(filter)) return 'broken'
  return filter.program === dropProgram ? 'sealed' : 'marked'
}

/** How far an interface will be sealed. A qdisc that is there stays: an empty one harms nobody. */
export function desiredSeal(target: 'qdisc' | 'marked' | 'sealed', now: Seal): Seal {
  if (target !== 'qdisc') return target
  return now === 'none' ? 'none' : 'qdisc'
}

/** How far a rollback can seal an interface: a qdisc with foreign filters stays, and a broken seal is not made again. */
export function rollbackSeal(host: TcIndex, device: string, then: Seal): Seal {
  return then === 'broken' || (then === 'none' && hasOtherFilters(host, device)) ? 'qdisc' : then
}

/** Whether an interface has filters besides our seal: its qdisc holds these. */
export function hasOtherFilters(host: TcIndex, device: string): boolean {
  const ours = findSeal(host, device)
  return host.filtersOf(device).some((filter) => filter !== ours)
}

/**
 * The commands that lead from one state of the seal to another.
 *
 * @param place the handle of our filter, and the class id that is its mark.
 */
export function sealCommands(
  device: string,
  from: Seal,
  to: Seal,
  place: { readonly handle?: number; readonly classId?: string } = {}
): Argv[] {
  const { handle = sealHandle(device), classId } = place
  const qdisc: Argv = ['tc', 'qdisc', 'replace', 'dev', device, 'clsact']
  const remove: Argv = ['tc', ...deleteFilter(device, 'ingress', sealPref, handle)]
  switch (to) {
    case 'sealed':
    case 'marked': {
      const program = to === 'sealed' ? dropProgram : passProgram
      // The kernel does not change the protocol of a preference that is there.
      const seal = writeDirectAction({ device, tcHook: 'ingress' }, sealPref, handle, program, classId)
      return [...(from === 'broken' ? [remove] : []), qdisc, ['tc', ...seal]]
    }
    case 'qdisc':
    case 'broken':
      return from === 'none' ? [qdisc] : from === 'qdisc' ? [] : [remove]
    case 'none':
      return [['tc', 'qdisc', 'del', 'dev', device, 'clsact']]
  }
}

/**
 * Our filter on an interface, in the place where every frame that enters meets it. The filter is recognised by its handle, or
 * by its mark: the handle is made of the interface's name, and somebody may rename the interface.
 */
export function findSeal(host: TcIndex, device: string, madeAs = device): Filter | undefined {
  const isMarked = (filter: Filter) => readPortClass(filter.classId) !== null && isWhole(filter)
  const isOurs = (filter: Filter) =>
    isInPlace(filter) && (sealsInterface(filter.handle ?? 0, madeAs) || isMarked(filter))
  return host.filtersAt(device, 'ingress').find(isOurs)
}

/** The seal of a bridge of ours, under whichever name of the bridge that was made. */
export function findBridgeSeal(host: TcIndex, bridge: string): Filter | undefined {
  const isOurs = (filter: Filter) => isInPlace(filter) && (filter.handle === sealHandle(bridge) || isWhole(filter))
  return host.filtersAt(bridge, 'ingress').find(isOurs)
}

/** Whether a filter is a seal that was made for an interface of this name. */
export const isSealOf = (filter: Filter, device: string) =>
  isInPlace(filter) && sealsInterface(filter.handle ?? 0, device)

const isInPlace = ({ tcHook, pref, chain, kind }: Filter) =>
  tcHook === 'ingress' && pref === sealPref && chain === 0 && kind === 'bpf'

function isWhole({ protocol, directAction, program }: Filter): boolean {
  return protocol === 'all' && directAction && (program === dropProgram || program === passProgram)
}

import { type Diagnostic, diagnostic } from '../errors.ts'
import { groupsOf, type HostIndex } from '../host/host-index.ts'
import type { CompiledFilters } from '../host/parsers/pcap.ts'
import { shellLine } from '../host/quote-command.ts'
import { type HookPlace, hookKey } from '../host/snapshot.ts'
import { type DesiredState, linksOf, type MarkInventory, placeOf } from '../resources/desired-state.ts'
import { warnOfOpaque } from '../resources/foreign/opaque-link.ts'
import { explainIfRenamed, hasPorts } from '../resources/foreign/renamed-bridge.ts'
import type { Wait } from '../resources/kind.ts'
import { warnOfStacks } from '../resources/kinds/stack.ts'
import { warnOfLateSeal } from '../resources/kinds/table.ts'
import { warnOfListeners } from '../resources/kinds/xdp.ts'
import { hashOf, readMark } from '../resources/marks.ts'
import { destroyOf, isInScope, isMarkCopied, markOf, takeMarkOff } from '../resources/ownership.ts'
import { warnOfStrayPorts } from '../resources/port-role.ts'
import { readMarks } from '../resources/read-marks.ts'
import { exceptSpans, namedSpans, namesOf } from '../spec/scope.ts'
import { listNames } from '../text-lines.ts'
import { warnOfOtherOwners } from './live-spans.ts'
import { makePlan, makeRollback, type Plan } from './plan.ts'
import { type Resolution, resolveSpec } from './resolve/resolve.ts'
import type { Target } from './target.ts'

/** What a plan is made from, besides the target. */
export interface HostReading {
  readonly host: HostIndex
  readonly filters: CompiledFilters
}

/** What was read of the host, the desired state, and the plan that leads there. */
export interface PlanView extends HostReading {
  readonly desired: DesiredState
  readonly marks: MarkInventory
  readonly plan: Plan
}

/**
 * Plans what leads from the host to the target.
 *
 * @throws SpanplanError with all conflicts and all that cannot be resolved.
 */
export function planTarget(target: Target, reading: HostReading): PlanView {
  const { host } = reading
  const { resolution, plan } = planAround(target, reading, [])
  const { desired, marks } = resolution
  const warnings = [
    ...plan.warnings,
    ...warnOfUnreadContainers(host),
    ...warnOfOpaque(desired, host),
    ...warnOfStrayPorts(desired, host),
    ...warnOfCopiedMarks(desired, host)
  ]
  const isNothing = plan.changes.length + plan.waiting.length === 0
  const others = isNothing ? warnOfOtherOwners(target, host) : []
  const more = target.isDestroy
    ? others
    : [...warnOfStacks(resolution), ...warnOfUnlistedSpans(target, host), ...warnOfNewNames(target, resolution)]
  return { ...reading, desired, marks, plan: { ...plan, warnings: [...warnings, ...more] } }
}

/** Plans what leads from the host as it is now back to the host of an earlier plan view. */
export function planRollback(first: PlanView, host: HostIndex): PlanView {
  const also = new Set(linksOf([...first.marks.interfaces.values()]).map(({ index }) => index))
  const desired = { ...first.desired, also }
  const now = { desired, marks: readMarks(desired, host), host }
  return { ...now, filters: first.filters, plan: makeRollback(first.plan, first, now) }
}

/** Plans the target without the spans that have to wait: a span is planned completely, or waits completely. */
function planAround(
  target: Target,
  reading: HostReading,
  waits: readonly Wait[]
): { readonly resolution: Resolution; readonly plan: Plan } {
  const resolved = resolveSpec(target, reading)
  const resolution = { ...resolved, waits: [...resolved.waits, ...waits] }
  const plan = makePlan(resolution, target)
  if ('changes' in plan) return { resolution, plan }
  const { scope } = target
  const waiting = plan.map(({ span }) => span)
  const spans = exceptSpans(scope.spans, waiting)
  return planAround({ ...target, scope: { ...scope, spans } }, reading, [...waits, ...plan])
}

function warnOfUnreadContainers({ unreadContainers, engine }: HostIndex) {
  return unreadContainers.map(({ name, reason }) =>
    diagnostic(
      'CONTAINER_UNREAD',
      `the container ${name} is left unchanged, because it could not be read: ${reason.message}`,
      `see why: ${shellLine([engine, 'inspect', name])}`
    )
  )
}

/** The indexes of the interfaces that spans copy from, that their frames leave by, and on which the packets of their tunnels come. */
export function usedInterfaces({ desired, host }: PlanView): Set<number> {
  const links = desired.spans.flatMap(({ mirrors, outputs, tunnels }) => {
    const names = [...outputs.map(({ device }) => device), ...tunnels.map((tunnel) => tunnel.interface)]
    return [...linksOf(mirrors), ...names.flatMap((name) => host.linkOf(name) ?? [])]
  })
  return new Set(links.map(({ index }) => index))
}

/**
 * Warns of what the host lacks for sealed spans. It is of the host and not of the plan: a watch does not repeat it, and a plan in sync is
 * no occasion for it.
 */
export function warnOfHost({ desired, host, plan }: PlanView): Diagnostic[] {
  if (plan.changes.length === 0) return []
  return [...warnOfLateSeal(desired, host), ...warnOfListeners(desired, host)]
}

/** What to do where the file has no spans, and that is meant: the command needs no file. */
export function ifEmptyIsMeant({ spec: { name }, scope, names }: Target): string {
  return `if you want that, apply it with --allow-empty, or: ${shellLine(destroyOf(name, ...namedSpans(scope.spans).map(names.bridgeOf)))}`
}

/** How many resources a plan removes because the file has no spans: probably by accident. 0 where the file has spans. */
export function countEmptyFileRemovals(target: Target, { changes }: Plan): number {
  if (target.isDestroy || target.spec.spans.length > 0) return 0
  return changes.filter(({ action }) => action === 'remove').length
}

/** What goes where the file has no spans, in words. */
export function writeEmptied({ spec: { name }, scope }: Target): string {
  const spans = namedSpans(scope.spans)
  return `everything ${spans.length === 0 ? '' : `of ${listNames(spans)} `}that belongs to the name ${name}`
}

/** Warns of what apply refuses: who allows it, or asks for it, need not be told. */
export function warnOfEmptyFile(target: Target, plan: Plan): Diagnostic[] {
  if (countEmptyFileRemovals(target, plan) === 0) return []
  const message = `the file has no spans: apply would remove ${writeEmptied(target)}`
  return [diagnostic('FILE_REMOVES_ALL', message, `apply refuses that; ${ifEmptyIsMeant(target)}`)]
}

/** Live spans with the file's name that neither the file nor the scope has. */
function warnOfUnlistedSpans({ spec, scope, names }: Target, host: HostIndex) {
  const bridges = spec.spans.map(({ bridge }) => bridge)
  const marked = host.links.flatMap((link) => {
    const owner = markOf(host, link)?.owner
    return owner === undefined ? [] : { link, owner }
  })
  return marked
    .filter(
      ({ link, owner }) =>
        namesOf(spec).includes(owner) && !bridges.includes(link.name) && !isInScope({ scope, names }, owner, link.name)
    )
    .map(
      ({ link, owner }) =>
        // To destroy it is refused, and may be far from what is wanted.
        (hasPorts(link, host) ? explainIfRenamed(link, bridges, host) : null) ??
        diagnostic(
          'SPAN_UNLISTED',
          `span ${names.nameOf(link.name)} is live, but not in the file: it is left unchanged`,
          `to remove it: ${shellLine(destroyOf(owner, link.name))}`
        )
    )
}

/**
 * Warns of a new span that copies from just where a live one does which the file does not have: it may be that one under a new name, and
 * its sensors need not be disconnected for that.
 */
function warnOfNewNames({ spec }: Target, { desired, marks, host }: Resolution) {
  const listed = new Set(spec.spans.map(({ bridge }) => bridge))
  const writePlaces = (places: readonly HookPlace[]) => [...new Set(places.map(hookKey))].sort().join('\n')
  const copying = [...marks.mirrors].flatMap(([{ device, tcHook }, { bridge, owner }]) =>
    bridge === null || listed.has(bridge) || owner !== hashOf(spec.name) ? [] : { bridge, place: { device, tcHook } }
  )
  const unlisted = [...groupsOf(copying, ({ bridge }) => bridge)].filter(([bridge]) => host.linkOf(bridge)?.bridge)
  return desired.spans.flatMap(({ name, bridge, mirrors, origin }) => {
    if (mirrors.length === 0 || host.mayExist(bridge)) return []
    const wanted = writePlaces(mirrors.map(placeOf))
    const [same] = unlisted.find(([, all]) => writePlaces(all.map(({ place }) => place)) === wanted) ?? []
    if (same === undefined) return []
    const message = `span ${name} is new, and copies from where the live span ${desired.names.nameOf(same)} does, which the file does not have`
    const found = diagnostic(
      'SPAN_RENAMED',
      message,
      `to keep what is live under the new name: "bridge: ${same}"; where a watch has removed it already, nothing is left to keep, and the sensors are connected to the new span`,
      origin
    )
    return [{ ...found, subject: { span: name, kind: 'bridge', id: [] } }]
  })
}

/** Warns of bridges of others that bear a copy of a mark in scope. */
function warnOfCopiedMarks(desired: DesiredState, host: HostIndex) {
  return host.links
    .filter((link) => isInScope(desired, readMark(link)?.owner, link.name) && isMarkCopied(host, link))
    .map((link) =>
      diagnostic(
        'MARK_COPIED',
        `the alias of the bridge ${link.name} is a copy of a mark of spanplan, and nothing else of that bridge is spanplan's: it is left as it is`,
        `take the copy off: ${takeMarkOff(link)}`
      )
    )
}

import type { HostIndex } from '../host/host-index.ts'
import type { Filter, Link } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-syntax.ts'
import { matchesSpan } from '../spec/scope.ts'
import type { CopyPoint, DesiredSpans, DesiredState } from './desired-state.ts'
import { isInUse } from './interface-use.ts'
import {
  hashOf,
  type InterfaceMark,
  type InterfaceSetting,
  interfaceSettings,
  mirrorHandle,
  readCookie,
  readMark
} from './marks.ts'
import { isInScope } from './ownership.ts'

/** What the host's marks say, seen from a desired. */
export interface MarkInventory {
  /** Every mirror that bears a mark. */
  readonly mirrors: readonly MarkedMirror[]
  /** Every interface that a desired mirror copies from or a mark speaks of. */
  readonly interfaces: readonly MarkedInterface[]
  /** The same, by name. */
  readonly interfaceOf: ReadonlyMap<string, MarkedInterface>
}

/** What a setting becomes on an interface that a span uses. */
export const settingTarget: Readonly<Record<InterfaceSetting, boolean>> = {
  up: true,
  promiscuous: true,
  clsact: true,
  arp: false,
  ipv6: false,
  gro: false,
  'rx-gro-hw': false,
  lro: false
}

/** An interface with its marks: what it was like, who has charge of what, and who will have. */
export interface MarkedInterface {
  readonly link: Link
  readonly spans: readonly string[]
  /** A mark in scope speaks of it: it may be given back. */
  readonly ours: boolean
  readonly now: ReadonlySet<InterfaceSetting>
  /** What it was like before; what nobody has had charge of is as it is now. */
  readonly before: ReadonlySet<InterfaceSetting>
  /** What live marks have charge of. */
  readonly live: ReadonlySet<InterfaceSetting>
  /** What the desired spans have charge of, and their marks say so. */
  readonly own: ReadonlySet<InterfaceSetting>
  /** What any name's spans have charge of once all is in sync; empty for an interface that is given back. */
  readonly wanted: ReadonlySet<InterfaceSetting>
  /** What others have come to need since, so that it is not taken from them. */
  readonly needed: ReadonlySet<InterfaceSetting>
}

/** A mirror that bears a mark, whosever it is. */
export interface MarkedMirror {
  readonly filter: Filter & { readonly handle: number; readonly mirror: NonNullable<Filter['mirror']> }
  /** What its interface was like. */
  readonly mark: InterfaceMark
  /** The span that it belongs to; null where neither its target nor its handle tells. */
  readonly span: string | null
  /** It belongs to the owner and the spans in question. */
  readonly inScope: boolean
}

/** What a mark says of an interface, and whose the mark is. */
type Entry = Pick<MarkedMirror, 'mark' | 'span' | 'inScope'>

/** A span that copies from an interface. */
interface Use {
  readonly span: string
  readonly point: CopyPoint
}

/** Reads the marks that the host bears. */
export function readMarks(desired: DesiredSpans, host: HostIndex): DesiredState {
  const bridges = host.links.flatMap((link) => {
    const mark = readMark(link)
    return mark === null ? [] : [{ bridge: link.name, mark }]
  })
  const owners = [...new Set([desired.scope.name ?? desired.owner, ...bridges.map(({ mark }) => mark.owner)])]
  const mirrors = host.filters.flatMap((filter) => readMirror(desired, owners, filter))
  const entries = new Map<number, Entry[]>()
  const add = (index: number | undefined, entry: Entry) => {
    if (index !== undefined) entries.set(index, [...(entries.get(index) ?? []), entry])
  }
  for (const one of mirrors) add(host.linkOf(one.filter.device)?.index, one)
  for (const { bridge, mark } of bridges) {
    const inScope = isInScope(desired, mark.owner, bridge)
    for (const [index, remembered] of mark.interfaces) add(index, { mark: remembered, span: bridge, inScope })
  }
  const uses = new Map<string, Use[]>()
  for (const { name: span, mirrors: points } of desired.spans) {
    for (const point of points) uses.set(point.device.name, [...(uses.get(point.device.name) ?? []), { span, point }])
  }
  const marked = groupByDevice(mirrors)
  const interfaces = host.links.flatMap((link) =>
    readInterface(desired, host, link, entries.get(link.index) ?? [], uses.get(link.name) ?? [], marked)
  )
  const interfaceOf = new Map(interfaces.map((one) => [one.link.name, one]))
  return { ...desired, marks: { mirrors, interfaces, interfaceOf } }
}

type MarkedOn = ReadonlyMap<string, readonly MarkedMirror[]>

function groupByDevice(mirrors: readonly MarkedMirror[]): MarkedOn {
  const groups = new Map<string, MarkedMirror[]>()
  for (const one of mirrors) groups.set(one.filter.device, [...(groups.get(one.filter.device) ?? []), one])
  return groups
}

const nothing: InterfaceMark = { before: new Set(), managed: new Set() }

function readMirror({ known, scope }: DesiredSpans, owners: readonly string[], filter: Filter): MarkedMirror[] {
  const { mirror, handle, pref, chain } = filter
  if (mirror === null || handle === null || pref !== mirrorPref || chain !== 0) return []
  const named = findName([mirror.target, ...known], owners, filter)
  // A mirror whose cookie was lost is known by its handle, whosever it is.
  const cookie =
    readCookie(mirror.cookie) ?? (named === undefined ? null : { owner: hashOf(named.owner), source: nothing })
  if (cookie === null) return []
  const span = named?.span ?? known.find((candidate) => candidate === mirror.target) ?? null
  const owned = scope.name === null || cookie.owner === hashOf(scope.name)
  const inScope = owned && matchesSpan(scope.spans, span)
  return [{ filter: { ...filter, handle, mirror }, mark: cookie.source, span, inScope }]
}

/** Whose mirror has the filter's handle. */
function findName(
  spans: readonly string[],
  owners: readonly string[],
  { device, tcHook, handle }: Filter
): { readonly owner: string; readonly span: string } | undefined {
  for (const span of spans) {
    for (const owner of owners) if (mirrorHandle(owner, span, device, tcHook) === handle) return { owner, span }
  }
  return undefined
}

function readInterface(
  desired: DesiredSpans,
  host: HostIndex,
  link: Link,
  entries: readonly Entry[],
  uses: readonly Use[],
  marked: MarkedOn
): MarkedInterface[] {
  const ours = entries.some(({ inScope }) => inScope)
  if (!ours && uses.length === 0 && !desired.also.has(link.index)) return []
  const spans =
    uses.length > 0
      ? uses.map(({ span }) => span)
      : entries.flatMap(({ span, inScope }) => (inScope && span ? [span] : []))
  const now = settingsOf(host, link)
  const isTheirs = (setting: InterfaceSetting) => setting === 'up' && desired.goingDown.has(link.name)
  const own = new Set(uses.flatMap(({ point }) => ['clsact' as const, ...point.settings]))
  const others = entries.filter(({ inScope }) => !inScope)
  return [
    {
      link,
      spans: [...new Set(spans)],
      ours,
      now,
      before: new Set(
        interfaceSettings.filter((setting) => (isTheirs(setting) ? now.has(setting) : wasBefore(setting, entries, now)))
      ),
      live: new Set(entries.flatMap(({ mark }) => [...mark.managed])),
      own,
      wanted: new Set([...others.flatMap(({ mark }) => [...mark.managed]), ...own]),
      needed: neededSettings(host, link, marked.get(link.name) ?? [])
    }
  ]
}

/** Set down, an interface loses its addresses and routes for good; a clsact takes the filters on it along. */
function neededSettings(host: HostIndex, link: Link, mirrors: readonly MarkedMirror[]): Set<InterfaceSetting> {
  const isFiltered = host
    .filtersOf(link.name)
    .some((filter) => !mirrors.some((mirror) => isSameFilter(mirror.filter, filter)))
  return new Set<InterfaceSetting>([
    ...(isInUse(host, link) ? (['up'] as const) : []),
    ...(isFiltered ? (['clsact'] as const) : [])
  ])
}

/** Whether both stand in one place of one device. */
export function isSameFilter(a: Filter, b: Filter): boolean {
  return (
    a.device === b.device && a.tcHook === b.tcHook && a.chain === b.chain && a.pref === b.pref && a.handle === b.handle
  )
}

/** Whoever took charge of a setting wrote down how it had been. */
function wasBefore(setting: InterfaceSetting, entries: readonly Entry[], now: ReadonlySet<InterfaceSetting>): boolean {
  const entry = entries.find(({ mark }) => mark.managed.has(setting))
  return entry === undefined ? now.has(setting) : entry.mark.before.has(setting)
}

/**
 * The mark that the mirrors of an interface bear, and that the bridges they feed remember. It keeps what is to be given back
 * until that is done: the mark is written before the interface is changed.
 */
export function interfaceMark(marked: MarkedInterface): InterfaceMark {
  const managed = new Set([...marked.own, ...interfaceSettings.filter((setting) => isOwed(marked, setting))])
  return { before: new Set([...managed].filter((setting) => marked.before.has(setting))), managed }
}

/** Nobody has charge of the setting any more, and it is not yet as it was. */
export function isOwed({ live, wanted, now, before, needed }: MarkedInterface, setting: InterfaceSetting): boolean {
  const isKept = needed.has(setting) && now.has(setting)
  return live.has(setting) && !wanted.has(setting) && !isKept && now.has(setting) !== before.has(setting)
}

/** What an interface is like now. */
function settingsOf(host: HostIndex, link: Link): Set<InterfaceSetting> {
  const now: Record<InterfaceSetting, boolean> = {
    up: link.up,
    promiscuous: link.promiscuous,
    arp: link.arp,
    ipv6: link.ipv6,
    gro: link.offloads.gro?.active === true,
    'rx-gro-hw': link.offloads['rx-gro-hw']?.active === true,
    lro: link.offloads.lro?.active === true,
    clsact: host.hasQdisc(link.name, 'clsact')
  }
  // Object.entries forgets that its keys are the table's own.
  return new Set(Object.entries(now).flatMap(([setting, on]) => (on ? [setting as InterfaceSetting] : [])))
}

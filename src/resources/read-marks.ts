import type { HostIndex } from '../host/host-index.ts'
import type { Filter, Link } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-syntax.ts'
import { matchesSpan } from '../spec/scope.ts'
import type { CopyPoint, DesiredSpans, DesiredState } from './desired-state.ts'
import { isInUse } from './interface-use.ts'
import { isSameFilter, type MarkedInterface, type MarkedMirror } from './mark-inventory.ts'
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
  for (const mirror of mirrors) add(host.linkOf(mirror.filter.device)?.index, mirror)
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
  for (const mirror of mirrors) groups.set(mirror.filter.device, [...(groups.get(mirror.filter.device) ?? []), mirror])
  return groups
}

const nothing: InterfaceMark = { before: new Set(), managed: new Set() }

function readMirror({ known, scope }: DesiredSpans, owners: readonly string[], filter: Filter): MarkedMirror[] {
  const { mirror, handle, pref, chain } = filter
  if (mirror === null || handle === null || pref !== mirrorPref || chain !== 0) return []
  const named = findName([mirror.target, ...known], owners, filter)
  // A mirror of any owner whose cookie was lost is recognised by its handle.
  const cookie =
    readCookie(mirror.cookie) ?? (named === undefined ? null : { owner: hashOf(named.owner), source: nothing })
  if (cookie === null) return []
  const span = named?.span ?? known.find((candidate) => candidate === mirror.target) ?? null
  const owned = scope.name === null || cookie.owner === hashOf(scope.name)
  const inScope = owned && matchesSpan(scope.spans, span)
  return [{ filter: { ...filter, handle, mirror }, mark: cookie.source, span, inScope }]
}

/** The owner and the span whose mirror has the filter's handle. */
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
      desired: new Set([...others.flatMap(({ mark }) => [...mark.managed]), ...own]),
      needed: neededSettings(host, link, marked.get(link.name) ?? [])
    }
  ]
}

/** Set down, an interface loses its addresses and routes for good. A clsact qdisc that is removed takes its filters along. */
function neededSettings(host: HostIndex, link: Link, mirrors: readonly MarkedMirror[]): Set<InterfaceSetting> {
  const isFiltered = host
    .filtersOf(link.name)
    .some((filter) => !mirrors.some((mirror) => isSameFilter(mirror.filter, filter)))
  return new Set<InterfaceSetting>([
    ...(isInUse(host, link) ? (['up'] as const) : []),
    ...(isFiltered ? (['clsact'] as const) : [])
  ])
}

/** Each mark that manages a setting says how the setting was before. */
function wasBefore(setting: InterfaceSetting, entries: readonly Entry[], now: ReadonlySet<InterfaceSetting>): boolean {
  const entry = entries.find(({ mark }) => mark.managed.has(setting))
  return entry === undefined ? now.has(setting) : entry.mark.before.has(setting)
}

/** The settings that are on. */
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

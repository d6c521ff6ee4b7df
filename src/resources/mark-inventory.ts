import type { Filter, Link } from '../host/snapshot.ts'
import { type InterfaceMark, type InterfaceSetting, interfaceSettings } from './marks.ts'

/** What the host's marks say, compared with the desired spans. */
export interface MarkInventory {
  /** Every mirror that bears a mark. */
  readonly mirrors: readonly MarkedMirror[]
  /** Every interface that a desired mirror copies from or a mark describes. */
  readonly interfaces: readonly MarkedInterface[]
  /** The same interfaces, by name. */
  readonly interfaceOf: ReadonlyMap<string, MarkedInterface>
}

/** The value that a setting has on an interface that a span uses. */
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

/** An interface with its marks: which settings it had before, and which settings spans manage now and will manage. */
export interface MarkedInterface {
  readonly link: Link
  readonly spans: readonly string[]
  /** A mark in scope describes the interface: its settings may be given back. */
  readonly ours: boolean
  /** The settings that are on. */
  readonly now: ReadonlySet<InterfaceSetting>
  /** The settings that were on before a span managed them; an unmanaged setting is taken as it is now. */
  readonly before: ReadonlySet<InterfaceSetting>
  /** The settings that live marks manage. */
  readonly live: ReadonlySet<InterfaceSetting>
  /** The settings that the desired spans manage; their marks will say so. */
  readonly own: ReadonlySet<InterfaceSetting>
  /** The settings that spans of any name manage once all is in sync; empty for an interface that is given back. */
  readonly desired: ReadonlySet<InterfaceSetting>
  /** The settings that foreign things have come to depend on: they are not switched off. */
  readonly needed: ReadonlySet<InterfaceSetting>
}

/** A mirror that bears a mark of any owner. */
export interface MarkedMirror {
  readonly filter: Filter & { readonly handle: number; readonly mirror: NonNullable<Filter['mirror']> }
  /** What its interface was like before. */
  readonly mark: InterfaceMark
  /** The span that the mirror belongs to; null where neither its target nor its handle tells. */
  readonly span: string | null
  /** The mirror belongs to the owner and the spans of this run. */
  readonly inScope: boolean
}

/** Whether two filters have the same place on the same interface. */
export function isSameFilter(a: Filter, b: Filter): boolean {
  return (
    a.device === b.device && a.tcHook === b.tcHook && a.chain === b.chain && a.pref === b.pref && a.handle === b.handle
  )
}

/**
 * The mark that the mirrors of an interface bear, and that the bridges they feed remember. The mark is written before the
 * interface is changed, and keeps a setting until that is given back.
 */
export function interfaceMark(marked: MarkedInterface): InterfaceMark {
  const managed = new Set([...marked.own, ...interfaceSettings.filter((setting) => isOwed(marked, setting))])
  return { before: new Set([...managed].filter((setting) => marked.before.has(setting))), managed }
}

/** Whether a setting has to be given back: no span manages the setting any more, and its value differs from before. */
export function isOwed({ live, desired, now, before, needed }: MarkedInterface, setting: InterfaceSetting): boolean {
  const isKept = needed.has(setting) && now.has(setting)
  return live.has(setting) && !desired.has(setting) && !isKept && now.has(setting) !== before.has(setting)
}

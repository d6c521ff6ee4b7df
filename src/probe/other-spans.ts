import { hookKey } from '../host/snapshot.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { type CopyPoint, type DesiredSpan, placeOf } from '../resources/desired-state.ts'

/** A span that gets what is sent into the bridge of another one. */
export interface Downstream {
  readonly name: string
  /** It has a `max_idle` there, or whether it has one is not known: frames of a probe would count as its source's own. */
  readonly minds: boolean
}

/**
 * The spans that copy what leaves a bridge, or leaves by one of its ports; and those that copy from these in turn. Of a span that the file
 * does not have, its mirrors alone are known.
 */
export function listDownstream(span: DesiredSpan, { desired, marks, host }: PlanView): Downstream[] {
  const found = new Map<string, Downstream>()
  const visited = new Set([span.bridge])
  const queue = [span.bridge]
  const add = (bridge: string, one: Downstream) => {
    if (bridge === span.bridge) return
    const before = found.get(bridge)
    found.set(bridge, { ...one, minds: one.minds || before?.minds === true })
    if (!visited.has(bridge)) queue.push(bridge)
    visited.add(bridge)
  }
  for (let bridge = queue.shift(); bridge !== undefined; bridge = queue.shift()) {
    const devices = new Set([bridge, ...host.portsOf(bridge).map(({ name }) => name)])
    const leads = (device: string, tcHook: string) => tcHook === 'egress' && devices.has(device)
    for (const other of desired.spans) {
      for (const { device, tcHook, maxIdle } of other.mirrors) {
        if (leads(device.name, tcHook)) add(other.bridge, { name: other.name, minds: maxIdle !== null })
      }
    }
    for (const [{ device, tcHook }, { bridge: fed }] of marks.mirrors) {
      if (fed === null || desired.spanOn(fed) !== undefined || !leads(device, tcHook)) continue
      add(fed, { name: desired.names.nameOf(fed), minds: true })
    }
  }
  return [...found.values()]
}

/** What frames of a probe would falsify in another span that copies from the same place; null: nothing. */
export function explainOthers(span: DesiredSpan, point: CopyPoint, { desired, marks }: PlanView): string | null {
  const place = hookKey(placeOf(point))
  for (const { name, bridge, mirrors } of desired.spans) {
    if (bridge === span.bridge) continue
    for (const other of mirrors) {
      if (hookKey(placeOf(other)) !== place) continue
      const what = minded.find(({ is }) => is(other))?.what
      if (what !== undefined) return `${name} copies from it too, and has a ${what} there`
    }
  }
  const unlisted = [...marks.mirrors].flatMap(([filter, { bridge }]) =>
    bridge === null || desired.spanOn(bridge) !== undefined || hookKey(filter) !== place ? [] : bridge
  )
  const [first] = unlisted
  return first === undefined ? null : `${desired.names.nameOf(first)} copies from it too, which is not in this file`
}

/** What a copy point may have that frames of a probe would count for. */
const minded: readonly { readonly what: string; is(point: CopyPoint): boolean }[] = [
  { what: 'sample', is: ({ sample }) => sample !== null },
  { what: 'limit', is: ({ limit }) => limit !== null },
  { what: 'max_idle', is: ({ maxIdle }) => maxIdle !== null }
]

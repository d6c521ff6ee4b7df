import { groupsOf } from '../../host/host-index.ts'
import type { KindName } from '../../resources/registry.ts'
import { spanOfEvent, type WatchEvent } from './event.ts'

/** Events that are one line for a person: what happened to one container, or one thing that several directions wait for. */
export type EventGroup = readonly [WatchEvent, ...WatchEvent[]]

/**
 * Groups the events of one run. The start of a container is several changes, and the ends of several waits: its changes are
 * printed, and the waits are not. A change of the bridge's mark is printed only where nothing else is.
 */
export function groupEvents(events: readonly WatchEvent[]): readonly EventGroup[] {
  const served = new Map(
    events.flatMap((event) =>
      'change' in event && event.change.serves !== null && event.change.device !== null
        ? [[event.change.device, event.change.serves]]
        : []
    )
  )
  const printed = events.filter((event) => !isSaidElsewhere(event, events))
  return [...groupsOf(printed, (event) => keyOf(event, served) ?? event).values()]
}

/** The kinds that are about a sensor's port. */
const ofPort: ReadonlySet<KindName> = new Set(['port', 'xdp'])

/** @param served the container that each interface leads to. */
function keyOf(event: WatchEvent, served: ReadonlyMap<string, string>): string | null {
  switch (event.type) {
    case 'changed':
    case 'drift': {
      const { kind, span, device, serves } = event.change
      const container = serves ?? served.get(device ?? '')
      if (container !== undefined) return JSON.stringify([event.type, span, container])
      // Of a container that has ended by now, the port is all that is known.
      return ofPort.has(kind) ? JSON.stringify([event.type, span, null, device]) : null
    }
    case 'wait':
    case 'wait_over': {
      const { kind, span, diagnostic } = event.wait
      return JSON.stringify([event.type, kind, span, diagnostic.code, diagnostic.message])
    }
    default:
      return null
  }
}

function isSaidElsewhere(event: WatchEvent, events: readonly WatchEvent[]): boolean {
  const others = events.filter((one) => one !== event)
  if (event.type === 'wait_over') {
    const { span, container } = event.wait
    return others.some((one) => one.type === 'changed' && one.change.span === span && one.change.serves === container)
  }
  if (event.type !== 'changed' || !isMarkAlone(event)) return false
  const { span } = event.change
  return others.some((one) => !isWarning(one) && spanOfEvent(one) === span && !isMarkAlone(one))
}

const isWarning = ({ type }: WatchEvent) => type === 'warning' || type === 'warning_over'

function isMarkAlone(event: WatchEvent): boolean {
  if (event.type !== 'changed' || event.change.action !== 'update') return false
  const changed = event.change.facts.filter((fact) => fact.changed)
  return changed.length > 0 && changed.every(({ from, to }) => from === to)
}

import type { Kind, Resource } from './kind.ts'
import { address } from './kinds/address.ts'
import { bridge } from './kinds/bridge.ts'
import { sourceInterface } from './kinds/interface.ts'
import { mirror } from './kinds/mirror.ts'
import { network } from './kinds/network.ts'
import { note } from './kinds/note.ts'
import { port } from './kinds/port.ts'
import { qdisc } from './kinds/qdisc.ts'
import { sensor } from './kinds/sensor.ts'

/** A kind, and resources of it, without saying which: `visit` is handed both with their type. */
export interface AnyKind {
  visit<T>(visitor: <R extends Resource>(kind: Kind<R>) => T): T
}

function any<R extends Resource>(kind: Kind<R>): AnyKind {
  return { visit: (visitor) => visitor(kind) }
}

/** Every kind, in the order in which a plan shows them. */
export const kinds: readonly AnyKind[] = [
  any(bridge),
  any(address),
  any(qdisc),
  any(mirror),
  any(sourceInterface),
  any(network),
  any(sensor),
  any(note),
  any(port)
]

import { address } from './address.ts'
import { away } from './away.ts'
import { bridge } from './bridge.ts'
import { hook } from './hook.ts'
import { mirror } from './mirror.ts'
import { network } from './network.ts'
import { port } from './port.ts'
import type { Kind, Resource } from './resource.ts'
import { sensor } from './sensor.ts'
import { source } from './source.ts'

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
  any(hook),
  any(mirror),
  any(source),
  any(network),
  any(sensor),
  any(away),
  any(port)
]

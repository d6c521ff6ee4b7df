import type { Kind } from './kind.ts'
import { address } from './kinds/address.ts'
import { bridge } from './kinds/bridge.ts'
import { sourceInterface } from './kinds/interface.ts'
import { mirror } from './kinds/mirror.ts'
import { network } from './kinds/network.ts'
import { note } from './kinds/note.ts'
import { port } from './kinds/port.ts'
import { qdisc } from './kinds/qdisc.ts'
import { sensor } from './kinds/sensor.ts'

const registered = [bridge, address, qdisc, mirror, sourceInterface, network, sensor, note, port] as const

/** Every kind, in the order in which a plan shows them: each after the one that its resources depend on. */
export const kinds: readonly Kind[] = registered

/** What is done to resources of a kind. To make is also to change. */
export type Phase = 'make' | 'remove'

type Turn = `${Phase} ${(typeof registered)[number]['kind']}`

/** Anything, if the list has every turn once; else what is wrong with the list. */
type EachOnce<List extends readonly unknown[], Left extends Turn = Turn> = List extends readonly [
  infer First,
  ...infer Rest
]
  ? First extends Left
    ? EachOnce<Rest, Exclude<Left, First>>
    : { readonly twice: First }
  : [Left] extends [never]
    ? unknown
    : { readonly missing: Left }

function eachOnce<const List extends readonly Turn[]>(turns: List & EachOnce<List>): readonly string[] {
  return turns
}

/** The order in which a plan is carried out. Changes that have one turn do not depend on each other. */
const order = eachOnce([
  // Before sensors are disconnected, to be connected again: that takes their ports away.
  'make port',
  // Before the network: only that tells whose the address is.
  'remove address',
  'remove sensor',
  'remove network',
  'make bridge',
  'make qdisc',
  // Before old mirrors are removed: no frame is missed.
  'make mirror',
  'make interface',
  'make address',
  'make network',
  'make sensor',
  // When the networks and the listed sensors are in place.
  'make note',
  'remove note',
  'remove interface',
  'remove mirror',
  'remove qdisc',
  'remove bridge',
  // After the bridge: until then, what comes from a port would enter it.
  'remove port'
])

/** When something is done to resources of a kind: its place in the order. */
export function turnOf(phase: Phase, kind: string): number {
  return order.indexOf(`${phase} ${kind}`)
}

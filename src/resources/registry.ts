import { tableOf } from '../keys.ts'
import type { Kind } from './kind.ts'
import { address } from './kinds/address.ts'
import { bridge } from './kinds/bridge.ts'
import { mirror } from './kinds/mirror.ts'
import { network } from './kinds/network.ts'
import { note } from './kinds/note.ts'
import { port } from './kinds/port.ts'
import { qdisc } from './kinds/qdisc.ts'
import { sensor } from './kinds/sensor.ts'
import { sourceInterface } from './kinds/source-interface.ts'
import { stack } from './kinds/stack.ts'
import { table } from './kinds/table.ts'
import { tunnel } from './kinds/tunnel.ts'
import { xdp } from './kinds/xdp.ts'
import { output } from './outputs/output-port.ts'
import { ring } from './ring/ring-kind.ts'

const registered = [
  bridge,
  table,
  address,
  tunnel,
  qdisc,
  mirror,
  ring,
  sourceInterface,
  network,
  sensor,
  stack,
  note,
  output,
  port,
  xdp
] as const

/** The name of a kind. */
export type KindName = (typeof registered)[number]['kind']

/** A kind that has its places in the order. */
export interface RegisteredKind extends Kind {
  readonly kind: KindName
}

/** Every kind, in the order in which a plan shows them: each after the one that its resources depend on. */
export const kinds: readonly RegisteredKind[] = registered

const byName = tableOf(kinds.map((one) => [one.kind, one] as const))

/** The kind of this name. */
export const kindOf = (name: KindName): RegisteredKind => byName[name]

/**
 * What is done to resources of a kind, to mirrors that would close a loop with those that are made, to what is on a link that is
 * recreated, to a port that mirrors feed from now on, and to an output that mirrors have fed. To make is also to change.
 */
type Turn = `${'make' | 'remove'} ${KindName}` | 'prepare' | 'break loop' | 'leave link' | 'close' | 'give output back'

/** The order in which a plan is carried out: that of the keys. Changes that have one turn do not depend on each other. */
const order: readonly string[] = Object.keys({
  // Before a sensor that others take over from is disconnected.
  prepare: true,
  // Before a bridge has a port.
  'make table': true,
  // Before sensors are disconnected, to be connected again: that takes their ports away.
  'make port': true,
  'make stack': true,
  'remove stack': true,
  // Before the network: only that tells whose the address is.
  'remove address': true,
  'remove sensor': true,
  'remove network': true,
  'make bridge': true,
  // Before mirrors copy what an output sends.
  'remove output': true,
  // While the link is there that it is on.
  'leave link': true,
  // Before what is on its link.
  'make tunnel': true,
  'make qdisc': true,
  // As late as can be: until the new mirrors are there, the span gets nothing.
  'break loop': true,
  // Before other old mirrors are removed: no frame is missed.
  'make mirror': true,
  // Right after the mirrors: until then, a sensor gets what they copy twice. Docker may take minutes for what follows.
  close: true,
  // When mirrors leave out what it sends.
  'make output': true,
  // When the mirrors bear the mark, and before the interface is set up, which spares it a reset.
  'make ring': true,
  'make interface': true,
  'make address': true,
  'make network': true,
  'make sensor': true,
  // When the networks and the listed sensors are in place.
  'make note': true,
  'remove note': true,
  'remove ring': true,
  'remove interface': true,
  'remove mirror': true,
  // When no mirror leads to it any more: nothing of the span leaves by an interface that is somebody else's again.
  'give output back': true,
  'remove qdisc': true,
  // After what is on its link.
  'remove tunnel': true,
  'remove bridge': true,
  'remove xdp': true,
  // After the bridge: until then, what comes from a port would enter it.
  'remove port': true,
  // After the bridge, which then forwards no link-local groups any more.
  'remove table': true,
  // It takes the kernel 13 ms for each port, and a port is closed without it.
  'make xdp': true
} satisfies Record<Turn, true>)

/** When something is done: its place in the order. */
export function turnOf(turn: Turn): number {
  return order.indexOf(turn)
}

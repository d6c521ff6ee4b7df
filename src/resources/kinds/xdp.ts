import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import { attachSeal, detachSeal, isSealProgram, setReceiveQueues } from '../../host/xdp/seal-program.ts'
import type { DesiredState } from '../desired-state.ts'
import type { Kind, ObservedState, Resource, Step } from '../kind.ts'
import { treatments } from '../port-role.ts'
import { readSeal } from '../seal-commands.ts'
import { yesNo } from '../settings.ts'
import { findAgain, liveOnPorts, type Port, port, portSeal } from './port.ts'

/**
 * Whose XDP program a port has. `ours`: the one that drops all that comes from the port, whoever has attached it. `unread`: the
 * kernel does not tell this user.
 */
type Program = 'none' | 'ours' | 'foreign' | 'unread'

/**
 * The program on the host's end of a sensor's interface that keeps what the sensor sends from packet sockets of the host's. The
 * port's seal comes after these sockets: this is what comes before them. A port is sealed without it, too.
 */
export interface Xdp extends Resource {
  readonly kind: 'xdp'
  readonly program: Program
  /** The container that the port leads to; null: none is known. */
  readonly container: string | null
  /** How many queues the port may have for what it receives. */
  readonly receiveQueues: number
}

/** How the programs are observed, attached and taken off. */
export const xdp: Kind<Xdp> = {
  kind: 'xdp',
  fields: {
    program: { label: 'silent', words: (program) => (program === 'unread' ? 'not known' : yesNo(program === 'ours')) }
  },
  desire: (state, live) =>
    liveOnPorts(state, live).map(({ span, link, one }) => {
      const isSealed = portSeal(state.host, span, link, readSeal(state.host, one.id)) === 'sealed'
      return { ...one, owner: 'ours', program: desiredProgram(one, isSealed, state.host) }
    }),
  observe: (state) => port.observe(state).flatMap((one) => findOn(state.host, one)),
  rollbackTarget: rollbackPrograms,
  update: (_, after) => (after.program === 'ours' ? attach(after) : detach(after)),
  remove: detach,
  undone: ({ id, container }, reason) =>
    diagnostic(
      'PORT_NOT_SILENT',
      `what ${container ?? id} sends reaches packet sockets of the host: ${reason}`,
      'the port is sealed all the same'
    ),
  title: ({ id, spans: [span] }) => (span === undefined ? id : `${id} → ${span}`),
  summary: () => 'silent',
  device: ({ id }) => id,
  serves: ({ container }) => container,
  removalNote: () => 'taken off'
}

/** On a veth pair alone: the kernel runs a program on its own end for all that the other end sends. */
function findOn(host: HostIndex, { id, spans, owner, attached, role }: Port): Xdp[] {
  const link = host.linkOf(id)
  if (link?.kind !== 'veth' || !treatments[role.kind].silent) return []
  const program = readProgram(link)
  // Where the port is a container's, the program goes with it.
  const isGivenBack = program === 'ours' && (owner === 'adopted' || !attached)
  const container = role.connects?.container ?? null
  const { receiveQueues } = link
  return [{ kind: 'xdp', id, spans, owner: isGivenBack ? 'adopted' : 'shared', program, container, receiveQueues }]
}

function readProgram({ xdp: program }: Link): Program {
  if (program === null) return 'none'
  if (isSealProgram(program)) return 'ours'
  return program.isNative && program.name === null ? 'unread' : 'foreign'
}

function desiredProgram({ program }: Xdp, isSealed: boolean, { silence }: HostIndex): Program {
  if (!isSealed) return program === 'ours' ? 'none' : program
  return program === 'none' && silence?.state === 'usable' ? 'ours' : program
}

/** On the port that leads to the same endpoint now. A foreign program stays as others have it now. */
function rollbackPrograms(programs: readonly Xdp[], then: ObservedState, now: ObservedState): Xdp[] {
  const ports = new Map(port.observe(then).map((one) => [one.id, one]))
  const live = new Map(xdp.observe(now).map((one) => [one.id, one]))
  const isOurs = (program: Program) => program === 'ours' || program === 'none'
  return programs.flatMap((one): Xdp | [] => {
    const was = ports.get(one.id)
    const link = was && findAgain(now.host, was)
    const is = link && live.get(link.name)
    if (is === undefined) return []
    const { id, receiveQueues } = is
    return { ...one, id, receiveQueues, program: isOurs(one.program) && isOurs(is.program) ? one.program : is.program }
  })
}

/**
 * The kernel attaches a program to a port only if that has as many queues as the other end sends on (veth_xdp_set() in
 * drivers/net/veth.c), and a container with CAP_NET_ADMIN may have given its end all that there are. A port of Docker's goes with
 * the container, and nobody needs its number of queues back; a foreign port keeps its own.
 */
function attach({ id, container, receiveQueues }: Xdp): Step[] {
  const needsQueues = container !== null && receiveQueues > 1
  return [
    ...(needsQueues ? [{ summary: `give ${id} all of its queues`, argv: setReceiveQueues(id, receiveQueues) }] : []),
    // It waits until no processor runs the program before: so does taking that off.
    { summary: `drop what comes from ${id}`, argv: attachSeal(id), isSlow: true }
  ]
}

function detach({ id }: Xdp): Step[] {
  return [{ summary: `take the XDP program off ${id}`, argv: detachSeal(id), isSlow: true }]
}

/** Whether what a port sends reaches packet sockets of the host's, as everybody can see; null: this user may not know. */
export function isHeard(link: Link): boolean | null {
  const program = readProgram(link)
  return program === 'unread' ? null : program !== 'ours'
}

/** Warns where the ports cannot have the programs, and not of ports that may have them all. */
export function warnOfListeners({ spans }: DesiredState, host: HostIndex): Diagnostic[] {
  const { silence } = host
  const sealed = spans.filter((span) => span.sealed)
  if (silence === null || silence.state === 'usable' || sealed.length === 0) return []
  const ports = sealed.flatMap(({ bridge }) => host.portsOf(bridge))
  if (silence.state === 'unread' && ports.length > 0 && !ports.some(isHeard)) return []
  const message = `what sealed sensors send reaches packet sockets of the host (lldpd, dhcpd), because their ports cannot have an XDP program: ${silence.reason}`
  return [diagnostic('SILENCE_UNAVAILABLE', message, 'to see which processes have such sockets: spanplan doctor')]
}

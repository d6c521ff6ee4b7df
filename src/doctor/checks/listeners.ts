import type { HostIndex } from '../../host/host-index.ts'
import type { PacketListener } from '../../host/parsers/packet-listeners.ts'
import type { DesiredSpan } from '../../resources/desired-state.ts'
import { type Check, orOk, warning, whenKnown } from '../finding.ts'
import { whenPlanned } from './interfaces.ts'

/** Processes in the text: of a host with hundreds, the first are enough to know what to look for. */
const most = 20

/**
 * The kernel hands a frame to packet sockets of all protocols (lldpd's, dhcpd's) before tc's filters: what a sealed sensor sends
 * reaches these sockets, whatever drops the frame afterwards.
 */
export const listeners: Check = {
  id: 'listeners',
  find: (facts) =>
    whenPlanned(facts, ({ view: { desired, host } }) =>
      whenKnown(facts.listeners, (all) => {
        const ports = new Set(desired.spans.filter(({ sealed }) => sealed).flatMap((span) => portNames(span, host)))
        const isSealed = desired.spans.some(({ sealed }) => sealed)
        const hearing = all.filter(({ device }) => (device === null ? isSealed : ports.has(device)))
        const found = [...new Set(hearing.flatMap(describeListener))]
        return orOk(
          found.slice(0, most).map((message) => warning(message)),
          'no process of the host hears what sealed sensors send'
        )
      })
    )
}

function portNames({ name }: DesiredSpan, host: HostIndex): string[] {
  return host.portsOf(name).map((port) => port.name)
}

function describeListener({ device, processes }: PacketListener): string[] {
  const names =
    processes.length > 0 ? processes.map(({ name, pid }) => `${name} (${pid})`) : ['a process that root sees']
  const where = device === null ? 'on all interfaces' : `on ${device}`
  const advice = 'let it listen on the interfaces that it is for, and no others'
  return names.map((name) => `${name} hears every frame ${where}, also what sealed sensors send: ${advice}`)
}

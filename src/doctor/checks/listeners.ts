import type { HostIndex } from '../../host/host-index.ts'
import type { PacketListener } from '../../host/parsers/packet-listeners.ts'
import type { DesiredSpan } from '../../resources/desired-state.ts'
import { isSilent, warnOfListeners } from '../../resources/kinds/xdp.ts'
import { type Check, orOkOf, warning, whenKnown } from '../finding.ts'
import { whenPlanned } from './interfaces.ts'

/** Processes in the text: of a host with hundreds, the first are enough to know what to look for. */
const most = 20

/**
 * The kernel hands a frame to packet sockets of all protocols (lldpd's, dhcpd's) before tc's filters: what a sealed sensor sends
 * reaches these sockets, whatever drops the frame afterwards, unless the port has an XDP program that drops it before.
 */
export const listeners: Check = {
  id: 'listeners',
  find: (facts) =>
    whenPlanned(facts, ({ view: { desired, host } }) =>
      whenKnown(facts.listeners, (all) => {
        const sealed = desired.spans.filter((span) => span.sealed)
        const ports = new Set(sealed.flatMap((span) => heardPorts(span, host)))
        // The next port may be one that is heard.
        const isHeard = ports.size > 0 || (sealed.length > 0 && host.silence?.state !== 'usable')
        const hearing = all.filter(({ device }) => (device === null ? isHeard : ports.has(device)))
        const found = [...new Set(hearing.flatMap(describeListener))]
        return orOkOf(
          sealed.flatMap(({ name }) => host.portsOf(name)),
          'no sealed span has a port',
          found.slice(0, most).map((message) => warning(message)),
          'no process of the host hears what sealed sensors send'
        )
      })
    )
}

/** Why no port can have such a program: that is of the host, whoever listens there. */
export const xdp: Check = {
  id: 'xdp',
  find: (facts) =>
    whenPlanned(facts, ({ view: { desired, host } }) =>
      orOkOf(
        desired.spans.filter(({ sealed }) => sealed),
        'no span is sealed',
        warnOfListeners(desired, host).map(({ message }) => warning(message)),
        'the ports of sealed sensors can have their XDP program'
      )
    )
}

function heardPorts({ name }: DesiredSpan, host: HostIndex): string[] {
  return host.portsOf(name).flatMap((port) => (isSilent(port) ? [] : [port.name]))
}

function describeListener({ device, processes }: PacketListener): string[] {
  const names =
    processes.length > 0 ? processes.map(({ name, pid }) => `${name} (${pid})`) : ['a process that root sees']
  const where = device === null ? 'on all interfaces' : `on ${device}`
  const advice = 'let it listen on the interfaces that it is for, and no others'
  return names.map((name) => `${name} hears every frame ${where}, also what sealed sensors send: ${advice}`)
}

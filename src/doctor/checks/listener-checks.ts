import type { PacketListener } from '../../host/parsers/packet-listeners.ts'
import type { Link } from '../../host/snapshot.ts'
import { isHeard, warnOfListeners } from '../../resources/kinds/xdp.ts'
import { type Check, orOkOf, unknown, warning, whenKnown } from '../finding.ts'
import { whenPlanned } from './interface-checks.ts'

/** Processes in the text: of a host with hundreds, the first are enough to know what to look for. */
const most = 20

/**
 * The kernel hands a frame to packet sockets of all protocols (lldpd's, dhcpd's) before tc's filters: what a sealed sensor sends
 * reaches these sockets, whatever drops the frame afterwards, unless the port has an XDP program that drops it before.
 */
export const listeners: Check = (readings) =>
  whenPlanned(readings, ({ view: { desired, host } }) =>
    whenKnown(readings.listeners, (all) => {
      const sealed = desired.spans.filter((span) => span.sealed)
      const ports = sealed.flatMap(({ bridge }) => host.portsOf(bridge))
      const { silence } = host
      // The next port may be one that is heard.
      const isNextHeard = sealed.length > 0 && silence?.state !== 'usable' && silence?.state !== 'unread'
      const heardBy = (heard: readonly Link[], isEvery: boolean) =>
        all.filter(({ device }) => (device === null ? isEvery : heard.some(({ name }) => name === device)))
      const heard = ports.filter(isHeard)
      const found = [...new Set(heardBy(heard, heard.length > 0 || isNextHeard).flatMap(listenerSentences))]
      const unread = ports.filter((port) => isHeard(port) === null)
      if (silence?.state === 'unread' && found.length === 0 && heardBy(unread, unread.length > 0).length > 0) {
        return [unknown(`whether a process of the host hears what sealed sensors send is not known: ${silence.reason}`)]
      }
      return orOkOf(
        ports,
        'no sealed span has a port',
        found.slice(0, most).map((message) => warning(message)),
        'no process of the host hears what sealed sensors send'
      )
    })
  )

/** Why no port can have such a program: that is of the host, whoever listens there. */
export const xdp: Check = (readings) =>
  whenPlanned(readings, ({ view: { desired, host } }) => {
    const sealed = desired.spans.filter((span) => span.sealed)
    const { silence } = host
    if (
      silence?.state === 'unread' &&
      sealed.length > 0 &&
      !sealed.some(({ bridge }) => host.portsOf(bridge).some(isHeard))
    )
      return [unknown(`whether the ports of sealed sensors can have their XDP program is not known: ${silence.reason}`)]
    return orOkOf(
      sealed,
      'no span is sealed',
      warnOfListeners(desired, host).map(({ message }) => warning(message)),
      'the ports of sealed sensors can have their XDP program'
    )
  })

function listenerSentences({ device, processes }: PacketListener): string[] {
  const names =
    processes.length > 0 ? processes.map(({ name, pid }) => `${name} (${pid})`) : ['a process that root sees']
  const where = device === null ? 'on all interfaces' : `on ${device}`
  const advice = 'let it listen on the interfaces that it is for, and no others'
  return names.map((name) => `${name} hears every frame ${where}, also what sealed sensors send: ${advice}`)
}

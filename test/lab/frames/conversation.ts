/** A conversation over TCP as the packets of both ends, in their order: from the handshake to the end. */
import { ipv4Tcp, ipv6Tcp, type Payload } from './frames.ts'

interface ConversationOptions {
  /** Of IPv4, or of IPv6. */
  readonly client: string
  readonly clientPort: number
  readonly server: string
  readonly serverPort: number
  readonly request: Buffer
  readonly reply: Buffer
}

/** A packet, and which end sends it. */
interface Turn {
  readonly from: 'client' | 'server'
  readonly packet: Payload
}

const flag = { fin: 1, syn: 2, push: 8, ack: 16 }

/** Eight packets, of which the fourth is the request, and the fifth the reply. */
export function conversation({ request, reply, ...ends }: ConversationOptions): Turn[] {
  const next = { client: 1000, server: 5000 }
  const turn = (from: Turn['from'], flags: number, data: Buffer = Buffer.alloc(0)): Turn => {
    const isClient = from === 'client'
    const [source, sourcePort] = isClient ? [ends.client, ends.clientPort] : [ends.server, ends.serverPort]
    const [destination, destinationPort] = isClient ? [ends.server, ends.serverPort] : [ends.client, ends.clientPort]
    const acknowledgement = (flags & flag.ack) === 0 ? 0 : next[isClient ? 'server' : 'client']
    const make = source.includes(':') ? ipv6Tcp : ipv4Tcp
    const sequence = next[from]
    const packet = make({ source, sourcePort, destination, destinationPort, flags, sequence, acknowledgement, data })
    // A SYN and a FIN count as a byte each.
    next[from] += data.length + ((flags & (flag.syn | flag.fin)) === 0 ? 0 : 1)
    return { from, packet }
  }
  return [
    turn('client', flag.syn),
    turn('server', flag.syn | flag.ack),
    turn('client', flag.ack),
    turn('client', flag.push | flag.ack, request),
    turn('server', flag.push | flag.ack, reply),
    turn('client', flag.fin | flag.ack),
    turn('server', flag.fin | flag.ack),
    turn('client', flag.ack)
  ]
}

import { type Family, familyOf, wordsOf } from '../values/ip-address.ts'

/** What tells a tunnel's packets from others. */
interface Sent {
  readonly remote: string
  /** The number of IP that they have. */
  readonly protocol: number
  /** The UDP port that they are sent to; null: they have none. */
  readonly port: number | null
}

/**
 * Pcap expressions of what a tunnel sends, and of what others answer who cannot deliver it. Whoever is copied can send such packets to
 * somebody else, so nothing but these is left out: each test is of a place that only the tunnel's own packets have in common, which bear no
 * options, and an answer quotes their addresses. Where a program reads behind the end of a frame, the frame is not copied: shorter ones are
 * none of these (`greater`).
 */
export function packetsTo(sent: Sent): readonly string[] {
  return writers[familyOf(sent.remote)](sent)
}

const writers: Readonly<Record<Family, (sent: Sent) => readonly string[]>> = { inet: writeIpv4, inet6: writeIpv6 }

/** Only the first fragment of a packet says which port it is for. An answer has 576 bytes at most (RFC 1812, 4.3.2.3). */
function writeIpv4({ remote, protocol, port }: Sent): string[] {
  const toPort = port === null ? '' : ` and (ip[6:2] & 0x1fff != 0 or ip[22:2] == ${port})`
  const [shortest, quotedPort] = port === null ? [62, ''] : [66, ` and ip[50:2] == ${port}`]
  return [
    `greater 35 and ip[0] == 0x45 and ip dst host ${remote} and ip[9] == ${protocol}${toPort}`,
    `greater ${shortest} and less 590 and ip[0] == 0x45 and ip[6:2] & 0x3fff == 0 and ip[9] == 1 and (ip[20] == 3 or ip[20] == 11) and ip[28] == 0x45 and ip[37] == ${protocol} and ${compareWords('ip', 44, remote)}${quotedPort}`
  ]
}

/** An answer has 1,280 bytes at most (RFC 4443, 2.4). Its types for what is not delivered are 1 to 4. */
function writeIpv6({ remote, protocol, port }: Sent): string[] {
  const [toPort, quotedPort] = port === null ? ['', ''] : [` and ip6[42:2] == ${port}`, ` and ip6[90:2] == ${port}`]
  return [
    `greater 63 and ip6 dst host ${remote} and (ip6[6] == 44 or (ip6[6] == ${protocol}${toPort}))`,
    `greater 110 and less 1294 and ip6[6] == 58 and ip6[40] < 5 and ip6[54] == ${protocol} and ${compareWords('ip6', 72, remote)}${quotedPort}`
  ]
}

function compareWords(header: string, place: number, address: string): string {
  const words = wordsOf(address).map((word) => `0x${word.toString(16).padStart(8, '0')}`)
  return words.map((word, index) => `${header}[${place + 4 * index}:4] == ${word}`).join(' and ')
}

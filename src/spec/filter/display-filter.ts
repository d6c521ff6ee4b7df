/** Wireshark's fields, and what pcap-filter(7) calls them. */
const fields: Readonly<Record<string, string>> = {
  'tcp.port': 'tcp port',
  'tcp.srcport': 'tcp src port',
  'tcp.dstport': 'tcp dst port',
  'udp.port': 'udp port',
  'udp.srcport': 'udp src port',
  'udp.dstport': 'udp dst port',
  'ip.addr': 'host',
  'ip.src': 'src host',
  'ip.dst': 'dst host',
  'ip.proto': 'ip proto',
  'ipv6.addr': 'host',
  'ipv6.src': 'src host',
  'ipv6.dst': 'dst host',
  'eth.addr': 'ether host',
  'eth.src': 'ether src',
  'eth.dst': 'ether dst',
  'eth.type': 'ether proto',
  'vlan.id': 'vlan'
}

/** What people call the frames of an application, and its usual port. */
const applications: ReadonlyMap<string, string> = new Map([
  ['http', 'tcp port 80'],
  ['https', 'tcp port 443'],
  ['tls', 'tcp port 443'],
  ['ssl', 'tcp port 443'],
  ['ssh', 'tcp port 22'],
  ['smb', 'tcp port 445'],
  ['rdp', 'tcp port 3389'],
  ['dns', 'port 53'],
  ['ntp', 'udp port 123'],
  ['snmp', 'udp port 161'],
  ['dhcp', 'udp port 67 or 68'],
  ['bootp', 'udp port 67 or 68'],
  ['ipv4', 'ip'],
  ['ipv6', 'ip6'],
  ['icmpv6', 'icmp6'],
  ['eth', 'ether']
])

/** A field, an operator and a value. The parts are bounded, so that the time grows with the text and not faster. */
const comparison =
  /\b([a-z][a-z0-9]*(?:\.[a-z][a-z0-9_]*){1,4})\s*([=!<>]=|[<>]|(?:eq|ne|gt|lt|ge|le|contains|matches)\b)\s*("[^"]*"|[\w.:/-]+)/g

/** A display filter of Wireshark within an expression: its position, and the same as a pcap-filter(7) expression. */
export interface DisplayFilter {
  readonly at: number
  /** undefined: not all of it has a translation. */
  readonly translation: string | undefined
}

/** Finds out whether an expression is a display filter of Wireshark; undefined: it is none. */
export function recogniseDisplayFilter(expression: string): DisplayFilter | undefined {
  let isComplete = true
  const at = expression.search(comparison)
  if (at === -1) return undefined
  const translation = expression.replace(comparison, (_, field: string, operator: string, value: string) => {
    const words = fields[field]
    if (words === undefined || !/^(?:[=!]=|eq|ne)$/.test(operator)) isComplete = false
    const inNetwork = value.includes('/') ? words?.replace('host', 'net') : words
    return `${operator === '!=' || operator === 'ne' ? 'not ' : ''}${inNetwork} ${value}`
  })
  return { at, translation: isComplete ? translation : undefined }
}

/** What an application's name in an expression is meant as; undefined: the word is none. */
export const translateApplication = (word: string): string | undefined => applications.get(word.toLowerCase())

import { describe, expect, test } from 'vitest'
import { explainRefusal } from '../../../src/spec/filter/explain.ts'
import { findNames, readTokens } from '../../../src/spec/filter/tokens.ts'
import { diagnosticsOf, file, load } from '../../lab/fixtures/spec-text.ts'

const syntax = "can't parse filter expression: syntax error"

/** The expression with `▸` where it is wrong, what tcpdump 4.99 with libpcap 1.10 says of it, and the hint. */
const refused: readonly (readonly [marked: string, said: string, hint: string])[] = [
  ['not ▸prot 22', syntax, 'did you mean "port" or "proto"?'],
  ['▸tcp.port == 22', syntax, 'a Wireshark display filter? write: tcp port 22'],
  ['host ▸10.0.0.300', "invalid IPv4 address '10.0.0.300'", 'an IPv4 address has four numbers from 0 to 255'],
  [
    '▸ip.addr == 10.0.0.0/8 && !(udp.port != 53)',
    syntax,
    'a Wireshark display filter? write: net 10.0.0.0/8 && !(not udp port 53)'
  ],
  ['▸frame.len > 100', syntax, 'a Wireshark display filter? this file takes the capture filters of pcap-filter(7)'],
  [
    '▸http.request.method == "GET"',
    syntax,
    'a Wireshark display filter? this file takes the capture filters of pcap-filter(7)'
  ],
  ['▸http', syntax, '"http" is no word of pcap-filter(7): write tcp port 80'],
  ['▸dns or tls', syntax, '"dns" is no word of pcap-filter(7): write port 53'],
  ['port ▸foo', "unknown port 'foo'", 'a port is a number, or a name that is in /etc/services'],
  ['port 22 ▸and', syntax, 'nothing follows "and"'],
  ['▸(port 22', syntax, 'this ( is never closed: write the ) that belongs to it'],
  ['port 22▸)', syntax, 'nothing opens this ): take it out'],
  [
    'net ▸10.0.0.1/8',
    'non-network bits set in "10.0.0.1/8"',
    'did you mean "net 10.0.0.0/8"? For one address, write "host"'
  ],
  ['net 10.0.0.0/33', 'mask length must be <= 32', 'the length of a prefix is 32 at most, and 128 with IPv6'],
  ['▸host', syntax, 'nothing follows "host"'],
  ['tcp && ▸and', syntax, 'take this "and" out, or the one before'],
  ['tcp port ▸70000', 'illegal port number 70000 > 65535', 'a port is a number from 0 to 65535'],
  ['vlan ▸5000', 'VLAN tag 5000 greater than maximum 4095', 'a VLAN is a number from 0 to 4095'],
  ['tcp\nand ▸prot 22\nor udp', 'syntax error in filter expression', 'did you mean "port" or "proto"?'],
  ['host fe80::1::2', syntax, 'see pcap-filter(7)'],
  [
    'ether host ▸00:11:22:33',
    'bogus ethernet address 00:11:22:',
    'a MAC address has six parts, as in 00:1b:21:aa:00:01'
  ],
  ['host 10.0.0.1 and ▸hots 10.0.0.2', "unknown host 'hots'", 'did you mean "host"?'],
  ['port 22 ▸adn port 33', syntax, 'did you mean "and"?'],
  ['tcp▸[13', syntax, 'this [ is never closed: write the ] that belongs to it'],
  ['port 22▸, 23', syntax, 'join the parts with "or"'],
  ['▸TCP port 22', syntax, 'write it in lower case: tcp'],
  ['tcp ▸AND udp', syntax, 'write it in lower case: and'],
  ['ip proto ▸foo', "unknown ip proto 'foo'", 'see pcap-filter(7)'],
  ['tcp port 22 ▸tcp', syntax, 'write "and" or "or" before "tcp"'],
  ['src 10.0.0.1 ▸foo 3', syntax, '"foo" is no word of pcap-filter(7)'],
  ['dst port ▸== 80', syntax, 'take the "==" out: port 80'],
  ['port 22 ▸port 23', syntax, 'write "and" or "or" before "port"'],
  ['tcp ▸# comment', syntax, 'a filter has no comments'],
  ['▸web', syntax, '"web" is no word of pcap-filter(7)'],
  // Names of what each object of JavaScript has.
  ['▸constructor', syntax, '"constructor" is no word of pcap-filter(7)'],
  ['▸toString', syntax, '"toString" is no word of pcap-filter(7)'],
  ['tcp and ▸web', 'syntax error in filter expression', '"web" is no word of pcap-filter(7)'],
  ['proto ▸tcpx', "unknown ip proto 'tcpx'", 'did you mean "tcp"?'],
  ['▸gateway foo', "'gateway' not supported in this configuration", 'see pcap-filter(7)'],
  ['port ▸= 22', syntax, 'take the "=" out: port 22'],
  ['portrange 1:5', syntax, 'see pcap-filter(7)'],
  ['tcp port http:', syntax, 'see pcap-filter(7)'],
  ['!▸(tcp', syntax, 'this ( is never closed: write the ) that belongs to it'],
  ['▸and tcp', syntax, 'nothing stands before "and": take it out'],
  ['▸not', syntax, 'nothing follows "not"'],
  ['▸ip.src==1.2.3.4', syntax, 'a Wireshark display filter? write: src host 1.2.3.4'],
  ['tcp ▸contains foo', syntax, '"contains" is no word of pcap-filter(7)'],
  ['vlan ▸= 10', syntax, 'take the "=" out: vlan 10'],
  ['tcp[tcpflags] & tcp-foo != 0', syntax, 'see pcap-filter(7)'],
  ['src port 22 or dst ▸prt 22', "unknown host 'prt'", 'did you mean "port"?'],
  [
    'host ▸10.0.0.1/24',
    'non-network bits set in "10.0.0.1/24"',
    'did you mean "net 10.0.0.0/24"? For one address, write "host"'
  ],
  ['▸10.0.0.1', syntax, 'say what it is: host 10.0.0.1'],
  ['▸22', syntax, 'say what it is: port 22'],
  ['(tcp or udp) ▸port 53', syntax, 'write "and" or "or" before "port"'],
  ['▸icmpv6', syntax, '"icmpv6" is no word of pcap-filter(7): write icmp6'],
  ['▸ipv6', syntax, '"ipv6" is no word of pcap-filter(7): write ip6'],
  ['▸eth', syntax, '"eth" is no word of pcap-filter(7): write ether'],
  ['port 22 ▸; id', syntax, 'join the parts with "or"']
]

describe('an expression that tcpdump refuses', () => {
  test.each(refused)('%s', (marked, said, hint) => {
    const at = marked.indexOf('▸')
    expect(explainRefusal(marked.replace('▸', ''), said)).toEqual({ at: at === -1 ? null : at, hint })
  })

  test('of any length is explained in no time that matters', () => {
    for (const part of ['(', 'tcp ', 'a.b == 1 ', 'a.', '${', '{{', 'x ', ':', '1:', 'a-', '"', '\\']) {
      expect(explainRefusal(part.repeat(64 * 1024), syntax).hint).not.toBe('')
    }
  })
})

const write = (filter: string) =>
  `version: 1\nspans:\n  a:\n    sources:\n      - interface: eth1\n        filter: ${filter}\n`

describe('names in an expression', () => {
  test.each([
    'port ssh or http',
    'tcp port (ssh or 80) and not udp dst port domain',
    'portrange 10-20 and ip proto \\tcp and ether proto \\ip',
    'host 10.0.0.1 or 10.0.0.2 and not net 10.1 and src or dst port 53',
    'net 10.0.0.0 mask 255.0.0.0 and host 2001:db8::1 and net fe80::/10',
    'ether host 00:1b:21:aa:00:01 or ether src 00-1b-21-aa-00-01 or ether dst 001b21aa0001',
    'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and ip[2:2] > 0x10 and icmp[icmptype] != icmp-echo',
    'vlan 10 and llc i and len - 5 > 10 and ether proto 0x88cc',
    'type mgt subtype beacon'
  ])('none is that of a host: %s', (expression) => {
    expect(findNames(readTokens(expression)).filter(({ stands }) => stands !== 'other')).toEqual([])
    expect(load(write(JSON.stringify(expression))).spans[0]?.sources[0]?.filter?.expression).toBe(expression)
  })

  test.each([
    ['host ids.example', 6, 22],
    ['not src (10.0.0.1 or ids.example)', 6, 38],
    ['"not  src \\x20\\u0020\\\n          ids.example"', 7, 11],
    ["'tcp port ''http''or ether host router'", 6, 49],
    ['|-\n          tcp\n\n          and net corp', 9, 19],
    ['>\n          gateway\n            router', 8, 13],
    ['tcp and\n          dst   localhost', 7, 17]
  ])('what DNS says is no filter: %s', (filter, line, column) => {
    expect(diagnosticsOf(file(write(filter)))).toMatchObject([
      { code: 'FILTER_HOST_NAME', origin: { file: 'spans.yaml', line, column } }
    ])
  })
})

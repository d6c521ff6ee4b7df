/** Rulesets as this host's nft prints them, and what the doctor reads of them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Arrival } from '../../../src/host/nftables/arrival.ts'
import { findBarriers, parseFirewall } from '../../../src/host/nftables/firewall.ts'
import { createLab, type Lab } from '../../lab/lab.ts'

let lab: Lab
beforeAll(async () => {
  lab = await createLab({ docker: false })
})
afterAll(() => lab?.close())

/** A VXLAN's datagram on a host with one card, and with Docker's bridge. */
const plain: Arrival = {
  family: 'inet',
  protocol: 'udp',
  port: 4789,
  sender: null,
  receivers: ['10.50.0.2', '172.17.0.1'],
  interfaces: ['ens192', 'docker0'],
  devices: ['ens192', 'docker0']
}
const known = { ...plain, sender: '10.50.0.1', receivers: ['10.50.0.2'], interfaces: ['ens192'], devices: ['ens192'] }
const group = { ...known, receivers: ['239.1.1.1'] }

const drop = (rules: string) =>
  `table inet filter { chain input { type filter hook input priority filter; policy drop; ${rules}; }; }`
const accept = (rules: string) => drop(rules).replace('policy drop', 'policy accept')
const ingress = (rules: string) =>
  `table netdev early { chain c { type filter hook ingress device "ens192" priority 0; policy accept; ${rules}; }; }`

/** Docker 28's own, as far as what comes in goes through it. */
const docker = `table ip raw { chain PREROUTING { type filter hook prerouting priority raw; policy accept;
ip daddr 172.17.0.2 iifname != "docker0" counter packets 0 bytes 0 drop; ip daddr 127.0.0.1 iifname != "lo" tcp dport 8080 drop; }; }
table ip filter { chain INPUT { type filter hook input priority filter; policy accept; }; chain FORWARD { type filter hook forward priority filter; policy drop; }; }`

/** firewalld 2's, with a zone for the card and one for Docker. */
const firewalld = (allowed: string) => `table inet firewalld {
chain filter_PREROUTING { type filter hook prerouting priority filter + 10; policy accept;
icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept; meta nfproto ipv6 fib saddr . mark . iif oif missing drop; }
chain filter_IN_docker { accept; }
chain filter_IN_public_allow { tcp dport 22 accept; ip6 daddr fe80::/64 udp dport 546 accept; ${allowed}; }
chain filter_IN_public { jump filter_IN_public_allow; meta l4proto { icmp, ipv6-icmp } accept; reject with icmpx admin-prohibited; }
chain filter_INPUT_ZONES { iifname "docker0" goto filter_IN_docker; iifname "ens192" goto filter_IN_public; goto filter_IN_public; }
chain filter_INPUT { type filter hook input priority filter + 10; policy accept;
ct state { established, related } accept; ct status dnat accept; iifname "lo" accept; ct state invalid drop;
jump filter_INPUT_ZONES; reject with icmpx admin-prohibited; }; }`

const port = 'udp dport 4789 accept'

test.each<[string, Arrival, 'open' | 'closed' | 'unsure']>([
  [docker, plain, 'open'],
  [firewalld(port), plain, 'open'],
  [firewalld('udp dport 53 accept'), plain, 'unsure'],
  [firewalld('udp dport 53 accept'), known, 'closed'],
  [firewalld(port), { ...known, family: 'inet6', sender: '2001:db8::1', receivers: ['2001:db8::2'] }, 'open'],
  [drop(port), plain, 'open'],
  [drop(''), plain, 'closed'],
  // Who sends.
  [drop('ip saddr 10.60.0.0/16 accept'), plain, 'unsure'],
  [drop('ip saddr 10.60.0.0/16 accept'), known, 'closed'],
  [drop('ip saddr 10.60.0.0/16 udp dport 4789 accept'), plain, 'unsure'],
  [drop('ip saddr 10.50.0.0/16 udp dport 4789 accept'), known, 'open'],
  [drop('ip saddr { 10.60.0.0/16, 10.50.0.0-10.50.0.9 } accept'), known, 'open'],
  [drop('ip saddr 10.50.0.0/16 accept'), { ...known, sender: '10.0.0.0/8' }, 'unsure'],
  [drop('ip saddr != 10.60.0.0/16 accept'), known, 'open'],
  [accept('ip saddr 10.50.0.1 drop'), plain, 'unsure'],
  [accept('ip saddr 10.50.0.1 drop'), known, 'closed'],
  [accept('ip saddr 10.50.0.1 drop'), { ...known, sender: '10.50.0.7' }, 'open'],
  [accept('ip saddr { 127.0.0.0/8, 224.0.0.0/4 } drop; ip6 saddr ::1 drop'), plain, 'open'],
  [drop('udp sport 53 accept'), known, 'unsure'],
  // Where it comes.
  [drop('iifname "eth0" udp dport 4789 accept'), known, 'closed'],
  [drop('iifname "ens192" udp dport 4789 accept'), plain, 'unsure'],
  [drop('iifname "ens*" udp dport 4789 accept'), known, 'open'],
  [drop('iifname { "lo", "docker0" } accept'), plain, 'unsure'],
  [drop('iifname { "lo", "docker0" } accept'), { ...plain, interfaces: null }, 'unsure'],
  [drop('iif "lo" accept'), { ...plain, interfaces: null }, 'closed'],
  [accept('iifname "ens192" drop'), plain, 'unsure'],
  [accept('iifname "ens192" drop'), known, 'closed'],
  [drop('ip daddr 10.50.0.2 accept'), plain, 'unsure'],
  [drop('ip daddr { 10.50.0.2, 172.17.0.1 } accept'), plain, 'open'],
  [drop('fib daddr type local accept'), plain, 'open'],
  [accept('fib daddr type { broadcast, multicast } drop'), group, 'closed'],
  [drop('meta pkttype multicast accept'), plain, 'closed'],
  [drop('meta pkttype multicast accept'), group, 'open'],
  [ingress('udp dport 4789 drop'), known, 'closed'],
  [ingress('udp dport 4789 drop'), plain, 'unsure'],
  [ingress('udp dport 4790 drop'), plain, 'open'],
  [ingress('udp dport 4789 drop'), { ...known, interfaces: ['ens256'], devices: ['ens256'] }, 'open'],
  // What else it is.
  [drop('ct state established accept; meta mark 7 accept'), known, 'unsure'],
  [drop('ct state established,related accept; ct status dnat accept; tcp dport != 22 accept'), known, 'closed'],
  [
    drop('ct state vmap { invalid : drop, established : accept }; udp dport vmap { 53 : accept, 4789 : accept }'),
    known,
    'open'
  ],
  [
    accept('tcp flags & (fin | syn) == 0 drop; rt type 0 drop; ip6 hoplimit 1 drop; icmp type echo-request drop'),
    known,
    'open'
  ],
  [accept('meta l4proto gre drop'), known, 'open'],
  [accept('meta l4proto gre drop'), { ...known, protocol: 'gre', port: null }, 'closed'],
  [drop('udp dport 4789 limit rate 10/second accept'), known, 'unsure'],
  [accept('udp dport 4789 counter; log prefix "x"; meta mark set 7'), known, 'open']
])('%s', async (ruleset, arrival, expected) => {
  await lab.run(['nft', '-f', '-'], {
    input: `flush ruleset\n${ruleset.replaceAll(/; */g, ';\n').replaceAll('{ chain', '{\nchain')}\n`
  })
  const firewall = parseFirewall(JSON.parse(await lab.run(['nft', '-j', 'list', 'ruleset'])))
  const barriers = findBarriers(firewall, arrival)
  expect(barriers.map(({ isClosed }) => (isClosed ? 'closed' : 'unsure'))).toEqual(
    expected === 'open' ? [] : [expected]
  )
})

/** Rulesets as this host's nft prints them, and what the doctor reads of them. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { findBarriers, parseFirewall } from '../../../src/host/nftables/firewall.ts'
import type { Passage } from '../../../src/host/nftables/passage.ts'
import { BROADCAST, ether, filler } from '../../lab/frames/frames.ts'
import { createLab, type Lab } from '../../lab/lab.ts'
import { runnersOf } from '../../lab/restored.ts'

let lab: Lab
const { onHost, onSwitch } = runnersOf(() => lab)
beforeAll(async () => {
  lab = await createLab({ docker: false })
  const { card = '', cardMac = '', port = '', portMac = '' } = lab.cables[0] ?? {}
  await lab.run(['ip', '-batch', '-'], { input: writeTunnels(card, [2, 1], portMac) })
  await lab.run(['ip', '-batch', '-'], { input: writeTunnels(port, [1, 2], cardMac), on: 'switch' })
})
afterAll(() => lab?.close())

/** What ip makes of one end of two tunnels, over IPv4 and IPv6. A firewall may keep neighbours from being asked, so they are known. */
function writeTunnels(device: string, [own, other]: readonly [number, number], neighbour: string): string {
  const lines = [
    { tunnel: 'out', id: 42, network: '10.50.0.', length: 24, more: '' },
    { tunnel: 'six', id: 46, network: 'fd50::', length: 64, more: 'nodad' }
  ].flatMap(({ tunnel, id, network, length, more }) => [
    `addr add ${network}${own}/${length} dev ${device} ${more}`,
    `neigh replace ${network}${other} lladdr ${neighbour} dev ${device}`,
    `link add dev ${tunnel} type vxlan id ${id} local ${network}${own} remote ${network}${other} dstport 4789 nolearning`,
    `link set dev ${tunnel} addrgenmode none`,
    `link set dev ${tunnel} up`
  ])
  return lines.join('\n')
}

/** A VXLAN's datagram on a host with one card, and with Docker's bridge. */
const plain: Passage = {
  way: 'in',
  family: 'inet',
  protocol: 'udp',
  port: 4789,
  senders: null,
  receivers: ['10.50.0.2', '172.17.0.1'],
  interfaces: ['ens192', 'docker0'],
  devices: ['ens192', 'docker0']
}
const known = {
  ...plain,
  senders: ['10.50.0.1'],
  receivers: ['10.50.0.2'],
  interfaces: ['ens192'],
  devices: ['ens192']
}
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

/** Gives the kernel a ruleset, and reads it as the doctor does. */
async function load(ruleset: string) {
  await lab.run(['nft', '-f', '-'], {
    input: `flush ruleset\n${ruleset.replaceAll(/; */g, ';\n').replaceAll('{ chain', '{\nchain')}\n`
  })
  return parseFirewall(JSON.parse(await lab.run(['nft', '-j', 'list', 'ruleset'])))
}

test.each<[string, Passage, 'open' | 'closed' | 'unsure']>([
  [docker, plain, 'open'],
  [firewalld(port), plain, 'open'],
  [firewalld('udp dport 53 accept'), plain, 'unsure'],
  [firewalld('udp dport 53 accept'), known, 'closed'],
  [firewalld(port), { ...known, family: 'inet6', senders: ['2001:db8::1'], receivers: ['2001:db8::2'] }, 'open'],
  [drop(port), plain, 'open'],
  [drop(''), plain, 'closed'],
  // Who sends.
  [drop('ip saddr 10.60.0.0/16 accept'), plain, 'unsure'],
  [drop('ip saddr 10.60.0.0/16 accept'), known, 'closed'],
  [drop('ip saddr 10.60.0.0/16 udp dport 4789 accept'), plain, 'unsure'],
  [drop('ip saddr 10.50.0.0/16 udp dport 4789 accept'), known, 'open'],
  [drop('ip saddr { 10.60.0.0/16, 10.50.0.0-10.50.0.9 } accept'), known, 'open'],
  [drop('ip saddr 10.50.0.0/16 accept'), { ...known, senders: ['10.0.0.0/8'] }, 'unsure'],
  [drop('ip saddr != 10.60.0.0/16 accept'), known, 'open'],
  [accept('ip saddr 10.50.0.1 drop'), plain, 'unsure'],
  [accept('ip saddr 10.50.0.1 drop'), known, 'closed'],
  [accept('ip saddr 10.50.0.1 drop'), { ...known, senders: ['10.50.0.7'] }, 'open'],
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
  [accept('udp dport 4789 counter; log prefix "x"; meta mark set 7'), known, 'open'],
  // nft prints a chain without a name as text, and not as JSON.
  [accept('udp dport 4789 jump { drop; }'), known, 'unsure']
])('%s', async (ruleset, passage, expected) => {
  const firewall = await load(ruleset)
  const barriers = findBarriers(firewall, passage)
  expect(barriers.map(({ isClosed }) => (isClosed ? 'closed' : 'unsure'))).toEqual(
    expected === 'open' ? [] : [expected]
  )
})

/** What the lab's host sends to the switch by tunnels of these ids. */
const sent: Passage = {
  way: 'out',
  family: 'inet',
  protocol: 'udp',
  port: 4789,
  senders: ['10.50.0.2'],
  receivers: ['10.50.0.1'],
  interfaces: ['ens192'],
  devices: ['ens192']
}
const six: Passage = { ...sent, family: 'inet6', senders: ['fd50::2'], receivers: ['fd50::1'] }
const anyAddress = { ...sent, senders: ['10.50.0.2', '10.60.0.2'] }
const nowhere = { ...sent, senders: null, interfaces: null, devices: null }

const output = (rules: string, policy = 'drop') =>
  `table inet filter { chain services { ${port}; }; chain output { type filter hook output priority filter; policy ${policy}; ${rules}; }; }`
const postrouting = (rules: string, policy = 'accept') =>
  output(rules, policy).replace('hook output', 'hook postrouting')
const egress = (rules: string, device = 'ens192') =>
  ingress(rules).replace('hook ingress device "ens192"', `hook egress device "${device}"`)

/** As iptables-nft writes it: the table of filters, and the one that may route anew. */
const iptables = (rule: string, type = 'filter') =>
  `table ip mangle { chain INPUT { type filter hook input priority mangle; policy accept; }; chain OUTPUT { type ${type} hook output priority mangle; policy accept; ${rule}; }; }`

/** ufw's, with what it does with what leaves. */
const ufw = (policy: string, allowed: string) => `table ip filter {
chain ufw-before-output { oifname "lo" counter accept; ct state related,established counter accept; jump ufw-user-output; }
chain ufw-user-output { ${allowed}; }
chain ufw-after-output { }
chain OUTPUT { type filter hook output priority filter; policy ${policy}; counter jump ufw-before-output; counter jump ufw-after-output; }; }`

/** firewalld's, with a policy for what the host sends by the card. */
const policies = (target: string) => `table inet firewalld {
chain filter_OUT_policy_out_allow { udp dport 53 accept; }
chain filter_OUT_policy_out { jump filter_OUT_policy_out_allow; ${target}; }
chain filter_OUTPUT_POLICIES_pre { oifname "ens192" jump filter_OUT_policy_out; }
chain filter_OUTPUT { type filter hook output priority filter + 10; policy accept;
ct state { established, related } accept; oifname "lo" accept; ip6 daddr { ::/96, 2002:a00::/24 } reject with icmpv6 addr-unreachable; jump filter_OUTPUT_POLICIES_pre; }; }`

test.each<[ruleset: string, Passage, reading: 'open' | 'closed' | 'unsure', isSent: boolean]>([
  [output(''), sent, 'closed', false],
  [output(''), six, 'closed', false],
  [output('', 'accept'), sent, 'open', true],
  [output(port), sent, 'open', true],
  [output(port), six, 'open', true],
  [output('udp dport 53 accept'), sent, 'closed', false],
  [output('udp dport 4000-5000 reject', 'accept'), sent, 'closed', false],
  [output('udp dport 4789 limit rate 10/second accept'), sent, 'unsure', true],
  [output('meta l4proto gre accept; tcp dport != 22 accept'), sent, 'closed', false],
  // Between whom.
  [output('ip daddr 10.50.0.0/24 accept'), sent, 'open', true],
  [output('ip daddr 10.60.0.1 accept'), sent, 'closed', false],
  [output('ip daddr != { 10.60.0.1, 10.60.0.7 } udp dport 4789 drop', 'accept'), sent, 'closed', false],
  [output('ip daddr 10.50.0.1 drop', 'accept'), six, 'open', true],
  [output('ip6 daddr fd50::/64 drop', 'accept'), six, 'closed', false],
  [output('ip saddr 10.50.0.2 accept'), sent, 'open', true],
  [output('ip saddr 10.50.0.2 accept'), anyAddress, 'unsure', true],
  [output('ip saddr 10.50.0.2 accept'), nowhere, 'unsure', true],
  [output('ip saddr 127.0.0.0/8 accept'), nowhere, 'closed', false],
  [output('fib daddr type unicast fib saddr type local accept'), sent, 'open', true],
  [output('fib daddr type { local, broadcast, multicast } accept'), sent, 'closed', false],
  // By which interface.
  [output('oifname "ens192" accept'), sent, 'open', true],
  [output('oifname "ens192" accept'), nowhere, 'unsure', true],
  [output('oif "lo" accept'), nowhere, 'closed', false],
  [output('oifname != "ens*" accept'), sent, 'closed', false],
  [output('iifname "ens192" accept; iif "lo" accept'), sent, 'closed', false],
  [output('iifname != "docker0" accept'), sent, 'open', true],
  [postrouting('oif "ens192" drop'), sent, 'closed', false],
  [postrouting('iifname "ens192" drop'), sent, 'unsure', true],
  [postrouting('iifname "out" drop'), sent, 'unsure', false],
  [postrouting('udp dport 4789 drop'), sent, 'closed', false],
  [postrouting('ct state new jump services', 'drop'), sent, 'open', true],
  [egress('udp dport 4789 drop'), sent, 'closed', false],
  [egress('udp dport 4789 drop'), nowhere, 'unsure', false],
  [egress('udp dport 4790 drop'), sent, 'open', true],
  [egress('udp dport 4789 drop', 'lo'), sent, 'open', true],
  // What the kernel knows of it.
  [output('ct state new accept'), sent, 'open', true],
  [output('ct state established,related accept; ct status dnat accept'), sent, 'closed', false],
  [output('ct state vmap { invalid : drop, established : accept }; jump services'), sent, 'open', true],
  [output('meta skuid 12345 accept'), sent, 'unsure', false],
  [output('meta mark 7 drop', 'accept'), sent, 'unsure', true],
  [output('meta pkttype multicast drop', 'accept'), six, 'unsure', true],
  // In chains, as other programs write them.
  [output('udp dport vmap { 53 : drop, 4789 : goto services }'), sent, 'open', true],
  [output('tcp dport 4789 jump services'), sent, 'closed', false],
  [iptables('ip protocol udp udp dport 4789 counter packets 0 bytes 0 drop'), sent, 'closed', false],
  [iptables('ip protocol udp udp dport 4789 counter packets 0 bytes 0 drop', 'route'), sent, 'closed', false],
  [iptables('ip protocol udp udp dport 53 counter packets 0 bytes 0 drop'), sent, 'open', true],
  [iptables('ip protocol udp udp dport 4789 counter packets 0 bytes 0 drop'), six, 'open', true],
  [ufw('drop', 'udp dport 53 counter accept'), sent, 'closed', false],
  [ufw('drop', 'udp dport 4789 counter accept'), sent, 'open', true],
  [policies('return'), sent, 'open', true],
  [policies('reject'), sent, 'closed', false],
  // What comes is not what leaves.
  [drop(''), sent, 'open', true],
  [output(''), plain, 'open', false],
  [ingress('udp dport 4789 drop'), sent, 'open', true]
])('what leaves: %s', async (ruleset, passage, reading, isSent) => {
  const firewall = await load(ruleset)
  const found = findBarriers(firewall, passage).map(({ isClosed }) => (isClosed ? 'closed' : 'unsure'))
  expect(found).toEqual(reading === 'open' ? [] : [reading])
  expect(await leaves(passage.family === 'inet' ? 'out' : 'six')).toBe(isSent)
})

/** Whether a datagram of the kernel's own VXLAN comes to the switch. */
async function leaves(tunnel: 'out' | 'six'): Promise<boolean> {
  const received = async () => {
    const [{ stats64 }] = JSON.parse(await onSwitch(`ip -s -j link show dev ${tunnel}`))
    return stats64.rx as { readonly packets: number; readonly bytes: number }
  }
  const send = (bytes: number) => lab.send([ether(BROADCAST, '02:00:00:00:57:01', filler(bytes))], tunnel, 'host')
  const earlier = await received()
  await send(100)
  await onHost('nft flush ruleset')
  // It is so large that it is known by its bytes, and comes last.
  await send(1000)
  await vi.waitFor(async () => expect((await received()).bytes).toBeGreaterThan(earlier.bytes + 900), { timeout: 5000 })
  return (await received()).packets === earlier.packets + 2
}

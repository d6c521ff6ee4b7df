/** A VXLAN as a source on a host that others use, too: its interface, its senders, and a firewall. */
import { once } from 'node:events'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { findBarriers, parseFirewall } from '../../src/host/nftables/firewall.ts'
import type { Passage } from '../../src/host/nftables/passage.ts'
import { childrenOf } from '../lab/commands/child-processes.ts'
import { examine, findingsOf } from '../lab/commands/doctor.ts'
import { startWatch } from '../lab/commands/watch.ts'
import {
  arp,
  BROADCAST,
  ether,
  filler,
  ipv4Syn,
  ipv4Udp,
  ipv6Udp,
  LLDP_GROUP,
  lldp,
  neighbourSolicitation,
  type Payload,
  STP_GROUP,
  stp,
  vlan,
  vxlanHeader
} from '../lab/frames/frames.ts'
import { expectConverged, expectRefusal, expectRestored, listen, spanplan, until, writeSpans } from '../lab/spans.ts'
import { createTunnelLab, stranger, tunnel, twice } from '../lab/tunnels.ts'

const tunnels = await createTunnelLab()
const { lab, heardOf, onHost, onSwitch, suricata, write, zeek } = tunnels
afterAll(() => lab.close())

afterEach(() => tunnels.expectNothingLeft())

test('a watch makes the interface and its table again', async () => {
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{vxlan: {id: 42}, from: [10.50.0.0/24]}], sensors: [suricata, zeek]}}'
  )
  await using watch = await startWatch(lab)
  await watch.settle()
  await onHost(`ip link del dev ${tunnel}`)
  await watch.expectTold(/\+ tunnel vxlan-\w+/)
  await watch.settle()
  expect(await heardOf(['out'])).toEqual(twice('out'))
  await onHost('nft flush ruleset')
  await watch.expectTold(/~ tunnel vxlan-\w+ .*senders: anybody → 10\.50\.0\.0\/24/)
  await watch.settle()
  await expectConverged(lab)
  await watch.stop()
  expect(watch.told).not.toContain('error')
})

test('a watch makes a table again, whatever becomes of the monitor that tells of it', async () => {
  const file = 'spans: {span0: {sources: [{vxlan: {id: 42}, from: [10.50.0.0/24]}], sensors: [suricata, zeek]}}'
  await writeSpans(lab, file)
  await using watch = await startWatch(lab, ['--interval', '1h'])
  const name = `spanplan_${tunnel}`
  const monitors = () => childrenOf(watch.pid).filter(({ command }) => command === 'nft monitor')
  const signal = (name: NodeJS.Signals) => {
    for (const { pid } of monitors()) process.kill(pid, name)
  }
  const remove = () => onHost(`nft delete table inet ${name}`)
  const ways: Readonly<Record<string, () => Promise<unknown>>> = {
    'it listens': remove,
    'it is killed just before': async () => {
      signal('SIGKILL')
      await remove()
    },
    'it hangs, and there is another event': async () => {
      signal('SIGSTOP')
      await remove()
      await onHost(`tc filter del dev ${tunnel} ingress`)
    },
    'it is late, and has 10,000 events to read first': async () => {
      signal('SIGSTOP')
      const elements = Array.from({ length: 10_000 }, (_, index) => `10.${index >> 8}.${index & 255}.1`)
      await lab.run(['nft', '-f', '-'], {
        input: `add table ip crowd\nadd set ip crowd many { type ipv4_addr; }\n${elements
          .map((element) => `add element ip crowd many { ${element} }`)
          .join('\n')}\n`
      })
      await remove()
      signal('SIGCONT')
    }
  }
  for (const [what, undo] of Object.entries(ways)) {
    // Again and again, it would be contention.
    await writeSpans(lab, `# ${what}\n${file}`)
    await watch.settle()
    await undo()
    await until(`the table is back: ${what}`, async () => (await onHost('nft list ruleset inet')).includes(name))
    signal('SIGCONT')
    await watch.settle()
    await onHost('nft delete table ip crowd').catch(() => undefined)
  }
  await watch.stop()
})

describe('senders', () => {
  const write = (from: string) =>
    writeSpans(
      lab,
      `spans: {span0: {sources: [{vxlan: {id: 42}, from: ${from}}, {vxlan: {id: 43}}], sensors: [suricata, zeek]}}`
    )
  const table = `inet spanplan_${tunnel}`

  test('may be many', async () => {
    const many = Array.from({ length: 200 }, (_, index) => `10.${index}.0.0/25`)
    await write(`[10.50.0.0/24, ${many.join(', ')}]`)
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
  })

  test('who is left out is counted by status, and makes no span unhealthy', async () => {
    await write('[10.50.0.0/24]')
    await spanplan(lab, ['apply', '--yes'])
    const data = Buffer.concat([vxlanHeader(42), ether(BROADCAST, stranger, filler(100))]).toString('hex')
    const program = `require('node:dgram').createSocket('udp4').send(Buffer.from('${data}', 'hex'), 4789, '10.50.0.2', () => process.exit())`
    let hasEnded = false
    const status = lab.spanplan(['status', '--json', '--for', '3s']).finally(() => {
      hasEnded = true
    })
    while (!hasEnded) await lab.run([process.execPath, '-e', program])
    const { exitCode, stdout } = await status
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout).spans[0].hops[0]).toMatchObject({
      kind: 'interface',
      losses: [{ cause: 'refused', frames: expect.toSatisfy((frames) => frames > 0) }]
    })
    expect(await heardOf(['out'])).toEqual(twice('out'))
  })

  /** Sends a datagram as a user without any right: to this address, over IPv6 as if from that sender. */
  const sender = `use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
    my ($data, $to, $port, $from, $index) = @ARGV;
    if ($to =~ /:/) {
      socket(S, AF_INET6, SOCK_DGRAM, 0) or die $!;
      setsockopt(S, 41, 78, pack('i', 1)) or die "IPV6_FREEBIND: $!";
      setsockopt(S, 41, 17, pack('i', $index)) or die "IPV6_MULTICAST_IF: $!";
      bind(S, pack_sockaddr_in6(0, inet_pton(AF_INET6, $from))) or die $!;
      send(S, pack('H*', $data), 0, pack_sockaddr_in6($port, inet_pton(AF_INET6, $to))) or die $!;
    } else {
      socket(S, AF_INET, SOCK_DGRAM, 0) or die $!;
      setsockopt(S, SOL_SOCKET, SO_BROADCAST, pack('i', 1)) or die $!;
      setsockopt(S, 0, 32, inet_aton('10.50.0.2')) or die "IP_MULTICAST_IF: $!";
      send(S, pack('H*', $data), 0, pack_sockaddr_in($port, inet_aton($to))) or die $!;
    }`

  test.each([
    { vxlan: 'id: 42', from: '10.50.0.0/24', to: ['10.50.0.2', '10.50.0.255', '224.0.0.1'], by: 'out' },
    { vxlan: 'id: 42, local: "fd50::2"', from: '"fd50::1"', to: ['fd50::2', 'ff02::1'], by: 'six' },
    { vxlan: 'id: 44, group: 239.1.1.1, interface: ens192', from: '10.50.0.0/24', to: ['239.1.1.1'], by: 'many' }
  ] as const)('are no users of the host, wherever they send it to: $vxlan', async ({ vxlan, from, to, by }) => {
    await writeSpans(
      lab,
      `spans: {span0: {sources: [{vxlan: {${vxlan}}, from: [${from}]}], sensors: [suricata, zeek]}}`
    )
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    const [{ ifindex }] = JSON.parse(await onHost('ip -j link show dev ens192'))
    const data = Buffer.concat([vxlanHeader(by === 'many' ? 44 : 42), ether(BROADCAST, stranger, filler(100))])
    const capture = await listen(lab, zeek)
    const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const
    for (const one of to) {
      await lab.run([...asNobody, 'perl', '-e', sender, data.toString('hex'), one, '4789', 'fd50::1', String(ifindex)])
    }
    expect((await capture.stop({ seconds: 1 })).frames).toEqual([])
    expect(await onHost('nft list ruleset inet')).toContain(`counter packets ${to.length} bytes`)
    expect(await heardOf([by])).toEqual(twice(by))
  })

  test('are as they were after a rollback, also where somebody has added a rule', async () => {
    await write('[10.60.0.0/16]')
    await spanplan(lab, ['apply', '--yes'])
    await onHost(`nft insert rule ${table} input udp dport 9 counter`)
    await writeSpans(
      lab,
      'spans: {span0: {sources: [{vxlan: {id: 42, local: 10.50.0.2}, from: [10.60.0.0/16]}], sensors: [suricata, zeek]}}'
    )
    const { exitCode, stdout } = await lab.spanplan(['apply', '--yes', '--rollback-after', '100ms'])
    expect({ exitCode, stdout }).toMatchObject({
      exitCode: 5,
      stdout: expect.stringContaining('local: any → 10.50.0.2')
    })
    expect(await heardOf(['out', 'other'])).toEqual(twice('other'))
  })

  test('are chosen again where somebody has flushed nftables', async () => {
    await write('[10.60.0.0/16]')
    await spanplan(lab, ['apply', '--yes'])
    for (const harm of ['flush ruleset', `flush table ${table}`]) {
      await onHost(`nft ${harm}`)
      await spanplan(lab, ['apply', '--yes'])
      await expectConverged(lab)
      expect(await heardOf(['out', 'other'])).toEqual(twice('other'))
    }
  })

  test('may be anybody again; a table goes with its interface, whoever has deleted that', async () => {
    await write('[10.60.0.0/16]')
    await spanplan(lab, ['apply', '--yes'])
    await writeSpans(lab, 'spans: {span0: {sources: [{vxlan: {id: 42}}], sensors: [suricata, zeek]}}')
    await spanplan(lab, ['apply', '--yes'])
    expect(await heardOf(['out', 'other'])).toEqual(twice('out'))
    expect(await onHost('nft list tables inet')).toBe('')
    await write('[10.60.0.0/16]')
    await spanplan(lab, ['apply', '--yes'])
    await onHost(`ip link del dev ${tunnel}`)
    await spanplan(lab, ['destroy', '--all', '--yes'])
    expect(await onHost('nft list tables inet')).toBe('')
  })
})

describe('the interface', () => {
  test('is repaired, whatever somebody has done to it', async () => {
    await write('id: 42')
    await spanplan(lab, ['apply', '--yes'])
    for (const harm of [
      `ip link set dev ${tunnel} down arp on`,
      `tc qdisc del dev ${tunnel} clsact`,
      `ip link set dev ${tunnel} alias mine`,
      `ip link set dev ${tunnel} master span0`,
      `ip link del dev ${tunnel}`
    ]) {
      const applied = await lab.snapshotText()
      await onHost(harm)
      await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
      await spanplan(lab, ['apply', '--yes'])
      await expectConverged(lab)
      if (!harm.includes('link del')) expect(await lab.snapshotText()).toBe(applied)
    }
    expect(await heardOf(['out'])).toEqual(twice('out'))
  })

  test('goes with a rollback', async () => {
    await write('id: 42')
    for (const scope of [[], ['--span', 'span0']]) {
      await spanplan(lab, ['apply', '--yes', '--rollback-after', '100ms', ...scope], 5)
      await expectRestored(lab, tunnels.before)
    }
  })

  test('is made by the hook of the interface that its packets come on', async () => {
    await write('id: 44, group: 239.1.1.1, interface: ens192')
    await spanplan(lab, ['hook', '--interface', 'ens192', '--phase', 'up', '--strict', '-f', 'spans.yaml'])
    expect(await onHost('ip -br link show type vxlan')).not.toBe('')
    await write('id: 42, local: 10.50.0.2')
    await spanplan(lab, ['hook', '--interface', 'ens192', '--phase', 'up', '--strict', '-f', 'spans.yaml'])
    expect(await onHost(`ip -br link show dev ${tunnel}`)).not.toBe('')
  })

  test('is made by a watch when its address comes', async () => {
    await onHost('ip addr del 10.50.0.2/24 dev ens192')
    await write('id: 42, local: 10.50.0.2')
    await using watch = await startWatch(lab, ['--interval', '10m'])
    await watch.settle()
    expect(await onHost('ip -br link show type vxlan')).toBe('')
    await onHost('ip addr add 10.50.0.2/24 dev ens192')
    await watch.expectTold(/\+ tunnel vxlan-\w+/)
    await watch.settle()
    expect(await heardOf(['out'])).toEqual(twice('out'))
    await watch.stop()
  })

  test('stays while somebody else uses it, and each use is named with its end', async () => {
    await write('id: 42')
    await spanplan(lab, ['apply', '--yes'])
    await onHost(`ip addr add 10.99.0.1/24 dev ${tunnel}`)
    await onHost('ip link add dev guest type bridge')
    await onHost(`ip link set dev ${tunnel} master guest`)
    await onHost(`ip link add dev ov type vxlan id 7 dev ${tunnel} remote 10.50.0.1 dstport 4799`)
    await onHost(`ip route add 10.97.0.0/24 dev ${tunnel}`)
    const said = await expectRefusal(lab, ['destroy', '--all', '--yes'])
    expect(said).toContain(`the tunnel ${tunnel} cannot be removed: the vxlan ov is built on it`)
    expect(said).toContain(`the tunnel ${tunnel} cannot be removed: the host has a route through it: 10.97.0.0/24`)
    expect(said).toContain(`if nothing needs it: ip route del 10.97.0.0/24 dev ${tunnel}`)
    await write('id: 42, local: 10.50.0.2')
    expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('the vxlan ov is built on it')
    await onHost('ip link del dev ov')
    await onHost(`ip route del 10.97.0.0/24 dev ${tunnel}`)
    expect(said).toContain(`the tunnel ${tunnel} cannot be removed: it has the address 10.99.0.1/24`)
    expect(said).toContain(`if nothing needs it: ip addr del 10.99.0.1/24 dev ${tunnel}`)
    expect(said).toContain(`the tunnel ${tunnel} cannot be removed: it is a port of guest`)
    await onHost('ip link del dev guest')
    await onHost(`ip addr del 10.99.0.1/24 dev ${tunnel}`)
  })

  test('is not made where somebody has its name or its id, and theirs stays', async () => {
    await write('id: 42')
    await onHost(`ip link add dev ${tunnel} type bridge`)
    expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(`an interface ${tunnel} already exists`)
    await onHost(`ip link del dev ${tunnel}`)
    await onHost('ip link add dev vx0 type vxlan id 42 dstport 4789')
    expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('vxlan 42 already ends in the interface vx0')
    await onHost('ip link del dev vx0')
    await spanplan(lab, ['apply', '--yes'])
    await onHost(`ip link set dev ${tunnel} down`)
    await onHost(`ip link set dev ${tunnel} name renamed`)
    const refusal = await expectRefusal(lab, ['apply', '--yes'])
    const [, rename = 'false'] = /give it its name back \(.*\): (.*)/.exec(refusal) ?? []
    await lab.run(['sh', '-c', rename])
    await spanplan(lab, ['apply', '--yes'])
    await spanplan(lab, ['destroy', '--all', '--yes'])
    await onHost('ip link add dev vx0 type vxlan external dstport 4789')
    await onHost('ip link set dev vx0 addrgenmode none up')
    expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(
      'is that of the interface vx0, which gets the frames'
    )
    await onHost('ip link del dev vx0')
  })
})

/** What a stranger may put into a tunnel that ends on the host with this MAC address. */
function forgedFrames(mac: string): Buffer[] {
  const question = { operation: 'request', senderMac: stranger, senderIp: '10.50.0.66', targetIp: '10.50.0.2' } as const
  const toHost = { source: '10.50.0.66', destination: '10.50.0.2', destinationPort: 4789 }
  const nested = ipv4Udp({ ...toHost, data: Buffer.concat([vxlanHeader(43), ether(mac, stranger, arp(question))]) })
  const tagged = Array.from({ length: 8 }).reduce<Payload>((inside, _, id) => vlan(id + 1, inside), arp(question))
  return [
    ...Array.from({ length: 15 }, (_, length) => Buffer.alloc(length, 0xff)),
    ...[mac, BROADCAST].flatMap((target) => [
      ether(target, stranger, arp(question)),
      ether(target, stranger, neighbourSolicitation(stranger, 'fd50::66', 'fd50::2')),
      ether(target, stranger, ipv4Syn({ source: '10.50.0.66', destination: '10.50.0.2', destinationPort: 22 })),
      ether(target, stranger, ipv6Udp({ source: 'fd50::66', destination: 'fd50::2', destinationPort: 4789 })),
      ether(target, stranger, nested),
      ether(target, stranger, tagged),
      ether(target, mac, arp({ ...question, senderMac: mac, senderIp: '10.50.0.2' })),
      ether(target, stranger, ipv4Udp(toHost)).subarray(0, 20)
    ]),
    ether(STP_GROUP, stranger, stp(stranger)),
    ether(LLDP_GROUP, stranger, lldp(stranger, 'forged'))
  ]
}

test('100,000 forged packets, of odd frames, reach nothing of the host, and no other frame is lost afterwards', async () => {
  await write('id: 42')
  await spanplan(lab, ['apply', '--yes'])
  const { cardMac, portMac } = lab.cables[0] ?? { cardMac: '', portMac: '' }
  const packets = forgedFrames(cardMac).map((frame) => {
    const data = Buffer.concat([vxlanHeader(42), frame])
    return ether(
      cardMac,
      portMac,
      ipv4Udp({ source: '10.50.0.1', destination: '10.50.0.2', destinationPort: 4789, data })
    )
  })
  const seen = async () => ({
    counters: (
      await onHost('nstat -asz IcmpInMsgs Icmp6InMsgs TcpInSegs IcmpOutMsgs UdpInErrors Ip6InDelivers')
    ).replace(/^#.*/gm, ''),
    neighbours: (await onHost('ip neigh')).split('\n').filter((line) => /66|lladdr 02:00:00:00:57:01/.test(line)),
    addresses: await onHost('ip -br addr')
  })
  const earlier = await seen()
  await lab.send(Array.from({ length: 100_000 }, (_, index) => packets[index % packets.length] ?? Buffer.alloc(0)))
  expect(await seen()).toEqual(earlier)
  const [{ stats64 }] = JSON.parse(await onHost(`ip -s -j link show dev ${tunnel}`))
  expect(stats64.rx.packets + stats64.rx.errors).toBeGreaterThan(10_000)
  expect(stats64.tx.packets).toBe(0)
  await expectConverged(lab)
  expect(await heardOf(['out'])).toEqual(twice('out'))
})

test('the interface that its packets come on is down: watch, status and doctor name it', async () => {
  await write('id: 42, local: 10.50.0.2')
  await using watch = await startWatch(lab)
  await watch.settle()
  // Else the kernel takes away the addresses of IPv6, which other tests need.
  const keep = (value: 0 | 1) => onHost(`sysctl -qw net.ipv6.conf.ens192.keep_addr_on_down=${value}`)
  await keep(1)
  await onHost('ip link set dev ens192 down')
  const said = 'vxlan 42 gets nothing: the interface below it is down, or has no carrier (ens192)'
  await watch.expectTold(/vxlan 42 gets nothing: .*\(ens192\)/)
  expect((await spanplan(lab, ['status'], 2)).stdout.replaceAll(/\s+/g, ' ')).toContain(said)
  const [{ message } = { message: '' }] = findingsOf(await examine(lab), 'carrier', 'problem')
  expect(message).toContain(said)
  await onHost('ip link set dev ens192 up')
  await keep(0)
  await watch.settle()
  expect((await spanplan(lab, ['status'])).stdout).toContain('span0: healthy')
  await watch.stop()
})

describe('what keeps the kernel from the tunnel', () => {
  const twoSpans = () =>
    writeSpans(
      lab,
      'spans: {span0: {sources: [{vxlan: {id: 42}, from: [10.50.0.0/24]}], sensors: [suricata]}, span1: {sources: [{interface: ens192}], sensors: [zeek]}}'
    )
  const applied = async (status: 0 | 4) => {
    const { exitCode, stderr } = await lab.spanplan(['apply', '--yes'])
    expect(exitCode, stderr).toBe(status)
    return stderr
  }

  test('a program that has the port costs the tunnel alone, until it ends', async () => {
    await twoSpans()
    const program = "require('node:dgram').createSocket('udp4').bind(4789, () => console.log('bound'))"
    const other = lab.start([process.execPath, '-e', program])
    await once(other.stdout, 'data')
    const stderr = await applied(4)
    expect(stderr).toMatch(
      /nothing comes out of vxlan 42 \(vxlan-\w+\): could not start the tunnel .*Address already in use/
    )
    expect(await onHost('ss --udp --listening --numeric --processes sport = :4789')).toContain('"node"')
    expect((await lab.spanplan(['status', '--span', 'span0'])).exitCode).toBe(2)
    expect((await lab.spanplan(['plan', '--span', 'span1'])).stdout).toContain('No changes')
    other.kill()
    await other.catch(() => undefined)
    await applied(0)
    expect(await heardOf(['out'], [suricata])).toEqual([['out']])
  })

  test('an interface of that id in another namespace costs the tunnel and its mirror alone', async () => {
    await twoSpans()
    await onHost('ip link add dev vx0 type vxlan id 42 dstport 4789')
    await onHost(`ip link set dev vx0 netns ${lab.name}-sw`)
    const { exitCode, stdout, stderr } = await lab.spanplan(['apply', '--yes'])
    expect(exitCode, stderr).toBe(4)
    expect(stdout).toMatch(
      /Plan: 11 to create, 1 to change, [\s\S]*Applied and verified: 9 created, 1 changed; 1 failed\.\n/
    )
    expect((await lab.spanplan(['apply', '--yes'])).stdout).toContain('Applied and verified: nothing; 1 failed.')
    expect(stderr.match(/mirror|qdisc|nothing comes out of vxlan 42/g)).toEqual(['nothing comes out of vxlan 42'])
    expect(stderr).toContain(
      'is in another network namespace now: find it, and delete it there or take it back, with: ip -all netns'
    )
    expect(await onHost('nft list tables inet')).toBe('')
    expect((await lab.spanplan(['plan', '--span', 'span1'])).stdout).toContain('No changes')
    await onSwitch('ip link del dev vx0')
    await applied(0)
    expect(await heardOf(['out'], [suricata])).toEqual([['out']])
  })
})

/** As Debian's example, firewalld and ufw have it, each with what an administrator adds. */
const rulesets = {
  'drops by default': [
    'policy drop; ct state vmap { established : accept, related : accept, invalid : drop }; iif lo accept; tcp dport { 22, 80-90 } accept',
    false
  ],
  'drops at its end': [
    'ct state established,related accept; meta l4proto { icmp, ipv6-icmp } accept; jump services; counter reject with icmpx admin-prohibited',
    false
  ],
  'takes the port by a set': ['policy drop; udp dport @ports accept', true],
  'takes a range of ports': ['policy drop; meta l4proto udp th dport 4000-5000 counter accept', true],
  'takes the port in a chain': ['jump services; udp dport 4789 jump tunnels; drop', true],
  'takes all of an interface': ['policy drop; iifname "ens192" accept', true],
  'takes all but some ports': ['policy drop; udp dport != { 53, 67 } accept', true],
  'takes the port by a map': ['policy drop; udp dport vmap { 53 : drop, 4789 : goto tunnels }', true],
  'drops the port by a map': ['udp dport vmap { 4789 : drop }; accept', false],
  'drops in another table': [
    'policy accept; udp dport 4789 accept',
    false,
    'table ip raw { chain early { type filter hook prerouting priority raw; udp dport 4000-5000 drop; }; }'
  ],
  'drops what the card gets': [
    'policy accept',
    false,
    'table netdev early { chain early { type filter hook ingress device "ens192" priority 0; udp dport 4789 drop; }; }'
  ],
  'takes what the sender sends': ['policy drop; ip saddr 10.50.0.0/24 accept', true],
  'drops what the sender sends': ['ip saddr 10.50.0.1 drop', false],
  'takes what others send': ['policy drop; ip saddr 10.60.0.0/16 accept', false],
  'takes groups': ['policy drop; meta pkttype multicast accept; fib daddr type != local accept', false],
  'takes what it has tracked': ['policy drop; ct state established accept; ct status dnat accept', false],
  'drops what is none of it': [
    'tcp flags & (fin | syn) == 0 drop; ip saddr 127.0.0.0/8 drop; fib saddr . iif oif missing drop; tcp dport != 22 drop',
    true
  ]
} as const

/** As `nft -f` reads it. */
function writeRuleset([rules, , more = '']: readonly [string, boolean, string?]): string {
  const ports = 'set ports { type inet_service; flags interval; elements = { 53, 4700-4800 }; }'
  const services = 'chain services { tcp dport 22 accept; ip6 daddr fe80::/64 udp dport 546 accept; }'
  const chain = `chain input { type filter hook input priority filter; ${rules}; }`
  const ruleset = `table inet filter { ${ports}\n ${services}\n chain tunnels { accept; }\n ${chain}\n }\n${more}\n`
  return ruleset.replaceAll('; ', ';\n')
}

const received = async () => {
  const [{ stats64 }] = JSON.parse(await onHost(`ip -s -j link show dev ${tunnel}`))
  return stats64.rx.packets
}

describe('a firewall of the host', () => {
  test('whose rules the doctor reads as the kernel does', async () => {
    await write('id: 42')
    await spanplan(lab, ['apply', '--yes'])
    const passed: string[] = []
    const open: string[] = []
    for (const [name, rules] of Object.entries(rulesets)) {
      await lab.run(['nft', '-f', '-'], { input: `flush ruleset\n${writeRuleset(rules)}` })
      const firewall = parseFirewall(JSON.parse(await onHost('nft -j list ruleset')))
      const place = { receivers: ['10.50.0.2'], interfaces: ['ens192'], devices: ['ens192'] }
      const passage: Passage = {
        way: 'in',
        family: 'inet',
        protocol: 'udp',
        port: 4789,
        senders: ['10.50.0.1'],
        ...place
      }
      const barriers = findBarriers(firewall, passage)
      expect(barriers.filter(({ isClosed }) => !isClosed)).toEqual([])
      if (barriers.length === 0) open.push(name)
      const earlier = await received()
      await lab.send([ether(BROADCAST, stranger, filler(100))], 'out', 'switch')
      // A second datagram, which no ruleset drops, is the last.
      await onHost('nft flush ruleset')
      await lab.send([ether(BROADCAST, stranger, filler(100))], 'out', 'switch')
      await vi.waitFor(async () => expect(await received()).toBeGreaterThan(earlier), { timeout: 5000 })
      if ((await received()) === earlier + 2) passed.push(name)
    }
    expect(passed).toEqual(Object.entries(rulesets).flatMap(([name, [, passes]]) => (passes ? name : [])))
    expect(open).toEqual(passed)
  })

  test('that drops the datagrams: the command of the doctor lets them in', async () => {
    await lab.run(['nft', '-f', '-'], { input: writeRuleset(rulesets['drops by default']) })
    await write('id: 42')
    await spanplan(lab, ['apply', '--yes'])
    expect(await heardOf(['out'])).toEqual([[], []])
    const [{ message, command } = { message: '', command: null }] = findingsOf(
      await examine(lab),
      'firewall',
      'warning'
    )
    expect(message).toContain('the chain input of the table inet filter drops what comes to UDP port 4789')
    await lab.run(['sh', '-c', command ?? 'false'])
    expect(await heardOf(['out'])).toEqual(twice('out'))
    expect(findingsOf(await examine(lab), 'firewall', 'ok')).toHaveLength(1)
    await onHost('nft delete table inet filter')
  })
})

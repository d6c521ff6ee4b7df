/** What is mirrored reaches the packet sockets of a sensor, and nothing else in it. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import {
  ALL_HOSTS_GROUP,
  arp,
  BROADCAST,
  ether,
  ipv4Udp,
  ipv6Udp,
  mpls,
  neighbourSolicitation,
  type Payload,
  qinq,
  vlan
} from '../lab/frames/frames.ts'
import { type Argv, createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import {
  expectConverged,
  expectHeard,
  findTap,
  interfacesOf,
  listen,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

const PORT = 4000
/** On the wire, and of nobody there. */
const STRANGER = { mac: '02:00:00:00:0a:01', ip: '192.0.2.66', ip6: '2001:db8:9::66' }
/** Of the network that the host's firewall would close. */
const MANAGEMENT = '172.30.0.0/24'
const BEHIND = '172.30.0.9'
const INSIDE6 = '2001:db8:9::5'

let lab: Lab
let zeek: Docker.Container
let suricata: Docker.Container
let behind: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  const ipam = { Config: [{ Subnet: MANAGEMENT }] }
  await lab.docker.createNetwork({ Name: 'management', Internal: true, IPAM: ipam })
  zeek = await lab.startSensor('zeek', { NetworkMode: 'management', CapAdd: ['NET_ADMIN'] })
  suricata = await lab.startSensor('suricata', { NetworkMode: 'management' })
  behind = await lab.startSensor('behind')
  await lab.docker.getNetwork('none').disconnect({ Container: 'behind' })
  await lab.docker
    .getNetwork('management')
    .connect({ Container: 'behind', EndpointConfig: { IPAMConfig: { IPv4Address: BEHIND } } })
})
afterAll(() => lab?.close())

async function write(sealed = true): Promise<void> {
  await writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192}], sensors: [zeek, suricata], sealed: ${sealed}}}`
  )
}

async function apply(sealed = true, exitCode = 0): Promise<string> {
  await write(sealed)
  const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'], exitCode)
  return stdout + stderr
}

async function enter(container: Docker.Container): Promise<Argv> {
  const { State } = await container.inspect()
  return ['nsenter', `--net=/proc/${State.Pid}/ns/net`, '--']
}

async function inside(container: Docker.Container, ...argv: Argv): Promise<string> {
  return lab.run([...(await enter(container)), ...argv])
}

/** tc's words for the filters on a sensor's own end. */
async function filtersOf(container: Docker.Container): Promise<string> {
  const { name } = await findTap(lab, container)
  return inside(container, 'tc', 'filter', 'show', 'dev', name, 'ingress')
}

const isClosed = async (container: Docker.Container) => /bytecode '1,6 0 0 2'/.test(await filtersOf(container))

/** A program in the network namespace of a container, with what it has printed. */
async function startInside(container: Docker.Container, ...argv: Argv) {
  const running = lab.start([...(await enter(container)), ...argv])
  let printed = ''
  running.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  await until('it has begun', async () => printed.includes('begun'))
  return {
    printed: () => printed,
    [Symbol.asyncDispose]: async () => {
      running.kill('SIGKILL')
      await running.catch(() => undefined)
    }
  }
}

/** A socket that is open to all, and prints a datagram a line. */
const receiver = `
const socket = require('node:dgram').createSocket('udp6')
socket.on('message', (message) => console.log(String(message)))
socket.bind(${PORT}, () => console.log('begun'))
`
const receive = (container: Docker.Container) => startInside(container, process.execPath, '-e', receiver)

/** A datagram that comes by the management network, after all that came by the span. */
async function expectLast(container: Docker.Container, printed: () => string): Promise<void> {
  const { NetworkSettings } = await container.inspect()
  const address = NetworkSettings.Networks.management?.IPAddress ?? ''
  const program = `const socket = require('node:dgram').createSocket('udp4')
    socket.send('last', ${PORT}, '${address}', () => socket.close())`
  await until('the last datagram is here', async () => {
    await inside(container === behind ? zeek : behind, process.execPath, '-e', program)
    return printed().includes('last')
  })
}

const dataOf = (printed: string) => [
  ...new Set(printed.split('\n').filter((line) => !['', 'begun', 'last'].includes(line)))
]

interface Places {
  readonly mac: string
  readonly addresses: Readonly<Record<string, string>>
}

async function placesOf(container: Docker.Container): Promise<Places> {
  const { mac } = await findTap(lab, container)
  const { Networks } = (await container.inspect()).NetworkSettings
  return {
    mac,
    addresses: {
      'the span': Networks.span0?.IPAddress ?? '',
      management: Networks.management?.IPAddress ?? '',
      'who is behind': BEHIND
    }
  }
}

/** What somebody on the mirrored wire would send, by name. */
function attacks({ mac, addresses }: Places): Map<string, Buffer> {
  const udp = (destination: string, name: string): Payload =>
    ipv4Udp({ source: STRANGER.ip, destination, destinationPort: PORT, data: Buffer.from(name) })
  const udp6 = (destination: string, name: string): Payload =>
    ipv6Udp({ source: STRANGER.ip6, destination, destinationPort: PORT, data: Buffer.from(name) })
  const macs = { it: mac, all: BROADCAST, 'all IPv4': ALL_HOSTS_GROUP }
  const frames = Object.entries(macs).flatMap(([to, target]): [string, Buffer][] => [
    ...Object.entries(addresses).map(([place, address]): [string, Buffer] => {
      const name = `IPv4 for ${place} to ${to}`
      return [name, ether(target, STRANGER.mac, udp(address, name))]
    }),
    [`broadcast to ${to}`, ether(target, STRANGER.mac, udp('255.255.255.255', `broadcast to ${to}`))],
    [`IPv6 to ${to}`, ether(target, STRANGER.mac, udp6(INSIDE6, `IPv6 to ${to}`))],
    [`IPv6 for all to ${to}`, ether(target, STRANGER.mac, udp6('ff02::1', `IPv6 for all to ${to}`))]
  ])
  const ask = (address: string): Payload =>
    arp({ operation: 'request', senderMac: STRANGER.mac, senderIp: STRANGER.ip, targetIp: address })
  const tagged = udp(addresses.management ?? '', 'tagged')
  return new Map([
    ...frames,
    ...Object.entries(addresses).map(([place, address]): [string, Buffer] => [
      `ARP for ${place}`,
      ether(BROADCAST, STRANGER.mac, ask(address))
    ]),
    ['ND', ether('33:33:00:00:00:01', STRANGER.mac, neighbourSolicitation(STRANGER.mac, STRANGER.ip6, INSIDE6))],
    ['a tag of none', ether(mac, STRANGER.mac, vlan(0, tagged))],
    ['a tag', ether(mac, STRANGER.mac, vlan(10, tagged))],
    ['two tags', ether(mac, STRANGER.mac, qinq(10, 20, tagged))],
    ['MPLS', ether(mac, STRANGER.mac, mpls([16], tagged.bytes))],
    ['STP’s group', ether('01:80:c2:00:00:00', STRANGER.mac, tagged)],
    ['LLDP’s group', ether('01:80:c2:00:00:0e', STRANGER.mac, tagged)]
  ])
}

/** Sends them all at the switch: what the sensor's sockets have received, what its stack has answered, and what tcpdump in it has heard. */
async function attack(container: Docker.Container) {
  const probes = attacks(await placesOf(container))
  await using socket = await receive(container)
  await using other = await receive(behind)
  const heard = await listen(lab, container, { expression: `ether src ${STRANGER.mac}` })
  // Whom it knew before, it asks whether he is still there: ARP requests, and neighbour solicitations.
  const answers = await listen(lab, container, {
    direction: 'out',
    expression: 'arp[6:2] = 2 or (icmp6 and ip6[40] != 135) or icmp'
  })
  await lab.send([...probes.values()])
  const { frames, dropped } = await heard.stop({ count: probes.size })
  await expectLast(container, socket.printed)
  await expectLast(behind, other.printed)
  const nameOf = (frame: Buffer) => [...probes].find(([, probe]) => probe.equals(frame))?.[0]
  const { frames: sent } = await answers.stop()
  return {
    delivered: dataOf(socket.printed()),
    forwarded: dataOf(other.printed()),
    answered: sent.filter((frame) => frame.toString('hex', 0, 6) === STRANGER.mac.replaceAll(':', '')).length,
    missed: [...probes.keys()].filter((name) => !frames.some((frame) => nameOf(frame) === name)),
    dropped
  }
}

const unreached = { delivered: [], forwarded: [], answered: 0, missed: [], dropped: 0 }

/** A sensor that routes, and has an address of IPv6 on the span. */
async function openUp(container: Docker.Container): Promise<void> {
  const { name } = await findTap(lab, container)
  await inside(
    container,
    'sysctl',
    '-q',
    '-w',
    'net.ipv4.conf.all.forwarding=1',
    'net.ipv6.conf.all.disable_ipv6=0',
    `net.ipv6.conf.${name}.disable_ipv6=0`
  )
  await inside(container, 'ip', 'addr', 'replace', `${INSIDE6}/64`, 'dev', name, 'nodad')
}

describe('without "sealed"', () => {
  test('a stranger on the mirrored wire reaches the sockets of a sensor, and who is behind it', async () => {
    await apply(false)
    await openUp(zeek)
    const { delivered, forwarded, answered, missed } = await attack(zeek)
    expect(delivered).toEqual(
      expect.arrayContaining([
        'IPv4 for the span to it',
        'IPv4 for management to it',
        'IPv4 for management to all',
        'broadcast to all',
        'IPv6 to it'
      ])
    )
    expect(forwarded).toContain('IPv4 for who is behind to it')
    expect(answered).toBeGreaterThan(0)
    expect(missed).toEqual([])
    expect(await isClosed(zeek)).toBe(false)
  })
})

describe('sealed', () => {
  beforeAll(async () => {
    await apply(false)
    const told = await apply()
    expect(told).toMatch(/~ +stack +zeek → span0 +closed: no → yes/)
    await expectConverged(lab)
    await openUp(zeek)
  })

  test('a stranger reaches none, and the sensor hears every frame', async () => {
    expect(await attack(zeek)).toEqual(unreached)
    await expectHeard(lab, [zeek, suricata])
  })

  test('a TCP conversation with the management network is not held through the tap', async () => {
    const server = `require('node:net').createServer((socket) => { console.log('held'); socket.pipe(socket) }).listen(${PORT}, () => console.log('begun'))`
    await using service = await startInside(zeek, process.execPath, '-e', server)
    const { mac, addresses } = await placesOf(zeek)
    // The answers go back by the management network and the host's routing.
    await lab.run(['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'ens192'])
    await lab.run(['sysctl', '-q', '-w', 'net.ipv4.conf.all.forwarding=1'])
    await lab.run(['ip', 'addr', 'add', `${STRANGER.ip}/24`, 'dev', 'sw0'], { on: 'switch' })
    await lab.run(['ip', 'route', 'add', `${addresses.management}/32`, 'dev', 'sw0'], { on: 'switch' })
    await lab.run(['ip', 'neigh', 'add', addresses.management ?? '', 'lladdr', mac, 'dev', 'sw0'], { on: 'switch' })
    const [{ ifname }] = JSON.parse(await lab.run(['ip', '-j', 'addr', 'show', 'to', MANAGEMENT]))
    const gateway = JSON.parse(await lab.run(['ip', '-j', 'addr', 'show', 'dev', ifname]))[0].addr_info[0].local
    await inside(zeek, 'ip', 'route', 'replace', 'default', 'via', gateway)
    const client = `const socket = require('node:net').connect(${PORT}, '${addresses.management}')
      socket.on('error', () => undefined).on('connect', () => console.log('held')); setInterval(() => undefined, 1000)`
    const hold = async (isHeld: (printed: () => string) => Promise<void>) => {
      const connecting = lab.start([process.execPath, '-e', client], { on: 'switch' })
      let printed = ''
      connecting.stdout?.on('data', (chunk: Buffer) => {
        printed += chunk.toString()
      })
      try {
        await isHeld(() => printed)
      } finally {
        connecting.kill('SIGKILL')
        await connecting.catch(() => undefined)
      }
    }
    const heard = await listen(lab, zeek, { expression: `tcp dst port ${PORT}` })
    await hold(async (printed) => {
      // Linux tries again after a second: the first two have come, and nothing has answered them.
      await until('two attempts are heard', async () => heard.frames.length >= 2)
      expect(printed() + service.printed()).toBe('begun\n')
    })
    await heard.stop()
    // It is the filter alone that is in the way.
    await apply(false)
    await hold((printed) => until('it is held', async () => printed().includes('held')))
    await apply()
    await expectConverged(lab)
  })

  test('a socket bound to one protocol hears nothing: only one of ETH_P_ALL comes before the filter', async () => {
    const [frame = Buffer.alloc(0)] = attacks(await placesOf(suricata)).values()
    // AF_PACKET and SOCK_RAW, and the protocol in network order: ETH_P_IP, ETH_P_ALL.
    const program = (protocol: number) =>
      `socket($s, 17, 3, ${protocol}) or die; $| = 1; print "begun\\n"; while (sysread($s, $f, 65536)) { print unpack("H*", $f), "\\n" }`
    const open = (protocol: number) => startInside(suricata, findProgram('perl'), '-e', program(protocol))
    await using all = await open(0x0300)
    await using ip = await open(0x0008)
    await lab.send([frame])
    await until('the one hears it', async () => all.printed().includes(frame.toString('hex')))
    await using socket = await receive(suricata)
    await expectLast(suricata, socket.printed)
    await until('the other hears what comes by the management network', async () =>
      ip.printed().includes(Buffer.from('last').toString('hex'))
    )
    expect(ip.printed()).not.toContain(frame.toString('hex'))
  })

  test('it is closed again after a restart: by the next apply, which the plan says, and by a watch at once', async () => {
    await suricata.restart()
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(/~ +stack +suricata → span0 +closed: no → yes/)
    const { stdout: status } = await spanplan(lab, ['status', '--for', '10ms'], 2)
    expect(status).toMatch(/~ stack suricata → span0/)
    await apply()
    expect(await isClosed(suricata)).toBe(true)
    await using _ = await startWatch(lab)
    await suricata.restart()
    await until('it is closed', () => isClosed(suricata))
    // Nobody outside hears of that: the next look does, whatever it is for.
    await inside(zeek, 'tc', 'qdisc', 'del', 'dev', (await findTap(lab, zeek)).name, 'clsact')
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    await until('it is closed', () => isClosed(zeek))
  })

  test('a container that has stopped has nothing to close', async () => {
    await apply()
    await suricata.stop()
    await expectConverged(lab)
    await suricata.start()
    await apply()
    expect(await isClosed(suricata)).toBe(true)
    expect(await attack(suricata)).toEqual(unreached)
  })

  test('the management interface stays as it is', async () => {
    const tap = await findTap(lab, zeek)
    const others = (await interfacesOf(zeek)).filter(({ name }) => name !== tap.name)
    expect(others).toHaveLength(1)
    for (const { name } of others)
      expect(await inside(zeek, 'tc', 'qdisc', 'show', 'dev', name)).not.toContain('clsact')
  })
})

describe('what is given back', () => {
  test('with "sealed: false", all', async () => {
    await apply()
    const told = await apply(false)
    expect(told).toMatch(/~ +stack +zeek → span0 +closed: yes → no/)
    expect(await inside(zeek, 'tc', 'qdisc', 'show')).not.toContain('clsact')
    await expectConverged(lab)
  })

  test('a clsact qdisc and filters of the container stay, and its stack is left as it is: a warning about that sensor alone', async () => {
    const { name } = await findTap(lab, zeek)
    await inside(zeek, 'tc', 'qdisc', 'add', 'dev', name, 'clsact')
    await inside(
      zeek,
      'tc',
      'filter',
      'add',
      'dev',
      name,
      'ingress',
      'pref',
      '77',
      'bpf',
      'da',
      'bytecode',
      '1,6 0 0 0'
    )
    const before = await filtersOf(zeek)
    const told = await apply()
    expect(told).toMatch(/warning: mirrored frames reach the network stack of zeek, .* at preference 77/)
    expect(await filtersOf(zeek)).toBe(before)
    expect(await isClosed(suricata)).toBe(true)
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms'], 2)
    expect(stdout).toContain('mirrored frames reach the network stack of zeek')
    await inside(zeek, 'tc', 'filter', 'del', 'dev', name, 'ingress', 'pref', '77')
    await apply()
    expect(await isClosed(zeek)).toBe(true)
    await apply(false)
    // The qdisc was the container's.
    expect(await inside(zeek, 'tc', 'qdisc', 'show', 'dev', name)).toContain('clsact')
    await inside(zeek, 'tc', 'qdisc', 'del', 'dev', name, 'clsact')
    await apply()
    // What has come to hang on spanplan's qdisc keeps it.
    await inside(zeek, 'tc', 'filter', 'add', 'dev', name, 'egress', 'pref', '78', 'bpf', 'da', 'bytecode', '1,6 0 0 0')
    await apply(false)
    expect(await inside(zeek, 'tc', 'filter', 'show', 'dev', name, 'egress')).toContain('pref 78')
    await inside(zeek, 'tc', 'qdisc', 'del', 'dev', name, 'clsact')
  })
})

describe('a container with NET_ADMIN', () => {
  test('that names another interface so that the filter goes there is told, and costs nobody else anything', async () => {
    await apply(false)
    const { name } = await findTap(lab, zeek)
    const [{ ifindex }] = JSON.parse(await inside(zeek, 'ip', '-json', 'link', 'show', 'dev', name))
    await inside(zeek, 'ip', 'link', 'add', 'name', `if${ifindex}`, 'type', 'bridge')
    // iproute2 refuses such an altname, and the kernel does not: RTM_NEWLINKPROP, with IFLA_PROP_LIST and IFLA_ALT_IFNAME.
    const addAltname = `
      my $a = sub { my ($t, $d) = @_; my $l = 4 + length $d; pack('SS', $l, $t) . $d . "\\0" x ((4 - $l % 4) % 4) };
      my ($index, $name) = @ARGV;
      socket(my $s, 16, 3, 0) or die; 
      my $body = pack('CxSlII', 0, 0, $index, 0, 0) . $a->(52 | 0x8000, $a->(53, "$name\\0"));
      syswrite($s, pack('LSSLL', 16 + length $body, 108, 1 | 4 | 0x400 | 0x800, 1, 0) . $body) or die;
      sysread($s, my $answer, 4096); exit(unpack('x16l', $answer) != 0)`
    const [decoy] = JSON.parse(await inside(zeek, 'ip', '-json', 'link', 'show', 'dev', `if${ifindex}`))
    await inside(zeek, findProgram('perl'), '-e', addAltname, String(decoy.ifindex), `if${ifindex}/`)
    const told = await apply(true, 4)
    expect(told).toMatch(/error: mirrored frames reach the network stack of zeek: /)
    expect(told).not.toContain('rolled back')
    expect(await isClosed(zeek)).toBe(false)
    expect(await isClosed(suricata)).toBe(true)
    await expectHeard(lab, [zeek, suricata])
    await inside(zeek, 'ip', 'link', 'del', 'dev', `if${ifindex}`)
    await apply()
    expect(await isClosed(zeek)).toBe(true)
  })

  test('that takes the filter off as fast as it can costs nobody else anything', async () => {
    const { name } = await findTap(lab, zeek)
    await using _ = await startInside(
      zeek,
      'sh',
      '-c',
      `echo begun; while :; do tc qdisc del dev ${name} clsact 2>/dev/null; done`
    )
    await until('it is off', async () => !(await isClosed(zeek)))
    await suricata.restart()
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    expect(await apply(true, 4)).toContain('mirrored frames reach the network stack of zeek')
    expect(await isClosed(suricata)).toBe(true)
    await expectHeard(lab, [suricata])
  })

  test('that has more filters than anybody needs is not waited for, and not known', async () => {
    const { name } = await findTap(lab, zeek)
    const lines = Array.from(
      { length: 2000 },
      (_, index) => `filter add dev ${name} ingress pref ${index + 100} bpf da bytecode '1,6 0 0 0'`
    )
    await lab.run([...(await enter(zeek)), 'tc', '-batch', '-'], {
      input: `qdisc replace dev ${name} clsact\n${lines.join('\n')}\n`
    })
    const { stderr } = await spanplan(lab, ['plan'])
    expect(stderr).toMatch(
      /warning: it is not known whether mirrored frames reach the network stack of zeek: .* was stopped/
    )
    await inside(zeek, 'tc', 'qdisc', 'del', 'dev', name, 'clsact')
    await apply()
  })
})

test('without the right to enter a namespace, all else is done, and what is not known is said', async () => {
  await inside(suricata, 'tc', 'qdisc', 'del', 'dev', (await findTap(lab, suricata)).name, 'clsact')
  const less: SpanplanOptions = { through: ['setpriv', '--bounding-set=-sys_admin'] }
  // The unit's way to see whose port is whose, without that right.
  const netns = `${lab.dockerState}/netns`
  const bound = [
    'unshare',
    '--mount',
    '--',
    'sh',
    '-c',
    'mkdir -p /run/netns && mount --rbind "$1" /run/netns && shift && exec "$@"',
    'sh',
    netns
  ] as const
  const options: SpanplanOptions = { ...less, through: [...bound, ...(less.through ?? [])] }
  const { stdout, stderr } = await spanplan(lab, ['plan'], 0, options)
  expect(stderr).toMatch(
    /^warning: it is not known whether mirrored frames reach the network stack of suricata, zeek: .*CAP_SYS_ADMIN\n {2}run it as root/m
  )
  expect(stdout).not.toContain('stack')
  const status = await spanplan(lab, ['status', '--for', '10ms'], 0, options)
  expect(status.stderr).toContain('it is not known whether mirrored frames reach the network stack of suricata, zeek')
  await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
})

test('destroy takes them along, and leaves nothing', async () => {
  await apply()
  await spanplan(lab, ['destroy', '--yes'])
  for (const container of [zeek, suricata])
    expect(await inside(container, 'tc', 'qdisc', 'show')).not.toContain('clsact')
})

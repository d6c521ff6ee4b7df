/** What others change by hand is found by the plan, named, and mended by the next apply. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { rawOnly } from '../lab/docker/sensor-images.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectHeard,
  expectRefusal,
  findTap,
  macOf,
  portOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

const file = `
interfaces:
  ens224: {dedicated: true}
spans:
  span0:
    sources:
      - interface: ens192
        filter: not port 22
      - interface: ens224
    sensors: [suricata, zeek]
`

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container

interface Row {
  /** What somebody does, after "finds and mends:". */
  readonly name: string
  readonly by: () => Promise<unknown>
  /** What the plan says of it, a line each. */
  readonly says: readonly RegExp[]
}

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])
const setBridge = (...options: string[]) => ip('link', 'set', 'dev', 'span0', 'type', 'bridge', ...options)

async function setPort(...options: string[]): Promise<void> {
  await ip('link', 'set', 'dev', await portOf(lab, zeek), ...options)
}

/** The words that name one of spanplan's filters to tc. */
async function filterWords(device: string, hook: string, pref: string): Promise<string[]> {
  const rows: { pref: number; options?: { handle?: string } }[] = JSON.parse(
    await tc('-j', 'filter', 'show', 'dev', device, hook)
  )
  const handle = rows.find((row) => row.pref === Number(pref) && row.options?.handle)?.options?.handle
  return ['dev', device, hook, 'protocol', 'all', 'pref', pref, 'handle', handle ?? 'none', 'bpf']
}

async function replaceMirror({ program = '1,6 0 0 4294967295', control = 'continue', cookie = true }): Promise<void> {
  const text = await tc('filter', 'show', 'dev', 'ens192', 'ingress')
  const mark = /cookie ([0-9a-f]+)/.exec(text)?.[1] ?? ''
  const words = await filterWords('ens192', 'ingress', '8')
  const action = ['action', 'mirred', 'egress', 'mirror', 'dev', 'span0', control, ...(cookie ? ['cookie', mark] : [])]
  await tc('filter', 'replace', ...words, 'bytecode', program, ...action)
}

async function fdbAdd(device: string, kind: 'self' | 'master'): Promise<void> {
  await lab.run(['bridge', 'fdb', 'add', await macOf(lab, device), 'dev', device, kind, 'permanent'])
}

async function portOn(sensor: Docker.Container, bridge: string): Promise<string> {
  return (await findTap(lab, sensor, bridge)).port
}

async function replaceSensor(): Promise<void> {
  await zeek.remove({ force: true })
  zeek = await lab.startSensor('zeek')
}

const rows: readonly Row[] = [
  { name: 'ageing', by: () => setBridge('ageing_time', '30000'), says: [/~ +bridge +span0 +ageing: 300 → 0$/] },
  {
    name: 'multicast snooping',
    by: () => setBridge('mcast_snooping', '1'),
    says: [/~ +bridge +span0 +multicast snooping: on → off$/]
  },
  {
    name: 'spanning tree',
    by: () => setBridge('stp_state', '1'),
    says: [/~ +bridge +span0 .*spanning tree: on → off/]
  },
  {
    name: 'forward delay',
    by: () => setBridge('forward_delay', '1500'),
    says: [/~ +bridge +span0 +forward delay: 15 → 0$/]
  },
  {
    name: "the bridge's MTU",
    by: () => ip('link', 'set', 'dev', 'span0', 'mtu', '1500'),
    says: [/~ +bridge +span0 +mtu: 1500 → 9000$/]
  },
  {
    name: 'the bridge down',
    by: () => ip('link', 'set', 'dev', 'span0', 'down'),
    says: [/~ +bridge +span0 .*state: down → up/]
  },
  {
    name: "the bridge's address",
    by: () => ip('link', 'set', 'dev', 'span0', 'address', '02:00:00:00:00:99'),
    says: [/~ +bridge +span0 .*address: 02:00:00:00:00:99 → 02:/]
  },
  {
    name: "the bridge's alias",
    by: () => ip('link', 'set', 'dev', 'span0', 'alias', ''),
    says: [/~ +bridge +span0 +mark: none → spanplan's/]
  },
  {
    name: "the bridge's offloads",
    by: () => lab.run(['ethtool', '-K', 'span0', 'tx', 'on', 'tso', 'on', 'gso', 'on']),
    says: [/~ +bridge +span0 +wire-size frames: off → on$/]
  },
  {
    name: 'IPv6 on the bridge',
    by: () => ip('link', 'set', 'dev', 'span0', 'addrgenmode', 'eui64'),
    says: [/~ +bridge +span0 +IPv6: on → off$/]
  },
  {
    name: 'IPv6 on the bridge, by sysctl',
    by: () => lab.run(['sysctl', '-qw', 'net/ipv6/conf/span0/disable_ipv6=0', 'net/ipv6/conf/span0/addr_gen_mode=0']),
    says: [/~ +bridge +span0 +IPv6: on → off$/]
  },
  {
    name: "the bridge's seal deleted",
    by: () => tc('filter', 'del', 'dev', 'span0', 'ingress', 'pref', '9'),
    says: [/~ +bridge +span0 +sealed: no → yes$/]
  },
  {
    name: "the bridge's seal with another program",
    by: async () => {
      const words = await filterWords('span0', 'ingress', '9')
      await tc('filter', 'replace', ...words, 'da', 'bytecode', '1,6 0 0 0')
    },
    says: [/~ +bridge +span0 +sealed: no → yes$/]
  },
  {
    name: "the bridge's clsact deleted",
    by: () => tc('qdisc', 'del', 'dev', 'span0', 'clsact'),
    says: [/~ +bridge +span0 +sealed: no → yes$/]
  },
  {
    name: "a forwarding entry of the bridge's own",
    by: () => fdbAdd('span0', 'self'),
    says: [/~ +bridge +span0 +keeps frames to its own address: yes → no$/]
  },
  {
    name: 'a card not promiscuous',
    by: () => ip('link', 'set', 'dev', 'ens192', 'promisc', 'off'),
    says: [/~ +interface +ens192 +promiscuous: off → on$/]
  },
  {
    name: 'a card down',
    by: () => ip('link', 'set', 'dev', 'ens192', 'down'),
    says: [/~ +interface +ens192 +state: down → up$/]
  },
  {
    name: 'a mirror deleted',
    by: async () => tc('filter', 'del', ...(await filterWords('ens192', 'ingress', '8'))),
    says: [/\+ +mirror +ens192 ingress → span0 +not port 22$/]
  },
  {
    name: "a card's clsact deleted",
    by: () => tc('qdisc', 'del', 'dev', 'ens192', 'clsact'),
    says: [/\+ +qdisc +ens192/, /\+ +mirror +ens192 ingress → span0/, /\+ +mirror +ens192 egress → span0/]
  },
  {
    name: 'a mirror with another program',
    by: () => replaceMirror({}),
    says: [/~ +mirror +ens192 ingress → span0 +filter: every frame → not port 22$/]
  },
  {
    name: 'a mirror that ends classification',
    by: () => replaceMirror({ control: 'pipe' }),
    says: [/~ +mirror +ens192 ingress → span0 .*afterwards: pipe → continue/]
  },
  {
    name: 'a mirror without its mark',
    by: () => replaceMirror({ cookie: false }),
    says: [/~ +mirror +ens192 ingress → span0 .*mark: none → spanplan's/]
  },
  {
    name: 'the bridge deleted',
    by: () => ip('link', 'del', 'dev', 'span0'),
    says: [
      /\+ +bridge +span0/,
      /~ +mirror +ens192 ingress → span0 +target: a bridge that is gone → span0$/,
      /~ +mirror +ens192 egress → span0 +target: a bridge that is gone → span0$/,
      /~ +mirror +ens224 ingress → span0 +target: a bridge that is gone → span0$/,
      /~ +sensor +suricata → span0 +port on the bridge: no → yes$/,
      /~ +sensor +zeek → span0 +port on the bridge: no → yes$/
    ]
  },
  {
    name: 'the bridge deleted and made anew by hand, with its address',
    by: async () => {
      const mac = await macOf(lab, 'span0')
      await ip('link', 'del', 'dev', 'span0')
      await ip('link', 'add', 'span0', 'address', mac, 'type', 'bridge')
    },
    says: [/~ +bridge +span0 +mark: none → .*mtu: .*state: down → up, ageing: 300 → 0/, /~ +mirror +ens192 ingress/]
  },
  {
    name: 'a port not isolated',
    by: () => setPort('type', 'bridge_slave', 'isolated', 'off'),
    says: [/~ +port +\S+ \(veth\w+\) → span0 +isolated: off → on$/]
  },
  {
    name: 'a port that learns',
    by: () => setPort('type', 'bridge_slave', 'learning', 'on'),
    says: [/~ +port +\S+ \(veth\w+\) → span0 +learning: on → off$/]
  },
  {
    name: 'a port without flooding',
    by: () => setPort('type', 'bridge_slave', 'flood', 'off'),
    says: [/~ +port +\S+ \(veth\w+\) → span0 +flooding: partly → on$/]
  },
  { name: 'a port down', by: () => setPort('down'), says: [/~ +port +\S+ \(veth\w+\) → span0 .*state: down → up/] },
  {
    name: 'a port with a small MTU',
    by: () => setPort('mtu', '1500'),
    says: [/~ +port +\S+ \(veth\w+\) → span0 +mtu: 1500 → 9000$/]
  },
  {
    name: "a port's seal deleted",
    by: async () => tc('filter', 'del', 'dev', await portOf(lab, zeek), 'ingress', 'pref', '9'),
    says: [/~ +port +\S+ \(veth\w+\) → span0 +sealed: no → yes$/]
  },
  {
    name: 'IPv6 on a port',
    by: async () => lab.run(['sysctl', '-w', `net.ipv6.conf.${await portOf(lab, zeek)}.disable_ipv6=0`]),
    says: [/~ +port +\S+ \(veth\w+\) → span0 +IPv6: on → off$/]
  },
  {
    name: "a forwarding entry of a port's own",
    by: async () => fdbAdd(await portOf(lab, zeek), 'master'),
    says: [/~ +port +\S+ \(veth\w+\) → span0 +keeps frames to its own address: yes → no$/]
  },
  {
    name: 'a port taken off the bridge',
    by: () => setPort('nomaster'),
    says: [/~ +sensor +zeek → span0 +port on the bridge: no → yes$/]
  },
  {
    name: 'a port put on another bridge',
    by: async () => {
      await ip('link', 'add', 'brx', 'type', 'bridge')
      await setPort('master', 'brx')
    },
    says: [/~ +sensor +zeek → span0 +port on the bridge: no → yes$/]
  },
  {
    name: 'a port deleted',
    by: async () => ip('link', 'del', 'dev', await portOf(lab, zeek)),
    says: [/-\/\+ +sensor +zeek → span0 +interface present: no → yes .*restart the sensor/]
  },
  {
    name: "a dedicated card's offloads, ARP and IPv6",
    by: async () => {
      await lab.run(['ethtool', '-K', 'ens224', 'gro', 'on'])
      await ip('link', 'set', 'dev', 'ens224', 'arp', 'on')
      await lab.run(['sysctl', '-w', 'net.ipv6.conf.ens224.disable_ipv6=0'])
    },
    says: [/~ +interface +ens224 +ARP: on → off, IPv6: on → off, GRO: on → off$/]
  },
  {
    name: 'a dedicated card open to the host',
    by: () => tc('filter', 'del', 'dev', 'ens224', 'ingress', 'pref', '65535'),
    says: [/~ +interface +ens224 +the host receives: yes → no$/]
  },
  {
    name: "a dedicated card's clsact deleted",
    by: () => tc('qdisc', 'del', 'dev', 'ens224', 'clsact'),
    says: [/\+ +qdisc +ens224/, /~ +interface +ens224 +the host receives: yes → no, the host sends: yes → no$/]
  },
  {
    name: 'a sensor disconnected',
    by: () => lab.docker.getNetwork('span0').disconnect({ Container: 'zeek' }),
    says: [/\+ +sensor +zeek → span0 +sealed$/]
  },
  {
    name: 'the network removed',
    by: async () => {
      const network = lab.docker.getNetwork('span0')
      for (const Container of ['suricata', 'zeek']) await network.disconnect({ Container })
      await network.remove()
    },
    says: [/\+ +network +span0/, /\+ +sensor +suricata → span0/, /\+ +sensor +zeek → span0/]
  },
  {
    name: 'a sensor removed and made again',
    by: replaceSensor,
    says: [/\+ +sensor +zeek → span0/]
  },
  {
    name: 'a sensor stopped and started',
    by: async () => {
      await zeek.stop()
      await zeek.start()
    },
    says: [/~ +port +\S+ \(veth\w+\) → span0 .*isolated: off → on.*sealed: no → yes/]
  },
  {
    name: 'dockerd restarted while the bridge was gone',
    by: async () => {
      await lab.stopDocker({ live: true })
      await ip('link', 'del', 'dev', 'span0')
      await lab.startDocker()
      await until('Docker has made the bridge', async () => (await ip('-br', 'link')).includes('span0'))
    },
    says: [
      /~ +bridge +span0 +mark: none → .*ageing: 300 → 0.*multicast snooping: on → off/,
      /~ +mirror +ens192 ingress/
    ]
  },
  {
    name: 'dockerd and the sensors restarted while the bridge was gone',
    by: async () => {
      await lab.stopDocker()
      await ip('link', 'del', 'dev', 'span0')
      await lab.startDocker()
      for (const sensor of [suricata, zeek]) await sensor.start()
    },
    says: [/~ +bridge +span0 +mark: none → .*ageing: 300 → 0.*multicast snooping: on → off/, /~ +port +\S+ \(veth/]
  },
  {
    name: 'everything at once',
    by: async () => {
      await tc('qdisc', 'del', 'dev', 'ens192', 'clsact')
      await replaceSensor()
      await setBridge('ageing_time', '30000', 'mcast_snooping', '1')
      await ip('link', 'set', 'dev', 'ens192', 'promisc', 'off')
      await tc('qdisc', 'del', 'dev', await portOf(lab, suricata), 'clsact')
    },
    says: [/~ +bridge/, /\+ +qdisc/, /\+ +mirror/, /~ +interface/, /~ +port/, /\+ +sensor/]
  }
]

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  suricata = await lab.startSensor('suricata', rawOnly())
  zeek = await lab.startSensor('zeek')
  await writeSpans(lab, file)
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  await expectHeard(lab, [suricata, zeek])
})
afterAll(() => lab?.close())

describe('finds and mends:', () => {
  test.each(rows)('$name', async ({ by, says }) => {
    await by()
    // It shows the plan first, and plans again in the end: it exits with 2 only if that plan has no changes.
    const { stdout } = await spanplan(lab, ['apply', '--yes', '--detailed-exitcode'], 2)
    for (const line of says) expect(stdout).toMatch(new RegExp(line, 'm'))
    await expectHeard(lab, [suricata, zeek])
  })
})

test('IPv6 that is switched off and on gives the bridge no address, and is no drift: its mode makes none', async () => {
  await expectConverged(lab)
  await lab.run(['sysctl', '-qw', 'net/ipv6/conf/span0/disable_ipv6=1'])
  await lab.run(['sysctl', '-qw', 'net/ipv6/conf/span0/disable_ipv6=0'])
  expect(await ip('-6', 'address', 'show', 'dev', 'span0')).toBe('')
  await expectConverged(lab)
})

test('a sensor that does not run is no drift, and neither is one that has gone', async () => {
  await zeek.stop()
  await expectConverged(lab)
  await zeek.remove()
  const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'])
  expect(stdout).toMatch(/^ {2}\.\.\. +sensor +zeek → span0 +waits for the container zeek$/m)
  expect(stdout).toContain('No changes; 1 waits.')
  await spanplan(lab, ['apply', '--detailed-exitcode'])
  zeek = await lab.startSensor('zeek')
  await spanplan(lab, ['apply', '--detailed-exitcode'], 2)
  await expectHeard(lab, [suricata, zeek])
})

test('a bridge that somebody has renamed stays, with its sensors sealed, until it has its name again', async () => {
  await ip('link', 'set', 'dev', 'span0', 'name', 'elsewhere')
  const ports = await Promise.all([suricata, zeek].map((one) => portOn(one, 'elsewhere')))
  const filters = async () => Promise.all(ports.map((port) => tc('filter', 'show', 'dev', port, 'ingress')))
  const sealed = await filters()
  const backAgain = ['down', 'name span0'].map((words) => `ip link set dev elsewhere ${words}`).join('; ')
  for (const args of [
    ['apply', '--yes'],
    ['plan'],
    ['destroy', '--span', 'elsewhere', '--yes'],
    ['destroy', '--span', 'span0', '--yes'],
    ['destroy', '--yes']
  ]) {
    const said = await expectRefusal(lab, args)
    expect(said.match(/somebody has renamed the bridge span0 of a span, to elsewhere/g)).toHaveLength(1)
    expect(said).toContain(`give it its name again: ${backAgain}; ip link set dev span0 up`)
  }
  expect((await lab.spanplan(['status', '--for', '10ms'])).stdout).toContain(
    'NOT HEALTHY, somebody has renamed the bridge'
  )
  // Nothing else leads to it by then but its address and its seal.
  for (const [card, hook] of [
    ['ens192', 'ingress'],
    ['ens192', 'egress'],
    ['ens224', 'ingress']
  ] as const)
    await tc('filter', 'del', 'dev', card, hook, 'pref', '8')
  expect(await expectRefusal(lab, ['plan'])).toContain('somebody has renamed the bridge span0 of a span, to elsewhere')
  {
    await using watch = await startWatch(lab)
    await watch.expectTold(/somebody has renamed the bridge span0 of a span/)
    // Another takes the name: then there are two in the way.
    await ip('link', 'add', 'span0', 'type', 'veth', 'peer', 'name', 'other')
    await watch.expectTold(/span0 already exists, and is not a bridge/)
    await watch.settle()
    await ip('link', 'del', 'dev', 'span0')
    await watch.settle()
    expect(await filters()).toEqual(sealed)
    await lab.run(['sh', '-ec', `${backAgain}; ip link set dev span0 up`])
    await watch.settle()
    await expectConverged(lab)
  }
  await expectHeard(lab, [suricata, zeek])
})

test('two bridges that have changed names are named, and nothing is advised that opens their ports', async () => {
  await writeSpans(lab, `${file}  span1: {sources: [{interface: ens224}]}\n`)
  await spanplan(lab, ['apply', '--yes'])
  const swap = async () => {
    await ip('link', 'set', 'dev', 'span0', 'name', 'between')
    await ip('link', 'set', 'dev', 'span1', 'name', 'span0')
    await ip('link', 'set', 'dev', 'between', 'name', 'span1')
  }
  await swap()
  const said = await expectRefusal(lab, ['apply', '--yes'])
  expect(said).toContain('somebody has renamed the bridge span0 of a span, to span1')
  expect(said).toContain('somebody has renamed the bridge span1 of a span, to span0')
  expect(said).not.toContain('tc filter del')
  await swap()
  await writeSpans(lab, file)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
})

test('a filter of others in the place of a mirror is named, and left alone', async () => {
  await tc('filter', 'del', 'dev', 'ens192', 'ingress', 'pref', '8')
  const bpf = ['bpf', 'bytecode', '1,6 0 0 4294967295', 'action', 'mirred', 'egress', 'mirror', 'dev', 'span0']
  await tc('filter', 'add', 'dev', 'ens192', 'ingress', 'protocol', 'all', 'pref', '8', 'handle', '0x77', ...bpf)
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(
    'the ingress of ens192 is already mirrored into span0 by foreign filters'
  )
  await tc('filter', 'del', 'dev', 'ens192', 'ingress', 'pref', '8')
  await spanplan(lab, ['apply'])
  await expectHeard(lab, [suricata, zeek])
})

/** What the how-to for who has Open vSwitch or a script with tc says to do, done: who turns a mirror loses no frame. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { expect } from 'vitest'
import { parse } from 'yaml'
import { BROADCAST, ether, filler } from '../../lab/frames/frames.ts'
import type { Side } from '../../lab/lab.ts'
import { findTap } from '../../lab/spans.ts'
import { type OpenVSwitch, startOpenVSwitch } from '../../lab/system/open-vswitch.ts'
import { blocks, type Stories, type Story, spansYaml } from './document.ts'
import type { Reader } from './reader.ts'

const DOCUMENT = 'docs/howto/from-ovs-or-tc-mirror.md'
const SOURCE = '02:00:00:00:0a:01'

/** Writes the spans.yaml of a section. */
async function writeFileOf(reader: Reader, heading: string): Promise<void> {
  const isIt = (block: (typeof blocks)[number]) =>
    block.document === DOCUMENT && block.heading === heading && block.language === 'yaml'
  await writeFile(join(reader.clone, 'spans.yaml'), blocks.find(isIt)?.text ?? '')
}

/** A container with an interface `mon0`, whose other end is the interface `suricata0` of a side. */
async function startSuricata(reader: Reader, on: Side = 'host'): Promise<Docker.Container> {
  const { lab } = reader
  const container = await lab.startListener('suricata')
  const { State } = await container.inspect()
  const inside = `nsenter --net=/proc/${State.Pid}/ns/net ip link set dev mon0`
  const script = `ip link add dev suricata0 type veth peer name mon0 netns ${State.Pid}
ip link set dev suricata0 addrgenmode none
ip link set dev suricata0 up
${inside} addrgenmode none
${inside} up`
  await lab.run(['sh', '-ec', script], { on })
  return container
}

/** Has the reader's `ovs-vsctl` be that of a switch with the bridge br0, the mirror ids, and these ports. */
async function startSwitch(reader: Reader, on: Side, ...ports: readonly string[]): Promise<OpenVSwitch> {
  const ovs = await startOpenVSwitch(reader.lab, on)
  await reader.standIn('ovs-vsctl', ovs.vsctlScript)
  const added = [...ports, 'suricata0'].flatMap((port) => ['--', 'add-port', 'br0', port])
  // It switches in its own process: not every kernel can.
  await ovs.vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev', ...added)
  const mirror = ['create', 'mirror', 'name=ids', 'select_all=true', 'output_port=@old']
  const bridge = ['set', 'bridge', 'br0', 'mirrors=@mirror']
  await ovs.vsctl('--id=@old', 'get', 'port', 'suricata0', '--', '--id=@mirror', ...mirror, '--', ...bridge)
  return ovs
}

let sent = 0

/** One frame after the other, all different, while something is done; and what of them has come in at interfaces of a container. */
async function sendWhile(
  reader: Reader,
  container: Docker.Container,
  devices: readonly string[],
  doing: () => Promise<unknown>,
  from: readonly [device: string, on: Side] = ['sw0', 'switch']
): Promise<{ readonly frames: readonly string[]; readonly heard: readonly string[] }> {
  const options = { direction: 'in', expression: `ether src ${SOURCE}` } as const
  const captures = []
  for (const device of devices) captures.push(await reader.lab.captureBeside(container, device, options))
  const frames: string[] = []
  const send = async () => {
    const frame = ether(BROADCAST, SOURCE, filler(200, sent++))
    frames.push(frame.toString('hex'))
    await reader.lab.send([frame], ...from)
  }
  let over = false
  const done = doing().finally(() => {
    over = true
  })
  done.catch(() => undefined)
  do await send()
  while (!over)
  await done
  await send()
  const heard = []
  for (const capture of captures) heard.push(...(await capture.stop({ seconds: 1 })).frames)
  return { frames, heard: heard.map((frame) => frame.toString('hex')) }
}

/** Ends with README's spans.yaml, and without the interface of the sensor, as the next story expects it. */
function leavingNothing(story: Story<Reader>): Story<Reader> {
  return async (reader, ...blocks) => {
    try {
      await story(reader, ...blocks)
    } finally {
      await writeFile(join(reader.clone, 'spans.yaml'), spansYaml)
      // The kernel takes it away with its container, in its own time.
      const remove = ['sh', '-c', 'ip link del dev suricata0 2>/dev/null || :'] as const
      await reader.lab.run(remove)
      await reader.lab.run(remove, { on: 'switch' })
    }
  }
}

const stories: Readonly<Record<string, Story<Reader>>> = {
  "An Open vSwitch mirror to a sensor's port": async (reader, make = '', turn = '', back = '') => {
    const suricata = await startSuricata(reader)
    const ovs = await startSwitch(reader, 'host', 'ens192')
    try {
      const before = await sendWhile(reader, suricata, ['mon0'], async () => undefined)
      expect(before.heard).toEqual(before.frames)
      await reader.run(make)
      await writeFileOf(reader, "An Open vSwitch mirror to a sensor's port")
      const [apply = '', ...rest] = turn.trim().split('\n')
      await reader.run(apply)
      const { name } = await findTap(reader.lab, suricata, 'ids')
      // A port that no mirror leads to gets what is flooded.
      const turned = await sendWhile(reader, suricata, ['mon0', name], () => reader.run(rest.join('\n')))
      expect([...new Set(turned.heard)].sort()).toEqual(turned.frames.toSorted())
      const now = await sendWhile(reader, suricata, [name], async () => undefined)
      expect(now.heard).toEqual(now.frames)
      expect(await reader.run('spanplan plan')).toContain('No changes')
      const [turnBack = '', ...remove] = back.trim().split('\n')
      const returned = await sendWhile(reader, suricata, ['mon0', name], () => reader.run(turnBack))
      expect([...new Set(returned.heard)].sort()).toEqual(returned.frames.toSorted())
      await reader.run(remove.join('\n'))
      const after = await sendWhile(reader, suricata, ['mon0'], async () => undefined)
      expect(after.heard).toEqual(after.frames)
      expect(await ovs.vsctl('list-ports', 'br0')).toBe('ens192\nsuricata0')
    } finally {
      await ovs.vsctl('del-br', 'br0').catch(() => '')
      await ovs.stop()
    }
  },

  'An Open vSwitch mirror to another host': async (reader, apply = '', turn = '', back = '') => {
    const on = (side: Side, script: string) => reader.lab.run(['sh', '-ec', script], { on: side })
    const suricata = await startSuricata(reader, 'switch')
    await on('host', 'ip addr add 10.0.3.7/24 dev ens192')
    await on(
      'switch',
      'ip link add dev vm0 type veth peer name vm0-in; ip link set dev vm0 up; ip link set dev vm0-in up'
    )
    const ovs = await startSwitch(reader, 'switch', 'vm0')
    const from = ['vm0-in', 'switch'] as const
    try {
      // What switches in its own process sends through tunnels by a bridge that has the address.
      const underlay = ['--', 'set', 'bridge', 'underlay', 'datapath_type=netdev', '--', 'add-port', 'underlay', 'sw0']
      await ovs.vsctl('add-br', 'underlay', ...underlay)
      await on('switch', 'ip addr add 10.0.3.1/24 dev underlay; ip link set dev underlay up')
      await writeFileOf(reader, 'An Open vSwitch mirror to another host')
      await reader.run(apply)
      // The switch learns the MAC address of the other host.
      await reader.lab.run(['bash', '-ec', 'echo >/dev/udp/10.0.3.7/9'], { on: 'switch' })
      const { name } = await findTap(reader.lab, suricata, 'ids')
      const [turnBack = '', ...remove] = back.trim().split('\n')
      for (const block of [turn, turnBack]) {
        const turned = await sendWhile(reader, suricata, ['mon0', name], () => reader.run(block), from)
        expect([...new Set(turned.heard)].sort()).toEqual(turned.frames.toSorted())
      }
      await reader.run(remove.join('\n'))
      const after = await sendWhile(reader, suricata, ['mon0'], async () => undefined, from)
      expect(after.heard).toEqual(after.frames)
      expect(await ovs.vsctl('list-ports', 'br0')).toBe('suricata0\nvm0')
    } finally {
      await ovs.vsctl('del-br', 'br0', '--', '--if-exists', 'del-br', 'underlay').catch(() => '')
      await ovs.stop()
      await on('host', 'ip addr del 10.0.3.7/24 dev ens192')
      await on('switch', 'ip link del dev vm0')
    }
  },

  'A script that mirrors into a bridge': async (reader, script = '', take = '', back = '') => {
    // Not every kernel has prio: test/stock/old-recipe.test.ts is for that.
    const old = script.replace('prio', 'htb')
    await reader.run(old)
    const suricata = await reader.lab.startListener('suricata', { NetworkMode: 'ids' })
    const expectHeard = async () => {
      const { name } = await findTap(reader.lab, suricata, 'ids0')
      const { frames, heard } = await sendWhile(reader, suricata, [name], async () => undefined)
      expect(heard).toEqual(frames)
      await sendFromHost(reader, suricata, name)
    }
    await expectHeard()
    expect(await reader.run(take)).toContain('Applied and verified: ')
    expect(parse(await reader.run('cat spans.yaml'))).toMatchObject({
      spans: {
        ids0: {
          sources: [{ interface: 'ens192', direction: 'both' }],
          network: { name: 'ids' },
          sensors: ['suricata']
        }
      }
    })
    expect(await reader.run('spanplan plan')).toContain('No changes')
    await expectHeard()
    await reader.run(`${back}tc qdisc del dev ens192 root`)
    await reader.run(`${old}docker network connect ids suricata`)
    await expectHeard()
    await suricata.remove({ force: true })
    await reader.run(`tc qdisc del dev ens192 root
tc qdisc del dev ens192 ingress
docker network rm ids
ip link del dev ids0`)
  },

  'A script that mirrors straight to a sensor': async (reader, script = '', turn = '', back = '', late = '') => {
    const suricata = await startSuricata(reader)
    await reader.run(script)
    const before = await sendWhile(reader, suricata, ['mon0'], async () => undefined)
    expect(before.heard).toEqual(before.frames)
    await writeFileOf(reader, 'A script that mirrors straight to a sensor')
    const [apply = '', ...remove] = turn.trim().split('\n')
    const applied = await sendWhile(reader, suricata, ['mon0'], () => reader.run(apply))
    expect(applied.heard).toEqual(applied.frames)
    const { name } = await findTap(reader.lab, suricata, 'ids')
    const turned = await sendWhile(reader, suricata, [name], () => reader.run(remove.join('\n')))
    expect(turned.heard).toEqual(turned.frames)
    await sendFromHost(reader, suricata, name)
    expect(await reader.run('tc filter show dev ens192 ingress; tc filter show dev ens192 egress')).not.toContain('u32')
    expect(await reader.run('spanplan plan')).toContain('No changes')

    const [qdisc = '', ...filters] = script.trim().split('\n')
    await reader.run(filters.join('\n'))
    const returned = await sendWhile(reader, suricata, ['mon0'], () => reader.run(back))
    expect(returned.heard).toEqual(returned.frames)
    await reader.run('tc qdisc del dev ens192 clsact')

    await reader.run([qdisc.replace('clsact', 'ingress'), filters[0]].join('\n'))
    expect(await reader.run('spanplan apply 2>&1 || echo "exit status $?"')).toMatch(
      /excludes the clsact qdisc.*exit status 1/s
    )
    await reader.run(late)
    const { name: other } = await findTap(reader.lab, suricata, 'ids')
    const now = await sendWhile(reader, suricata, [other], async () => undefined)
    expect(now.heard).toEqual(now.frames)
  }
}

export const moveToSpanplan: Stories<Reader> = {
  [DOCUMENT]: Object.fromEntries(Object.entries(stories).map(([heading, story]) => [heading, leavingNothing(story)]))
}

/** What the host sends comes, too: once. */
async function sendFromHost(reader: Reader, container: Docker.Container, device: string): Promise<void> {
  const { frames, heard } = await sendWhile(reader, container, [device], async () => undefined, ['ens192', 'host'])
  expect(heard).toEqual(frames)
}

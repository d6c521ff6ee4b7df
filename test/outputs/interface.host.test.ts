/** An interface as an output: a tool at the other end of its cable gets every frame of the span once, and can send nothing. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { everyKind } from '../lab/frames/every-kind.ts'
import { ALL_HOSTS_GROUP, arp, BROADCAST, ether, filler, LLDP_GROUP, STP_GROUP } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { restoreAfterEach, runnersOf } from '../lab/restored.ts'
import {
  expectConverged,
  expectFrames,
  expectRefusal,
  expectRestored,
  listen,
  macOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container

const stranger = '02:00:00:00:57:01'
const toolsOwn = '02:00:00:00:57:02'

const { onHost } = runnersOf(() => lab)

beforeAll(async () => {
  lab = await createLab({
    docker: true,
    cables: [{ card: 'ens192' }, { card: 'ens224' }, { card: 'ens256', mtu: 1500 }]
  })
  // As a VPN has it that is down: these are of no interface.
  for (const type of ['blackhole', 'unreachable', 'prohibit', 'throw'])
    await onHost(`ip route add ${type} 203.0.113.0/24 metric ${type.length}`)
  suricata = await lab.startListener('suricata')
  zeek = await lab.startListener('zeek')
})
afterAll(() => lab?.close())

const before = restoreAfterEach(() => lab)

/** Writes a span that copies ens192 and has these outputs and sensors. */
const write = (outputs: string, sensors = '', rest = '') =>
  writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192, direction: ingress}], outputs: [${outputs}], sensors: [${sensors}]${rest}}}`
  )

const ens224 = '{interface: ens224}'

/** What comes out of the output's cable while the switch sends this; and ends so much later. */
async function heardOf(frames: readonly Buffer[], port = 'sw1'): Promise<readonly string[]> {
  const tool = await lab.captureLink(port, { direction: 'in' })
  await lab.send(frames)
  const { frames: heard } = await tool.stop({ seconds: 1 })
  return heard.map((frame) => frame.toString('hex'))
}

const one = ether(BROADCAST, stranger, filler(100))
const expectHeard = async (port?: string) => expect(await heardOf([one], port)).toEqual([one.toString('hex')])

describe('each frame of each kind', () => {
  test('leaves once, byte for byte, beside sensors and without them; a destroy gives everything back', async () => {
    await write(ens224, 'suricata, zeek')
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/\+ +output +ens224 → span0 +every frame, mtu 9000; what comes in is dropped/)
    await expectConverged(lab)
    const frames = {
      ...(await everyKind(lab, { suricata, zeek }, stranger)),
      "to the output's address": ether(await macOf(lab, 'ens224'), stranger, filler(100)),
      '14 bytes': ether('02:00:00:00:0a:02', stranger, filler(14))
    }
    const captures = [await listen(lab, suricata), await lab.captureLink('sw1', { direction: 'in' })]
    await lab.send(Object.values(frames))
    for (const capture of captures) await expectFrames(capture, frames)

    await write(ens224)
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    await expectHeard()
  })

  test('leaves alone: the host, its bridge and its sensors send nothing, from before it is a port', async () => {
    await onHost('ip link set dev ens224 down')
    await onHost('ip link set dev ens224 addrgenmode eui64')
    const tool = await lab.captureLink('sw1', { direction: 'in' })
    await write(ens224, 'suricata')
    await spanplan(lab, ['apply', '--yes'])
    await lab.exec(suricata, ['ping', '-c', '1', '-W', '1', '198.18.0.1'])
    await expectHeard()
    const { frames } = await tool.stop({ seconds: 2 })
    expect(frames.map((frame) => frame.toString('hex'))).toEqual([one.toString('hex')])
    await spanplan(lab, ['destroy', '--all', '--yes'])
    expect(JSON.parse(await onHost('ip -j link show dev ens224'))[0].flags).not.toContain('UP')
    await onHost('ip link set dev ens224 addrgenmode none')
    await onHost('ip link set dev ens224 up')
  })
})

test('an output of a span with a small mtu is given back with what was set of its IPv6', async () => {
  await write(ens224, '', ', mtu: 576')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await expectHeard()
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, before())
})

test('nothing that the tool sends gets anywhere', async () => {
  await write(ens224, 'suricata, zeek')
  await spanplan(lab, ['apply', '--yes'])
  const sensors = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
  const others = await Promise.all(['sw0', 'sw2', 'sw1'].map((port) => lab.captureLink(port, { direction: 'in' })))
  const bridge = await lab.captureLink('span0', { direction: 'in' })
  const question = {
    operation: 'request',
    senderMac: toolsOwn,
    senderIp: '198.18.0.9',
    targetIp: '198.18.0.1'
  } as const
  const groups = Array.from({ length: 16 }, (_, at) => `01:80:c2:00:00:0${at.toString(16)}`)
  const macs = [await macOf(lab, 'span0'), await macOf(lab, 'ens224'), '02:00:00:00:0a:02', ALL_HOSTS_GROUP]
  const all = [BROADCAST, LLDP_GROUP, STP_GROUP, ...groups, ...macs]
  await lab.send(
    [...all.map((to) => ether(to, toolsOwn, filler(100))), ether(BROADCAST, toolsOwn, arp(question))],
    'sw1'
  )
  for (const capture of [...sensors, ...others, bridge]) {
    expect((await capture.stop({ seconds: 1 })).frames).toEqual([])
  }
  expect(await onHost('bridge fdb show br span0')).not.toContain(toolsOwn)
})

const drifts = [
  'ip link set dev ens224 nomaster',
  'ip link set dev ens224 down',
  'ip link set dev ens224 mtu 1400',
  'ip link set dev ens224 type bridge_slave isolated off learning on flood off',
  'tc qdisc del dev ens224 clsact',
  'sysctl -q -w net/ipv6/conf/ens224/disable_ipv6=0',
  'ip link del dev span0'
]

test.each(drifts)('an apply repairs: %s', async (command) => {
  await write(ens224)
  await spanplan(lab, ['apply', '--yes'])
  await onHost(command)
  await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await expectHeard()
})

test('a watch attaches an interface that comes later, and attaches it again', async () => {
  await write('{interface: late0}, {interface: ens224}')
  const refused = await expectRefusal(lab, ['apply', '--yes'])
  expect(refused).toContain('there is no interface late0 on this host')
  await using watch = await startWatch(lab)
  await watch.settle()
  await expectHeard()
  await onHost('ip link add dev late0 type veth peer name late1')
  await watch.expectTold(/\+ output late0 → span0/)
  await watch.settle()
  await onHost('ip link set dev late1 up')
  await onHost('ip link set dev ens224 nomaster')
  await watch.expectTold(/~ output ens224 → span0 .*bridge: none → span0/)
  await watch.settle()
  await expectHeard()
  await watch.stop()
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await onHost('ip link del dev late0')
})

test('what an interface is used for is said, and it stays as it is', async () => {
  await onHost('ip link add dev v0 type veth peer name v1')
  await onHost('ip link add dev br9 type bridge')
  const refuse = async (outputs: string, words: RegExp) => {
    await write(outputs)
    expect(await expectRefusal(lab, ['apply', '--yes'])).toMatch(words)
  }
  await onHost('ip addr add 10.9.0.1/24 dev v0')
  await refuse('{interface: v0}', /it has the address 10\.9\.0\.1\/24, so the host uses it/)
  await onHost('ip addr flush dev v0')
  await onHost('ip link set dev v0 master br9')
  await refuse('{interface: v0}', /it belongs to br9 already/)
  await refuse('{interface: br9}', /it is a bridge/)
  await onHost('ip link set dev v0 nomaster')
  await onHost('ip link add link v0 name mv0 type macvlan')
  await refuse('{interface: v0}', /it carries mv0/)
  await onHost('ip link add link ens192 name mv1 type macvlan')
  await write('{interface: mv1}', '', ', description: loop')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], outputs: [{interface: mv1}]}}')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toMatch(/leads back into the span: span0 → mv1 → ens192 → span0/)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: v1}], outputs: [{interface: v0}]}}')
  await onHost('ip link del dev mv0')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toMatch(/span0 → v0 → v1 → span0/)
  for (const link of ['mv1', 'v0', 'br9']) await onHost(`ip link del dev ${link}`)
})

test('the status has its frames, and needs its carrier', async () => {
  await write(ens224)
  await spanplan(lab, ['apply', '--yes'])
  const stop = await lab.keepSending(one)
  const { stdout } = await spanplan(lab, ['status', '--for', '1s'])
  await stop()
  expect(stdout).toMatch(/ {2}output +ens224 +[1-9]/)
  expect(stdout).toContain('span0: healthy')
  const onSwitch = (state: string) => lab.run(['ip', 'link', 'set', 'dev', 'sw1', state], { on: 'switch' })
  await onSwitch('down')
  await until('the carrier is lost', async () => !(await onHost('ip link show dev ens224')).includes('LOWER_UP'))
  const lost = await lab.spanplan(['status'])
  const graph = await lab.spanplan(['graph'])
  await onSwitch('up')
  expect(lost.stdout).toMatch(/span0: NOT HEALTHY, ens224 has no carrier/)
  expect((await spanplan(lab, ['import'])).stdout).toContain('    outputs:\n      - interface: ens224\n')
  expect(graph.stdout).toMatch(/span0[\s\S]*ens224 +.*output/)
})

test('what a hook has said of it is forgotten once a person applies the spans', async () => {
  // Frames leave by one, and the packets of a tunnel come on the other.
  const going = ['ens224', 'ens256'] as const
  await writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192}, {vxlan: {id: 8, group: 239.1.1.1, interface: ens256}}], outputs: [${ens224}]}}`
  )
  await spanplan(lab, ['apply', '--yes'])
  for (const name of going) {
    await spanplan(lab, ['hook', '--strict', '-f', 'spans.yaml', '--interface', name, '--phase', 'down'])
    await onHost(`ip link set dev ${name} down`)
    const told = await lab.spanplan(['status', '--for', '10ms'])
    expect(told.stdout).toContain(`waits for ${name}, which is going down`)
    await onHost(`ip link set dev ${name} up`)
    await spanplan(lab, ['apply', '--yes'])
    const { stdout } = await lab.spanplan(['status', '--for', '10ms'])
    expect(stdout).not.toContain('going down')
    await expectConverged(lab)
  }
})

test('the output takes the MTU of the span, or what it can have, and that is said', async () => {
  await write('{interface: ens256}')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  expect(JSON.parse(await onHost('ip -j link show dev ens256'))[0].mtu).toBe(9000)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await onHost('ip link add link ens256 name small type macvlan')
  await write('{interface: small}')
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stderr).toContain('small takes an mtu of 1500 at most, and that of the span span0 is 9000')
  await expectConverged(lab)
  await expectHeard('sw2')
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await onHost('ip link del dev small')
})

test('an interface that was a source, or becomes one, is given back as it was between', async () => {
  const source = (name: string, rest = '') =>
    writeSpans(lab, `spans: {span0: {sources: [{interface: ${name}, direction: ingress}]${rest}}}`)
  await onHost('ip link set dev ens224 down')
  const down = await lab.snapshotText()
  await source('ens224')
  await spanplan(lab, ['apply', '--yes'])
  await source('ens192', `, outputs: [${ens224}]`)
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/\+ +output +ens224 → span0 +every frame/)
  expect(stdout).not.toContain('waits')
  await expectConverged(lab)
  await expectHeard()
  await source('ens224')
  expect((await lab.spanplan(['apply', '--yes'])).stdout).toContain('waits until it is no output any more')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, down)
  await onHost('ip link set dev ens224 up')
})

test('another name neither opens an output that was taken off, nor closes a loop over it', async () => {
  await onHost('ip link add dev v0 type veth peer name v1')
  await onHost('ip link add dev w0 type veth peer name w1')
  await writeSpans(
    lab,
    'name: other\nspans: {spana: {sources: [{interface: w1, direction: ingress}], outputs: [{interface: v0}, {interface: ens224}]}}'
  )
  await spanplan(lab, ['apply', '--yes'])
  await onHost('ip link set dev ens224 nomaster')
  const seal = await onHost('tc filter show dev ens224 ingress')
  await writeSpans(lab, 'spans: {spanb: {sources: [{interface: v1, direction: ingress}], outputs: [{interface: w0}]}}')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toMatch(/spanb → w0 → w1 → spana → v0 → v1 → spanb/)
  await writeSpans(lab, 'spans: {spanb: {sources: [{interface: ens192, direction: ingress}]}}')
  await spanplan(lab, ['apply', '--yes'])
  expect(await onHost('tc filter show dev ens224 ingress')).toBe(seal)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  for (const link of ['v0', 'w0']) await onHost(`ip link del dev ${link}`)
})

test('a watch makes an output of a source, and a source of an output', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224, direction: ingress}]}}')
  await spanplan(lab, ['apply', '--yes'])
  await using watch = await startWatch(lab)
  await watch.settle()
  await write(ens224)
  await watch.expectTold(/\+ output ens224 → span0/)
  await watch.settle()
  await expectHeard()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224, direction: ingress}]}}')
  await watch.expectTold(/\+ mirror ens224 ingress → span0/)
  await watch.settle()
  await watch.stop()
})

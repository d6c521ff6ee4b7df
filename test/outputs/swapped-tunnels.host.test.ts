/** The kernel has one link for an id: a tunnel that was an output becomes a source, or the other way round, and back. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { restoreAfterEach, runnersOf } from '../lab/restored.ts'
import { expectConverged, expectFrames, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

const stranger = '02:00:00:00:57:01'
const frame = ether(BROADCAST, stranger, filler(100))

const { onHost, onSwitch } = runnersOf(() => lab)

const [source, output] = ['vxlan: {id: 7}', 'vxlan: {id: 7, remote: 10.50.0.1}']

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192', mtu: 1500 }, { card: 'ens224' }, { card: 'ens256' }] })
  await onSwitch('ip addr add 10.50.0.1/24 dev sw0')
  await onHost('ip addr add 10.50.0.2/24 dev ens192')
  for (const id of [7, 9]) {
    const words = `id ${id} dstport 4789 local 10.50.0.1 remote 10.50.0.2 nolearning`
    await onSwitch(`ip link add dev vx${id} type vxlan ${words}`)
    for (const setting of ['addrgenmode none', 'up']) await onSwitch(`ip link set dev vx${id} ${setting}`)
  }
})
afterAll(() => lab?.close())

restoreAfterEach(() => lab)

/** A span that always has a source and an output besides. */
const write = (sources: string, outputs = '') =>
  writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens224}${sources && `, {${sources}}`}], outputs: [{interface: ens256}${outputs && `, {${outputs}}`}]}}`
  )

/** The switch's end of a tunnel gets each frame of the span once. */
async function expectHeard(end: string): Promise<void> {
  const heard = await lab.captureLink(end, { direction: 'in', expression: `ether src ${stranger}` }, 'switch')
  await lab.send([frame], 'sw1', 'switch')
  await expectFrames(heard, { frame })
}

/** The span gets what comes out of a tunnel once. */
async function expectTaken(end: string): Promise<void> {
  const taken = await lab.captureLink('sw2', { direction: 'in', expression: `ether src ${stranger}` }, 'switch')
  await lab.send([frame], end, 'switch')
  await expectFrames(taken, { frame })
}

test('an output that has become a source is one again after a rollback', async () => {
  await write('', output)
  await spanplan(lab, ['apply', '--yes'])
  await write(source)
  const { stderr } = await spanplan(lab, ['apply', '--yes', '--rollback-after', '1s'], 5)
  expect(stderr).toContain('Everything was rolled back')
  await write('', output)
  await expectConverged(lab)
  await expectHeard('vx7')
})

test('a source that has become an output is one again after a rollback', async () => {
  await write(source)
  await spanplan(lab, ['apply', '--yes'])
  await write('', output)
  const { stderr } = await spanplan(lab, ['apply', '--yes', '--rollback-after', '1s'], 5)
  expect(stderr).toContain('Everything was rolled back')
  await write(source)
  await expectConverged(lab)
  await expectTaken('vx7')
})

test('what the plan says of an output that was a source is what an apply does, and so the other way round', async () => {
  await write(source)
  await spanplan(lab, ['apply', '--yes'])
  await write('', output)
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/-\/\+ +tunnel .*use: source → output/)
  expect(stdout).toMatch(/\+ +mirror +ens224 ingress → vxlan-395b8bc7/)
  expect(stdout).not.toContain('waits')
  await expectConverged(lab)
  await expectHeard('vx7')
  await write(source)
  expect((await spanplan(lab, ['apply', '--yes'])).stdout).toMatch(/-\/\+ +tunnel .*use: output → source/)
  await expectConverged(lab)
  await expectTaken('vx7')
})

test('a source and an output change places, and back by a rollback', async () => {
  const swap = (source: number, output: number) =>
    write(`vxlan: {id: ${source}}`, `vxlan: {id: ${output}, remote: 10.50.0.1}`)
  await swap(7, 9)
  await spanplan(lab, ['apply', '--yes'])
  await swap(9, 7)
  const { stderr } = await spanplan(lab, ['apply', '--yes', '--rollback-after', '1s'], 5)
  expect(stderr).toContain('Everything was rolled back')
  await swap(7, 9)
  await expectConverged(lab)
  await expectHeard('vx9')
  await swap(9, 7)
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/\+ +mirror +ens224 ingress → vxlan-395b8bc7/)
  expect(stdout).not.toContain('waits')
  await expectConverged(lab)
  await expectHeard('vx7')
  await expectTaken('vx9')
})

test('a tunnel joins a span whose mirrors copy every frame, or go, when they do so no more', async () => {
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}, {interface: ens224}, {vxlan: {id: 7}}], outputs: [{interface: ens256}]}}'
  )
  await spanplan(lab, ['apply', '--yes'])
  const stop = await lab.keepSending(frame)
  await write('', 'vxlan: {id: 7, remote: 10.50.0.1}')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await stop()
  await expectHeard('vx7')
  const [{ stats64: sent }] = JSON.parse(await onHost('ip -s -j link show dev span0'))
  expect(sent.tx.packets).toBeLessThan(2000)
})

test('a mirror of somebody else copies what the tunnel sends to the bridge: none of that leaves by the tunnel again', async () => {
  await write('vxlan: {id: 7}')
  await spanplan(lab, ['apply', '--yes'])
  await onHost('tc qdisc add dev ens192 clsact')
  await lab.run([
    ...['tc', 'filter', 'add', 'dev', 'ens192', 'egress', 'pref', '7', 'protocol', 'all'],
    ...['bpf', 'bytecode', '1,6 0 0 4294967295', 'action', 'mirred', 'egress', 'mirror', 'dev', 'span0']
  ] as const)
  await write('', 'vxlan: {id: 7, remote: 10.50.0.1}')
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/\+ +mirror +ens224 ingress → vxlan-395b8bc7/)
  expect(stdout).not.toContain('waits')
  await expectConverged(lab)
  await expectHeard('vx7')
  const [{ stats64: sent }] = JSON.parse(await onHost('ip -s -j link show dev vxlan-395b8bc7'))
  expect(sent.tx.packets).toBeLessThan(30)
  await onHost('tc qdisc del dev ens192 clsact')
})

/** Whatever is applied and destroyed, the card's own traffic does not notice; nor does a mirror that is left as it is. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { flowExpression, numbersOf, startFlow } from '../lab/frames/flow.ts'
import { connect, startEcho, startKnocks } from '../lab/frames/tcp.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { sampledCount } from '../lab/sampled.ts'
import { expectConverged, listen, spanplan, writeSpans } from '../lab/spans.ts'

const HOST = '192.0.2.1'
const SWITCH = '192.0.2.2'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.run(['ip', 'addr', 'add', `${HOST}/24`, 'dev', 'ens192'])
  await lab.run(['ip', 'addr', 'add', `${SWITCH}/24`, 'dev', 'sw0'], { on: 'switch' })
  await startEcho(lab, 'host')
  await startEcho(lab, 'switch')
  await lab.startSensor('suricata')
})
afterAll(() => lab?.close())

/** Does something while the card is busy in every way, and tells what was lost. */
async function meanwhile(action: () => Promise<void>) {
  const connections = await Promise.all([connect(lab, SWITCH), connect(lab, HOST, { on: 'switch' })])
  const knocks = await Promise.all([startKnocks(lab, SWITCH), startKnocks(lab, HOST, 'switch')])
  const flows = await Promise.all([startFlow(lab, 'host', SWITCH), startFlow(lab, 'switch', HOST)])
  await action()
  const datagrams = await Promise.all(flows.map((flow) => flow.end()))
  const short = await Promise.all(knocks.map((one) => one.end()))
  const long = await Promise.all(connections.map((connection) => connection.end()))
  // A test in which nothing was sent would prove nothing.
  for (const { sent } of datagrams) expect(sent).toBeGreaterThan(1000)
  for (const { whole } of short) expect(whole).toBeGreaterThan(10)
  for (const { bytes } of long) expect(bytes).toBeGreaterThan(10_000)
  return {
    lost: datagrams.map(({ lost }) => lost),
    broken: short.map(({ broken }) => broken),
    changed: long.filter(({ sent, received }) => sent !== received).length
  }
}

const nothing = { lost: [0, 0], broken: [0, 0], changed: 0 }

/** Somebody else's bridge, and a mirror on the hook that is there. */
async function makeOldTap(): Promise<void> {
  await lab.run(['ip', 'link', 'add', 'span0', 'up', 'type', 'bridge', 'ageing_time', '0'])
  const words = ['ingress', 'protocol', 'all', 'u32', 'match', 'u32', '0', '0'] as const
  const action = ['action', 'mirred', 'egress', 'mirror', 'dev', 'span0'] as const
  await lab.run(['tc', 'filter', 'add', 'dev', 'ens192', ...words, ...action])
}

describe('the own traffic of a card that has clsact already loses nothing', () => {
  beforeAll(async () => {
    await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'clsact'])
  })
  afterAll(async () => {
    await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens192', 'clsact'])
  })

  test('when nothing happens', async () => {
    expect(await meanwhile(() => lab.run(['sleep', '5']).then(() => undefined))).toEqual(nothing)
  })

  test('in many rounds of adopting and giving back', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, filter: not port 22}]}}')
    const result = await meanwhile(async () => {
      for (let round = 0; round < sampledCount(20, 70); round++) {
        await makeOldTap()
        await spanplan(lab, ['apply', '--adopt', '--yes'])
        await spanplan(lab, ['destroy', '--yes'])
        await lab.run(['ip', 'link', 'del', 'dev', 'span0'])
      }
    })
    expect(result).toEqual(nothing)
  })

  test('in many rounds with a network that is made anew', async () => {
    const result = await meanwhile(async () => {
      for (let round = 0; round < sampledCount(8, 20); round++) {
        const span = `{sources: [{interface: ens192}], mtu: ${round % 2 === 0 ? 9000 : 8900}, sensors: [suricata]}`
        await writeSpans(lab, `spans: {span0: ${span}}`)
        await spanplan(lab, ['apply', '--yes'])
        if (round % 2 === 1) await spanplan(lab, ['destroy', '--yes'])
      }
    })
    expect(result).toEqual(nothing)
  })
})

// While clsact comes or goes, the kernel has no queues for what the card sends: datagrams sent in that millisecond are lost.
test('a card that gets clsact, and gives it back, loses nothing that it receives', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  const { lost, ...others } = await meanwhile(async () => {
    for (let round = 0; round < sampledCount(7, 10); round++) {
      await spanplan(lab, ['apply'])
      await spanplan(lab, ['destroy', '--yes'])
    }
  })
  expect({ lost: lost[1], ...others }).toEqual({ ...nothing, lost: 0 })
})

test('a mirror that is left as it is does not miss a frame while another span changes', async () => {
  const others = [
    'span1: {sources: [{interface: ens192}]}',
    'span1: {sources: [{interface: ens192, filter: tcp}], mtu: 9000}',
    'span1: {sources: [{interface: ens192, filter: udp, direction: ingress}], sealed: false, sensors: [suricata]}',
    ''
  ]
  const write = (other: string | undefined) =>
    writeSpans(lab, `spans:\n  span0: {sources: [{interface: ens192}], sensors: [suricata]}\n  ${other ?? ''}`)
  await write('')
  await spanplan(lab, ['apply'])
  const capture = await listen(lab, lab.docker.getContainer('suricata'), { bulk: true, expression: flowExpression })
  const flow = await startFlow(lab, 'switch', HOST)
  for (let round = 0; round < sampledCount(8, 20); round++) {
    await write(others[round % others.length])
    await spanplan(lab, ['apply', '--yes'])
  }
  await expectConverged(lab)
  const { sent, lost } = await flow.end()
  const { frames, dropped } = await capture.stop({ count: sent })
  expect(lost).toBe(0)
  expect(dropped).toBe(0)
  expect(numbersOf(frames)).toEqual(Array.from({ length: sent }, (_, number) => number))
  await spanplan(lab, ['destroy', '--yes'])
})

/** Below an MTU of 1280, a device has no IPv6, and none of its settings; with a larger one, it comes back as the kernel likes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCapture } from '../lab/commands/capture.ts'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectHeard, expectRestored, portOf, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

const sh = (script: string) => lab.run(['sh', '-ec', script])

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192', mtu: 1000 }] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

const span = (mtu: number | 'auto', more = '') =>
  writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], mtu: ${mtu}${more}}}`)

/** The bridge has this MTU, and no IPv6 address. */
async function expectQuiet(mtu: number): Promise<void> {
  await expectConverged(lab)
  const shown = await sh('ip -d addr show dev span0')
  expect(shown).toContain(` mtu ${mtu} `)
  expect(shown).not.toContain('inet6')
  expect(shown).not.toContain('eui64')
}

test.each([68, 576, 1279, 1280, 'auto'] as const)('a span of an MTU of %s', async (mtu) => {
  await span(mtu)
  await spanplan(lab, ['apply'])
  await expectQuiet(mtu === 'auto' ? 1000 : mtu)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
})

describe('with a port of somebody else', () => {
  beforeAll(async () => {
    await sh(`ip link add ext0 mtu 1000 type veth peer name ext1 mtu 1000 netns ${lab.name}-sw`)
    await lab.run(['ip', 'link', 'set', 'dev', 'ext1', 'up'], { on: 'switch' })
    await sh('ip link set dev ext0 up')
  })
  afterAll(() => sh('ip link del dev ext0'))

  test('one that grows and shrinks over that border, in one apply each', async () => {
    const own = await lab.snapshotText()
    await span(1000)
    await spanplan(lab, ['apply'])
    await sh('ip link set dev ext0 master span0')
    await spanplan(lab, ['apply'])
    for (const mtu of [1500, 1279, 1280]) {
      await span(mtu)
      await spanplan(lab, ['apply'])
      await expectQuiet(mtu)
    }
    await spanplan(lab, ['destroy', '--yes'])
    await expectRestored(lab, own)
  })

  test.each([
    [600, 1500],
    [1500, 600]
  ])('a bridge of an MTU of %i is taken over for one of %i, and given back', async (own, mtu) => {
    await sh(`
      ip link add span0 address 02:00:00:00:0b:01 type bridge
      ip link set dev span0 mtu ${own}
      ip link set dev span0 up
    `)
    const before = await lab.snapshotText()
    await span(mtu)
    await spanplan(lab, ['apply', '--adopt', '--yes'])
    await expectQuiet(mtu)
    await spanplan(lab, ['destroy', '--yes'])
    await expectRestored(lab, before)
    await sh('ip link del dev span0')
  })
})

test('a sensor of such a span, also when that grows', async () => {
  const sensor = await lab.startSensor('sensor')
  const before = await lab.snapshotText()
  for (const mtu of [600, 1500, 1000]) {
    await span(mtu, ', sensors: [sensor]')
    await spanplan(lab, ['apply', '--yes'])
    await expectQuiet(mtu)
    const port = await portOf(lab, sensor)
    expect(await sh(`ip addr show dev ${port}`)).not.toContain('inet6')
    await expectHeard(lab, [sensor])
  }
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
})

test('somebody listens at such a span', async () => {
  await span(600)
  await spanplan(lab, ['apply'])
  const capture = await startCapture(lab, ['-c', '1'])
  await lab.send([ether(BROADCAST, '02:00:00:00:0a:01', filler(60))])
  expect(await capture.end(), capture.told).toBe(0)
  await spanplan(lab, ['destroy', '--yes'])
})

/** `ring: max` where no driver has a ring that can be set, as veth: test/stock has one that has. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectFrames, expectRestored, listen, spanplan, writeSpans } from '../lab/spans.ts'

const spans = 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}'

let lab: Lab
let suricata: Docker.Container
let before: string

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())

/** The mirror of what ens192 receives, with this class. */
async function writeClass(classId: string): Promise<void> {
  const [filter]: { options: { handle: string; actions: { cookie: string }[] } }[] = JSON.parse(
    await lab.run(['tc', '-j', 'filter', 'show', 'dev', 'ens192', 'ingress', 'pref', '8'])
  ).filter(({ options }: { options?: unknown }) => options !== undefined)
  const cookie = filter?.options.actions[0]?.cookie ?? ''
  await lab.run([
    ...(['tc', 'filter', 'replace', 'dev', 'ens192', 'ingress', 'protocol', 'all', 'pref', '8'] as const),
    ...['handle', filter?.options.handle ?? '', 'bpf', 'classid', classId, 'bytecode', '1,6 0 0 4294967295'],
    ...['action', 'mirred', 'egress', 'mirror', 'dev', 'span0', 'continue', 'cookie', cookie]
  ])
}

test('costs a warning, and nothing else', async () => {
  await writeSpans(lab, `interfaces: {ens192: {ring: max}}\n${spans}`)
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stderr).toContain('ens192: its driver, veth, has no receive ring that can be set')
  await expectConverged(lab)
})

test('a mirror whose class says what the ring was like copies every frame, and hands it on', async () => {
  await writeClass('100:5200')
  // What the ring was like cannot be given back, so every mark goes on saying so.
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  for (const hook of ['ingress', 'egress']) {
    expect(await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', hook])).toContain('flowid 100:5200')
  }
  await lab.run([
    ...(['tc', 'filter', 'add', 'dev', 'ens192', 'ingress', 'protocol', 'all', 'pref', '20', 'bpf'] as const),
    ...['bytecode', '1,6 0 0 4294967295', 'action', 'mirred', 'egress', 'mirror', 'dev', 'lo', 'continue']
  ])
  const capture = await listen(lab, suricata)
  const frames = [60, 512, 1514].map((size, seed) => ether(BROADCAST, '02:00:00:00:0a:01', filler(size - 14, seed)))
  await lab.send(frames)
  await expectFrames(capture, Object.fromEntries(frames.map((frame, index) => [`frame ${index}`, frame])))
  const passed = await lab.run(['tc', '-s', 'filter', 'show', 'dev', 'ens192', 'ingress', 'pref', '20'])
  expect(passed).toMatch(/Sent \d+ bytes [1-9]\d* pkt/)
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress', 'pref', '20'])
})

test('a destroy leaves nothing', async () => {
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
})

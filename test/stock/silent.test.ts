/** On Debian's kernel, what a sealed sensor sends reaches no packet socket of the host's, and what is mirrored reaches the sensor. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { able, countHeard, programsOn, silent } from '../lab/frames/silent-port.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectHeard, expectRestored, findTap, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
})
afterAll(() => lab?.close())

test('no kind of frame, nor past the qdisc, nor in one packet of 40 KB', async () => {
  const suricata = await lab.startSensor('suricata')
  const zeek = await lab.startSensor('zeek')
  const before = await lab.snapshotText()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata, zeek]}}')
  await spanplan(lab, ['apply', '--yes'], 0, able)
  await expectConverged(lab, able)
  expect(await programsOn(lab, (await findTap(lab, suricata)).port)).toEqual(silent)
  expect(await countHeard(lab, { suricata, zeek })).toBe(0)
  await expectHeard(lab, [suricata, zeek])
  await spanplan(lab, ['destroy', '--yes'], 0, able)
  await expectRestored(lab, before)
})

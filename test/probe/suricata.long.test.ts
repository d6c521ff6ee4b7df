/** What a real Suricata makes of the frames of a probe, as docs/howto/probe.md says. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startIds, startSuricata } from '../lab/docker/suricata.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
})
afterAll(() => lab?.close())

const settings = `
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert: {metadata: no}
        - stats: {totals: yes, threads: no}
`

test('it counts them as frames of an unknown type, and raises no alert', async () => {
  const ids = await startIds(lab)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [ids]}}')
  await spanplan(lab, ['apply', '--yes'])
  const suricata = await startSuricata(lab, ids, 'run', { settings })
  await spanplan(lab, ['probe'])
  await until('it counts them', async () => (await suricata.readCounters()).get('decoder.pkts') === 3)
  const counters = await suricata.readCounters()
  expect(counters.get('decoder.unknown_ethertype')).toBe(3)
  expect(counters.get('decoder.invalid')).toBe(0)
  expect(await suricata.countAlerts()).toBe(0)
  await suricata.stop()
})

/** What a real Suricata says of itself stands beside what the kernel counts, and it is told when Suricata loses packets. */
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { startIds, startSuricata } from '../lab/docker/suricata.ts'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { listenHere, scrape } from '../lab/metrics/scrape.ts'
import { expectConverged, spanplan, until, writeSpans } from '../lab/spans.ts'

/** A small ring, which a burst fills, and stats among alerts. */
const settings = `
af-packet:
  - interface: default
    threads: 1
    cluster-id: 99
    cluster-type: cluster_flow
    ring-size: 64
    block-size: 32768
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types: [alert, {stats: {totals: yes, threads: yes}}]
`

const count = 500
const frames = Array.from({ length: count }, (_, index) => ether(BROADCAST, '02:00:00:00:0a:01', filler(200, index)))

let lab: Lab
let ids: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  ids = await startIds(lab)
  const eve = join(lab.files, 'ids', 'logs', 'eve.json')
  const sensors = `[{container: ids, stats: {eve: ${eve}}}]`
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192, direction: ingress}], sensors: ${sensors}}}`)
  await spanplan(lab, ['apply', '--yes'])
})
afterAll(() => lab?.close())

/** What status says of the sensor, and what is wrong with the span. */
async function look(time = '10ms') {
  const { stdout, exitCode } = await lab.spanplan(['status', '--json', '--for', time])
  const { spans, warnings } = JSON.parse(stdout)
  const codesOf = (all: readonly { code: string }[]) => all.map(({ code }) => code)
  const tool = spans[0].hops.find(({ kind }: { kind: string }) => kind === 'sensor')?.tool
  return { exitCode, tool, codes: codesOf(spans[0].unhealthy), warnings: codesOf(warnings) }
}

test('a real Suricata: its packets are those of the kernel, and its losses make the span unhealthy', async () => {
  // Nothing is there yet: that alone is not known.
  expect(await look()).toMatchObject({
    tool: { says: 'suricata', unread: 'it does not exist' },
    warnings: ['SENSOR_STATS']
  })
  await startSuricata(lab, ids, 'logs', { settings })
  await lab.send(frames)
  await until('Suricata has counted', async () => (await look()).tool?.total?.received >= count)
  const { tool, codes, warnings, exitCode } = await look()
  expect([codes, warnings, exitCode]).toEqual([[], [], 0])
  expect(tool).toMatchObject({ says: 'suricata', unread: null, old: false, total: { received: count, dropped: 0 } })
  const text = (await spanplan(lab, ['status', '--for', '10ms'])).stdout.replace(/\s+/g, ' ')
  expect(text).toMatch(
    / listens on a ring Suricata says: 0 of \d+ packets dropped in [\dms]+; in all 0 of 500 packets dropped in /
  )
  expect(text).toContain('span0: healthy')

  await using _ = await startWatch(lab, listenHere)
  await expectConverged(lab)
  const labels = { span: 'span0', sensor: 'ids', tool: 'suricata' }
  await until('it is measured', async () => (await scrape(lab)).value('sensor_tool_readable', labels) === 1)
  expect((await scrape(lab)).value('sensor_tool_packets_total', labels)).toBe(count)

  // Nobody takes anything out of the ring meanwhile.
  await ids.pause()
  for (let round = 0; round < 20; round++) await lab.send(frames)
  await ids.unpause()
  await until('its loss is told', async () => (await look('watch')).codes.includes('SENSOR_DROPS'))
  expect(await look('watch')).toMatchObject({ exitCode: 2, codes: ['SENSOR_DROPS'], warnings: [] })
  await until('it is measured', async () => ((await scrape(lab)).value('sensor_tool_dropped_total', labels) ?? 0) > 0)
  // What was lost before the last two counts is no news.
  await until('it is over', async () => (await look()).exitCode === 0)
  expect((await look()).tool.total.dropped).toBeGreaterThan(0)
})

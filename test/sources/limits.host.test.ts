/** A limit on a kernel without act_police, where nothing new is copied of that source; on one that has it, test/stock shows the rest. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { restoreAfterEach } from '../lab/restored.ts'
import { expectConverged, expectRefusal, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
/** What tc says: a policer that nothing uses goes with its namespace. */
let canLimit: boolean

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  const policer = ['tc', 'actions', 'add', 'action', 'police', 'rate', '1mbit', 'burst', '10k'] as const
  canLimit = await lab.run(policer).then(
    () => true,
    () => false
  )
})
afterAll(() => lab?.close())

restoreAfterEach(() => lab)

const write = (limit: string) =>
  writeSpans(lab, `spans: {span0: {sources: [{interface: ens192${limit}}, {interface: ens224}]}}`)

async function countFilters(device: string): Promise<number> {
  const found = await Promise.all(
    ['ingress', 'egress'].map((hook) => lab.run(['tc', 'filter', 'show', 'dev', device, hook]))
  )
  return found.join('\n').match(/mirred/g)?.length ?? 0
}

test('an apply by hand refuses it, and does nothing; the kernel that can takes it', async () => {
  await write(', limit: 2gbit')
  if (canLimit) {
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    return
  }
  expect(await expectRefusal(lab, ['apply', '--yes'])).toMatch(
    /error: span span0: "limit" needs the kernel's act_police, without which nothing new is copied: the running kernel has no act_police/
  )
})

test('a watch keeps the mirrors of what gets a limit that the kernel cannot keep, and says so; others are copied', async () => {
  await write('')
  await using watch = await startWatch(lab)
  await until('all is copied', async () => (await countFilters('ens192')) + (await countFilters('ens224')) === 4)
  await write(', limit: 2gbit')
  await watch.expectTold(canLimit ? /limit: none → 2gbit/ : /"limit" needs the kernel's act_police/)
  await watch.settle()
  expect([await countFilters('ens192'), await countFilters('ens224')]).toEqual([2, 2])
})

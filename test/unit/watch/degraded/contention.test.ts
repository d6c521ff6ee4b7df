import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { PlannedChange } from '../../../../src/plan/plan.ts'
import { planTarget } from '../../../../src/plan/plan-view.ts'
import { explainContention, openContention } from '../../../../src/watch/degraded/contention.ts'
import { casesFolder, readSnapshot, readTarget } from '../../plan/case.ts'
import { factsOf } from '../../plan/host-file.ts'

function change(address: string, ...fields: readonly string[]): PlannedChange {
  const [span = ''] = address.split('/')
  const facts = ['up', 'promiscuous'].map((key) => ({
    ...{ key, label: key, from: 'off', to: 'on' },
    changed: fields.includes(key)
  }))
  return {
    ...{ address, span, facts, kind: 'interface', action: fields.length > 0 ? 'update' : 'create' },
    ...{
      device: null,
      container: null,
      remembers: [],
      disconnects: [],
      title: '',
      summary: '',
      before: null,
      after: null
    },
    ...{ reason: '', notes: [], origin: undefined, stages: [] }
  }
}

const [ens192, ens224] = [
  change('span0/interface/ens192', 'promiscuous'),
  change('span1/interface/ens224', 'promiscuous')
]

test('a change that is needed five times in a minute is contested; other spans are not affected', () => {
  const contention = openContention()
  for (const now of [0, 10_000, 20_000, 30_000]) expect(contention.add([ens192, ens224], now)).toEqual([])
  expect(contention.add([ens192], 40_000)).toEqual([ens192])
  expect([contention.suspectedUntil('span0', 40_000), contention.suspectedUntil('span1', 40_000)]).toEqual([
    100_000,
    null
  ])
})

test('each field of each resource is counted by itself, and older changes do not count', () => {
  const contention = openContention()
  const many = [ens192, change('span0/interface/ens192', 'up'), change('span0/interface/ens224', 'promiscuous'), ens192]
  for (const [index, one] of many.entries()) expect(contention.add([one], index)).toEqual([])
  for (let now = 0; now < 600_000; now += 15_001) expect(contention.add([ens224], now)).toEqual([])
  for (const now of [1, 2, 3, 4]) expect(contention.add([change('span2/bridge')], 600_000 + now)).toEqual([])
  expect(contention.add([change('span2/bridge')], 600_005)).toHaveLength(1)
})

test('then once is enough, until a minute without it, or a new file', () => {
  const contention = openContention()
  for (const now of [0, 1, 2, 3, 4]) contention.add([ens192], now)
  expect(contention.add([ens192], 50_000)).toEqual([ens192])
  // However long the backoff was: no run has tried it in between.
  expect(contention.add([ens192], 350_000)).toEqual([ens192])
  expect(contention.suspectedUntil('span0', 409_999)).toBe(410_000)
  expect(contention.suspectedUntil('span0', 410_000)).toBeNull()
  expect(contention.add([ens192], 420_000)).toEqual([])
  for (const now of [0, 1, 2, 3]) contention.add([ens192], 430_000 + now)
  contention.clear()
  expect([contention.suspectedUntil('span0', 430_005), contention.add([ens192], 430_005)]).toEqual([null, []])
})

test.each([
  ['table', 'a firewall that flushes nftables', 'nft monitor'],
  ['mirror', 'a tool that sets filters', 'tc monitor'],
  ['network', 'a user of Docker', 'docker events'],
  ['bridge', 'a network configuration tool', 'ip monitor link']
])('who may undo a change of a %s again and again is named, with what shows it', (kind, who, show) => {
  const path = join(casesFolder, 'converged')
  const host = readSnapshot(path, 'host.json')
  const view = planTarget(readTarget(path, host.links), factsOf(host))
  const { diagnostic } = explainContention({ ...change(`span0/${kind}/one`), kind }, view)
  expect(diagnostic.message).toContain(`; probably ${who}`)
  expect(diagnostic.hint).toContain(`to see when it happens: ${show}; `)
})

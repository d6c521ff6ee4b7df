import { expect, test } from 'vitest'
import type { PlannedChange } from '../../../../src/plan/plan.ts'
import { openContention } from '../../../../src/watch/degraded/contention.ts'

function change(address: string, ...fields: readonly string[]): PlannedChange {
  const [span = ''] = address.split('/')
  const facts = ['up', 'promiscuous'].map((key) => ({
    ...{ key, label: key, from: 'off', to: 'on' },
    changed: fields.includes(key)
  }))
  return {
    ...{ address, span, facts, kind: 'interface', action: fields.length > 0 ? 'update' : 'create' },
    ...{ device: null, container: null, remembers: [], title: '', summary: '', before: null, after: null },
    ...{ reason: '', notes: [], origin: undefined, stages: [] }
  }
}

const [card, other] = [change('span0/interface/ens192', 'promiscuous'), change('span1/interface/ens224', 'promiscuous')]

test('the same put back five times in a minute is a tug-of-war, in which other spans have no part', () => {
  const contention = openContention()
  for (const now of [0, 10_000, 20_000, 30_000]) expect(contention.note([card, other], now)).toEqual([])
  expect(contention.note([card], 40_000)).toEqual([card])
  expect([contention.suspectedUntil('span0', 40_000), contention.suspectedUntil('span1', 40_000)]).toEqual([
    100_000,
    null
  ])
})

test('neither other fields nor other things count together, nor what was longer ago', () => {
  const contention = openContention()
  const many = [card, change('span0/interface/ens192', 'up'), change('span0/interface/ens224', 'promiscuous'), card]
  for (const [index, one] of many.entries()) expect(contention.note([one], index)).toEqual([])
  for (let now = 0; now < 600_000; now += 15_001) expect(contention.note([other], now)).toEqual([])
  for (const now of [1, 2, 3, 4]) expect(contention.note([change('span2/bridge')], 600_000 + now)).toEqual([])
  expect(contention.note([change('span2/bridge')], 600_005)).toHaveLength(1)
})

test('after it, once is enough, until it has stayed as it is for a minute, or there is a new file', () => {
  const contention = openContention()
  for (const now of [0, 1, 2, 3, 4]) contention.note([card], now)
  expect(contention.note([card], 50_000)).toEqual([card])
  // However long it was left alone: nobody has looked meanwhile.
  expect(contention.note([card], 350_000)).toEqual([card])
  expect(contention.suspectedUntil('span0', 409_999)).toBe(410_000)
  expect(contention.suspectedUntil('span0', 410_000)).toBeNull()
  expect(contention.note([card], 420_000)).toEqual([])
  for (const now of [0, 1, 2, 3]) contention.note([card], 430_000 + now)
  contention.clear()
  expect([contention.suspectedUntil('span0', 430_005), contention.note([card], 430_005)]).toEqual([null, []])
})

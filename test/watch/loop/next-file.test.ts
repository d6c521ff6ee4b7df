/** What a file may come to say while a watch follows it. */
import { expect, test } from 'vitest'
import { loadSpec } from '../../../src/spec/load.ts'
import { checkNextSpec } from '../../../src/watch/loop/targets.ts'

const policy = { prune: true, recreate: false, allowEmpty: false }

const load = (head: string) =>
  loadSpec([
    { path: 'spans.yaml', bytes: Buffer.from(`version: 1\n${head}\nspans: {span0: {sources: [{interface: ens192}]}}`) }
  ])

const judge = (before: string, next: string) => {
  const refusals = checkNextSpec(policy, load(next), load(before))
  return refusals === 'pending' ? refusals : refusals.map(({ code }) => code)
}

test('a file may change its name where it says what it was, and by nothing else', () => {
  expect(judge('name: old', 'name: new')).toEqual(['NAME_CHANGED'])
  expect(judge('name: old', 'name: new\nformerly: other')).toEqual(['NAME_CHANGED'])
  expect(judge('name: old', 'name: new\nformerly: [other, old]')).toEqual([])
  expect(judge('', 'name: new\nformerly: default')).toEqual([])
  expect(judge('name: new\nformerly: old', 'name: new')).toEqual([])
})

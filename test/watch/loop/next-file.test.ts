/** What a file may come to say while a watch follows it, and what is repaired before Docker has answered to that. */
import { expect, test } from 'vitest'
import { loadSpec } from '../../../src/spec/load.ts'
import { checkNextSpec, makeFileTarget, unchangedPart } from '../../../src/watch/loop/targets.ts'

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

test('what a new file says of spans just so is the part that does not wait for Docker', () => {
  const parse = (text: string) => loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }])
  const before = `version: 1
interfaces: {wan: {match: {name: ens192}}}
spans:
  one: {sources: [{interface: wan}], sensors: [zeek, suricata]}
  two: {sources: [{interface: ens224, filter: not port 22}]}
  gone: {sources: [{interface: ens256}]}`
  const namesOf = (next: string, known = parse(before), prune = true) => {
    const target = makeFileTarget({ ...policy, prune }, parse(next), [])
    const { spans } = unchangedPart(target, known).scope
    return 'only' in spans ? [...spans.only] : 'all'
  }
  expect(namesOf(`# a comment\n${before}`)).toEqual(['one', 'two', 'gone'])
  expect(namesOf(`# a comment\n${before}`, parse(before), false)).toEqual(['one', 'two', 'gone'])
  expect(namesOf(before.replace(', suricata', ''))).toEqual(['two', 'gone'])
  expect(namesOf(before.replace(', filter: not port 22', ''))).toEqual(['one', 'gone'])
  expect(namesOf(before.replace(/ {2}gone.*/, '  new: {sources: [{interface: ens256}]}'))).toEqual(['one', 'two'])
  expect(namesOf(before.replace('ens192', 'ens193'))).toEqual([])
  expect(unchangedPart(makeFileTarget(policy, parse(before), []), null).scope.spans).toEqual({ only: new Set() })
})

import { expect, test } from 'vitest'
import { suggestOptions } from '../../src/cli/options.ts'

const options = [
  { long: '--file', short: '-f', required: true },
  { long: '--out', required: true },
  { long: '--json', required: false },
  { long: '--span', required: true }
]
const commands = [
  { name: () => 'plan', options },
  { name: () => 'hook', options: options.slice(0, 1) },
  { name: () => 'confirm', options: [] }
]

test.each([
  ['plan spans.yaml', 'plan -f spans.yaml'],
  ['plan --json spans.yaml', 'plan --json -f spans.yaml'],
  ['plan --out a.yaml /etc/spanplan', 'plan --out a.yaml -f /etc/spanplan'],
  ['plan -f a.yaml b.yml', 'plan -f a.yaml -f b.yml'],
  ['plan -', 'plan -f -'],
  ['plan span0 span1', 'plan --span span0 --span span1'],
  ['hook a.yaml', 'hook -f a.yaml'],
  ['hook span0', null],
  ['confirm a.yaml', null],
  ['confirm span0', null]
])('%s → %s', (line, meant) => {
  const given = line.split(' ')
  const error = `error: too many arguments for '${given[0]}'. Expected 0 arguments but got 1.\n`
  expect(suggestOptions(error, given, commands)).toBe(meant === null ? '' : `did you mean: spanplan ${meant}\n`)
  expect(suggestOptions("error: unknown option '--jsn'\n", given, commands)).toBe('')
})

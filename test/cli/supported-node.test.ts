import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { explainOldNode, supportedNode } from '../../src/cli/supported-node.ts'

test('the oldest Node.js is the one that package.json says', () => {
  expect(JSON.parse(readFileSync('package.json', 'utf8')).engines.node).toBe(`>=${supportedNode}`)
})

test.each(['18.20.8', '20.9.0', '20.18.3'])('Node.js %s is told to be too old', (version) => {
  expect(explainOldNode(version)).toMatch(/^error: Node\.js .* is too old: spanplan needs 20\.19 or newer\n/)
})

test.each([supportedNode, '20.19.2', '22.1.0', '100.0.0'])('Node.js %s is not', (version) => {
  expect(explainOldNode(version)).toBeNull()
})

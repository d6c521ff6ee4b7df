/** What is in examples/ is valid, and shows all there is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { listFields } from '../../src/cli/help/spec-fields.ts'
import { jsonSchema } from '../../src/spec/schema/schema.ts'
import { isSchema, readSchema } from './stories/schema.ts'

const names = readdirSync('examples', { recursive: true, encoding: 'utf8' })
// An inventory is Ansible's.
const files = names.filter((name) => name.endsWith('.yaml') && !/compose\.yaml$|^fleet\/inventory\//.test(name))
// What spellOut gives is a JSON Schema again.
const schema = z.fromJSONSchema(spellOut(readSchema()) as Parameters<typeof z.fromJSONSchema>[0])

test('are there', () => {
  expect(files.toSorted()).toEqual([
    'compose/balance/spans.yaml',
    'compose/spans.yaml',
    'containers.yaml',
    'erspan.yaml',
    'full.yaml',
    'minimal.yaml',
    'outputs.yaml',
    'picture.yaml',
    'shares.yaml',
    'vxlan.yaml'
  ])
})

test.each(files)('%s is valid, for spanplan and for editors', async (name) => {
  const { stdout } = await execa('node', ['bin/spanplan.js', 'validate', '-f', join('examples', name)])
  expect(stdout).toContain(': valid, ')
  const text = readFileSync(join('examples', name), 'utf8')
  expect(schema.safeParse(parse(text, { merge: true }))).toMatchObject({ success: true })
  const hint = /\$schema=(\S+)/.exec(text)?.[1] ?? ''
  expect(existsSync(join('examples', name, '..', hint))).toBe(true)
})

test('the schema is not one that takes anything', () => {
  expect(schema.safeParse({ version: 1, spans: { a: { sources: [{ interfaces: 'ens192' }] } } }).success).toBe(false)
  expect(schema.safeParse({ version: 1, spans: {}, interfaces: { a: { match: {} } } }).success).toBe(false)
})

test('full.yaml has every field', () => {
  const text = readFileSync('examples/full.yaml', 'utf8')
  const keys = listFields(jsonSchema()).map(([path]) => path.split('.').at(-1) ?? '')
  const missing = keys.filter((key) => !['NAME', 'KEY'].includes(key) && !text.includes(`${key}:`))
  expect(missing).toEqual([])
})

/** Zod reads "one of these keys" only where the branches say of themselves that they are objects with that key. */
function spellOut(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(spellOut)
  if (!isSchema(schema)) return schema
  const { required } = schema
  if (Object.keys(schema).length === 1 && Array.isArray(required)) {
    return { type: 'object', required, properties: Object.fromEntries(required.map((key) => [key, {}])) }
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, spellOut(value)]))
}

import { expect, test } from 'vitest'
import { listFields } from '../../../src/cli/help/spec-fields.ts'

test('a key says what its description says, as a sentence; one without a description says what it takes', () => {
  const properties = {
    name: { type: 'string', description: 'A name' },
    mtu: { type: 'integer', minimum: 68, maximum: 65_535, default: 1500, description: 'The MTU. Bytes.' },
    wire: { type: 'boolean', examples: ['true'] }
  }
  expect(listFields({ properties, required: ['name'] })).toEqual([
    ['name', 'A text; required. A name.'],
    ['mtu', 'A number from 68 to 65535; default: 1500. The MTU. Bytes.'],
    ['wire', 'True or false. For example: true.']
  ])
})

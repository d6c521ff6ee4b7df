import { expect, test } from 'vitest'
import { jsonSchema } from '../../../src/spec/schema/schema.ts'

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

const isDescribed = (schema: unknown) => {
  const { description }: Record<string, unknown> = isRecord(schema) ? schema : {}
  return typeof description === 'string'
}

/** The paths of all properties without a description. */
function findUndescribed(schema: unknown, path: string): string[] {
  if (!isRecord(schema)) return []
  const { properties, additionalProperties, items, anyOf } = schema
  const ofProperties = Object.entries(isRecord(properties) ? properties : {}).flatMap(([key, value]) => [
    ...(isDescribed(value) ? [] : [`${path}.${key}`]),
    ...findUndescribed(value, `${path}.${key}`)
  ])
  const branches = Array.isArray(anyOf) ? anyOf : []
  return [
    ...ofProperties,
    ...[additionalProperties, items, ...branches].flatMap((inner) => findUndescribed(inner, `${path}.*`))
  ]
}

test('every field has a description', () => {
  expect(findUndescribed(jsonSchema(), '')).toEqual([])
})

test('editors take x- keys at the top, and nothing else that is unknown', () => {
  expect(jsonSchema()).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    additionalProperties: false,
    patternProperties: { '^x-': {} },
    required: ['version', 'spans']
  })
  expect(jsonSchema()).not.toHaveProperty('$id')
})

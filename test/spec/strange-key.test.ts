import { expect, test } from 'vitest'
import { SpanplanError } from '../../src/errors.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { file } from '../lab/fixtures/spec-text.ts'

test('what is strange in a key of several lines has its place there', () => {
  const text = 'version: 1\nspans:\n  ? >-\n    not port 22\n    and ‘b’\n  : {}\n'
  let error: unknown
  try {
    loadSpec([file(text)])
  } catch (caught) {
    error = caught
  }
  const found = error instanceof SpanplanError ? error.diagnostics : []
  expect(found).toMatchObject([{ code: 'YAML_CHARACTER', origin: { line: 5, column: 9 } }])
})

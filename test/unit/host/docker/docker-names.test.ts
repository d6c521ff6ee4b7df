import { expect, test } from 'vitest'
import { supportsApi } from '../../../../src/host/docker/docker-names.ts'

test.each([
  ['1.48', true],
  ['1.100', true],
  ['2.0', true],
  ['1.47', false],
  ['', false]
])('a daemon with API %s supports 1.48: %s', (api, expected) => {
  expect(supportsApi(api, '1.48')).toBe(expected)
})

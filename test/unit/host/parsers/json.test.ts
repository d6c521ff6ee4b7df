import { expect, test } from 'vitest'
import { parseToolJson } from '../../../../src/host/parsers/json.ts'

test.each([
  ['nothing', '', []],
  ['an escape', '["\u001b[31m\u000b"]', ['\u001b[31m\u000b']],
  ["ethtool's apostrophe", String.raw`["a\'b","\\'","\\\'"]`, ["a'b", "\\'", "\\'"]],
  ['what is valid', '[\n\t"\\u001b\\n\\"" ]\n', ['\u001b\n"']]
])('JSON of the tools: %s', (_, text, value) => {
  expect(parseToolJson(text)).toEqual(value)
})

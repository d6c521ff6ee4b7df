/** What programs say of the line that ends an answer, as they print it. */
import { expect, test } from 'vitest'
import { fenceErrorOf } from '../../../src/host/process/kept-program.ts'

const fence = 'fence-0c4d'

const ofNft = `Error: syntax error, unexpected newline, expecting string or last\n${fence}\n          ^\n`
const ofNewNft = `Error: syntax error, unexpected newline\nexpected any of: <string>, last\n${fence}\n          ^\n`
const ofIp = `Object "${fence}" is unknown, try "ip help".\nCommand failed -:3\n`

const failures = [
  '',
  'Cannot find device "eth9"\nCommand failed -:1\n',
  'Error: Could not process rule: Operation not supported\nadd table bridge spanplan\n          ^^^^^^\n',
  'Error: Specified qdisc not found.\nCommand failed -:1\n'
]

test.each([
  ['nft 1.0.6 and 1.1.3', ofNft],
  ['nft 1.1.7', ofNewNft],
  ['ip, as tc and bridge do', ofIp]
])('%s: all of it is left out of the answer, and nothing of a command', (_, error) => {
  for (const failure of failures) expect(`${failure}${error}`.replace(fenceErrorOf(fence), '')).toBe(failure)
})

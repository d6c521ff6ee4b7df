import { expect, test } from 'vitest'
import { suggestSlips } from '../../../src/spec/schema/did-you-mean.ts'

test.each([
  ['ens129', ['ens192', 'ens224'], 'did you mean "ens192"?'],
  ['en192', ['ens192'], 'did you mean "ens192"?'],
  // Another card, and not a slip.
  ['ens224', ['ens256', 'lan9'], undefined]
])('the interface %s, where there are %j', (name, candidates, hint) => {
  expect(suggestSlips(name, candidates)).toBe(hint)
})

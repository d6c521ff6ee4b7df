import { expect, test } from 'vitest'
import { suggestNames, suggestSlips } from '../../../src/spec/schema/did-you-mean.ts'

test.each([
  ['ens129', ['ens192', 'ens224'], 'did you mean "ens192"?'],
  ['en192', ['ens192'], 'did you mean "ens192"?'],
  // Another card, and not a slip.
  ['ens224', ['ens256', 'lan9'], undefined]
])('the interface %s, where there are %j', (name, candidates, hint) => {
  expect(suggestSlips(name, candidates)).toBe(hint)
})

test.each([
  ['suricta', ['suricata', 'zeek'], 'did you mean "suricata"?'],
  ['suriktta', ['suricata', 'zeek'], 'did you mean "suricata"?'],
  ['surktxa', ['suricata'], undefined],
  // Of a short name, two changes may make any other.
  ['web', ['wab'], 'did you mean "wab"?'],
  ['web', ['db'], undefined],
  ['zeek', ['seed'], undefined],
  // Another number is another thing.
  ['snort-12', ['snort-34'], undefined],
  ['enp3s0', ['enp3s0f0'], undefined],
  // Nothing of any length is compared, or printed.
  ['suricata', ['suricata'.padEnd(1_000_000, 'x')], undefined],
  ['suricata', ['surica\u001bta'], 'did you mean "surica\\u001bta"?']
])('the name %s, where there are %j', (name, candidates, hint) => {
  expect(suggestNames(name, candidates)).toBe(hint)
})

import { expect, test } from 'vitest'
import { checkInterface } from '../../src/resources/sources/check-interface.ts'
import { see } from '../lab/fixtures/converged.ts'

test.each([
  ['odd\udcff', ['good'], 'it is not UTF-8; rename it: ip link set dev good name new0'],
  ['odd\udcff', [], `it is not UTF-8; rename it: ip link set dev 'odd'"$(printf '\\377')"'' name new0`],
  ['a#b', [], "rename it: ip link set dev 'a#b' name new0"]
])('a source whose name %j tc cannot be given is refused with the command that renames it', (name, altnames, hint) => {
  const link = see().host.linkOf('ens192')
  if (link === undefined) throw new Error('the fixture has no source')
  expect(checkInterface({ ...link, name, altnames }, false)).toMatchObject({ code: 'INTERFACE_NAME', hint })
})

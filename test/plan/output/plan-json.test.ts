import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planDocument } from '../../../src/plan/output/plan-json.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../../lab/fixtures/plan-case.ts'

function planned(name: string) {
  const path = join(casesFolder, name)
  const host = readSnapshot(path, 'host.json')
  const target = readTarget(path, host.links)
  const reading = readingOf(host)
  const about = { spec: target.spec, ...reading, version: '0.1.0', created: '2001-02-03T12:00:00.000Z' }
  return planDocument(planTarget(target, reading).plan, about).changes
}

test.each([
  [
    'sensor',
    'id spans owner network reference container containerReference current present interfaceName port end bridged options aliases address barred backToNone noted noteOwner subnet bridge sealed'
  ],
  [
    'port',
    'id spans owner attached endpoint mac mtu up isolated learning flooding ipv6 ownMacEntry seal original known inUse qdiscInUse bridgeStays obstacle left'
  ],
  ['mirror', 'id spans owner device direction target program']
])('a %s in a plan has the fields that it had in the first version of the format', (kind, fields) => {
  const resources = ['sensor-taken-off', 'drift-port-old-ip', 'fresh'].flatMap((name) =>
    planned(name).flatMap(({ kind: of, before, after }) => (of === kind ? [before, after] : []))
  )
  const shown = resources.filter((one) => one != null).map((one) => JSON.parse(JSON.stringify(one)))
  expect(shown.length).toBeGreaterThan(0)
  for (const one of shown) expect(Object.keys(one)).toEqual(expect.arrayContaining(fields.split(' ')))
})

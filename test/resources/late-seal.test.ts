import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planTarget } from '../../src/plan/plan-view.ts'
import { warnOfLateSeal } from '../../src/resources/kinds/table.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'

const warningsIn = (name: string) => {
  const path = join(casesFolder, name)
  const host = readSnapshot(path, 'host.json')
  const view = planTarget(readTarget(path, host.links), readingOf(host))
  return warnOfLateSeal(view.desired, view.host)
}

test('who asks for a plan is warned once where no table can close the ports', () => {
  expect(warningsIn('table-unusable')).toEqual([
    {
      code: 'SEAL_LATE',
      message: expect.stringMatching(
        /^a container that joins a sealed span .* The reason: the program nft cannot be run/
      ),
      hint: 'install it: apt-get install nftables'
    }
  ])
})

test.each(['table-fresh', 'table-unread', 'table-unsealed', 'fresh'])('nobody is warned in %s', (name) => {
  expect(warningsIn(name)).toEqual([])
})

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { renderDiagnostic } from '../../src/cli/output/render-diagnostic.ts'
import { unsupported } from '../../src/host/nftables/read-nftables.ts'
import { planTarget, warnOfHost } from '../../src/plan/plan-view.ts'
import { plain } from '../../src/printable.ts'
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
      message: expect.stringMatching(/^a new sensor can send at first: the program nft cannot be run/),
      hint: 'install it: apt-get install nftables'
    }
  ])
})

test('a kernel that cannot close them is one line', () => {
  const path = join(casesFolder, 'table-unusable')
  const host = readSnapshot(path, 'host.json')
  const view = planTarget(readTarget(path, host.links), readingOf({ ...host, nftables: unsupported }))
  const [note, ...others] = warnOfLateSeal(view.desired, view.host)
  const text = note && renderDiagnostic('warning', note, [], plain)
  expect(text).toBe('warning: a new sensor can send at first: the kernel lacks NFT_BRIDGE_META')
  expect(others).toEqual([])
  expect(warnOfHost(view).map(({ code }) => code)).toContain('SEAL_LATE')
  // A plan in sync is no occasion for it.
  expect(warnOfHost({ ...view, plan: { ...view.plan, changes: [] } })).toEqual([])
})

test.each(['table-fresh', 'table-unread', 'table-unsealed', 'fresh'])('nobody is warned in %s', (name) => {
  expect(warningsIn(name)).toEqual([])
})

/** What a report says of sensors and outputs that get a part of a span. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { planTarget } from '../../src/plan/plan-view.ts'
import { plain } from '../../src/printable.ts'
import { framePathsOf } from '../../src/status/counters/frame-path.ts'
import { writeExposition } from '../../src/status/output/exposition.ts'
import { makeMetrics } from '../../src/status/output/metrics.ts'
import { statusDocument } from '../../src/status/output/status-json.ts'
import { renderReport } from '../../src/status/output/status-text.ts'
import { makeReport } from '../../src/status/report.ts'
import { samplesOf, watch } from '../lab/fixtures/converged.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'

/** The report of a case, with so many frames at each of the ports that are fed by mirrors. */
function reportOf(name: string, frames: readonly number[] = []) {
  const path = join(casesFolder, name)
  const host = readSnapshot(path, 'host.json')
  const view = planTarget({ ...readTarget(path, host.links), patient: true }, readingOf(host))
  const samples = samplesOf(view)
  const targets = view.desired.spans.flatMap(({ feeds }) => feeds.map(({ target }) => target))
  const links = samples.later.links.map((link) => {
    const packets = frames[targets.indexOf(link.name)]
    return packets === undefined ? link : { ...link, tx: { ...link.tx, packets, bytes: packets * 100 } }
  })
  const input = { ...samples, later: { ...samples.later, links } }
  const report = makeReport({ view, pauses: [], watch: null, window: null, ...input })
  return { report, view, sample: input.later }
}

const textOf = (name: string) => renderReport(reportOf(name).report, plain)

describe('a row says what its sensor gets', () => {
  test('of a balance', () => {
    expect(textOf('share-converged')).toMatch(/sensor +shop-ids-1 .*\n +share 25 %, and what is not IP\n/)
    expect(textOf('share-converged')).toMatch(/sensor +shop-ids-2 .*\n +share 25 %\n/)
  })

  test('by a filter, and by none', () => {
    const text = textOf('share-filter-converged')
    expect(text).toMatch(/sensor +shop-ids-1 .*\n +filter tcp port 80\n/)
    expect(text).not.toMatch(/sensor +zeek .*\n +filter/)
  })

  test('an output, too', () => {
    expect(textOf('share-output-converged')).toMatch(/output +ens224 .*\n +share 50 %\n/)
    expect(textOf('share-output-filter-converged')).toMatch(/output +ens224 .*\n +filter tcp port 80\n/)
  })
})

test('who takes nothing now, and why', () => {
  expect(textOf('share-paused-converged')).toContain(
    '... shop-ids-2 gets nothing while it is paused: the others have its share'
  )
  expect(textOf('share-paused-converged')).toMatch(/sensor +shop-ids-2 .*\n +share 0 %\n/)
  expect(textOf('share-stopped')).toContain('... shop-ids-2 gets nothing while it does not run: its flows go to nobody')
  expect(textOf('share-no-carrier')).toContain('... shop-ids-1 gets nothing while its interface has no carrier')
  expect(textOf('share-all-paused')).toContain('shop-ids-4 gets nothing while it is paused: nobody has its share')
  expect(textOf('share-new')).toContain('... shop-ids-1 gets nothing until it is connected')
  expect(textOf('share-starting-converged')).toMatch(
    /\.\.\. shop-ids-2 gets nothing until Docker calls it healthy: the others have\s+its share/
  )
  expect(textOf('share-unhealthy')).toMatch(
    /\.\.\. shop-ids-1 gets nothing while Docker calls it unhealthy: its flows go to\s+nobody until the next apply/
  )
  expect(textOf('share-none-healthy')).not.toContain('gets nothing')
  expect(textOf('share-docker-deferred')).not.toContain('gets nothing')
})

test('a container that two sensors select, with different parts, is told, and makes nothing unhealthy', () => {
  const { report } = reportOf('share-overlaps-by-balances')
  expect(report.healthy).toBe(true)
  expect(report.warnings).toMatchObject([
    { code: 'SENSOR_OVERLAPS', subject: { span: 'span0', kind: 'sensor' }, origin: { line: 10 } }
  ])
  expect(reportOf('share-overlaps-in-one-balance').report.warnings).toEqual([])
})

test('programs read the same', () => {
  const {
    spans: [span]
  } = statusDocument(reportOf('share-paused-converged').report, '2026-01-01T00:00:00.000Z')
  const share = { of: 256, hash: 'addresses', rest: false }
  expect(span?.parts).toEqual([
    { kind: 'sensor', name: 'shop-ids-1', filter: null, share: { ...share, buckets: 85, rest: true }, absence: null },
    { kind: 'sensor', name: 'shop-ids-2', filter: null, share: { ...share, buckets: 0 }, absence: 'paused' },
    { kind: 'sensor', name: 'shop-ids-3', filter: null, share: { ...share, buckets: 86 }, absence: null },
    { kind: 'sensor', name: 'shop-ids-4', filter: null, share: { ...share, buckets: 85 }, absence: null }
  ])
  const hops = span?.hops.filter((hop) => 'share' in hop && hop.share !== null)
  expect(hops?.map(({ kind }) => kind)).toEqual(Array.from({ length: 4 }, () => ['port', 'sensor']).flat())
})

test('metrics have the share of each', () => {
  const { report, view, sample } = reportOf('share-paused-converged')
  const paths = framePathsOf(view)
  const text = writeExposition(makeMetrics('1', watch, { report, paths, sample, losses: new Map() }))
  expect(text).toContain('spanplan_share_ratio{span="span0",sensor="shop-ids-1"} 0.33203125')
  expect(text).toContain('spanplan_share_ratio{span="span0",sensor="shop-ids-2"} 0\n')
})

describe('a member that gets far more than its share', () => {
  const warningsOf = (name: string, frames: readonly number[]) => reportOf(name, frames).report.warnings

  test('is told, with what shows why', () => {
    const [warning, ...others] = warningsOf('share-converged', [200, 200, 1400, 200])
    expect(others).toEqual([])
    expect(warning).toMatchObject({
      code: 'SHARE_UNEVEN',
      subject: { span: 'span0', kind: 'sensor', id: ['shop-ids-3'] }
    })
    expect(warning?.message).toBe(
      'span span0: shop-ids-3 got 70 % of the frames, with a share of 25 %: one pair of hosts may be most of it, and a pair of hosts is never divided'
    )
    expect(warning?.hint).toMatch(/tcpdump -c 1000 -nqti veth\w+ \| .*; "hash: ports" divides/)
  })

  test('is none while the flows of another go to nobody: they are missing from the whole', () => {
    expect(warningsOf('share-stopped', [600, 400, 400, 400])).toEqual([])
  })

  test('is one conversation where ports count', () => {
    const [warning] = warningsOf('share-output-converged', [100, 1900])
    expect(warning?.message).toContain('ens224 got 95 % of the frames, with a share of 50 %: one conversation may')
  })

  test.each([
    ['an even share', [500, 500, 500, 500]],
    ['one and a half', [450, 400, 750, 400]],
    ['few frames', [0, 0, 900, 0]],
    ['none', [0, 0, 0, 0]]
  ])('%s is nothing', (_, frames) => {
    expect(warningsOf('share-converged', frames)).toEqual([])
  })
})

/** What status counts of receivers that share the frames of a span adds up to what it counts of the span. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Sample } from '../../src/host/read-counters.ts'
import type { PlanView } from '../../src/plan/plan-view.ts'
import { plain } from '../../src/printable.ts'
import { framePathsOf } from '../../src/status/counters/frame-path.ts'
import { statusDocument } from '../../src/status/output/status-json.ts'
import { renderReport } from '../../src/status/output/status-text.ts'
import { makeReport } from '../../src/status/report.ts'
import { samplesOf, see } from '../lab/fixtures/converged.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'

/** A span of one interface, on the host of a case. */
function seeSpan(name: string, sensors: string): PlanView {
  const source = 'sources: [{interface: ens192, direction: ingress}]'
  const text = `version: 1\nspans:\n  span0:\n    network: span\n    ${source}\n    sensors:\n${sensors}`
  return see(readSnapshot(join(casesFolder, name), 'host.json'), text)
}

/** The report, if so many frames of 100 bytes have come, and each receiver has taken so many of them. */
function reportOf(view: PlanView, all: number, taken: Readonly<Record<string, number>>) {
  const [span] = view.desired.spans
  const [path] = framePathsOf(view)
  if (span === undefined || path === undefined) throw new Error('there is a span')
  const feeds = span.feeds.flatMap(({ name, target }) =>
    target === null ? [] : [{ name, target, frames: taken[name] ?? 0 }]
  )
  const ofLink = new Map(feeds.map(({ target, frames }) => [target, frames]))
  const { first, later, ...rest } = samplesOf(view, { frames: all })
  const count = (sample: Sample, part: 0 | 1): Sample => ({
    ...sample,
    links: sample.links.map((link) => {
      const packets = part * (ofLink.get(link.name) ?? all)
      return { ...link, tx: { ...link.tx, packets, bytes: packets * 100 } }
    }),
    mirrors: path.mirrors.flatMap(({ handles, beside }, index) => {
      const counters = sample.mirrors[index]
      if (counters === undefined) return []
      const [toBridge, toFeeds] = path.feedsBridge ? [handles, beside] : [[], handles]
      return [
        ...toBridge.map((handle) => ({ handle, frames: all, target: path.span })),
        ...toFeeds.map((handle, of) => ({ handle, frames: feeds[of]?.frames ?? 0, target: feeds[of]?.target ?? '' }))
      ].map(({ frames, ...one }) => ({ ...counters, ...one, packets: part * frames, bytes: part * frames * 100 }))
    })
  })
  const samples = { first: count(first, 0), later: count(later, 1) }
  const report = makeReport({ view, pauses: [], watch: null, window: null, ...rest, ...samples })
  const hops = report.spans.flatMap(({ flowReport }) => flowReport.hops)
  const framesOf = (kind: string, names?: readonly string[]) =>
    hops
      .filter(
        (hop) => hop.kind === kind && (hop.kind !== 'sensor' || names === undefined || names.includes(hop.container))
      )
      .reduce((sum, { frames }) => sum + (frames ?? 0), 0)
  const losses = hops.flatMap((hop) => hop.losses)
  return { report, framesOf, losses, text: renderReport(report, plain), document: statusDocument(report, '') }
}

const ids = { 'shop-ids-1': 311, 'shop-ids-2': 204, 'shop-ids-3': 285, 'shop-ids-4': 200 }

describe('each frame goes to one member', () => {
  test('of a balance: mirror, ports and sensors count the same', () => {
    const view = seeSpan('share-converged', '      - balance: [{compose: shop/ids}]\n')
    const { framesOf, losses, text } = reportOf(view, 1000, ids)
    expect(['interface', 'mirror', 'port', 'sensor'].map((kind) => framesOf(kind))).toEqual([1000, 1000, 1000, 1000])
    expect(losses).toEqual([])
    expect(text).toContain('1,000 frames, 100 kB in ')
    expect(text).not.toContain('copies')
  })

  test('beside a sensor that gets all: the members have what it has, and the mirror counts each frame once', () => {
    const sensors = '      - shop-ids-4\n      - balance: [shop-ids-1, shop-ids-2, shop-ids-3]\n'
    const members = { 'shop-ids-1': 400, 'shop-ids-2': 350, 'shop-ids-3': 250 }
    const { framesOf, losses, text } = reportOf(seeSpan('share-converged', sensors), 1000, members)
    expect(framesOf('sensor', Object.keys(members))).toBe(1000)
    expect(framesOf('sensor', ['shop-ids-4'])).toBe(1000)
    expect(['mirror', 'bridge'].map((kind) => framesOf(kind))).toEqual([1000, 1000])
    expect(losses).toEqual([])
    expect(text).not.toContain('copies')
  })
})

describe('a frame that several take is a copy for each', () => {
  const web = (name: string) => `      - {container: ${name}, filter: tcp port 80}\n`
  const overlapping = [
    ['filters', ['shop-ids-1', 'shop-ids-2', 'shop-ids-3', 'shop-ids-4'].map(web).join('')],
    ['a filter beside a balance', `${web('shop-ids-1')}      - balance: [shop-ids-2, shop-ids-3, shop-ids-4]\n`],
    ['two balances', '      - balance: [shop-ids-1, shop-ids-2]\n      - balance: [shop-ids-3, shop-ids-4]\n']
  ] as const

  test.each(overlapping)('%s: the mirror counts copies, and says so', (_, sensors) => {
    const { framesOf, text, document } = reportOf(seeSpan('share-overlaps', sensors), 600, ids)
    expect([framesOf('mirror'), framesOf('port')]).toEqual([1000, 1000])
    expect(text).toContain('counts copies: a frame comes once for each that takes it')
    expect(text).toContain('1,000 copies, 100 kB in ')
    expect(document.spans[0]?.hops.find(({ kind }) => kind === 'mirror')).toMatchObject({ counts_copies: true })
  })
})

/** What the live mirrors tell of who gets which frames, where Docker does not, and before an apply has moved flows. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { diagnostic } from '../../src/errors.ts'
import type { MirrorCounters } from '../../src/host/parsers/counters.ts'
import type { Sample } from '../../src/host/read-counters.ts'
import type { Snapshot } from '../../src/host/snapshot.ts'
import { planTarget } from '../../src/plan/plan-view.ts'
import { plain } from '../../src/printable.ts'
import { coveredBalances, liveFeeds } from '../../src/status/counters/live-feeds.ts'
import { renderReport } from '../../src/status/output/status-text.ts'
import { makeReport } from '../../src/status/report.ts'
import { samplesOf } from '../lab/fixtures/converged.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'

const unreachable: Partial<Snapshot> = {
  docker: { state: 'unreachable', reason: diagnostic('DOCKER_UNREACHABLE', 'Docker does not answer') }
}

/** Frames that live mirrors have copied to each link, and that those links have sent; every other link has sent a thousand. */
interface Traffic {
  readonly copied: Readonly<Record<string, number>>
  readonly sent?: Readonly<Record<string, number>>
  /** Links to which the mirrors could not hand what they copied. */
  readonly refusing?: readonly string[]
}

/** The report of a case on a host whose mirrors have copied these frames of a thousand. */
function reportOf(name: string, { copied, sent = copied, refusing = [] }: Traffic, changes: Partial<Snapshot> = {}) {
  const path = join(casesFolder, name)
  const host = { ...readSnapshot(path, 'host.json'), ...changes }
  const view = planTarget({ ...readTarget(path, host.links), patient: true }, readingOf(host))
  const { first, later, ...rest } = samplesOf(view)
  const count = (sample: Sample, part: 0 | 1): Sample => ({
    ...sample,
    links: sample.links.map((link) => {
      const packets = part * (sent[link.name] ?? 1000)
      const carrier = host.links.find((one) => one.name === link.name)?.carrier === true
      return { ...link, running: link.running && carrier, tx: { ...link.tx, packets, bytes: packets * 100 } }
    }),
    mirrors: host.filters.flatMap(({ device, tcHook, handle, mirror }): MirrorCounters | [] => {
      if (mirror === null || handle === null) return []
      const packets = part * (copied[mirror.target] ?? 0)
      const overlimits = refusing.includes(mirror.target) ? packets : 0
      const counts = { packets, bytes: packets * 100, overlimits, drops: 0, installed: 90_061 + part, idle: 0 }
      return { device, tcHook, handle, target: mirror.target, ...counts }
    })
  })
  const samples = { first: count(first, 0), later: count(later, 1) }
  const report = makeReport({ view, pauses: [], watch: null, window: null, ...rest, ...samples })
  const hops = report.spans.flatMap(({ flowReport }) => flowReport.hops)
  const losses = hops.flatMap(({ kind, device, losses }) =>
    losses.map(({ cause, frames }) => `${kind} ${device} ${cause} ${frames}`)
  )
  return { report, hops, losses, ports: view.host.portsOf('span0').map((port) => port.name) }
}

/** Of a case, what live mirrors copy to each link. */
function sharesOf(name: string, numbers: readonly number[]): Traffic['copied'] {
  const { filters } = readSnapshot(join(casesFolder, name), 'host.json')
  const targets = [...new Set(filters.flatMap(({ mirror }) => (mirror === null ? [] : [mirror.target])))]
  return Object.fromEntries(targets.map((target, index) => [target, target === 'span0' ? 1000 : (numbers[index] ?? 0)]))
}

describe('without Docker, no loss is claimed that was not', () => {
  test.each(['share-converged', 'share-filter-converged'])('at the ports that mirrors feed: %s', (name) => {
    const copied = sharesOf(name, [300, 200, 260, 240])
    expect(reportOf(name, { copied }, unreachable).losses).toEqual([])
  })

  test('at the port of a member that is paused, to which nothing leads now', () => {
    const shares = sharesOf('share-paused-converged', [300, 400, 300])
    const { ports } = reportOf('share-paused-converged', { copied: shares })
    const copied = Object.fromEntries(ports.map((port) => [port, shares[port] ?? 0]))
    expect(Object.values(copied).sort()).toEqual([0, 300, 300, 400])
    expect(reportOf('share-paused-converged', { copied }, unreachable).losses).toEqual([])
  })

  test('what a port did not get of its share is', () => {
    const copied = sharesOf('share-converged', [300, 200, 260, 240])
    const [port = '', frames = 0] = Object.entries(copied)[0] ?? []
    const { losses } = reportOf('share-converged', { copied, sent: { ...copied, [port]: frames - 7 } }, unreachable)
    expect(losses).toEqual([`port ${port} unexplained 7`])
  })

  test('the mirror counts what it hands out', () => {
    const copied = sharesOf('share-converged', [300, 200, 260, 240])
    const { hops } = reportOf('share-converged', { copied }, unreachable)
    expect(hops.find(({ kind }) => kind === 'mirror')).toMatchObject({
      frames: 1000,
      isNeeded: true,
      countsCopies: false
    })
  })
})

test('where Docker has stopped, and its containers with it, nobody is told to list what the file has', () => {
  const { links, filters } = readSnapshot(join(casesFolder, 'share-converged'), 'host.json')
  const stopped = {
    ...unreachable,
    links: links.filter(({ master }) => master !== 'span0'),
    filters: filters.filter(({ mirror }) => mirror === null)
  }
  const { report, losses } = reportOf('share-converged', { copied: {} }, stopped)
  expect(losses).toEqual(['interface ens192 no_sensor 1000'])
  expect(renderReport(report, plain).replaceAll(/\n +/g, ' ')).toContain(
    '1,000 lost: no sensor is connected, or none can take frames now; start or connect one; if it is not in the file, list it there '
  )
})

test('what a mirror goes on to send to an output without a carrier is lost, once', () => {
  const copied = sharesOf('share-output-no-carrier', [500, 500])
  const traffic = { copied, sent: { ...copied, ens224: 0 }, refusing: ['ens224'] }
  expect(reportOf('share-output-no-carrier', traffic).losses).toEqual(['output ens224 output_no_carrier 500'])
})

describe('until an apply has moved the flows of a member that takes nothing', () => {
  const textOf = (name: string, more: object = {}) => {
    const { report } = reportOf(name, { copied: sharesOf(name, [250, 250, 250, 250]) })
    const spans = report.spans.map((span) => ({ ...span, ...more }))
    return renderReport({ ...report, spans, ...more }, plain).replaceAll('\n    ', ' ')
  }

  test('nobody has them, and its row says what its mirror hands to it', () => {
    for (const [name, why] of [
      ['share-paused', 'shop-ids-2 gets nothing while it is paused'],
      ['share-stopped', 'shop-ids-2 gets nothing while it does not run'],
      ['share-no-carrier', 'shop-ids-1 gets nothing while its interface has no carrier']
    ] as const) {
      expect(textOf(name)).toContain(`... ${why}: its flows go to nobody until the next apply\n`)
    }
    expect(textOf('share-paused')).toMatch(/sensor +shop-ids-2 .*\s+share 25 %\s/)
    expect(textOf('share-paused-converged')).toContain('while it is paused: the others have its share\n')
  })

  test('nobody has them also beside a mirror of no share, which nothing knows, as of a filter that the file had', () => {
    const path = join(casesFolder, 'share-stopped')
    const host = readSnapshot(path, 'host.json')
    const view = planTarget({ ...readTarget(path, host.links), patient: true }, readingOf(host))
    const [span] = view.desired.spans
    if (span === undefined) throw new Error('there is no span')
    const live = liveFeeds(span, view)
    const strangers = live.map((feed) => ({
      ...feed,
      handle: feed.handle + 1,
      identity: feed.identity + 1,
      share: null
    }))
    expect(coveredBalances(span, [...live, ...strangers]).size).toBe(0)
  })

  test('what keeps the apply away is said', () => {
    expect(textOf('share-paused', { pausedUntil: '2026-01-01T00:30:00.000Z' })).toMatch(
      /until the next apply; the span is paused until 2026-01-01 \d\d:\d\d/
    )
    const window = { id: 'a1b2', until: '2026-01-01T00:30:00.000Z' }
    expect(textOf('share-paused', { window })).toContain(
      'until the next apply; the window of an apply is open: confirm it, or roll it back\n'
    )
  })
})

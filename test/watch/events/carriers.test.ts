import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCarrierRecorder } from '../../../src/watch/events/carriers.ts'
import type { WatchEvent } from '../../../src/watch/events/event.ts'
import { converged, fixture, see } from '../../lab/fixtures/converged.ts'
import type { CapturedHost } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot } from '../../lab/fixtures/plan-case.ts'

/** The host, with the source's interface as given. */
const withSource = (change: Partial<CapturedHost['links'][number]>): CapturedHost => ({
  ...converged,
  links: converged.links.map((link) => (link.name === 'ens192' ? { ...link, ...change } : link))
})
const pulled = withSource({ carrier: false })

/** The events of each plan. */
function record(...hosts: readonly (CapturedHost | null)[]): unknown[] {
  const told: unknown[] = []
  const take = openCarrierRecorder((...events: readonly WatchEvent[]) => {
    for (const event of events) told.push('device' in event ? `${event.type} ${event.span} ${event.device}` : event)
  })
  return hosts.map((host) => {
    take(host === null ? see(converged, 'version: 1\nspans: {}') : see(host, fixture('spans.yaml')))
    return told.splice(0)
  })
}

test('a carrier that is lost is told once, and that it is back', () => {
  const [lost, back] = [['carrier_lost span0 ens192'], ['carrier_back span0 ens192']]
  expect(record(converged, pulled, pulled, converged, converged)).toEqual([[], lost, [], back, []])
})

test('of a tunnel, the interface that its packets come on counts', () => {
  const folder = join(casesFolder, 'vxlan-source-in-sync')
  const host = readSnapshot(folder, 'host.json')
  const down = { ...host, links: host.links.map((link) => (link.name === 'ens192' ? { ...link, up: false } : link)) }
  const text = readFileSync(join(folder, 'spans.yaml'), 'utf8')
  const told: string[] = []
  const take = openCarrierRecorder((event) => {
    if ('diagnostic' in event) told.push(`${event.type} ${event.diagnostic.message}`)
  })
  for (const one of [host, down, host]) take(see(one, text))
  expect(told.filter((line) => line.includes('vxlan 42'))).toEqual([
    ...Array(2).fill('carrier_lost vxlan 42 gets nothing: the interface below it is down, or has no carrier (ens192)'),
    ...Array(2).fill(expect.stringMatching(/^carrier_back /))
  ])
})

test('of an interface that is down, and of a span that is not planned now, nothing is told', () => {
  const lost = ['carrier_lost span0 ens192']
  expect(record(withSource({ carrier: false, up: false }))).toEqual([[]])
  expect(record(pulled, null, pulled)).toEqual([lost, [], []])
})

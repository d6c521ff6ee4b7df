/** Who hears what a span's bridge hands to its ports, where nothing of the span is Docker's, and Docker cannot be asked. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Link } from '../../../src/host/snapshot.ts'
import { renderChange } from '../../../src/plan/output/plan-text.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { makeTarget } from '../../../src/plan/target.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import { everySpan } from '../../../src/spec/scope.ts'
import { type CapturedHost, readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot } from '../../lab/fixtures/plan-case.ts'

const live = readSnapshot(join(casesFolder, 'share-output-filter-converged'), 'host.json')
const isZeeks = (name: string) => name.startsWith('veth')

/** The output of the case, which gets a part, alone on its bridge, and no Docker. */
const host: CapturedHost = {
  ...live,
  links: live.links.flatMap((link) => {
    if (isZeeks(link.name)) return []
    return link.name === 'span0' ? { ...link, alias: link.alias?.replace('+network', '') ?? null } : link
  }),
  filters: live.filters.filter(({ device, mirror }) => !isZeeks(device) && mirror?.target !== 'span0'),
  docker: { state: 'deferred' }
}

const [zeeks] = live.links.filter(({ name }) => isZeeks(name))

/** A port that somebody has put on the bridge, as an apply leaves it. */
const byHand: Link = { ...(zeeks ?? readNothing()), name: 'ext0', index: 99, peer: null, foreignPeer: true }
const seal = live.filters.find(({ device }) => isZeeks(device)) ?? readNothing()

function readNothing(): never {
  throw new Error('the case has no sensor')
}

function plan(links: readonly Link[]): string[] {
  const text = `version: 1
spans:
  span0:
    sources: [{interface: ens192, direction: ingress}]
    outputs: [{interface: ens224, filter: tcp port 80}]
`
  const spec = loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }])
  const scope = { name: spec.name, spans: everySpan }
  const target = makeTarget(spec, { scope, deferDocker: true, subnetSeed: '' })
  const filters = [...host.filters, { ...seal, device: 'ext0' }]
  const reading = readingOf({ ...host, links: [...host.links, ...links], filters })
  return planTarget(target, reading).plan.changes.map(renderChange)
}

test('nobody but the output: the bridge is not fed', () => {
  expect(plan([])).toEqual([])
})

test('a port that somebody has put there gets every frame', () => {
  expect(plan([byHand])).toEqual(['+ mirror ens192 ingress → span0 (every frame)'])
})

test('one that gets nothing of the bridge is nobody who has a part', () => {
  const closed = { ...byHand, port: { isolated: true, learning: false, flooding: false } }
  expect(plan([closed])).toEqual([
    '+ mirror ens192 ingress → span0 (every frame)',
    '~ port ext0 → span0 (flooding: off → on)'
  ])
})

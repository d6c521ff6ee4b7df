import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { planTarget } from '../../src/plan/plan-view.ts'
import { makeTarget } from '../../src/plan/target.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { everySpan } from '../../src/spec/scope.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'

/** What a plan for these sources says of frames that are copied twice, on the host of a case. */
function warningsOf(host: string, sources: string): readonly string[] {
  const text = `version: 1\nspans: {span0: {sources: [${sources}]}}`
  const spec = loadSpec([{ path: 'spans.yaml', bytes: Buffer.from(text) }])
  const snapshot = readSnapshot(join(casesFolder, host), 'host.json')
  const compiled = { state: 'compiled', program: '1,6 0 0 4294967295' } as const
  const filters = new Map(
    spec.spans.flatMap((span) =>
      span.sources.flatMap(({ filter }) => (filter ? [[filter.expression, compiled] as const] : []))
    )
  )
  const target = makeTarget(spec, { scope: { name: spec.name, spans: everySpan }, deferDocker: false, subnetSeed: '' })
  const { plan } = planTarget({ ...target, patient: true, adopt: true }, { ...readingOf(snapshot), filters })
  return plan.warnings.filter(({ code }) => code === 'COPIED_TWICE').map(({ message }) => message)
}

const between = 'span span0: each frame between web (shop) and front (shop) is copied twice, once at each of them'

describe('two containers of one network', () => {
  test.each([
    ['both', 'both', [between]],
    ['egress', 'both', [between.replace('between web (shop) and', 'from web (shop) to')]],
    ['egress', 'ingress', [between.replace('between web (shop) and', 'from web (shop) to')]],
    ['ingress', 'both', [between.replace('between web (shop) and front', 'from front (shop) to web')]],
    ['egress', 'egress', []],
    ['ingress', 'ingress', []]
  ])('what they send and receive: %s and %s', (web, front, expected) => {
    const sources = `{container: web, direction: ${web}}, {label: tier=frontend, direction: ${front}}`
    expect(warningsOf('container-source', sources)).toEqual(expected)
  })

  test.each([
    ['tcp port 80', 'tcp port 80', 1],
    ['tcp', null, 1],
    ['not port 22', null, 1],
    ['host 10.0.0.1', 'host 10.0.0.1', 1],
    // These may be there so that each frame is copied once.
    ['tcp', 'udp', 0],
    ['not host 10.0.0.1', null, 0],
    ['not vlan 5', null, 0]
  ])('with the filters %s and %s', (web, front, count) => {
    const write = (filter: string | null) => (filter === null ? '' : `, filter: "${filter}"`)
    const sources = `{container: web${write(web)}}, {label: tier=frontend${write(front)}}`
    expect(warningsOf('container-source', sources)).toHaveLength(count)
  })
})

test.each([
  ['an interface and its VLAN', 'no-loop-vlan-of-source', 'ens224', 'ens224.9'],
  ['a bridge and its port', 'no-loop-beside-docker', 'docker0', 'veth1111111']
])('%s', (_, host, one, other) => {
  const [warning, ...more] = warningsOf(host, `{interface: ${one}}, {interface: ${other}}`)
  expect(warning).toMatch(
    new RegExp(`each frame that passes (${one} and ${other}|${other} and ${one}) is copied twice`)
  )
  expect(more).toEqual([])
  // The VLAN's frames may be left out here.
  const filtered = warningsOf(host, `{interface: ${one}, filter: not vlan 9}, {interface: ${other}}`)
  expect(filtered).toEqual([])
})

test('two interfaces that no frame passes one after the other', () => {
  expect(warningsOf('no-loop-vlan-of-source', '{interface: ens192}, {interface: ens224}')).toEqual([])
})

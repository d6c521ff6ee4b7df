import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Link } from '../../../src/host/snapshot.ts'
import { type Family, type Labels, writeExposition } from '../../../src/status/output/exposition.ts'
import { type Measurement, makeMetrics, metrics } from '../../../src/status/output/metrics.ts'
import type { WatchState } from '../../../src/status/watch-state.ts'
import { converged, fixture, see, watch } from '../../lab/fixtures/converged.ts'
import { casesFolder, readSnapshot } from '../../lab/fixtures/plan-case.ts'
import { measure } from '../../lab/metrics/measures.ts'
import { expectMetrics } from '../../lab/metrics/promtool.ts'

const busyWatch: WatchState = {
  ...watch,
  last: { at: '2026-01-01T00:10:00.000Z', trigger: 'file', result: 'failed', milliseconds: 400 },
  lastSuccess: '2026-01-01T00:09:00.500Z',
  failedMonitors: [],
  degraded: [
    {
      span: 'span0',
      reason: 'contested',
      until: '2026-01-01T00:20:00.000Z',
      diagnostic: { code: 'CONTESTED', message: 'something else changes it' }
    }
  ],
  runs: [
    { trigger: 'start', result: 'changed', count: 1 },
    { trigger: 'file', result: 'failed', count: 2 }
  ],
  durations: { buckets: [{ bound: 0.1, count: 1 }], count: 3, sum: 1.25 },
  drift: 7
}

/** The values of one metric, each behind its labels' values. */
function valuesOf(families: readonly Family[], name: string): Record<string, number> {
  const family = families.find((one) => one.name === name)
  if (family === undefined || family.type === 'histogram') throw new Error(`there is no ${name}`)
  const key = (labels: Labels = {}) => Object.values(labels).join(' ')
  return Object.fromEntries(family.points.map(({ labels, value }) => [key(labels), value]))
}

/** Prometheus refuses all values where one is given twice; promtool does not say so. */
function expectUnique(text: string): void {
  const series = text.split('\n').flatMap((line) => /^([^#].*) \S+$/.exec(line)?.[1] ?? [])
  expect(series).toEqual([...new Set(series)])
}

test('Prometheus takes them: before the first scrape, and with all that there is', async () => {
  const pauses = [{ span: 'span0', until: '2026-01-01T00:30:00.000Z' }]
  const view = see({ ...converged, links: converged.links }, fixture('spans.yaml').replace('zeek', 'zeek, snort'))
  for (const families of [
    makeMetrics('0.1.0', watch, null),
    makeMetrics('0.1.0', busyWatch, measure(view, { lost: 3 }, busyWatch, pauses))
  ]) {
    const text = writeExposition(families)
    await expectMetrics(text)
    expectUnique(text)
    expect(families.filter(({ name }) => !name.startsWith('spanplan_'))).toEqual([])
  }
})

describe('what they say', () => {
  test('of the watch', () => {
    const families = makeMetrics('0.1.0', busyWatch, null)
    expect(valuesOf(families, 'spanplan_build_info')).toEqual({ '0.1.0': 1 })
    expect(valuesOf(families, 'spanplan_file_valid')).toEqual({ '': 1 })
    expect(valuesOf(families, 'spanplan_reconciles_total')).toEqual({ 'start changed': 1, 'file failed': 2 })
    expect(valuesOf(families, 'spanplan_last_success_timestamp_seconds')).toEqual({ '': 1_767_226_140.5 })
    expect(valuesOf(families, 'spanplan_drift_changes_total')).toEqual({ '': 7 })
    expect(valuesOf(families, 'spanplan_counters_readable')).toEqual({ '': 0 })
    expect(writeExposition(families)).toContain(`spanplan_reconcile_duration_seconds_bucket{le="0.1"} 1
spanplan_reconcile_duration_seconds_bucket{le="+Inf"} 3
spanplan_reconcile_duration_seconds_sum 1.25
spanplan_reconcile_duration_seconds_count 3
`)
  })

  test('of probes: only where the watch sends them, and nothing that is not known', () => {
    const { probes, ...others } = busyWatch
    const families = makeMetrics('0.1.0', busyWatch, null)
    expect(valuesOf(families, 'spanplan_probe_working')).toEqual({ '': 1 })
    expect(valuesOf(families, 'spanplan_probe_received')).toEqual({ 'span0 veth83191ae zeek': 1 })
    expect(valuesOf(families, 'spanplan_probe_delay_seconds')).toEqual({ 'span0 veth83191ae zeek': 0.000_012_5 })
    expect(valuesOf(families, 'spanplan_probe_last_timestamp_seconds')).toEqual({ span0: 1_767_225_660 })
    const problem = { code: 'PROBE_MISSED', message: 'zeek did not get any frame' } as const
    const [port] = probes?.ports ?? []
    const missing = { failure: null, probed: [], ports: port ? [{ ...port, problem, microseconds: null }] : [] }
    const missed = makeMetrics('0.1.0', { ...others, probes: missing }, null)
    expect(valuesOf(missed, 'spanplan_probe_received')).toEqual({ 'span0 veth83191ae zeek': 0 })
    expect(valuesOf(missed, 'spanplan_probe_delay_seconds')).toEqual({})
    const broken = makeMetrics(
      '0.1.0',
      { ...others, probes: { failure: problem, ports: [], probed: probes?.probed ?? [] } },
      null
    )
    expect(valuesOf(broken, 'spanplan_probe_working')).toEqual({ '': 0 })
    // When it was last probed is known all the same: an alert is about its age.
    expect(valuesOf(broken, 'spanplan_probe_last_timestamp_seconds')).toEqual({ span0: 1_767_225_660 })
    const without = makeMetrics('0.1.0', others, null).map(({ name }) => name)
    expect(without.filter((name) => name.includes('probe'))).toEqual([])
  })

  test('of a healthy span', () => {
    const families = makeMetrics('0.1.0', watch, measure())
    expect(valuesOf(families, 'spanplan_healthy')).toEqual({ span0: 1 })
    expect(valuesOf(families, 'spanplan_host_healthy')).toEqual({ '': 1 })
    expect(valuesOf(families, 'spanplan_problems')).toEqual({})
    expect(valuesOf(families, 'spanplan_waiting')).toEqual({ span0: 0 })
    expect(valuesOf(families, 'spanplan_paused')).toEqual({ span0: 0 })
    expect(valuesOf(families, 'spanplan_degraded')).toEqual({
      failed: 0,
      contested: 0,
      'span0 failed': 0,
      'span0 contested': 0
    })
  })

  test('of one that is not', () => {
    const view = see(converged, fixture('spans.yaml').replace('zeek', 'zeek, snort, arkime'))
    const pauses = [{ span: null, until: '2026-01-01T00:30:00.000Z' }]
    const families = makeMetrics('0.1.0', busyWatch, measure(view, { lost: 3 }, busyWatch, pauses))
    expect(valuesOf(families, 'spanplan_healthy')).toEqual({ span0: 0 })
    expect(valuesOf(families, 'spanplan_problems')).toEqual({
      'span0 SENSOR_MISSING': 2,
      'span0 CONTESTED': 1,
      'span0 FRAMES_LOST': 1
    })
    expect(valuesOf(families, 'spanplan_waiting')).toEqual({ span0: 2 })
    expect(valuesOf(families, 'spanplan_paused')).toEqual({ span0: 1 })
    expect(valuesOf(families, 'spanplan_degraded')).toMatchObject({ 'span0 failed': 0, 'span0 contested': 1 })
  })

  test('of a span that cannot be planned', () => {
    const diagnostic = { code: 'BRIDGE_IN_USE', message: 'the bridge has an address' } as const
    const degraded = [{ span: 'span9', reason: 'failed', diagnostic, until: '2026-01-01T00:20:00.000Z' }] as const
    const families = makeMetrics('0.1.0', { ...watch, degraded }, measure())
    expect(valuesOf(families, 'spanplan_healthy')).toEqual({ span0: 1, span9: 0 })
    expect(valuesOf(families, 'spanplan_problems')).toEqual({ 'span9 BRIDGE_IN_USE': 1 })
    expect(valuesOf(families, 'spanplan_degraded')).toMatchObject({ 'span9 failed': 1, 'span0 failed': 0 })
  })

  test('of its frame path', () => {
    const families = makeMetrics('0.1.0', watch, measure(see(), { lost: 3, idle: 42 }))
    const values = (name: string) => valuesOf(families, `spanplan_${name}`)
    expect(values('source_carrier')).toEqual({ ens192: 1 })
    expect(values('source_idle_seconds')).toEqual({ 'span0 ens192': 42 })
    expect(values('interface_frames_total')).toEqual({ ens192: 1000 })
    expect(values('mirror_frames_total')).toEqual({ 'span0 ens192 ingress': 1000, 'span0 ens192 egress': 0 })
    expect(values('mirror_bytes_total')).toMatchObject({ 'span0 ens192 ingress': 100_000 })
    expect(values('bridge_frames_total')).toEqual({ span0: 1000 })
    const [suricata, zeek] = ['span0 vethb6fd04f suricata', 'span0 veth83191ae zeek']
    expect(values('port_frames_total')).toEqual({ [suricata]: 1000, [zeek]: 997 })
    expect(values('port_bytes_total')).toEqual({ [suricata]: 100_000, [zeek]: 99_700 })
    expect(values('sensor_sockets')).toEqual({
      'span0 vethb6fd04f suricata': 1,
      'span0 veth83191ae zeek': 1
    })
  })

  test('of a network, one port of which has been silent for long', () => {
    const host = readSnapshot(join(casesFolder, 'network-source'), 'host.json')
    const measured = measure(see(host, 'version: 1\nspans: {span0: {sources: [network: shop], sensors: [suricata]}}'))
    const idle: Readonly<Record<string, number>> = { veth6c22f55: 900, veth74d4e36: 42 }
    const mirrors = measured.sample.mirrors.map((one) => ({ ...one, idle: idle[one.device] ?? 1000 }))
    expect(mirrors.map((one) => one.idle)).toEqual([1000, 900, 42])
    const families = makeMetrics('0.1.0', watch, { ...measured, sample: { ...measured.sample, mirrors } })
    expect(valuesOf(families, 'spanplan_source_idle_seconds')).toEqual({ 'span0 shop': 42 })
  })

  test('of its losses, also where there are none', () => {
    const { 'span0 port veth83191ae unexplained': lost, ...others } = valuesOf(
      makeMetrics('0.1.0', watch, measure(see(), { lost: 3 })),
      'spanplan_lost_frames_total'
    )
    expect(lost).toBe(3)
    expect(new Set(Object.values(others))).toEqual(new Set([0]))
    expect(Object.keys(others)).toEqual(
      expect.arrayContaining([
        'span0 interface ens192 ring_overrun',
        'span0 mirror ens192 ingress target_down',
        'span0 port vethb6fd04f too_large',
        'span0 sensor vethb6fd04f suricata socket_full'
      ])
    )
  })
})

test('an interface that two spans mirror is counted once', () => {
  const text = `${fixture('spans.yaml')}  span1:\n    sources: [{interface: ens192}]\n`
  const { paths, ...others } = measure(see(converged, text))
  expect(paths.map(({ span }) => span)).toEqual(['span0', 'span1'])
  const written = writeExposition(makeMetrics('0.1.0', watch, { paths, ...others }))
  expect(written.match(/^spanplan_interface_frames_total.*$/gm)).toEqual([
    'spanplan_interface_frames_total{interface="ens192"} 1000'
  ])
  expectUnique(written)
})

test('names of anybody’s stay within their quotes', async () => {
  const name = 'a"} 1\nb{c="\\ ü 🦈'
  const { paths, losses, ...others } = measure()
  const renamed: Measurement = {
    ...others,
    paths: paths.map((path) => ({
      ...path,
      ports: path.ports.map((port) => ({ ...port, device: name + port.device }))
    })),
    losses: new Map([...losses].map(([span, totals]) => [`${name}${span}`, totals]))
  }
  const text = writeExposition(makeMetrics(name, watch, renamed))
  await expectMetrics(text)
  expect(text.split('\n').filter((line) => line.includes('🦈'))).toHaveLength(
    text.split('\n').filter((line) => line.includes('a\\"} 1\\nb{c=\\"\\\\ ü 🦈')).length
  )
  expect(text).toContain('spanplan_build_info{version="a\\"} 1\\nb{c=\\"\\\\ ü 🦈"} 1\n')
})

const limited = fixture('spans.yaml').replace('filter: not port 22', 'filter: not port 22\n        limit: 2gbit')

test('what is over a limit counts by itself, and is not lost', () => {
  const families = makeMetrics('0.1.0', watch, measure(see(converged, limited), { frames: 1000, over: 200 }))
  expect(valuesOf(families, 'spanplan_mirror_frames_total')).toEqual({
    'span0 ens192 ingress': 1000,
    'span0 ens192 egress': 0
  })
  expect(valuesOf(families, 'spanplan_mirror_over_limit_frames_total')).toEqual({ 'span0 ens192 ingress': 200 })
  expect(valuesOf(families, 'spanplan_mirror_over_limit_bytes_total')).toEqual({ 'span0 ens192 ingress': 20_000 })
  expect(Object.values(valuesOf(families, 'spanplan_lost_frames_total')).filter((count) => count > 0)).toEqual([])
  const without = makeMetrics('0.1.0', watch, measure(see(), { frames: 1000 }))
  expect(valuesOf(without, 'spanplan_mirror_over_limit_frames_total')).toEqual({})
})

test('each has the labels that the table says, and is in the order of the table', () => {
  const { docker } = converged
  if (docker.state !== 'read') throw new Error('the fixture has changed')
  const stopped = { running: false, finishedAt: '2026-01-01T00:00:00.000Z' }
  const containers = docker.containers.map((one) => (one.name === 'zeek' ? { ...one, ...stopped } : one))
  const output: Link | undefined = converged.links.find(({ name }) => name === 'ens192')
  if (output === undefined) throw new Error('the fixture has changed')
  const port = { isolated: true, learning: false, flooding: true }
  const links = [...converged.links, { ...output, index: 99, name: 'ens224', permanentMac: '', master: 'span0', port }]
  const text = limited
    .replace('zeek]', '{balance: [zeek, {interface: ens224}]}]')
    .replace('[suricata,', '[{container: suricata, stats: {eve: /eve.json}},')
  const view = see({ ...converged, links, docker: { ...docker, containers } }, text)
  const families = makeMetrics('0.1.0', busyWatch, measure(view, { lost: 3 }, busyWatch))
  const labelsOf = (family: Family) =>
    family.type === 'histogram' ? [] : family.points.flatMap(({ labels = {} }) => Object.keys(labels))
  expect(families.map((family) => [family.name, new Set(labelsOf(family))])).toEqual(
    Object.entries(metrics).map(([name, { labels }]) => [name, new Set(labels)])
  )
})

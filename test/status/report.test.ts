import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Diagnostic } from '../../src/errors.ts'
import { viewLive } from '../../src/plan/live-view.ts'
import type { PlanView } from '../../src/plan/plan-view.ts'
import { plain, printableJson } from '../../src/printable.ts'
import { statusDocument } from '../../src/status/output/status-json.ts'
import { renderReport } from '../../src/status/output/status-text.ts'
import { makeReport, type ReportInput } from '../../src/status/report.ts'
import type { SilentWatch } from '../../src/status/watch-state.ts'
import { converged, fixture, samplesOf, see, type Traffic, watch } from '../lab/fixtures/converged.ts'
import { casesFolder, readSnapshot } from '../lab/fixtures/plan-case.ts'

function report(view: PlanView, traffic: Traffic = {}, more: Partial<ReportInput> = {}) {
  return makeReport({ view, pauses: [], watch: null, window: null, ...samplesOf(view, traffic), ...more })
}

/** The codes of all that is wrong. */
function codes(view: PlanView, traffic?: Traffic, more?: Partial<ReportInput>) {
  const { healthy, unhealthy, spans } = report(view, traffic, more)
  const found = [...unhealthy, ...spans.flatMap((span) => span.unhealthy)].map(({ code }) => code)
  expect(healthy).toBe(found.length === 0)
  return found
}

const withMaxIdle = (time: string) =>
  fixture('spans.yaml').replace('filter: not port 22', `filter: not port 22\n        max_idle: ${time}`)

describe('what is healthy', () => {
  test('all as the file says', () => expect(codes(see())).toEqual([]))

  test('also of a span that has another name than its bridge, and lost frames by its name', () => {
    const text = fixture('spans.yaml').replace('  span0:', '  dmz-mirror:\n    bridge: span0')
    expect(codes(see(converged, text))).toEqual([])
    const lossy = report(see(converged, text), { lost: 20 })
    const [first] = report(see(), { lost: 20 }).spans
    expect(lossy.spans.map(({ unhealthy }) => unhealthy)).toEqual([first?.unhealthy])
    const { spans } = statusDocument(lossy, '')
    expect(spans).toMatchObject([{ name: 'dmz-mirror', bridge: 'span0' }])
    expect(spans[0]?.hops.find(({ kind }) => kind === 'bridge')?.device).toBe('span0')
    expect(renderReport(lossy, plain)).toContain('dmz-mirror · Core switch mirror port')
  })

  test('what differs while a change waits for confirmation is no problem', () => {
    const other = fixture('spans.yaml').replace(/\n +filter: not port 22/, '')
    expect(codes(see(converged, other))).toContain('DRIFT')
    const window = { id: '0a1b2c3d', until: '2026-01-01T00:30:00.000Z' }
    expect(codes(see(converged, other), {}, { window })).toEqual([])
    const document = statusDocument(report(see(converged, other), {}, { window }), '')
    expect(document).toMatchObject({ healthy: true, window, spans: [{ drift: true }] })
  })

  test('nor is a sensor that the change disconnects', () => {
    const { docker } = converged
    if (docker.state !== 'read') throw new Error('Docker is not read')
    const containers = docker.containers.map((one) => (one.name === 'zeek' ? { ...one, endpoints: [] } : one))
    const host = { ...converged, docker: { ...docker, containers } }
    expect(codes(see(host))).toContain('SENSOR_DISCONNECTED')
    const window = { id: '0a1b2c3d', until: '2026-01-01T00:30:00.000Z' }
    expect(codes(see(host), {}, { window })).toEqual([])
  })

  test('a pause is healthy', () => {
    const pauses = [{ span: null, until: '2026-01-01T00:30:00.000Z' }]
    const { healthy, spans } = report(see(), {}, { pauses })
    expect([healthy, spans[0]?.pausedUntil]).toEqual([true, '2026-01-01T00:30:00.000Z'])
  })

  test("a bridge of somebody's own with a copy of a span's mark is no span, and costs nothing", () => {
    const view = see(readSnapshot(join(casesFolder, 'bridge-mark-copied'), 'host.json'))
    expect(codes(view)).toEqual([])
    expect(view.plan.warnings.map(({ code }) => code)).toEqual(['MARK_COPIED'])
    expect(viewLive(view.host).desired.spans.map(({ name }) => name)).toEqual(['span0'])
  })

  test('a container as a source whose interfaces only root may see: not to know is not unhealthy', () => {
    const path = join(casesFolder, 'container-source-unseen')
    const view = see(readSnapshot(path, 'host.json'), readFileSync(join(path, 'spans.yaml'), 'utf8'))
    expect(codes(view, {}, { isRoot: true })).toEqual(['SOURCE_UNSEEN', 'SOURCE_UNSEEN'])
    expect(codes(view, {}, { isRoot: false })).toEqual([])
    expect(report(view, {}, { isRoot: false }).unread.map(({ message }) => message)).toEqual(
      ['web', 'front'].map(
        (name) =>
          `whether ${name} is mirrored is not known: the plan waits for the right to see which interfaces belong to the container ${name}`
      )
    )
  })

  test('drift', () => {
    const links = converged.links.map((link) => (link.name === 'span0' ? { ...link, up: false } : link))
    expect(codes(see({ ...converged, links }))).toEqual(['DRIFT'])
  })

  test('a filter of others that copies into the span', () => {
    const copy = { target: 'span0', control: 'pipe', cookie: null }
    const [mirror] = converged.filters
    if (mirror === undefined) throw new Error('the fixture has changed')
    const foreign = { ...mirror, device: 'ens224', pref: 1, handle: 1, copies: [copy], mirror: copy }
    expect(codes(see({ ...converged, filters: [...converged.filters, foreign] }))).toEqual(['COPIES_FOREIGN'])
  })

  test('a live span that is not in the file', () => {
    const view = see(converged, 'version: 1\nspans: {}\n')
    expect(codes(view)).toEqual(['DRIFT'])
    expect(report(view).changes.length).toBeGreaterThan(3)
  })

  test('an interface that is missing, and a sensor', () => {
    expect(codes(see({ ...converged, links: converged.links.filter(({ name }) => name !== 'ens192') }))).toContain(
      'INTERFACE_MISSING'
    )
    expect(codes(see(converged, fixture('spans.yaml').replace('zeek', 'zeek, snort')))).toEqual(['SENSOR_MISSING'])
    const misspelt = report(see(converged, fixture('spans.yaml').replace('zeek', 'zek')))
    const problems = misspelt.spans.flatMap((span) => span.unhealthy)
    expect(problems.map(({ message }) => message).join()).toContain('(did you mean "zeek"?)')
  })

  test('Docker that does not answer, but not one that this user may not use', () => {
    const withoutDocker = (code: Diagnostic['code']) => {
      const docker = { state: 'unreachable', reason: { code, message: 'Docker does not answer' } } as const
      return see({ ...converged, docker })
    }
    expect(codes(withoutDocker('DOCKER_UNREACHABLE'))).toEqual(['DOCKER_UNREACHABLE'])
    expect(codes(withoutDocker('DOCKER_FORBIDDEN'))).toEqual([])
    expect(report(withoutDocker('DOCKER_FORBIDDEN')).unread).toMatchObject([{ code: 'DOCKER_FORBIDDEN' }])
  })

  test('a watch that hangs or was killed, but not one that only root may ask', () => {
    const codesOf = (silentWatch: SilentWatch) => codes(see(), {}, { silentWatch })
    expect(codesOf({ is: 'hanging', pid: 7 })).toEqual(['WATCH_SILENT'])
    expect(codesOf({ is: 'killed' })).toEqual(['WATCH_KILLED'])
    expect(codesOf({ is: 'hidden' })).toEqual([])
    const text = renderReport(report(see(), {}, { silentWatch: { is: 'hanging', pid: 7 } }), plain)
    expect(text).toMatch(
      /^host: NOT HEALTHY, the watch of default \(pid 7\) does not answer\.\n {4}Restart it: systemctl restart spanplan\.service; without a unit: kill -KILL 7\n/
    )
  })

  test('a sensor that does not run', () => {
    const { docker } = converged
    if (docker.state !== 'read') throw new Error('the fixture has changed')
    const containers = docker.containers.map((one) => (one.name === 'zeek' ? { ...one, running: false } : one))
    expect(codes(see({ ...converged, docker: { ...docker, containers } }))).toContain('SENSOR_STOPPED')
  })

  test('a sensor that Docker fails to describe: that is the reason why nothing more is known of it', () => {
    const { docker } = converged
    if (docker.state !== 'read') throw new Error('the fixture has changed')
    const reason: Diagnostic = { code: 'DOCKER_FAILED', message: 'network inspection mismatch' }
    const containers = docker.containers.filter(({ name }) => name !== 'zeek')
    const view = see({ ...converged, docker: { ...docker, containers, unread: [{ name: 'zeek', reason }] } })
    expect(report(view).unread).toMatchObject([
      {
        code: 'CONTAINER_UNREAD',
        message: expect.stringContaining(reason.message),
        hint: 'see why: docker inspect zeek'
      }
    ])
  })

  test('a sensor that has made itself a second port: no right is missing to see which is its own', () => {
    const { docker } = converged
    if (docker.state !== 'read') throw new Error('the fixture has changed')
    const double = { inside: 90, host: 91 }
    const containers = docker.containers.map((one) => {
      if (one.name !== 'zeek') return one
      const own = one.endpoints.flatMap(({ port }) => (typeof port === 'string' ? [] : [port]))
      return {
        ...one,
        veths: [...own, double],
        endpoints: one.endpoints.map((place) => ({ ...place, port: 'unknown' as const }))
      }
    })
    const view = see({ ...converged, docker: { ...docker, containers } })
    expect(report(view).unread).toMatchObject([
      { code: 'STACK_UNREAD', message: expect.stringContaining('more than one on the bridge') }
    ])
  })

  test('a source that has been idle for as long as its max_idle, or longer', () => {
    expect(codes(see(converged, withMaxIdle('5m')), { idle: 299 })).toEqual([])
    expect(codes(see(converged, withMaxIdle('5m')), { idle: 300 })).toEqual(['SOURCE_IDLE'])
    expect(codes(see(), { idle: 90_000 })).toEqual([])
  })

  test('several containers that are one source: what differs on any of them comes before its idleness', () => {
    const host = readSnapshot(join(casesFolder, 'container-source-converged'), 'host.json')
    if (host.docker.state !== 'read') throw new Error('the fixture has changed')
    const containers = host.docker.containers.map((one) =>
      one.name === 'web' ? { ...one, labels: { tier: 'frontend' } } : one
    )
    // Those of web are as the file says; those of front are not.
    const source = '{label: tier=frontend, filter: not port 22, max_idle: 5m}'
    const text = `version: 1\nspans: {span0: {sources: [${source}], sensors: [suricata]}}`
    const view = see({ ...host, docker: { ...host.docker, containers } }, text)
    expect(report(view, { idle: 300, frames: 0 }).spans.flatMap(({ unhealthy }) => unhealthy)).toMatchObject([
      { code: 'DRIFT' },
      { code: 'SOURCE_IDLE', message: 'no frame has come from front or 1 other interface for 5m (max_idle: 5m)' }
    ])
  })

  test('of a source that has no carrier, and so is idle, the carrier comes first', () => {
    expect(codes(see(converged, withMaxIdle('5m')), { idle: 300, carrier: false })).toEqual([
      'CARRIER_LOST',
      'SOURCE_IDLE'
    ])
  })

  test('of a tunnel, the interface that its packets come on has the carrier, and senders are asked about', () => {
    const folder = join(casesFolder, 'vxlan-source-in-sync')
    const text = readFileSync(join(folder, 'spans.yaml'), 'utf8').replace('filter: not port 22', 'max_idle: 5m')
    const view = see(readSnapshot(folder, 'host.json'), text)
    const [span] = report(view, { carrier: false }).spans
    expect(span?.unhealthy.map(({ code, message }) => `${code} ${message}`)).toContain(
      'CARRIER_LOST vxlan 42 gets nothing: the interface below it is down, or has no carrier (ens192)'
    )
    const all = report(view, { idle: 300, frames: 0 }).spans.flatMap(({ unhealthy }) => unhealthy)
    expect(all.find(({ code }) => code === 'SOURCE_IDLE')).toMatchObject({
      hint: expect.stringMatching(/firewall.*"from".*spanplan doctor/)
    })
  })

  test('frames that are lost', () => expect(codes(see(), { lost: 1 })).toEqual(['FRAMES_LOST']))

  test('a span that the watch cannot keep in sync', () => {
    const diagnostic = { code: 'NOT_CONVERGED', message: 'something else changes it' } as const
    const degraded = [{ span: 'span0', reason: 'contested', diagnostic, until: '2026-01-01T00:00:02.000Z' }] as const
    expect(codes(see(), {}, { watch: { ...watch, degraded } })).toEqual(['NOT_CONVERGED'])
  })
})

test('numbers stand in columns beside titles of any width, and a row of a difference says nothing of what a plan asks for', () => {
  const tunnel = '- {gretap: {local: 10.0.3.7, remote: 198.51.100.129, key: 4294967295}}'
  const address = { family: 'inet', address: '10.0.3.7', prefix: 24, automatic: false } as const
  const links = converged.links.map((link) => (link.name === 'ens192' ? { ...link, addresses: [address] } : link))
  const host = { ...converged, links }
  const text = renderReport(
    report(see(host, fixture('spans.yaml').replace('sources:\n', `sources:\n      ${tunnel}\n`)), {}),
    plain
  )
  const rows = text.split('\n').filter((line) => / {2}\d[\d,]*$|frames in 1s/.test(line))
  expect(rows.length).toBeGreaterThan(9)
  expect([...new Set(rows.map((line) => line.length))]).toEqual([79])
  // A title that leaves no room has a line of its own.
  expect(text).toMatch(
    /\n {2}mirror {4}gretap 10\.0\.3\.7 key 4294967295 remote 198\.51\.100\.129 ingress\n {40,}1,000 .*\n/
  )
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
  expect(text).toMatch(/\+ tunnel gretap-\w+ \(gretap, local/)
  expect(text).not.toContain('firewall')
})

test('as a person reads it', () => {
  const links = converged.links.map((link) => (link.name === 'span0' ? { ...link, up: false } : link))
  const view = see({ ...converged, links }, withMaxIdle('5m').replace('zeek', 'zeek, snort'))
  const text = renderReport(report(view, { idle: 301, lost: 3 }), plain)
  expect(text).toBe(`span0: NOT HEALTHY, snort → span waits for the container snort, 3 more
    problems.
    Start it: a watch connects it then, as does the next apply

span0 · Core switch mirror port
                                    frames in 1s  frames/s  bytes/s  lost in 1s
  interface ens192                         1,000     1,000   100 kB           0
  mirror    ens192 ingress                 1,000     1,000   100 kB           0
            not port 22
            1,000 frames, 100 kB in 25h1m2s; last 5m1s ago
  mirror    ens192 egress                      0         0      0 B           0
            not port 22
            no frame in 25h1m2s
  bridge    span0                          1,000     1,000   100 kB           0
  port      suricata (vethb6fd04f)         1,000     1,000   100 kB           0
  sensor    suricata                       1,000     1,000                    0
            listens on a ring: only the sensor knows what it loses there
  port      zeek (veth83191ae)               997       997  99.7 kB           3
            3 lost: unexplained; a plan warns of filters and programs that may
            drop them; frames larger than the span's "mtu" are dropped, too
  sensor    zeek                             997       997                    0
            listens on a ring: only the sensor knows what it loses there
  ~ bridge span0 (state: down → up)
  ... sensor snort → span waits for the container snort
  ! no frame has come from ens192 for 5m1s (max_idle: 5m)
    is the switch's mirror session still there?

No watch runs.
`)
})

test('as a program reads it', () => {
  const view = see()
  const document = statusDocument(report(view, { lost: 3 }, { watch }), 'now')
  // JSON leaves out what is undefined, and a program would miss it.
  expect(JSON.parse(printableJson(document))).toEqual(document)
  expect(document).toMatchObject({
    format_version: '1.0',
    healthy: false,
    watch: { name: 'default', dry_run: false, last_success: null },
    spans: [{ name: 'span0', healthy: false, drift: false, unhealthy: [{ code: 'FRAMES_LOST' }] }]
  })
  const [span] = document.spans
  expect(span?.hops.map(({ kind, device }) => `${kind} ${device}`)).toEqual([
    ...['interface ens192', 'mirror ens192', 'mirror ens192', 'bridge span0'],
    ...['port vethb6fd04f', 'sensor vethb6fd04f', 'port veth83191ae', 'sensor veth83191ae']
  ])
  expect(span?.hops.at(-2)).toEqual({
    kind: 'port',
    filter: null,
    share: null,
    device: 'veth83191ae',
    frames: 997,
    bytes: 99_700,
    frames_per_second: 997,
    bytes_per_second: 99_700,
    reset: false,
    losses: [{ cause: 'unexplained', frames: 3, counted_by: 'difference', message: 'unexplained' }]
  })
})

test('a command that finds no room in the line is in the next one, in one piece', () => {
  const links = converged.links.map((link) => (link.name === 'span0' ? { ...link, up: false } : link))
  const apply = 'spanplan apply -f /srv/sensors/spans.yaml -f /srv/sensors/more.yaml --span span0'
  const advise = () => ({ command: apply })
  const text = renderReport(report(see({ ...converged, links }), {}, { advise }), plain)
  expect(text).toMatch(new RegExp(`^span0: NOT HEALTHY, 1 difference from the file\\.\n    Run: ${apply}\n\nspan0 `))
})

test('what is over a limit is told, and is nothing wrong', () => {
  const text = fixture('spans.yaml').replace('filter: not port 22', 'filter: not port 22\n        limit: 2gbit')
  const view = see(readSnapshot(join(casesFolder, 'limit-converged'), 'host.json'), text)
  expect(codes(view, { over: 200 })).toEqual([])
  const found = report(view, { over: 200 })
  expect(
    renderReport(found, plain)
  ).toContain(`  mirror    ens192 ingress                 1,000     1,000   100 kB           0
            not port 22
            limit 2gbit: 200 over it, not copied
            1,000 frames, 100 kB in 25h1m2s; last just now
  mirror    ens192 egress                      0         0      0 B           0
            not port 22
            limit 2gbit
`)
  const over = { over_limit_frames: 200, over_limit_bytes: 20_000 }
  expect(statusDocument(found, 'now').spans[0]?.hops[1]).toMatchObject({
    ...{ limit: 2_000_000_000, ...over, frames: 1000, total_frames: 1000, losses: [] },
    ...{ total_over_limit_frames: 200, total_over_limit_bytes: 20_000 }
  })
})

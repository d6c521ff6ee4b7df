/** How a sensor is: each way not to hear a span, what is not known, and what is too early to tell. */
import { describe, expect, test } from 'vitest'
import type { PacketSocket } from '../../src/host/parsers/counters.ts'
import type { Listener } from '../../src/host/read-counters.ts'
import type { Container } from '../../src/host/snapshot.ts'
import { plain } from '../../src/printable.ts'
import { makeMetrics } from '../../src/status/output/metrics.ts'
import { renderReport } from '../../src/status/output/status-text.ts'
import { makeReport, type ReportInput } from '../../src/status/report.ts'
import { converged, fixture, samplesOf, see, watch } from '../lab/fixtures/converged.ts'
import type { CapturedHost } from '../lab/fixtures/host-file.ts'
import { measure } from '../lab/metrics/measures.ts'

const now = Date.parse('2026-01-01T00:00:00.000Z')
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString()

/** The fixture's host, where zeek is as said. */
function withZeek(change: (zeek: Container) => Partial<Container>): CapturedHost {
  const { docker } = converged
  if (docker.state !== 'read') throw new Error('the fixture has changed')
  const containers = docker.containers.map((one) => (one.name === 'zeek' ? { ...one, ...change(one) } : one))
  return { ...converged, docker: { ...docker, containers } }
}

/** How zeek is, and what a report says of that. */
function look(
  host: CapturedHost,
  sockets: readonly PacketSocket[] | null | 'as they are' = 'as they are',
  more: Partial<ReportInput> = {},
  partly: Partial<Listener> = {}
) {
  const view = see(host)
  const samples = samplesOf(view)
  const inside = view.host.containers.find(({ name }) => name === 'zeek')?.sandbox
  const listeners = samples.later.listeners.map((one) =>
    one.inside.sandbox === inside && sockets !== 'as they are' ? { ...one, sockets, ...partly } : one
  )
  const report = makeReport({
    view,
    pauses: [],
    watch: null,
    window: null,
    ...samples,
    later: { ...samples.later, listeners },
    ...more
  })
  const [span] = report.spans
  const zeek = span?.sensors.find(({ sensor }) => sensor === 'zeek')
  return { report, zeek, codes: span?.unhealthy.map(({ code }) => code), hint: zeek?.diagnostic?.hint }
}

const port = (change: (link: CapturedHost['links'][number]) => object): CapturedHost => ({
  ...converged,
  links: converged.links.map((link) => (link.name === 'veth83191ae' ? { ...link, ...change(link) } : link))
})

const withEndpoints = (value: 'absent' | 'unknown') =>
  withZeek(({ endpoints }) => ({ endpoints: endpoints.map((one) => ({ ...one, port: value })) }))

/** Zeek's port is one of several on bridges of others. */
function inOneOf(first: string, second: string): CapturedHost {
  const own = port(() => ({ master: first }))
  const other = own.links.flatMap((link) =>
    link.name === 'veth83191ae' ? [{ ...link, index: 90, name: 'veth2', master: second }] : []
  )
  const veths = [8, 90].map((host) => ({ host, inside: host - 1 }))
  const docker = withZeek(({ endpoints }) => ({
    veths,
    endpoints: endpoints.map((one) => ({ ...one, port: 'unknown' }))
  })).docker
  return { ...own, docker, links: [...own.links, ...other] }
}

const socket = (hears: PacketSocket['hears']): PacketSocket => ({ cookie: '1', device: 'eth0', hears, drops: 0 })

describe('a sensor that hears nothing is not healthy', () => {
  test.each([
    [
      'stopped',
      withZeek(() => ({ running: false, sandbox: null, finishedAt: ago(60), exitStatus: 137 })),
      'start it: docker start zeek'
    ],
    ['paused', withZeek(() => ({ paused: true })), 'let it go on: docker unpause zeek'],
    ['restarting', withZeek(() => ({ restarting: true, restarts: 7 })), 'see why: docker logs --tail 20 zeek'],
    ['disconnected', withZeek(() => ({ endpoints: [] })), undefined],
    ['interface_gone', withEndpoints('absent'), undefined],
    ['port_down', port(() => ({ up: false })), undefined],
    ['port_elsewhere', port(() => ({ master: 'br0' })), 'restart it: docker restart zeek'],
    ['port_elsewhere', inOneOf('br0', 'br1'), 'restart it: docker restart zeek']
  ] as const)('%s', (cause, host, hint) => {
    const { report, zeek } = look(host)
    expect(report.healthy).toBe(false)
    expect(zeek).toMatchObject({ listed: true, state: 'unhealthy', cause })
    expect(zeek?.diagnostic?.hint).toBe(hint)
  })

  test('since when, from Docker', () => {
    const stopped = withZeek(() => ({ running: false, sandbox: null, finishedAt: ago(60), exitStatus: 137 }))
    const { zeek, codes } = look(stopped)
    expect(zeek?.since).toBe(ago(60))
    expect(zeek?.diagnostic?.message).toMatch(/^the sensor zeek is not running: it ended with exit status 137, since /)
    expect(codes).toContain('SENSOR_STOPPED')
  })

  test('its interface is down: the port has no carrier', () => {
    const view = see()
    const samples = samplesOf(view)
    const links = samples.later.links.map((link) => (link.index === 8 ? { ...link, running: false } : link))
    const { zeek } = look(converged, 'as they are', { later: { ...samples.later, links } })
    expect(zeek).toMatchObject({ cause: 'interface_down' })
  })

  test.each([
    ['there is no socket', []],
    ['its socket only sends', [socket('none')]],
    ['its socket is for one protocol: a sealed sensor gets no frame there', [socket('one')]]
  ])('no process listens: %s', (_, sockets) => {
    const { report, codes, zeek, hint } = look(converged, sockets)
    expect(codes).toEqual(['SENSOR_DEAF'])
    expect(zeek).toMatchObject({ state: 'unhealthy', cause: 'no_listener', since: null })
    expect(hint).toBe('restart it: docker restart zeek')
    const text = renderReport(report, plain)
    expect(text).toMatch(
      /^span0: NOT HEALTHY, the sensor zeek hears nothing: no process in it listens\n {4}on its interface\.\n {4}Restart it: docker restart zeek\n/
    )
  })

  test('since when, from the watch, where Docker does not say', () => {
    const remembered = {
      ...({ span: 'span0', sensor: 'zeek', listed: true, state: 'unhealthy', diagnostic: null } as const)
    } as const
    const sensors = [{ ...remembered, cause: 'no_listener', since: ago(90) }] as const
    expect(look(converged, [], { watch: { ...watch, sensors } }).zeek?.since).toBe(ago(90))
    const others = [{ ...remembered, cause: 'paused', since: ago(90) }] as const
    expect(look(converged, [], { watch: { ...watch, sensors: others } }).zeek?.since).toBe(null)
  })
})

describe('on a terminal', () => {
  /** The lines about zeek, with their tones. */
  const linesOf = (report: ReturnType<typeof look>['report']) =>
    renderReport(report, (tone, text) => text.replace(/^/gm, `<${tone}>`))
      .split('\n')
      .filter((line) => /^(<\w+>)? +(sensor|\.\.\.|!|no process|listens) /.test(line) && !line.includes('suricata'))

  test('the row of a sensor that is deaf is red, with why; that of one that hears is not', () => {
    expect(linesOf(look(converged).report)).toEqual([
      expect.stringMatching(/^<wait> +listens on a ring/),
      expect.stringMatching(/^ {2}sensor {4}zeek /),
      expect.stringMatching(/^<wait> +listens on a ring/)
    ])
    expect(linesOf(look(converged, []).report)).toEqual([
      expect.stringMatching(/^<wait> +listens on a ring/),
      expect.stringMatching(/^<remove> {2}sensor {4}zeek /),
      expect.stringMatching(/^<remove> +no process in it listens$/),
      '<remove>  ! the sensor zeek hears nothing: no process in it listens on its interface'
    ])
  })

  test('that of one that is paused too, and that of one that waits to be started', () => {
    const paused = look(withZeek(() => ({ paused: true }))).report
    expect(linesOf(paused)).toContainEqual(expect.stringMatching(/^<remove> {2}sensor {4}zeek /))
    const view = see(converged, fixture('spans.yaml').replace('zeek', 'zeek, snort'))
    const report = makeReport({ view, pauses: [], watch: null, window: null, ...samplesOf(view) })
    expect(linesOf(report)).toContain('<remove>  ... sensor snort → span waits for the container snort')
  })

  test('each column that counts says for how long, and a port whose it is', () => {
    const { report } = look(converged)
    const headings = (lostIn?: number) =>
      renderReport(report, plain, lostIn)
        .match(/frames in .*/)?.[0]
        .split(/ {2,}/)
    expect(headings()).toEqual(['frames in 1s', 'frames/s', 'bytes/s', 'lost in 1s'])
    expect(headings(90.4)).toEqual(['frames in 1s', 'frames/s', 'bytes/s', 'lost in 1m30s'])
    expect(headings(7290)?.at(-1)).toBe('lost in 2h2m')
    expect(renderReport(report, plain)).toMatch(/\n {2}port {6}zeek \(veth83191ae\) /)
  })
})

test('one whose health check is starting may still get ready, however long that takes', () => {
  const { report, zeek } = look(
    withZeek(() => ({ startedAt: ago(90), health: 'starting' })),
    []
  )
  expect(report.healthy).toBe(true)
  expect(zeek).toMatchObject({ state: 'starting', cause: null })
  for (const health of ['healthy', 'unhealthy'] as const) {
    const late = withZeek(() => ({ startedAt: ago(90), health }))
    expect(look(late, []).zeek).toMatchObject({ state: 'unhealthy', cause: 'no_listener' })
  }
})

test('one that has just started may still get ready, and no longer after the grace', () => {
  const { report, zeek } = look(
    withZeek(() => ({ startedAt: ago(29) })),
    []
  )
  expect(report.healthy).toBe(true)
  expect(zeek).toMatchObject({ state: 'starting', cause: null })
  expect(renderReport(report, plain)).toMatch(/^span0: starting: zeek, /)
  expect(
    look(
      withZeek(() => ({ startedAt: ago(30) })),
      []
    ).zeek
  ).toMatchObject({ state: 'unhealthy' })
})

describe('what cannot be known is neither', () => {
  test('no right to enter its namespace', () => {
    const { report, zeek } = look(converged, null)
    expect(zeek).toMatchObject({ state: 'unknown', cause: null })
    expect(report.healthy).toBe(true)
    expect(report.unread).toMatchObject([{ code: 'RIGHT_MISSING', message: expect.stringContaining('zeek') }])
    expect(renderReport(report, plain)).toMatch(/^span0: healthy as far as could be checked/)
    expect(renderReport(report, plain)).toContain('\n  ... whether sensor zeek listens is not known\n')
  })

  const unread = {
    code: 'OUTPUT_TOO_LONG',
    message: 'it has more packet sockets than the 2 that spanplan reads'
  } as const
  test.each([
    ['one that listens', 'every', 'healthy'],
    ['none that listens', 'none', 'unknown']
  ] as const)('it has more sockets than are read, among these %s', (_, hears, state) => {
    const some = [socket('none'), socket(hears)]
    const { report, zeek } = look(converged, null, {}, { some, unread })
    expect([report.healthy, zeek?.state]).toEqual([true, state])
    expect(report.unread.map(({ message }) => message)).toEqual(
      state === 'healthy' ? [] : [`whether a process listens in zeek is not known: ${unread.message}`]
    )
    const text = renderReport(report, plain)
    expect(text).toContain('has more sockets than spanplan reads: what they lose is not known')
    expect(text).toMatch(state === 'healthy' ? /^span0: healthy, / : /^span0: healthy as far as could be checked, /)
  })

  test('the kernel does not tell its port', () =>
    expect(look(withEndpoints('unknown')).zeek).toMatchObject({ state: 'unknown' }))

  test('Docker was not read', () => {
    const reason = { code: 'DOCKER_UNREACHABLE', message: 'Docker does not answer' } as const
    const { report } = look({ ...converged, docker: { state: 'unreachable', reason } })
    expect(report.spans[0]?.sensors).toMatchObject([{ state: 'unknown' }, { state: 'unknown' }])
    expect(renderReport(report, plain)).toMatch(/\nspan0: healthy as far as could be checked without Docker, /)
  })
})

test('one that keeps restarting is neither drift nor a missing right', () => {
  const between = withZeek(({ endpoints }) => ({
    restarting: true,
    restarts: 3,
    sandbox: null,
    endpoints: endpoints.map((one) => ({ ...one, port: 'unknown' as const }))
  }))
  const unsealed = { ...between, filters: between.filters.filter(({ device }) => device !== 'veth83191ae') }
  const running = withZeek(({ endpoints }) => ({
    restarting: true,
    restarts: 3,
    endpoints: endpoints.map((one) => ({ ...one, port: 'absent' as const }))
  }))
  for (const host of [between, unsealed, running]) {
    const { report, codes } = look(host)
    expect(codes).toEqual(['SENSOR_RESTARTING'])
    expect(report.unread).toEqual([])
    expect(report.spans[0]?.changes).toEqual([])
  }
})

test('one that others have connected is told, and makes nothing unhealthy', () => {
  const text =
    'version: 1\nspans:\n  span0:\n    sources: [{interface: ens192, filter: not port 22}]\n    sensors: [suricata]\n    network: {name: span, subnet: 172.31.0.0/24}\n'
  const view = see(converged, text)
  const samples = samplesOf(view)
  const listeners = samples.later.listeners.map((one) => ({ ...one, sockets: [] }))
  const report = makeReport({
    view,
    pauses: [],
    watch: null,
    window: null,
    ...samples,
    later: { ...samples.later, listeners }
  })
  const sensors = report.spans[0]?.sensors.map(({ sensor, listed, state }) => ({ sensor, listed, state }))
  expect(sensors).toEqual([
    { sensor: 'suricata', listed: true, state: 'unhealthy' },
    { sensor: 'zeek', listed: false, state: 'unhealthy' }
  ])
  expect(report.spans[0]?.unhealthy.filter(({ message }) => message.includes('zeek'))).toEqual([])
})

test('a metric for each sensor, with the reason', () => {
  const paused = see(withZeek(() => ({ paused: true })))
  const families = makeMetrics('0.1.0', watch, measure(paused))
  const family = families.find(({ name }) => name === 'spanplan_sensor_unhealthy')
  expect(family).toMatchObject({
    points: [
      { labels: { span: 'span0', sensor: 'suricata', reason: 'none' }, value: 0 },
      { labels: { span: 'span0', sensor: 'zeek', reason: 'paused' }, value: 1 }
    ]
  })
})

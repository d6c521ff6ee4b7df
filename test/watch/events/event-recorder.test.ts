import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Diagnostic } from '../../../src/errors.ts'
import { connectDocker } from '../../../src/host/docker/docker-client.ts'
import type { PlanView } from '../../../src/plan/plan-view.ts'
import { writeAddress } from '../../../src/resources/kind.ts'
import type { WatchEvent } from '../../../src/watch/events/event.ts'
import { openEventRecorder } from '../../../src/watch/events/event-recorder.ts'
import { groupEvents } from '../../../src/watch/events/group-events.ts'
import { isRepaired } from '../../../src/watch/events/sensor-tracker.ts'
import { converged, fixture, see } from '../../lab/fixtures/converged.ts'
import { casesFolder, readSnapshot } from '../../lab/fixtures/plan-case.ts'

/** The fixture's file, with a source more. */
const withSource = (source: string) => fixture('spans.yaml').replace('sources:\n', `sources:\n      - ${source}\n`)
const reason = { code: 'DOCKER_UNREACHABLE', message: 'Docker does not answer' } as const
const withoutDocker = { ...converged, docker: { state: 'unreachable', reason } } as const

const run = { trigger: 'docker', milliseconds: 1, spans: ['span0'], isNewFile: false, dryRun: false, now: 0 } as const

/** What is said of waits in one run after the other, each as its type and the code of its reason. */
function recordWaits(...views: readonly PlanView[]): string[][] {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  return views.map((view) => {
    const outcome = { view, needed: [], done: [], leftOut: [], restarts: [], failures: [] }
    recorder.run({ ...run, outcome, degraded: [] })
    return events
      .splice(0)
      .flatMap((event) => ('wait' in event ? [`${event.type} ${event.wait.kind} ${event.wait.diagnostic.code}`] : []))
  })
}

test.each([
  ['source', withSource('container: web'), ['wait mirror SOURCE_MISSING', 'wait mirror SOURCE_MISSING']],
  ['sensor', fixture('spans.yaml').replace('zeek', 'zeek, snort'), ['wait sensor SENSOR_MISSING']]
])('a %s that is waited for is waited for while Docker is away, and after that', (_, text, waits) => {
  const [missing, away] = [see(converged, text), see(withoutDocker, text)]
  expect(recordWaits(missing, away, missing)).toEqual([waits, [], []])
})

test('what is said of Docker that is away names no option that a watch does not have', async () => {
  const events: WatchEvent[] = []
  vi.stubEnv('DOCKER_HOST', 'unix:///nowhere/docker.sock')
  onTestFinished(() => void vi.unstubAllEnvs())
  const connection = await connectDocker()
  if (!('reason' in connection)) throw new Error('there is a Docker')
  const docker = { state: 'unreachable', reason: connection.reason } as const
  const outcome = { view: see({ ...converged, docker }), needed: [], done: [], leftOut: [], restarts: [], failures: [] }
  openEventRecorder((...some) => events.push(...some)).run({ ...run, outcome, degraded: [] })
  expect(events.flatMap((event) => (event.type === 'docker_away' ? [event.diagnostic.hint] : []))).toEqual([
    'start it: systemctl start docker'
  ])
})

test('an interface that comes while Docker is away is not waited for any more', () => {
  const text = withSource('{interface: eth7, direction: ingress}')
  const links = converged.links.flatMap((link) =>
    link.name === 'ens192' ? [link, { ...link, name: 'eth7', index: 99 }] : [link]
  )
  expect(recordWaits(see(converged, text), see({ ...withoutDocker, links }, text))).toEqual([
    ['wait mirror INTERFACE_MISSING'],
    ['wait_over mirror INTERFACE_MISSING']
  ])
})

test('what is waited for with another reason is waited for all the same', () => {
  const text = withSource('container: web')
  const { docker } = converged
  if (docker.state !== 'read') throw new Error('the fixture has no Docker')
  const unread = see({ ...converged, docker: { ...docker, unread: [{ name: 'web', reason }] } }, text)
  expect(recordWaits(see(converged, text), unread, see(converged, fixture('spans.yaml')))).toEqual([
    ['wait mirror SOURCE_MISSING', 'wait mirror SOURCE_MISSING'],
    ['wait mirror SOURCE_UNREAD', 'wait mirror SOURCE_UNREAD'],
    ['wait_over mirror SOURCE_UNREAD', 'wait_over mirror SOURCE_UNREAD']
  ])
})

test('what has not failed yet in a run is not in sync again before the run has ended', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const degraded = ['span0', 'span1'].map((span) => ({
    ...({
      span,
      reason: 'failed',
      until: '2026-01-01T00:20:00.000Z',
      rest: 2000,
      container: null,
      thing: null
    } as const),
    diagnostic: { code: 'STEP_FAILED', message: 'it failed' } as const
  }))
  const outcome = { view: see(), needed: [], done: [], leftOut: [], restarts: [], failures: [] }
  const eventsOf = (act: () => unknown) => {
    act()
    return events.splice(0).map((event) => `${event.type} ${'degraded' in event ? event.degraded.span : ''}`)
  }
  const end = (degradedThen: typeof degraded) => () => recorder.run({ ...run, outcome, degraded: degradedThen })
  expect(eventsOf(end(degraded))).toEqual(['degraded span0', 'degraded span1'])
  // As after SIGHUP, which forgets all failures.
  expect(eventsOf(() => recorder.degraded('hangup', degraded.slice(0, 1)))).toEqual([])
  expect(eventsOf(end(degraded))).toEqual([])
  expect(eventsOf(end(degraded.slice(0, 1)))).toEqual(['recovered span1'])
})

const aboutMirror = { span: 'span0', kind: 'mirror', id: ['ens192', 'ingress'] }

test('a long rest is told when it begins, and each time that it has become longer', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const told = [2000, 6000, 18_000, 18_000, 54_000].map((rest) => {
    const diagnostic = { code: 'CONTESTED', message: 'it is undone', subject: aboutMirror } as const
    const until = '2026-01-01T00:20:00.000Z'
    const degraded = [
      { span: 'span0', reason: 'contested', diagnostic, until, rest, container: null, thing: null } as const
    ]
    recorder.run({
      ...run,
      outcome: { view: see(), needed: [], done: [], leftOut: [], restarts: [], failures: [] },
      degraded
    })
    return events.splice(0).length
  })
  expect(told).toEqual([1, 0, 1, 0, 1])
})

test('a thing that is contested still is so where another item of the file asks for it now', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const told = ['source name ens192 received sent', 'source name ens192 received', undefined].map((item) => {
    const diagnostic = { code: 'CONTESTED', message: 'it is undone', subject: { ...aboutMirror, item } } as const
    const until = '2026-01-01T00:20:00.000Z'
    const degraded = [
      { span: 'span0', reason: 'contested', diagnostic, until, rest: 2000, container: null, thing: null } as const
    ]
    recorder.run({
      ...run,
      outcome: { view: see(), needed: [], done: [], leftOut: [], restarts: [], failures: [] },
      degraded
    })
    return events.splice(0).map(({ type }) => type)
  })
  expect(told).toEqual([['degraded'], [], []])
})

test('a container whose stack was degraded, and that is degraded itself now, is not in sync again', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const told = ['span0/stack/span/evil', 'span0/sensor/span/evil', null].map((address) => {
    const [span = '', kind = '', ...id] = address?.split('/') ?? []
    const diagnostic = { code: 'SENSOR_FAILED', message: 'it failed', subject: { span, kind, id } } as const
    const until = '2026-01-01T00:20:00.000Z'
    const degraded = {
      span: 'span0',
      reason: 'contested',
      diagnostic,
      until,
      rest: 2000,
      container: 'evil',
      thing: null
    } as const
    const outcome = { view: see(), needed: [], done: [], leftOut: [], restarts: [], failures: [] }
    recorder.run({ ...run, outcome, degraded: address === null ? [] : [degraded] })
    return events.splice(0).map((event) => {
      const { subject } = ('degraded' in event && event.degraded.diagnostic) || {}
      return `${event.type} ${subject && writeAddress(subject)}`
    })
  })
  expect(told).toEqual([
    ['degraded span0/stack/span/evil'],
    ['degraded span0/sensor/span/evil'],
    ['recovered span0/sensor/span/evil']
  ])
})

test('a source that starts again while a run is made has not stopped', () => {
  const path = join(casesFolder, 'container-source')
  const text = readFileSync(join(path, 'spans.yaml'), 'utf8')
  const view = see(readSnapshot(path, 'host.json'), text)
  const { desired, plan } = view
  const spans = desired.spans.map((span) => ({ ...span, mirrors: [] }))
  const without = { ...view, desired: { ...desired, spans }, plan: { ...plan, waiting: [] } }
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const mirrors = plan.changes.filter(({ kind }) => kind === 'mirror')
  const told = [
    { view, done: mirrors },
    { view: without, done: mirrors },
    { view: without, done: [] }
  ].map((part) => {
    recorder.run({ ...run, outcome: { needed: [], leftOut: [], restarts: [], failures: [], ...part }, degraded: [] })
    return events.splice(0).flatMap((event) => (event.type === 'source_gone' ? [event.source] : []))
  })
  expect(told).toEqual([[], [], ['web', 'front']])
})

test('a container that has another name is mirrored as before', () => {
  const path = join(casesFolder, 'container-source-converged')
  const host = readSnapshot(path, 'host.json')
  const text = 'version: 1\nspans: {span0: {sources: [{network: shop}], sensors: [suricata]}}\n'
  const { docker } = host
  if (docker.state !== 'read') throw new Error('the fixture has changed')
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const told = ['web', 'web3', 'web3'].map((name) => {
    const containers = docker.containers.map((one) => (one.name === 'web' ? { ...one, name } : one))
    const view = see({ ...host, docker: { ...docker, containers } }, text)
    const outcome = { view, needed: [], done: [], leftOut: [], restarts: [], failures: [] }
    recorder.run({ ...run, outcome, degraded: [] })
    return events.splice(0).filter(({ type }) => type.startsWith('source'))
  })
  const renamed = { type: 'source_renamed', trigger: run.trigger, span: 'span0', source: 'web3', before: 'web' }
  expect(told).toEqual([[], [renamed], []])
})

const copiedBetween = (one: string, other: string) => ({
  ...({ code: 'COPIED_TWICE', message: `each frame between ${one} and ${other} is copied twice` } as const),
  subject: { span: 'span0', kind: 'mirror', id: [] }
})
const copiedTwice = copiedBetween('web', 'db')
const second = 1000

/** A run: whether its plan has the warning, and the seconds at which it ends. */
interface WarnedRun {
  readonly at: number
  readonly warns: boolean
  readonly isNewFile?: boolean
  readonly view?: PlanView
  readonly warning?: Diagnostic
}

/** What is said of the warning in one run after the other. */
function recordWarning(...runs: readonly WarnedRun[]) {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  return runs.map(({ at, warns, isNewFile = false, view = see(), warning = copiedTwice }) => {
    const warned = { ...view, plan: { ...view.plan, warnings: warns ? [warning] : [] } }
    const outcome = { view: warned, needed: [], done: [], leftOut: [], restarts: [], failures: [] }
    recorder.run({ ...run, outcome, degraded: [], isNewFile, now: at * second })
    return events.splice(0).flatMap((event) => ('diagnostic' in event ? [event.type] : []))
  })
}

test('a warning that a container takes along when it restarts is told once', () => {
  const restarts = [0, 1, 2, 3, 4, 5].map((at) => ({ at, warns: at % 2 === 0 }))
  expect(recordWarning(...restarts)).toEqual([['warning'], [], [], [], [], []])
})

test('a warning that names two of many sources is told once, also where it names others while these restart', () => {
  const others = { at: 1, warns: true, warning: copiedBetween('shop', 'db') }
  expect(recordWarning({ at: 0, warns: true }, others, { at: 2, warns: true })).toEqual([['warning'], [], []])
})

test('a warning that is over is told to be over, once, and told again when it begins again', () => {
  const runs = [
    { at: 0, warns: true },
    { at: 30, warns: false },
    { at: 61, warns: false },
    { at: 62, warns: false },
    { at: 63, warns: true }
  ]
  expect(recordWarning(...runs)).toEqual([['warning'], [], ['warning_over'], [], ['warning']])
})

test('a new file ends a warning at once; Docker that is away, and a span that is left out of the plan, do not', () => {
  const begun = { at: 0, warns: true }
  expect(recordWarning(begun, { at: 1, warns: false, isNewFile: true })).toEqual([['warning'], ['warning_over']])
  expect(recordWarning(begun, { at: 99, warns: false, view: see(withoutDocker) })[1]).toEqual(['docker_away'])
  const none = { ...see(), desired: { ...see().desired, spanOf: () => undefined } }
  expect(recordWarning(begun, { at: 99, warns: false, view: none })[1]).toEqual([])
})

test('a warning that a container may bring for a moment while it starts is told in a later run, which is asked for', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const stray = (port: string) => ({ code: 'PORT_STRAY', message: `the port ${port} leads to nobody` }) as const
  const record = (at: number, ...warnings: readonly Diagnostic[]) => {
    const view = { ...see(), plan: { ...see().plan, warnings } }
    const outcome = { view, needed: [], done: [], leftOut: [], restarts: [], failures: [] }
    recorder.run({ ...run, outcome, degraded: [], now: at * second })
    const told = events.splice(0).flatMap((event) => ('diagnostic' in event ? [event.diagnostic.message] : []))
    return [told, recorder.isUnsettled()]
  }
  const [one, other] = [stray('veth1'), stray('veth2')]
  expect(record(0, one)).toEqual([[], true])
  expect(record(1, other)).toEqual([[], true])
  expect(record(2, other)).toEqual([[], true])
  expect(record(3, one, other)).toEqual([[other.message], true])
  expect(record(5, one, other)).toEqual([[one.message], false])
  expect(record(6)).toEqual([[], false])
})

test('such a warning that has lasted is not over where its span was not planned for a while', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const subject = { span: 'tap0', kind: 'port', id: ['veth1'] }
  const stray = { code: 'PORT_STRAY', message: 'the port veth1 leads to nobody', subject } as const
  const record = (at: number, ...warnings: readonly Diagnostic[]) => {
    const view = { ...see(), plan: { ...see().plan, warnings } }
    const outcome = { view, needed: [], done: [], leftOut: [], restarts: [], failures: [] }
    // The fixture's file has no such span.
    recorder.run({ ...run, spans: warnings.length > 0 ? [] : ['tap0'], outcome, degraded: [], now: at * second })
    return events.splice(0).map(({ type }) => type)
  }
  expect([record(0, stray), record(2, stray)]).toEqual([[], ['warning']])
  expect([record(10), record(90), record(100, stray), record(102, stray)]).toEqual([[], [], [], []])
})

/** A host as the fixture's, whose sensor's port is as a restart leaves it. */
const restarted = () => {
  const [port] = see().host.portsOf('span0')
  if (port === undefined) throw new Error('the fixture has no port')
  const links = converged.links.map((link) =>
    link.index === port.index && link.port !== null ? { ...link, port: { ...link.port, isolated: false } } : link
  )
  return { port, changes: see({ ...converged, links }).plan.changes }
}

test('what was changed at a port of a sensor before Docker had answered, and again since, is told once, and whose it is', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const { port, changes } = restarted()
  const container = see().host.attachmentOf(port)?.container.name ?? 'none'
  const early = changes.map((change) => ({ ...change, serves: null }))
  expect(early.map(({ kind, device }) => [kind, device])).toEqual([['port', port.name]])
  const outcome = { view: see(), needed: early, done: [...early, ...changes], leftOut: [], restarts: [], failures: [] }
  recorder.run({ ...run, outcome, degraded: [] })
  expect(groupEvents(events).map((group) => group.map((one) => 'change' in one && one.change.serves))).toEqual([
    [container]
  ])
})

test('what was told while Docker took long is not told when the run ends, nor that the port bears the mark of a container since', () => {
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const { changes } = restarted()
  recorder.changed({ ...run, milliseconds: 20 }, changes)
  const isKnown = { key: 'known', label: 'known', from: 'no', to: 'yes', changed: true } as const
  const marked = changes.map((change) => ({
    ...change,
    facts: [...change.facts.filter(({ key }) => key !== 'known').map((fact) => ({ ...fact, changed: false })), isKnown]
  }))
  const outcome = { view: see(), needed: [], leftOut: [], restarts: [], failures: [] }
  const told = new Set(changes)
  recorder.run({
    ...run,
    milliseconds: 60_000,
    outcome: { ...outcome, done: [...changes, ...marked], told },
    degraded: []
  })
  expect(events.map((event) => event.type === 'changed' && event.milliseconds)).toEqual(changes.map(() => 20))
  // Where nothing was told before, it is.
  recorder.run({ ...run, outcome: { ...outcome, done: marked }, degraded: [] })
  expect(events).toHaveLength(changes.length + marked.length)
})

test('a container whose interface came after the plan was made is not waited for: its mirror was made in the same run', () => {
  const path = join(casesFolder, 'container-source')
  const text = readFileSync(join(path, 'spans.yaml'), 'utf8')
  const captured = readSnapshot(path, 'host.json')
  if (captured.docker.state !== 'read') throw new Error('the fixture has no Docker')
  const containers = captured.docker.containers.map((one) => (one.name === 'web' ? { ...one, veths: [] } : one))
  const before = see({ ...captured, docker: { ...captured.docker, containers } }, text)
  const mirrors = see(captured, text).plan.changes.filter(({ kind }) => kind === 'mirror')
  const waits = before.plan.waiting.filter(({ container }) => container === 'web')
  expect(waits.map(({ diagnostic }) => diagnostic.code)).toContain('SOURCE_NO_INTERFACE')
  const events: WatchEvent[] = []
  const recorder = openEventRecorder((...some) => events.push(...some))
  const told = [[], mirrors].map((done) => {
    const outcome = { view: before, needed: [], done, leftOut: [], restarts: [], failures: [] }
    recorder.run({ ...run, outcome, degraded: [] })
    return events.splice(0).flatMap((event) => ('wait' in event && event.wait.container === 'web' ? [event.type] : []))
  })
  expect(told).toEqual([waits.map(() => 'wait'), waits.map(() => 'wait_over')])
  const other = openEventRecorder((...some) => events.push(...some))
  other.run({
    ...run,
    outcome: { view: before, needed: [], done: mirrors, leftOut: [], restarts: [], failures: [] },
    degraded: []
  })
  expect(events.filter((event) => 'wait' in event && event.wait.container === 'web')).toEqual([])
})

test('what was wrong with a sensor before a run that has repaired it is not wrong since then', () => {
  const { port, changes } = restarted()
  const sensor = see().host.attachmentOf(port)?.container.name ?? 'none'
  const health = { span: 'span0', sensor, listed: true, state: 'unhealthy', since: null, diagnostic: null } as const
  expect(isRepaired({ ...health, cause: 'port_down' }, changes)).toBe(true)
  expect(isRepaired({ ...health, cause: 'port_down' }, [])).toBe(false)
  expect(isRepaired({ ...health, cause: 'stopped' }, changes)).toBe(false)
  expect(isRepaired({ ...health, sensor: 'another', cause: 'port_down' }, changes)).toBe(false)
})

import { expect, test } from 'vitest'
import { makeHeadline } from '../../../src/status/output/headline.ts'
import { makeReport, type ReportInput } from '../../../src/status/report.ts'
import { converged, fixture, samplesOf, see, type Traffic, watch } from '../../lab/fixtures/converged.ts'

const text = fixture('spans.yaml')

/** The lines for a host and a file, and traffic. */
function headline(view = see(), traffic: Traffic = {}, more: Partial<ReportInput> = {}): string[] {
  const report = makeReport({ view, pauses: [], watch: null, window: null, ...samplesOf(view, traffic), ...more })
  const entries = makeHeadline(report)
  // Each line says of itself what the report says of all.
  expect(entries.every(({ healthy }) => healthy)).toBe(report.healthy)
  return entries.map(({ text, action }) => `${text} ${action}`.trimEnd())
}

const down = {
  ...converged,
  links: converged.links.map((link) => (link.name === 'span0' ? { ...link, up: false } : link))
}
const pauses = [{ span: null, until: '2020-01-01T12:00:00.000Z' }]
const withMaxIdle = text.replace('filter: not port 22', 'filter: not port 22\n        max_idle: 5m')
const unreachable = {
  state: 'unreachable',
  reason: {
    code: 'DOCKER_UNREACHABLE',
    message: 'Docker does not answer',
    hint: 'start it: systemctl start docker'
  }
} as const

test('healthy, and when the last frame came', () => {
  expect(headline()).toEqual(['span0: healthy, last frame just now'])
  expect(headline(see(), { idle: 11_520 })).toEqual(['span0: healthy, last frame 3h12m ago'])
})

test('no frames yet, with or without a max_idle, healthy or not', () => {
  expect(headline(see(), { frames: 0 })).toEqual(['span0: healthy, no frames yet'])
  expect(headline(see(converged, withMaxIdle), { frames: 0, idle: 299 })).toEqual(['span0: healthy, no frames yet'])
  const idle = 'no frame has come from ens192 for 5m1s (max_idle: 5m), no frames yet'
  expect(headline(see(converged, withMaxIdle), { frames: 0, idle: 301 })).toEqual([
    `span0: NOT HEALTHY, ${idle}. Is the switch's mirror session still there?`
  ])
  expect(headline(see(down), { frames: 0 })).toEqual([
    'span0: NOT HEALTHY, 1 difference from the file, no frames yet. Run: spanplan apply -f a.yaml'
  ])
})

test('a pause', () => {
  expect(headline(see(), {}, { pauses })).toEqual([
    expect.stringMatching(/^span0: healthy, paused until 2020-01-01 \S+, last frame just now$/)
  ])
  expect(headline(see(down), {}, { pauses })).toEqual([
    expect.stringMatching(/^span0: NOT HEALTHY, 1 difference from the file, paused until 2020-01-01 \S+\. Run: /)
  ])
})

test('the first problem with what to do about it, and how many more there are', () => {
  const withSnort = text.replace('zeek', 'zeek, snort')
  expect(headline(see(converged, withSnort))).toEqual([
    `span0: NOT HEALTHY, snort → span waits for the container snort. Start it: a watch connects it then, as does the next apply`
  ])
  expect(headline(see(down, withSnort), { lost: 3 })).toEqual([
    // What an apply cannot repair comes first.
    `span0: NOT HEALTHY, snort → span waits for the container snort, 2 more problems. Start it: a watch connects it then, as does the next apply`
  ])
  expect(headline(see(down), { lost: 3 })).toEqual([
    'span0: NOT HEALTHY, 1 difference from the file, 1 more problem. Run: spanplan apply -f a.yaml'
  ])
})

test('both directions of a source that wait for the same are one problem', () => {
  expect(headline(see(converged, text.replace('ens192', 'lan9')))).toEqual([
    'span0: NOT HEALTHY, lan9 ingress → span0 and lan9 egress → span0: each waits for the interface lan9, 1 more problem.'
  ])
})

test('an interface that a hook has reported as going down: the command that keeps it', () => {
  const goingDown = converged.links
    .filter(({ name }) => name === 'ens192')
    .map(({ index }) => ({ index, since: 0, settled: false }))
  const view = see(converged, text, { goingDown })
  expect(headline(view)[0]).toMatch(
    /^span0: NOT HEALTHY, ens192 ingress → span0 and ens192 egress → span0: each waits for ens192, .* If it is to stay up: spanplan apply -f a\.yaml$/
  )
})

test('a command keeps its small letters', () => {
  const fileErrors = [{ code: 'FILE_INSECURE', message: 'others can write to it', hint: 'chmod go-w a.yaml' }] as const
  expect(headline(see(), {}, { fileErrors })[0]).toMatch(/^file: NOT HEALTHY, .* chmod go-w a\.yaml$/)
})

test('what a watch cannot repair comes before what an apply would', () => {
  const diagnostic = { code: 'CONTESTED', message: 'something undoes this', hint: 'look who does' } as const
  const degraded = [{ span: 'span0', reason: 'contested', diagnostic, until: '2026-01-01T00:00:02.000Z' }] as const
  expect(headline(see(down), {}, { watch: { ...watch, degraded } })).toEqual([
    'span0: NOT HEALTHY, something undoes this, 1 more problem. Look who does'
  ])
})

test('of a message with several lines, the first', () => {
  const message = 'Docker gave no answer within 60 s: POST /networks/span/connect\nNothing was changed.'
  const degraded = [
    {
      span: 'span0',
      reason: 'failed',
      diagnostic: { code: 'DOCKER_FAILED', message, hint: 'see its log' },
      until: '2026-01-01T00:00:02.000Z'
    }
  ] as const
  expect(headline(see(down), {}, { watch: { ...watch, degraded } })).toEqual([
    'span0: NOT HEALTHY, Docker gave no answer within 60 s: POST /networks/span/connect, 1 more problem. See its log'
  ])
})

test('what is wrong with the host comes first, also where the spans are healthy', () => {
  expect(headline(see({ ...converged, docker: unreachable }))[0]).toBe(
    'host: NOT HEALTHY, Docker does not answer. Start it: systemctl start docker'
  )
  const hung = {
    ...unreachable,
    reason: { ...unreachable.reason, hint: 'restart it: systemctl restart docker' }
  }
  expect(headline(see({ ...converged, docker: hung }))[0]).toBe(
    'host: NOT HEALTHY, Docker does not answer. Restart it: systemctl restart docker'
  )
  expect(headline(see(converged, 'version: 1\nspans: {}\n'))).toEqual([
    expect.stringMatching(/^host: NOT HEALTHY, \d+ differences from the file\. Run: spanplan apply -f a\.yaml$/)
  ])
})

test('to start a container comes first only where there is what it is connected to', () => {
  const anew = 'version: 1\nspans: {tap0: {sources: [{interface: ens192}], sensors: [snort]}}\n'
  const [tap] = headline(see(converged, anew)).filter((line) => line.startsWith('tap0'))
  expect(tap).toMatch(/^tap0: NOT HEALTHY, \d+ differences from the file, 1 more problem\. Run: spanplan apply/)
})

test('spans that are not healthy come before those that are', () => {
  const [first, last] = headline(see(converged, `${text}  span1:\n    sources: [{interface: ens224}]\n`))
  expect(first).toMatch(/^span1: NOT HEALTHY, /)
  expect(last).toBe('span0: healthy, last frame just now')
})

test('a file without spans', () => {
  const report = makeReport({ view: see(), pauses: [], watch: null, window: null, ...samplesOf(see()) })
  expect(makeHeadline({ ...report, spans: [] })).toEqual([
    { healthy: true, text: 'There are no spans in the file.', action: '' }
  ])
})

test('what may not be read is not called healthy', () => {
  const docker = {
    state: 'unreachable',
    reason: { code: 'DOCKER_FORBIDDEN', message: "Docker's socket may not be used" }
  } as const
  expect(headline(see({ ...converged, docker }))).toEqual([
    'span0: healthy as far as could be checked without Docker, last frame just now'
  ])
})

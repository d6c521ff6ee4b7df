/** `status --brief`: what is printed for reports of all kinds. */
import { expect, test } from 'vitest'
import { plain } from '../../../src/printable.ts'
import { renderBrief } from '../../../src/status/output/brief.ts'
import { makeReport, type Report, type ReportInput, type SpanReport } from '../../../src/status/report.ts'
import { widthOf } from '../../../src/text-lines.ts'
import { converged, fixture, samplesOf, see, type Traffic } from '../../lab/fixtures/converged.ts'
import { unprintable } from '../../lab/fixtures/unprintable.ts'

function reportOf(view = see(), traffic: Traffic = {}, more: Partial<ReportInput> = {}): Report {
  return makeReport({ view, pauses: [], watch: null, window: null, ...samplesOf(view, traffic), ...more })
}

const text = fixture('spans.yaml')
const withSnort = text.replace('zeek', 'zeek, snort')
const down = {
  ...converged,
  links: converged.links.map((link) => (link.name === 'span0' ? { ...link, up: false } : link))
}
const unreachable = {
  state: 'unreachable',
  reason: { code: 'DOCKER_UNREACHABLE', message: 'Docker does not answer', hint: 'start it: systemctl start docker' }
} as const
const fileErrors = [{ code: 'FILE_INSECURE', message: 'others can write to it', hint: 'chmod go-w a.yaml' }] as const
const window = { id: 'deadbeef', until: '2020-01-01T12:00:00.000Z' }

const brief = (report: Report, width = 80) => renderBrief(report, width, plain)

/** The first span of a report. */
function spanOf(report: Report): SpanReport {
  const [span] = report.spans
  if (span === undefined) throw new Error('the fixture has changed')
  return span
}

const sound = reportOf()
const sick = reportOf(see(down, withSnort), { lost: 3, frames: 2_345_678 })

/** A hundred spans, of which the three last are not healthy. */
const many: Report = {
  ...sick,
  spans: [
    ...Array.from({ length: 97 }, (_, index) => ({
      ...spanOf(sound),
      name: `span${index}`,
      description: index % 2 ? `Core switch ${index}, its mirror port in the second rack of the old building` : null
    })),
    ...['dmz', 'wwwwwwwwwwwwwww', 'web'].map((name) => ({ ...spanOf(sick), name }))
  ]
}

test('a hundred spans: the unhealthy ones first, then the others in the order of the file, each in one line', async () => {
  const printed = brief(many)
  await expect(printed).toMatchFileSnapshot('../../fixtures/brief.txt')
  expect(printed.trimEnd().split('\n')).toHaveLength(101)
})

test('no line is wider than the terminal, and no name is cut', () => {
  for (const width of [80, 120, 200]) {
    const lines = brief(many, width).split('\n')
    expect(lines.filter((line) => widthOf(line) > width)).toEqual([])
    expect(lines.find((line) => line.includes('wwwwwwwwwwwwwww'))).toMatch(/ \(\+\d\)$/)
  }
  const wide = brief({ ...many, spans: many.spans.map((span) => ({ ...span, description: '網'.repeat(80) })) })
  expect(wide.split('\n').filter((line) => widthOf(line) > 80)).toEqual([])
})

test.each([
  [
    'healthy',
    sound,
    /^healthy {4}span0 {2}1,000\/s {2}0 lost {2}Core switch mirror port\n0 of 1 span is unhealthy\.\n$/
  ],
  [
    'frames were lost',
    reportOf(see(), { lost: 3 }),
    /^unhealthy {2}span0 {2}1,000\/s {2}3 lost {2}3 frames lost .*…\n/
  ],
  ['a difference', reportOf(see(down)), / 1 difference from the file\n1 of 1 span is unhealthy\.\n$/],
  [
    'paused',
    reportOf(see(), {}, { pauses: [{ span: null, until: window.until }] }),
    /^healthy .* paused until 2020-01-01/
  ],
  [
    'the host, too',
    reportOf(see({ ...converged, docker: unreachable })),
    /^unhealthy {2}host {20,}Docker does not answer\n[\s\S]*unhealthy, and so is the host\.\n$/
  ],
  [
    'the file, too',
    reportOf(see(), {}, { fileErrors }),
    /^unhealthy {2}file {20,}others can write to it\nhealthy .*\n0 of 1 span is unhealthy, and so is the file\.\n$/
  ],
  ['not all was checked', reportOf(see({ ...converged, docker: unreachable }), {}, { isRoot: false }), /^unchecked /m],
  [
    'a window',
    reportOf(see(), {}, { window }),
    /^A change waits for confirmation .* Run: spanplan confirm deadbeef\nhealthy /
  ],
  [
    'no spans',
    reportOf(see(converged, 'version: 1\nspans: {}\n')),
    /^unhealthy {2}host .*\nThere are no spans in the file\.\n$/
  ]
])('%s', (_, report, printed) => {
  expect(brief(report)).toMatch(printed)
})

test('nothing that a terminal obeys, whatever the names and the messages are', () => {
  const evil = '\u001b]0;owned\u0007\u202e\n'
  const hostile: Report = {
    ...sick,
    spans: [
      { ...spanOf(sick), name: evil, unhealthy: [{ code: 'DRIFT', message: evil }] },
      { ...spanOf(sick), unhealthy: [{ code: 'SENSOR_MISSING', message: evil }] },
      { ...spanOf(sound), description: evil }
    ]
  }
  const printed = brief(hostile)
  expect(printed).not.toMatch(unprintable)
  expect(printed.trimEnd().split('\n')).toHaveLength(4)
})

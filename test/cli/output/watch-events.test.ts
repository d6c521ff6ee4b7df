import { closeSync, fstatSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { addPriority, isJournal, type LogLevel } from '../../../src/cli/output/journal.ts'
import { keepEvents, openEventPrinter } from '../../../src/cli/output/watch-events.ts'
import { printDiagnostics } from '../../../src/cli/session.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import type { WatchEvent } from '../../../src/watch/events/event.ts'
import { readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../../lab/fixtures/plan-case.ts'

const diagnostic = { code: 'BUG', message: 'is broken', hint: 'repair it' } as const
const events: readonly WatchEvent[] = [
  { type: 'started', name: 'default', dryRun: false },
  { type: 'warning', diagnostic },
  { type: 'file_refused', diagnostics: [diagnostic], files: [] },
  { type: 'stopped' }
]
const session = { color: 'never', json: false, files: [] } as const

let printed: string
beforeEach(() => {
  printed = ''
  // The build sets it, and tests run the sources.
  vi.stubGlobal('SPANPLAN_VERSION', '0.1.0')
  // What is written is the result, so it is caught here. No file can take its place: Node gives a process that runs no other stderr,
  // and the printer compares the device and the inode of this one with $JOURNAL_STREAM.
  const keep = (text: string | Uint8Array) => {
    printed += text
    return true
  }
  vi.spyOn(process.stderr, 'write').mockImplementation(keep)
  vi.spyOn(process.stdout, 'write').mockImplementation(keep)
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
})

/** Of the test's own stderr, as systemd would name it. */
const streamOf = (descriptor: number) => {
  const { dev, ino } = fstatSync(descriptor, { bigint: true })
  return `${dev}:${ino}`
}

function print(level: LogLevel, json = false): string {
  const emit = openEventPrinter({ ...session, json }, level)
  for (const event of events) emit(event)
  return printed
}

describe('where stderr is the journal', () => {
  beforeEach(() => vi.stubEnv('JOURNAL_STREAM', streamOf(process.stderr.fd)))

  test('each line of an event has its priority, and no time', () => {
    expect(print('info')).toBe(`<6>start    default keeps the spans of this name in sync
<4>warning         is broken (repair it)
<3>file            the file is invalid; the last valid one stays in force:
<3>error: is broken
<3>  repair it
<6>stop            the spans stay as they are
`)
  })

  test('so has what ends a command', () => {
    printDiagnostics({ ...session }, 'error', [diagnostic])
    expect(printed).toBe('<3>error: is broken\n<3>  repair it\n')
  })
})

test('a warning is kept with the span that the plan places it at', () => {
  const subject = { span: 'span1', kind: 'port', id: ['veth6'] }
  const keep = (type: 'warning' | 'warning_over') => keepEvents([{ type, diagnostic: { ...diagnostic, subject } }], '')
  expect(keep('warning')).toMatchObject([{ span: 'span1', text: 'warning  span1  is broken (repair it)' }])
  expect(keep('warning_over')).toMatchObject([{ span: 'span1', text: 'warning  span1  no longer so: is broken' }])
  expect(keepEvents([{ type: 'warning', diagnostic }], '')).toMatchObject([{ span: null }])
})

test('a pause that ends says whether its span is kept in sync', () => {
  const pause = { span: 'span0', until: '2026-01-01T00:00:00.000Z' }
  const keep = (isListed: boolean) => keepEvents([{ type: 'resumed', pause, isListed }], '')[0]?.text
  expect(keep(true)).toBe('resume   span0  is kept in sync again')
  expect(keep(false)).toBe('resume   span0  is paused no longer, and not in the file')
})

test('elsewhere an event has its time, also where a stream was inherited', () => {
  vi.stubEnv('JOURNAL_STREAM', '1:2')
  expect(print('info')).toMatch(/^\d\d:\d\d:\d\d start {4}default /)
})

test.each([
  ['info', ['started', 'warning', 'file_refused', 'stopped']],
  ['warning', ['warning', 'file_refused']],
  ['error', ['file_refused']]
] as const)('%s prints the events of this level and above', (level, types) => {
  const lines = print(level, true).trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).type)).toEqual(types)
})

test('a stream is the journal by its device and inode', () => {
  const descriptor = openSync(devNull, 'w')
  try {
    expect(isJournal(descriptor, streamOf(descriptor))).toBe(true)
    expect(isJournal(descriptor, `${streamOf(descriptor)}0`)).toBe(false)
    expect(isJournal(descriptor, '')).toBe(false)
    expect(isJournal(descriptor, undefined)).toBe(false)
  } finally {
    closeSync(descriptor)
  }
})

test('every line gets a priority', () => expect(addPriority('warning', 'a\n\nb')).toBe('<4>a\n<4>\n<4>b'))

describe('what happens in one run to one container is one line', () => {
  beforeEach(() => vi.stubEnv('JOURNAL_STREAM', streamOf(process.stderr.fd)))

  /** What a watch says of a run that brings a case in sync. */
  function tell(name: string, more: readonly WatchEvent[] = [], times = 1): string {
    const path = join(casesFolder, name)
    const host = readSnapshot(path, 'host.json')
    const { plan } = planTarget(readTarget(path, host.links), readingOf(host))
    const run = { trigger: 'docker', repaired: true, milliseconds: 12 } as const
    const starts = Array.from({ length: times }, () => plan.changes).flat()
    const changes = starts.map((change) => ({ type: 'changed', change, ...run }) as const)
    const waits = plan.waiting.map((wait) => ({ type: 'wait', trigger: 'docker', wait }) as const)
    openEventPrinter({ ...session }, 'info')(...changes, ...waits, ...more)
    return printed
  }

  test.each([
    ['once', 1],
    ['three times during the run', 3]
  ])('a source that restarts %s', (_, times) => {
    expect(tell('container-source-restarted', [], times)).toBe(
      '<6>docker   span0  + mirror web (shop) ingress → span0 (not port 22); + mirror web (shop) egress → span0 (not port 22)  repaired in 12 ms\n'
    )
  })

  test('a port that is changed twice, also where nobody knows whose it is by now', () => {
    const path = join(casesFolder, 'drift-port')
    const host = readSnapshot(path, 'host.json')
    const { plan } = planTarget(readTarget(path, host.links), readingOf(host))
    const run = { trigger: 'link', repaired: true, milliseconds: 12 } as const
    const parts = plan.changes.flatMap((change) =>
      change.facts
        .filter((fact) => fact.changed)
        .map((fact) => ({ type: 'changed', change: { ...change, serves: null, facts: [fact] }, ...run }) as const)
    )
    expect(parts.length).toBeGreaterThan(1)
    openEventPrinter({ ...session }, 'info')(...parts)
    expect(printed.split('\n')).toHaveLength(2)
    expect(printed.match(/port veth/g)).toHaveLength(1)
  })

  test('what is in the way of a thing, as a sentence of its own', () => {
    expect(tell('foreign-ingress-qdisc-watched')).toContain('... qdisc ens192: ens192 has an ingress qdisc')
  })

  test('a source that stops, and one that a label selects', () => {
    const gone = { type: 'source_gone', trigger: 'docker', span: 'span0', source: 'front' } as const
    expect(tell('container-source-stopped', [gone])).toBe(
      `<4>docker   span0  ... mirror web ingress → span0 and web egress → span0: each waits for the container web to run
<6>docker   span0  - source front: it has stopped, or matches no more
`
    )
    const renamed = { ...gone, type: 'source_renamed', source: 'back', before: 'front' } as const
    expect(tell('container-source-converged', [renamed])).toContain(
      '<6>docker   span0  ~ source front: its name is back now, and it is mirrored as before\n'
    )
  })
})

test.each([
  ['spans.yaml', 'spanplan apply'],
  ['/etc/spanplan/a.yaml', 'spanplan apply -f /etc/spanplan/a.yaml']
])(
  'an interface that is going down, as %s has it, comes back: the command, and what is said of both directions',
  (file, apply) => {
    vi.stubEnv('JOURNAL_STREAM', streamOf(process.stderr.fd))
    const host = readSnapshot(join(casesFolder, 'converged'), 'host.json')
    const target = readTarget(join(casesFolder, 'converged'), host.links)
    const goingDown = host.links.map(({ index }) => ({ index, since: 0, settled: false }))
    const spec = { ...target.spec, files: [file] }
    const { plan } = planTarget({ ...target, spec, patient: true, goingDown }, readingOf(host))
    const emit = openEventPrinter({ ...session }, 'info')
    for (const type of ['wait', 'wait_over'] as const) {
      emit(...plan.waiting.map((wait) => ({ type, trigger: 'hook', wait }) as const))
    }
    const both = 'ens192 ingress → span0 and ens192 egress → span0'
    expect(printed).toBe(
      `<4>hook     span0  ... mirror ${both}: each waits for ens192, which is going down (if it is to stay up: ${apply})
<6>hook     span0      mirror ${both} no longer wait
`
    )
  }
)

test('what is contested no more is named as the plan names it, and not by its address', () => {
  vi.stubEnv('JOURNAL_STREAM', streamOf(process.stderr.fd))
  const emit = openEventPrinter({ ...session }, 'info')
  for (const code of ['CONTESTED', 'STACK_OPEN'] as const) {
    const address = 'span0/stack/span/zeek%2Fa'
    const degraded = {
      ...({
        span: 'span0',
        reason: 'contested',
        until: '2026-01-01T00:20:00.000Z',
        rest: 2000,
        container: null
      } as const),
      thing: 'stack zeek → span',
      diagnostic: { code, message: 'it is undone', address }
    }
    emit({ type: 'recovered', trigger: 'retry', degraded })
  }
  expect(printed).toBe(`<6>retry    span0  nothing undoes stack zeek → span any more
<6>retry    span0  stack zeek → span is in sync again
`)
})

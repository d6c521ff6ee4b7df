/** Each event in each phase of a window, and each end with its exit status. */
import { expect, test } from 'vitest'
import {
  exitOfEnd,
  failedEnd,
  next,
  openPhases,
  type WindowEvent,
  type WindowState
} from '../../../src/apply/window/window-transitions.ts'
import { diagnostic, Exit, type ExitCode, SpanplanError } from '../../../src/errors.ts'

/** In a word or two. */
function summaryOf(state: WindowState): string {
  if (state.phase === 'rejected') return state.reason.message
  return state.phase === 'ended' ? `ended: ${state.end.code ?? state.end.message}` : state.phase
}

const occasions = [
  ...(['applied', 'held', 'confirm', 'rollback', 'expired', 'interrupted', 'killed', 'superseded'] as const)
]

test('each phase knows what each event makes of it', () => {
  const table = openPhases.map((phase) => [phase, ...occasions.map((event) => summaryOf(next({ phase }, event)))])
  const ends = ['rollback requested', 'not confirmed in time', 'interrupted before it was confirmed']
  const unitKilled = 'the unit of the window was killed'
  expect(table).toEqual([
    ['applying', 'open', 'applying', 'applying', ...ends, 'the apply was killed', 'ended: ROLLBACK_PARTIAL'],
    ['open', 'open', 'held', 'open', ...ends, unitKilled, 'ended: ROLLBACK_PARTIAL'],
    ['held', 'held', 'held', 'confirmed', ...ends, unitKilled, 'ended: ROLLBACK_PARTIAL'],
    ['confirmed', ...occasions.slice(0, -1).map(() => 'confirmed'), 'ended: ROLLBACK_PARTIAL']
  ])
})

test('what is confirmed is installed, or rolled back; what has ended stays so', () => {
  const confirmed = next({ phase: 'held' }, 'confirm')
  const ended = next(confirmed, { installed: { path: '/etc/spanplan/spans.yaml' } })
  expect(ended).toEqual({
    phase: 'ended',
    end: {
      confirmed: true,
      message: 'Confirmed: the changes stay. /etc/spanplan/spans.yaml is installed.',
      installed: '/etc/spanplan/spans.yaml'
    }
  })
  const full = new SpanplanError(diagnostic('FILE_UNWRITABLE', 'the disk is full'))
  const rejected = next(confirmed, { uninstallable: full })
  expect(rejected).toEqual({ phase: 'rejected', reason: { code: 'FILE_UNWRITABLE', message: 'the disk is full' } })
  for (const event of occasions) expect(next(rejected, event)).toBe(rejected)
  const events: readonly WindowEvent[] = [...occasions, { installed: null }, { uninstallable: full }, { failed: full }]
  for (const event of events) expect(next(ended, event)).toBe(ended)
})

test.each<[string, unknown, string | undefined, ExitCode]>([
  ['rolled back', new SpanplanError(diagnostic('NOT_CONFIRMED', 'm'), Exit.rolledBack), undefined, Exit.rolledBack],
  ['interrupted', new SpanplanError(diagnostic('NOT_CONFIRMED', 'm'), Exit.terminated), undefined, Exit.rolledBack],
  [
    'not installed',
    new SpanplanError(diagnostic('FILE_CHANGED', 'm'), Exit.rolledBack),
    'FILE_CHANGED',
    Exit.rolledBack
  ],
  ['partly', new SpanplanError(diagnostic('FILE_CHANGED', 'm'), Exit.partial), 'ROLLBACK_PARTIAL', Exit.partial],
  ['a bug', new Error('m'), 'BUG', Exit.bug]
])('%s: who waits is told so by the exit status', (_, error, code, exit) => {
  const end = failedEnd(error)
  expect(end).toMatchObject({ confirmed: false, message: expect.stringContaining('m') })
  expect(end.code).toBe(code)
  expect(exitOfEnd(end)).toBe(exit)
})

test('a confirmed end is done', () => {
  expect(exitOfEnd({ confirmed: true, message: 'm' })).toBe(Exit.done)
})

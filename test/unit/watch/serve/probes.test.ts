import { describe, expect, test } from 'vitest'
import type { Degraded, Run } from '../../../../src/status/watch-state.ts'
import { judgeLife, judgeReadiness } from '../../../../src/watch/serve/probes.ts'
import { watch } from '../../status/views.ts'

const minute = 60_000

describe('a watch lives', () => {
  test.each([
    [0, minute],
    [5 * minute, minute],
    [5 * minute, 1000],
    [30 * minute, 10 * minute]
  ])('%i ms after its last run, with an interval of %i ms', (idle, interval) => {
    expect(judgeLife(idle, interval).good).toBe(true)
  })

  test.each([
    [5 * minute + 1, minute],
    [5 * minute + 1, 1000],
    [30 * minute + 1, 10 * minute]
  ])('no more %i ms after its last run, with an interval of %i ms', (idle, interval) => {
    expect(judgeLife(idle, interval).good).toBe(false)
  })

  test('and says since when', () => {
    expect(judgeLife(61_500, minute).why).toBe('alive: the last run was 1m1s ago')
    expect(judgeLife(301_000, minute).why).toBe('hangs: no run has ended for 5m1s (there should be one every 1m)')
  })
})

describe('a watch is ready', () => {
  const run = (result: Run['result']): Run => ({
    ...{ at: '2026-01-01T00:10:00.000Z', trigger: 'start', milliseconds: 400, result }
  })
  const degraded = (span: string | null, reason: Degraded['reason']): Degraded => ({
    ...{ span, reason, until: '2026-01-01T00:20:00.000Z' },
    diagnostic: { code: 'STEP_FAILED', message: 'RTNETLINK answers:\nNo' }
  })

  test.each(['unchanged', 'changed', 'drift'] as const)('after a run that ended with %s', (result) => {
    const { good, why } = judgeReadiness({ ...watch, last: run(result) })
    expect({ good, why }).toEqual({ good: true, why: expect.stringMatching(`^ready: ${result} at `) })
  })

  test('with a file that is broken by now', () => {
    const file = { valid: false, diagnostics: [{ code: 'SYNTAX', message: 'no' }] }
    expect(judgeReadiness({ ...watch, file, last: run('unchanged') }).good).toBe(true)
  })

  test('not before its first run, nor after one that failed', () => {
    expect(judgeReadiness(watch)).toEqual({ good: false, why: 'not ready: the first run has not ended yet' })
    expect(judgeReadiness({ ...watch, last: run('failed') }).why).toBe('not ready: the last run failed (start)')
  })

  test('not while a span cannot be kept true', () => {
    const state = {
      ...watch,
      last: run('unchanged'),
      degraded: [degraded('span0', 'contested'), degraded(null, 'failed')]
    }
    expect(judgeReadiness(state)).toEqual({
      good: false,
      why: 'not ready: span span0 contested: RTNETLINK answers: No; failed: RTNETLINK answers: No'
    })
  })
})

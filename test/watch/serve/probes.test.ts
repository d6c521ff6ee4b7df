import { describe, expect, test } from 'vitest'
import type { Degraded, Run } from '../../../src/status/watch-state.ts'
import { probeLiveness, probeReadiness } from '../../../src/watch/serve/probes.ts'
import { watch } from '../../lab/fixtures/converged.ts'

const minute = 60_000

describe('a watch lives', () => {
  test.each([
    [0, minute],
    [5 * minute, minute],
    [5 * minute, 1000],
    [30 * minute, 10 * minute]
  ])('%i ms after its last run, with an interval of %i ms', (idle, interval) => {
    expect(probeLiveness(idle, interval).ok).toBe(true)
  })

  test.each([
    [5 * minute + 1, minute],
    [5 * minute + 1, 1000],
    [30 * minute + 1, 10 * minute]
  ])('no more %i ms after its last run, with an interval of %i ms', (idle, interval) => {
    expect(probeLiveness(idle, interval).ok).toBe(false)
  })

  test('and says since when', () => {
    expect(probeLiveness(61_500, minute).reason).toBe('alive: the last run was 1m1s ago')
    expect(probeLiveness(301_000, minute).reason).toBe(
      'hangs: no run has ended for 5m1s (there should be one every 1m)'
    )
  })
})

describe('a watch is ready', () => {
  const run = (result: Run['result']): Run => ({
    at: '2026-01-01T00:10:00.000Z',
    trigger: 'start',
    milliseconds: 400,
    result
  })
  const degraded = (span: string | null, reason: Degraded['reason']): Degraded => ({
    span,
    reason,
    until: '2026-01-01T00:20:00.000Z',
    diagnostic: { code: 'STEP_FAILED', message: 'RTNETLINK answers:\nNo' }
  })

  test.each(['unchanged', 'changed', 'drift'] as const)('after a run that ended with %s', (result) => {
    const { ok, reason } = probeReadiness({ ...watch, last: run(result) })
    expect({ ok, reason }).toEqual({ ok: true, reason: expect.stringMatching(`^ready: ${result} at `) })
  })

  test('with a file that is broken by now', () => {
    const file = { valid: false, diagnostics: [{ code: 'YAML_SYNTAX' as const, message: 'no' }] }
    expect(probeReadiness({ ...watch, file, last: run('unchanged') }).ok).toBe(true)
  })

  test('not before its first run, nor after one that failed', () => {
    expect(probeReadiness(watch)).toEqual({ ok: false, reason: 'not ready: the first run has not ended yet' })
    expect(probeReadiness({ ...watch, last: run('failed') }).reason).toBe('not ready: the last run failed (start)')
  })

  test('not while a span is degraded', () => {
    const state = {
      ...watch,
      last: run('unchanged'),
      degraded: [degraded('span0', 'contested'), degraded(null, 'failed')]
    }
    expect(probeReadiness(state)).toEqual({
      ok: false,
      reason: 'not ready: span span0 contested: RTNETLINK answers: No; failed: RTNETLINK answers: No'
    })
  })
})

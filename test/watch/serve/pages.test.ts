import { describe, expect, test } from 'vitest'
import { SpanplanError } from '../../../src/errors.ts'
import { makePages, type Watched } from '../../../src/watch/serve/watch-pages.ts'
import { see, watch } from '../../lab/fixtures/converged.ts'
import { expectMetrics } from '../../lab/metrics/promtool.ts'

/** A watch of a host that is not this one: of what it mirrors, there is nothing here. */
const watched: Watched = { interval: 60_000, state: () => watch, idle: () => 0, refresh: async () => see() }

async function get(pages: ReturnType<typeof makePages>, path: string) {
  const page = pages.get(path)
  if (page === undefined) throw new Error(`there is no ${path}`)
  return page()
}

test('there are three', () => {
  expect([...makePages(watched, '0.1.0').keys()]).toEqual(['/metrics', '/healthz', '/readyz'])
})

describe('/metrics', () => {
  test('in the format of Prometheus', async () => {
    const { status, type, body } = await get(makePages(watched, '0.1.0'), '/metrics')
    expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    expect(body).toContain('\nspanplan_counters_readable 1\n')
    await expectMetrics(body)
  })

  test('refreshes once for all scrapes at the same time', async () => {
    let refreshes = 0
    const refresh = async () => {
      refreshes += 1
      return see()
    }
    const pages = makePages({ ...watched, refresh }, '0.1.0')
    await Promise.all(Array.from({ length: 20 }, () => get(pages, '/metrics')))
    expect(refreshes).toBe(1)
  })

  test('is one page for all who ask soon after one another', async () => {
    let states = 0
    const state = () => {
      states += 1
      return watch
    }
    const pages = makePages({ ...watched, state }, '0.1.0')
    const first = await get(pages, '/metrics')
    const made = states
    for (let count = 0; count < 20; count++) expect(await get(pages, '/metrics')).toBe(first)
    expect(states).toBe(made)
  })

  test('has the metrics of the watch also where the host cannot be read', async () => {
    const refresh = async () => {
      throw new SpanplanError({ code: 'PROGRAM_MISSING', message: 'ip is not installed' })
    }
    const { status, body } = await get(makePages({ ...watched, refresh }, '0.1.0'), '/metrics')
    expect(status).toBe(200)
    expect(body).toContain('\nspanplan_counters_readable 0\n')
    expect(body).not.toContain('spanplan_healthy')
  })

  test('does not wait for a refresh that hangs', async () => {
    const refresh = () => new Promise<never>(() => undefined)
    const { body } = await get(makePages({ ...watched, refresh }, '0.1.0'), '/metrics')
    expect(body).toContain('\nspanplan_counters_readable 0\n')
  })

  test('hides no bug', async () => {
    const refresh = async () => {
      throw new TypeError('a bug')
    }
    await expect(get(makePages({ ...watched, refresh }, '0.1.0'), '/metrics')).rejects.toThrow('a bug')
  })
})

test('/healthz and /readyz answer in one line, whatever stands in it', async () => {
  const diagnostic = { code: 'BUG', message: 'a\u001b[2J\nb' } as const
  const degraded = [{ span: 'span0', reason: 'failed', diagnostic, until: '2026-01-01T00:20:00.000Z' }] as const
  const last = { at: '2026-01-01T00:10:00.000Z', trigger: 'start', result: 'failed', milliseconds: 400 } as const
  const hung = { ...watched, idle: () => 3_600_000, state: () => ({ ...watch, last, degraded }) }
  const pages = makePages(hung, '0.1.0')
  expect(await get(pages, '/healthz')).toMatchObject({ status: 503, body: expect.stringMatching(/^hangs: .*\n$/) })
  expect(await get(pages, '/readyz')).toMatchObject({
    status: 503,
    body: 'not ready: span span0 failed: a\\u001b[2J b\n'
  })
  expect(await get(makePages(watched, '0.1.0'), '/healthz')).toMatchObject({ status: 200 })
  expect(await get(makePages(watched, '0.1.0'), '/readyz')).toMatchObject({ status: 503 })
})

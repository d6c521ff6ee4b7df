/**
 * What a run has done that was killed, at whatever step, destroy takes back: an apply's, and a destroy's of its own. That
 * the next apply ends the job: kills.long.test.ts.
 */
import { afterAll, describe, expect, test } from 'vitest'
import { type Call, installFaultyPrograms } from '../lab/commands/faulty-programs.ts'
import { everything, openUsedHost } from '../lab/interfaces-in-use.ts'
import { spanplan, writeSpans } from '../lab/spans.ts'

const host = await openUsedHost()
const { lab } = host
afterAll(() => lab.close())

const programs = await installFaultyPrograms(lab)
await writeSpans(lab, everything)

const apply = ['apply', '--yes']
const destroy = ['destroy', '--yes']

/** What spanplan calls to change something. */
async function record(args: readonly string[]): Promise<readonly Call[]> {
  const run = await programs.prepare()
  await spanplan(lab, args, 0, { env: run.env })
  return run.calls()
}

const calls = { apply: await record(apply), destroy: await record(destroy) }

/** Killed amid every other call, and before the ones between. */
const moments = (all: readonly Call[]) =>
  all.map(({ tool, first, lines }, index) =>
    index % 2 === 0
      ? { tool, how: 'kill amid' as const, line: first + Math.floor(lines.length / 2) }
      : { tool, how: 'kill before' as const, line: first }
  )

async function runKilled(args: readonly string[], mishap: ReturnType<typeof moments>[number]): Promise<void> {
  const { env } = await programs.prepare(mishap)
  const { signal } = await lab.startSpanplan(args, { env })
  expect(signal).toBe('SIGKILL')
}

test('there are many', () => {
  expect(calls.apply.length).toBeGreaterThan(5)
  expect(calls.destroy.length).toBeGreaterThan(3)
})

describe('an apply that is killed is taken back:', () => {
  test.each(moments(calls.apply))('$how $tool $line', async (mishap) => {
    await runKilled(apply, mishap)
    await spanplan(lab, destroy)
    await host.expectNothingLeft()
  })
})

describe('a destroy that is killed is ended by the next:', () => {
  test.each(moments(calls.destroy))('$how $tool $line', async (mishap) => {
    await spanplan(lab, apply)
    await runKilled(destroy, mishap)
    await spanplan(lab, destroy)
    await host.expectNothingLeft()
  })
})

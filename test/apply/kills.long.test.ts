/** An apply that is killed, at whatever step: the next one ends the job, and destroy takes all back. */
import { afterAll, describe, expect, test } from 'vitest'
import { applyNew, expectDestroyed, expectNextApplyConverges, type Scene } from '../lab/faults/scene.ts'
import { openStage, setUp } from '../lab/faults/stage.ts'
import { sampled } from '../lab/sampled.ts'

const stage = await openStage()
afterAll(() => stage.close())

async function expectRecovery(scene: Scene): Promise<void> {
  await expectNextApplyConverges(scene.lab)
  await expectDestroyed(scene)
}

describe('killed', () => {
  const calls = stage.calls.map(({ tool, first, lines }, index) => ({
    tool,
    ...(index % 2 === 0
      ? { how: 'kill amid' as const, line: first + Math.floor(lines.length / 2) }
      : { how: 'kill before' as const, line: first })
  }))

  // An odd step, so that each way has its turn.
  test.each(sampled(calls, 5))('$how: $tool $line', async ({ tool, line, how }) => {
    const scene = await stage.enter()
    const env = await setUp(scene, { program: { tool, line, how } })
    const { signal } = await scene.lab.startSpanplan(applyNew, { env })
    expect(signal).toBe('SIGKILL')
    await expectRecovery(scene)
  })

  test.each(
    sampled(
      stage.requests.map((words, index) => ({ words, request: index + 1 })),
      3,
      1
    )
  )('when Docker has done $words', async ({ request }) => {
    const scene = await stage.enter()
    let kill = () => {}
    const meanwhile = async () => kill()
    const env = await setUp(scene, { request: { request, how: 'hold after' }, meanwhile })
    const run = scene.lab.startSpanplan(applyNew, { env })
    kill = () => run.kill('SIGKILL')
    expect((await run).signal).toBe('SIGKILL')
    await expectRecovery(scene)
  })
})

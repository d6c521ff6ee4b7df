/** What happens where several work on a host at once: the end is what the file says, and nobody else's work is lost. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { applyNew, expectDestroyed, expectNewConverged, type Scene } from '../lab/faults/scene.ts'
import { openStage, setUp } from '../lab/faults/stage.ts'
import { readState } from '../lab/faults/state.ts'
import type { Outcome } from '../lab/lab.ts'
import { networksOf, spanplan } from '../lab/spans.ts'

const stage = await openStage()
afterAll(() => stage.close())

/** Whatever the others did, it is never a bug, and never silent. */
function expectClear({ exitCode, stderr }: Outcome): void {
  expect([0, 1, 4, 5], stderr).toContain(exitCode)
  if (exitCode !== 0) expect(stderr).toMatch(/^(\S+: )?error: \S/m)
}

describe('two applies at once', () => {
  /** Either does its work, or the other holds the lock. */
  function expectApart(outcomes: readonly Outcome[]): void {
    for (const { exitCode, stderr } of outcomes) expect([0, 75], stderr).toContain(exitCode)
  }

  test('of one file', async () => {
    const scene = await stage.enter()
    const { lab } = scene
    expectApart(await Promise.all([lab.spanplan(applyNew), lab.spanplan(applyNew)]))
    await spanplan(lab, applyNew)
    await expectNewConverged(lab)
    await expectDestroyed(scene)
  })

  test('of files with two names, which share a card and a sensor', async () => {
    const scene = await stage.enter()
    const { lab } = scene
    const text = `version: 1\nname: other\nspans: {span9: {sources: [{interface: ens192}, {interface: ens256}], sensors: [suricata]}}\n`
    await writeFile(join(lab.files, 'other.yaml'), text)
    const applyOther = ['apply', '--yes', '-f', 'other.yaml'] as const
    expectApart(await Promise.all([lab.spanplan(applyNew), lab.spanplan(applyOther)]))
    for (const args of [applyNew, applyOther]) await spanplan(lab, args)
    for (const file of ['new.yaml', 'other.yaml']) {
      const { stdout } = await spanplan(lab, ['plan', '-f', file])
      expect(stdout).toContain('No changes')
    }
    await expectDestroyed(scene)
  })

  test('of one that applies, and one that destroys', async () => {
    const scene = await stage.enter()
    const { lab } = scene
    expectApart(await Promise.all([lab.spanplan(applyNew), lab.spanplan(['destroy', '--name', 'rich', '--yes'])]))
    await spanplan(lab, applyNew)
    await expectNewConverged(lab)
    await expectDestroyed(scene)
  })
})

describe('somebody else, meanwhile,', () => {
  /** Does it again and again, until told to stop. */
  function repeat(work: () => Promise<unknown>): () => Promise<void> {
    let goOn = true
    const loop = (async () => {
      while (goOn) {
        await work().catch(() => undefined)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    })()
    return async () => {
      goOn = false
      await loop
    }
  }

  test.each([
    {
      name: 'disconnects a sensor',
      work: ({ lab }: Scene) => lab.docker.getNetwork('tap').disconnect({ Container: 'suricata', Force: true })
    },
    { name: 'removes a network', work: ({ lab }: Scene) => lab.docker.getNetwork('extra').remove() },
    { name: 'removes a network that is made anew', work: ({ lab }: Scene) => lab.docker.getNetwork('tap').remove() },
    { name: 'deletes a bridge', work: ({ lab }: Scene) => lab.run(['ip', 'link', 'del', 'dev', 'span2']) }
  ])('$name', async ({ work }) => {
    const scene = await stage.enter()
    const { lab } = scene
    const stop = repeat(() => work(scene))
    const said = await lab.spanplan(applyNew).finally(stop)
    expectClear(said)
    await spanplan(lab, applyNew)
    await expectNewConverged(lab)
    await expectDestroyed(scene)
  })
})

describe('a container, while it is being connected,', () => {
  /** The request that connects it to the network of another MTU. */
  const request = 1 + stage.requests.findIndex((words) => /tap\/connect .*suricata/.test(words))

  const suricata = ({ lab }: Scene) => lab.docker.getContainer('suricata')

  test.each([
    {
      name: 'is stopped',
      by: (scene: Scene) => suricata(scene).stop(),
      later: (scene: Scene) => suricata(scene).start()
    },
    { name: 'is restarted', by: (scene: Scene) => suricata(scene).restart(), later: () => Promise.resolve() },
    {
      name: 'is removed',
      by: (scene: Scene) => suricata(scene).remove({ force: true }),
      later: ({ lab }: Scene) => lab.startSensor('suricata')
    }
  ])('$name', async ({ by, later }) => {
    const scene = await stage.enter()
    const { lab } = scene
    const env = await setUp(scene, {
      request: { request, how: 'hold before' },
      meanwhile: async () => void (await by(scene))
    })
    const said = await lab.spanplan(applyNew, { env })
    expectClear(said)
    // What others have connected is connected still.
    const guest = lab.docker.getContainer('guest')
    expect(await networksOf(guest), said.stderr).toEqual(['tap', 'web'])
    const state = await readState(lab)
    expect(state.get('guest: container')).toBe(scene.before.get('guest: container'))
    await spanplan(lab, applyNew)
    await expectNewConverged(lab)
    await later(scene)
    await spanplan(lab, applyNew)
    await expectNewConverged(lab)
    await expectDestroyed(scene, 'suricata')
  })
})

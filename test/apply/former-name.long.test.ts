/** A name that changes while something fails: what is half-way is finished, or taken back, and no frame is lost or doubled. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { installFaultyPrograms } from '../lab/commands/faulty-programs.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { after, before, createRenamedLab, expectEachOnce, type RenamedLab } from '../lab/former-name.ts'
import { sampled } from '../lab/sampled.ts'
import { expectConverged, spanplan } from '../lab/spans.ts'

let scene: RenamedLab

beforeAll(async () => {
  scene = await createRenamedLab()
})
afterAll(() => scene?.lab.close())
afterEach(() => spanplan(scene.lab, ['destroy', '--all', '--yes']))

/** Applies the file with the old name, then writes it with the new one. */
async function applyAndRename(): Promise<void> {
  await scene.write(before)
  await spanplan(scene.lab, ['apply', '--yes'])
  await scene.write(after)
}

test('an apply with a window takes the old marks back, and a later one makes the change', async () => {
  const { lab, onHost } = scene
  const readAliases = async () => (await onHost('ip -d link')).match(/alias .*/g)
  await applyAndRename()
  const aliases = await readAliases()
  const followed = await scene.followFrames(async () => {
    expect((await lab.spanplan(['apply', '--rollback-after', '1s'])).exitCode).not.toBe(0)
  })
  expectEachOnce(followed)
  expect(await readAliases()).toEqual(aliases)
  expect(await scene.namesInKernel()).toEqual(new Set(['old']))
  await scene.write(before)
  await expectConverged(lab)
  await scene.write(after)
  await spanplan(lab, ['apply'])
  expect(await scene.namesInKernel()).toEqual(new Set(['new']))
})

test('with Docker down, what the kernel alone knows gets the new name, and the rest once Docker is back', async () => {
  const { lab } = scene
  await applyAndRename()
  const followed = await scene.followFrames(() =>
    lab.silenceDocker(async () => {
      await spanplan(lab, ['apply', '--defer-docker'])
    })
  )
  expectEachOnce(followed)
  expect((await scene.namesInKernel()).has('new')).toBe(true)
  expect((await spanplan(lab, ['apply'])).stdout).not.toMatch(/^ +(\+|-|-\/\+) /m)
  expect(await scene.namesInKernel()).toEqual(new Set(['new']))
  await expectConverged(lab)
})

test('one span after the other', async () => {
  const { lab } = scene
  await applyAndRename()
  await spanplan(lab, ['apply', '--span', 'span0'])
  expect(await scene.namesInKernel()).toEqual(new Set(['old', 'new']))
  await spanplan(lab, ['apply'])
  expect(await scene.namesInKernel()).toEqual(new Set(['new']))
  await expectConverged(lab)
})

test.each(['kill before', 'kill amid', 'kill after', 'fail'] as const)(
  '%s, at any step: the next apply ends the work',
  async (how) => {
    const { lab, write, onHost } = scene
    const programs = await installFaultyPrograms(lab)
    await applyAndRename()
    const whole = await programs.prepare()
    await spanplan(lab, ['apply'], 0, { env: whole.env })
    const steps = (await whole.calls()).flatMap(({ tool, first, lines }) =>
      lines.map((_, index) => ({ tool, line: first + index }))
    )
    expect(steps.length).toBeGreaterThan(18)
    for (const step of sampled(steps, 4)) {
      // Back, by the same way.
      await write('name: old\nformerly: new')
      await spanplan(lab, ['apply'])
      await write(after)
      const { env } = await programs.prepare({ ...step, how })
      const applied = lab.spanplan(['apply'], { env })
      if (how === 'fail') expect((await applied).exitCode).not.toBe(0)
      else await expect(applied).rejects.toThrow('SIGKILL')
      expect((await spanplan(lab, ['apply'])).stdout).toMatch(/Applied and verified: \d+ changed\.|No changes/)
      await expectConverged(lab)
      expect(await scene.namesInKernel()).toEqual(new Set(['new']))
      // The output has one seal, and not two.
      expect((await onHost('tc filter show dev ens224 ingress')).match(/direct-action/g)).toHaveLength(1)
    }
  }
)

test('a watch of the old name, with a file of its own, does not fight, and is told of', async () => {
  const { lab } = scene
  await writeFile(join(lab.files, 'old.yaml'), scene.text(before))
  await using watch = await startWatch(lab, ['-f', 'old.yaml'], { name: 'old' })
  await scene.write(after)
  // A watch that has just begun may be in the middle of a run.
  const { stderr } = await spanplan(lab, ['apply', '--lock-timeout', '10s'])
  const said = stderr.replace(/\s+/g, ' ')
  expect(said).toContain(`a watch of the name old (pid ${watch.pid}) runs, which this file had before`)
  expect(said).toContain('end the watch first')
  await watch.settle()
  expect(await scene.namesInKernel()).toEqual(new Set(['new']))
  expect((await watch.state()).degraded.map(({ diagnostic }) => diagnostic.code)).toContain('BRIDGE_OTHER_NAME')
  await expectConverged(lab)
})

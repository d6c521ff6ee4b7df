/** A file whose name changes: what it has made stays, each receiver gets each frame once, and all marks in the kernel say the new name. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { after, before, createRenamedLab, expectEachOnce, type RenamedLab } from '../lab/former-name.ts'
import { expectConverged, networksOf, portOf, spanplan, until } from '../lab/spans.ts'

let scene: RenamedLab

beforeAll(async () => {
  scene = await createRenamedLab()
})
afterAll(() => scene?.lab.close())
afterEach(() => spanplan(scene.lab, ['destroy', '--all', '--yes']))

test('each receiver gets each frame once, and nothing but marks changes; a second plan is empty', async () => {
  const { lab, sensor, write, onHost } = scene
  await write(before)
  await spanplan(lab, ['apply', '--yes'])
  expect(await scene.namesInKernel()).toEqual(new Set(['old']))
  const made = await scene.describeSensors()
  const followed = await scene.followFrames(async () => {
    await write(after)
    const { stdout } = await spanplan(lab, ['apply'])
    expect(stdout.match(/ ~ .* mark: name old → new/g)).toHaveLength(18)
    expect(stdout).toContain('Applied and verified: 18 changed.')
  })
  expectEachOnce(followed)
  expect(await scene.namesInKernel()).toEqual(new Set(['new']))
  expect(await scene.describeSensors()).toEqual(made)
  await expectConverged(lab)
  expect((await spanplan(lab, ['status'])).stdout).toMatch(/span0: healthy[\s\S]*span1: healthy/)
  // A sensor that comes back is sealed and gets its part.
  await sensor('part').restart()
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  expect(await onHost(`tc filter show dev ${await portOf(lab, sensor('part'))} ingress`)).toContain('direct-action')
})

test('without "formerly", a plan says what is the matter; import writes it; a destroy removes all', async () => {
  const { lab, sensor, write, onHost } = scene
  await write(before)
  await spanplan(lab, ['apply', '--yes'])
  await write(after)
  await spanplan(lab, ['apply'])
  await write('name: new')
  const { stderr } = await spanplan(lab, ['plan'], 1)
  expect(stderr).toContain('the Docker network span0 bears the name old, and Docker changes no label of a network')
  expect(stderr).toContain('have "formerly: old" beside "name" for as long as the network is there')
  const { stdout } = await spanplan(lab, ['import'])
  expect(stdout).toContain('name: new\nformerly: old\n')
  await writeFile(join(lab.files, 'imported.yaml'), stdout)
  await spanplan(lab, ['plan', '-f', 'imported.yaml'])
  const refused = await spanplan(lab, ['destroy', '--name', 'new', '--yes'], 1)
  expect(refused.stderr).toContain('spanplan destroy --name old --span span0')
  await write(after)
  expect((await spanplan(lab, ['doctor'])).stdout).not.toContain('no file here has the name')
  await spanplan(lab, ['destroy', '--yes'])
  expect(await onHost('ip -d link')).not.toContain('alias spanplan')
  expect(await networksOf(sensor('zeek'))).toEqual(['none'])
})

test('spans without a Docker network need "formerly" for one apply only', async () => {
  const { lab, write, onHost } = scene
  const outputs = '{interface: ens224}, {vxlan: {id: 50, port: 4790, remote: 10.50.0.1}}'
  const bare = `spans: {span0: {sources: [{interface: ens192}], outputs: [${outputs}]}}`
  await write(before, bare)
  await spanplan(lab, ['apply', '--yes'])
  await write(after, bare)
  await spanplan(lab, ['apply'])
  await write('name: new', bare)
  await expectConverged(lab)
  expect((await spanplan(lab, ['status'])).stdout).toContain('span0: healthy')
  await spanplan(lab, ['destroy', '--name', 'new', '--yes'])
  expect(await onHost('ip -d link')).not.toContain('alias spanplan')
  expect(await onHost('tc filter show dev ens224 ingress')).toBe('')
})

test('a watch follows its file to the new name, and goes on', async () => {
  const { lab, write, onHost } = scene
  await write(before)
  await using watch = await startWatch(lab, [], { name: 'old' })
  const followed = await scene.followFrames(async () => {
    await write(after)
    await until('all marks say the new name', async () => [...(await scene.namesInKernel())].join() === 'new')
  })
  expectEachOnce(followed)
  const { watch: found } = JSON.parse((await spanplan(lab, ['status', '--json'])).stdout)
  expect(found).toMatchObject({ name: 'new', pid: watch.pid })
  await onHost('ip link set dev span1 down')
  await until('it repairs the span', async () => (await onHost('ip -br link show dev span1')).includes('UP'))
})

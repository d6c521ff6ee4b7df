/** The old recipe as scripts make it where the kernel has all: with prio at the root, and with matchall too. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { takeover, useRecipe } from '../lab/old-recipe.ts'
import {
  expectConverged,
  expectFrames,
  expectRefusal,
  listenBeside,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let first: string

const recipe = useRecipe(() => lab)
const { tc, makeBridge, makeRoot, makeMirrors, settle, makeNetwork, describeBare, describeLab } = recipe

beforeAll(async () => {
  lab = await createLab({ docker: true })
  // Its first qdisc with a queue gives the card a length of one, for good.
  await makeRoot('prio')
  await tc('qdisc', 'del', 'dev', 'ens192', 'root')
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
afterEach(() => recipe.clear(first))

/** What comes from the switch and what the host sends: each is heard once, as it was. */
async function expectEachOnce(sensor: Docker.Container): Promise<void> {
  const capture = await listenBeside(lab, sensor, { expression: 'ether src 02:00:00:00:0a:01' })
  const frames = [60, 512, 1514, 60, 512, 1514].map((size, seed) =>
    ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', filler(size, seed))
  )
  await lab.send(frames.slice(0, 3), 'sw0')
  await lab.send(frames.slice(3), 'ens192')
  await expectFrames(capture, Object.fromEntries(frames.map((frame, index) => [`${index}`, frame])))
}

/** The bridge, the network with a sensor, and the mirrors. */
async function makeTap(kind: 'u32' | 'matchall'): Promise<Docker.Container> {
  await makeNetwork('span')
  await makeMirrors(kind)
  const suricata = await lab.startSensor('suricata', { NetworkMode: 'span' })
  await settle()
  return suricata
}

async function expectTakenOver(suricata: Docker.Container): Promise<void> {
  await spanplan(lab, ['apply', '--adopt', '--yes'])
  await expectConverged(lab)
  await expectEachOnce(suricata)
}

async function expectGivenBack(bare: string): Promise<void> {
  await spanplan(lab, ['destroy', '--yes'])
  await until('the bridge is as it was', async () => (await describeBare()) === bare).catch(() => undefined)
  expect(await describeBare()).toBe(bare)
}

test('u32 mirrors, and a prio for them alone: what import writes is put back if it fails, and taken over', async () => {
  await makeBridge()
  const bare = await describeBare()
  await makeRoot('prio')
  const suricata = await makeTap('u32')
  await expectEachOnce(suricata)
  const { stdout } = await spanplan(lab, ['import'])
  await writeFile(join(lab.files, 'spans.yaml'), stdout)
  const refusal = await expectRefusal(lab, ['apply', '--yes'])
  expect(refusal.match(/take it over with --adopt/g)).toHaveLength(5)

  const before = await describeLab()
  const { options } = await wrapPrograms(lab, { tc: failAt('filter replace dev ens192 egress') })
  await spanplan(lab, ['apply', '--adopt', '--yes'], 5, options)
  await until('all is as it was', async () => (await describeLab()) === before).catch(() => undefined)
  expect(await describeLab()).toBe(before)

  await expectTakenOver(suricata)
  expect(await tc('qdisc', 'show', 'dev', 'ens192')).not.toContain('prio')
  await expectGivenBack(bare)
})

test('matchall mirrors, and a prio that sorts frames too, which stays', async () => {
  await makeBridge()
  await makeRoot('prio')
  const sorts = ['flower', 'dst_mac', 'ff:ff:ff:ff:ff:ff', 'classid', '1:1']
  await tc('filter', 'add', 'dev', 'ens192', 'parent', '1:', 'pref', '50000', 'protocol', 'all', ...sorts)
  const bare = await describeBare()
  const suricata = await makeTap('matchall')
  await writeSpans(lab, takeover)
  await expectTakenOver(suricata)
  await expectGivenBack(bare)
})

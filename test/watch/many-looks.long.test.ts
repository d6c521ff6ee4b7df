/**
 * A week of looks in fast motion: a watch and what it runs hold no more after them than before. SPANPLAN_LOOKS=10000 makes as many as a
 * watch makes in a week, and takes half an hour.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readUsage, type Tree, type Usage } from '../bench/process-tree.ts'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, until, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, direction: ingress}]}}')
})
afterAll(() => lab?.close())

const looks = Number(process.env.SPANPLAN_LOOKS ?? 300)
/** Looks until all has been used that a watch uses, and the heap of Node.js has its size: it grows from 32 to 44 MB, and stays there. */
const warmUp = Math.max(150, looks / 10)

/** Megabytes that a watch, or its programs, may have grown by: what Node.js has freed and keeps varies by a third of that. */
const mostMemory = 12
/** A program that has just been started, or ended. */
const mostDescriptors = 8

/** Milliseconds without a run after which the watch has rested: runs that follow each other directly have ever longer rests between them. */
const pause = 100

let made = 0

/**
 * Has the watch look again and again. Each time, an interface comes or goes that never was before: what remembers names grows by that.
 * Now and then, something is to be repaired.
 */
async function makeLooks(watch: Watch, count: number): Promise<void> {
  const start = await watch.runs()
  for (let runs = start; runs < start + count; ) {
    const name = `v${made}`
    // So seldom that the watch does not leave it to whoever deletes it again and again.
    if (made++ % 100 === 0) await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress', 'pref', '8'])
    const lines = [`link add ${name} type veth peer name ${name}p`, `link del dev ${name}`]
    await lab.run(['ip', '-batch', '-'], { input: lines.join('\n') })
    const before = runs
    for (let last = -1; runs === before || runs !== last; ) {
      last = runs
      await sleep(pause)
      runs = await watch.runs()
    }
  }
}

/** The least of several readings: what Node.js has not yet freed is nothing that is held. */
async function readLeast(watch: Watch): Promise<Pick<Usage, 'held' | 'descriptors'>> {
  const readings: Usage[] = []
  for (let count = 0; count < 10; count++) {
    await makeLooks(watch, 5)
    readings.push(readUsage(watch.pid))
  }
  const least = (what: 'held' | 'descriptors'): Tree => ({
    own: Math.min(...readings.map((usage) => usage[what].own)),
    all: Math.min(...readings.map((usage) => usage[what].all))
  })
  return { held: least('held'), descriptors: least('descriptors') }
}

test(`a watch holds no more after ${looks} looks than after ${warmUp}`, { timeout: looks * 3000 }, async () => {
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await makeLooks(watch, warmUp)
  const before = await readLeast(watch)
  await makeLooks(watch, looks)
  const after = await readLeast(watch)
  const told = JSON.stringify({ before, after })
  expect(after.held.own, told).toBeLessThan(before.held.own + mostMemory)
  const ofPrograms = ({ held }: Pick<Usage, 'held'>) => held.all - held.own
  expect(ofPrograms(after), told).toBeLessThan(ofPrograms(before) + mostMemory)
  expect(after.descriptors.own, told).toBeLessThanOrEqual(before.descriptors.own + mostDescriptors)
  expect(after.descriptors.all, told).toBeLessThanOrEqual(before.descriptors.all + mostDescriptors)
  await until('all is as it was', async () => (await watch.state()).degraded.length === 0)
  await expectConverged(lab)
})

/** Random walks with Docker: whatever comes, goes and restarts, an apply leads to the file, and destroy to the first state. */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expectSame, sortRoutes } from '../foreign-view.ts'
import { searchWalks } from '../search.ts'
import type { Name } from './specs.ts'
import { destroy, type Step, step, take } from './steps.ts'
import { World } from './world.ts'

const PATIENCE_MS = 60_000

interface Walk {
  readonly steps: readonly Step[]
  /** In which order the names leave. */
  readonly leave: readonly Name[]
}

const walk: fc.Arbitrary<Walk> = fc.record({
  steps: fc.array(step, { minLength: 3, maxLength: 8 }),
  leave: fc.constantFrom<Walk['leave'][]>(['a', 'b'], ['b', 'a'])
})

/** Takes as many walks. All are in one lab, for Docker takes long to start; after a walk that fails, the next has a lab of its own. */
export async function takeDockerWalks(count: number, usual: number): Promise<void> {
  let world: World | undefined
  try {
    await searchWalks(
      walk,
      async (one) => {
        world ??= await World.create()
        try {
          await takeWalk(world, one)
        } catch (error) {
          await world.lab.close()
          const { log } = world
          world = undefined
          throw new Error(
            `${error instanceof Error ? error.message : error}\n\nIn a lab with Docker:\n${log.join('\n')}`
          )
        }
      },
      count,
      usual
    )
  } finally {
    await world?.lab.close()
  }
}

async function takeWalk(world: World, { steps, leave }: Walk): Promise<void> {
  world.start()
  for (const one of steps) await take(world, one)
  world.log.push('# leave')
  for (const name of leave) await destroy(world, name, false)
  await expectNothingOfOurs(world)
  await world.clear()
  expectSame('the host is not as it was', sortRoutes(world.first), await settled(world))
}

/** Docker has no network, note or endpoint of spanplan's, and a container that was on "none" is there again. */
async function expectNothingOfOurs(world: World): Promise<void> {
  const networks = (await world.networks()).filter(({ labels }) => 'spanplan.name' in labels)
  const places = (await world.containers()).flatMap(({ name, mode, endpoints }) => [
    ...[...endpoints].filter(([, { DriverOpts }]) => DriverOpts?.['spanplan.name'] !== undefined).map(() => name),
    ...(mode === 'none' && endpoints.size === 0 ? [`${name} is on no network, not even on none`] : [])
  ])
  expectSame('something of ours is left in Docker', '', [...networks.map(({ name }) => name), ...places].join('\n'))
}

/** The state in the end: Docker takes away the ports of containers in its own time. */
async function settled(world: World): Promise<string> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const start = performance.now()
    const now = sortRoutes(await world.lab.snapshotText())
    if (now === sortRoutes(world.first) || Date.now() > deadline) return now
    await sleep(Math.max(50, performance.now() - start))
  }
}

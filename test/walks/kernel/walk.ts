/** Random walks: whatever a host is like and whatever happens, an apply leads to the file, and destroy to the first state. */

import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { createLab } from '../../lab/lab.ts'
import { expectSame, sortRoutes } from '../foreign-view.ts'
import { searchWalks } from '../search.ts'
import { bystander, cards, type HostState, hostState } from './host.ts'
import { destroy, type Step, step, take } from './steps.ts'
import { type Alphabet, type Name, names, outputCards, readAlphabet } from './tunnels.ts'
import { World } from './world.ts'

const PATIENCE_MS = 20_000

interface Walk {
  readonly host: HostState
  readonly steps: readonly Step[]
  /** In which order the names leave, or all of them together. */
  readonly leave: readonly Name[] | 'all'
}

const walk = (alphabet: Alphabet, longest: number): fc.Arbitrary<Walk> =>
  fc.record({
    host: hostState,
    steps: fc.array(step(alphabet), { minLength: 2, maxLength: longest }),
    leave: fc.constantFrom<Walk['leave'][]>('all', ['a', 'b'], ['b', 'a'])
  })

/**
 * Takes as many walks, each in a lab of its own.
 *
 * @param alphabet the tunnels of the walks: by default all that the kernel has.
 * @param longest how many steps a walk has at most.
 */
export async function takeWalks(count: number, usual: number, alphabet?: Alphabet, longest = 8): Promise<void> {
  return searchWalks(walk(alphabet ?? (await readAlphabet()), longest), takeWalk, count, usual)
}

async function takeWalk({ host, steps, leave }: Walk): Promise<void> {
  const lab = await createLab({
    cables: [...cards, bystander, ...Object.values(outputCards)].map((card) => ({ card }))
  })
  try {
    const world = await World.create(lab, host)
    try {
      await takeSteps(world, steps, leave)
    } catch (error) {
      const script = world.log.join('\n')
      throw new Error(`${error instanceof Error ? error.message : error}\n\nIn a namespace of its own:\n${script}`)
    }
  } finally {
    await lab.close()
  }
}

async function takeSteps(world: World, steps: readonly Step[], leave: Walk['leave']): Promise<void> {
  const first = sortRoutes(await world.lab.snapshotText())
  for (const one of steps) await take(world, one)
  const foreign = await world.foreign()
  world.log.push('# leave')
  if (leave === 'all' && world.isNamed) await destroy(world, names, ['--all'])
  else for (const name of leave === 'all' ? names : leave) await destroy(world, [name], ['--name', name])
  expectSame('what is not ours has changed', foreign, await world.foreign())
  await world.undoAll()
  expectSame('the host is not as it was', first, await settled(world, first))
}

/** The state in the end: addresses that the kernel gives back take it a second. */
async function settled(world: World, first: string): Promise<string> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const start = performance.now()
    const now = sortRoutes(await world.lab.snapshotText())
    if (now === first || Date.now() > deadline) return now
    await sleep(Math.max(50, performance.now() - start))
  }
}

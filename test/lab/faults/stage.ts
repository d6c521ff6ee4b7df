/** One scene for many tests: each begins in the state before, and leading back to it is paid for only where it was left. */

import type { Call, Mishap, Tool } from '../commands/faulty-programs.ts'
import type { DockerMishap } from '../docker/faulty-docker.ts'
import { spanplan } from '../spans.ts'
import { applyNew, openScene, type Scene } from './scene.ts'
import { readState, writeState } from './state.ts'

/** What an apply of the new file does where nothing goes wrong. */
interface Score {
  /** One a process. */
  readonly calls: readonly Call[]
  /** One a request to Docker that changes something. */
  readonly requests: readonly string[]
}

/** One line of all that the programs are told. */
interface Line {
  readonly tool: Tool
  readonly line: number
  /** Cut short, and without what Docker names anew each time. */
  readonly words: string
}

export interface Stage extends Score {
  readonly lines: readonly Line[]
  /** The scene, in the state before. */
  enter(): Promise<Scene>
  close(): Promise<void>
}

/** Opens a scene, and writes down what an apply does in it. */
export async function openStage(): Promise<Stage> {
  let scene = await openScene()
  const score = await record(scene)
  scene.at = null
  return {
    ...score,
    lines: score.calls.flatMap(({ tool, first, lines }) =>
      lines.map((words, index) => ({
        tool,
        line: first + index,
        words: words.replace(/veth\w+/g, 'PORT').slice(0, 70)
      }))
    ),
    async enter() {
      if (scene.at !== 'before' && !(await lead(scene))) {
        // A test has failed, or has deleted a card: what it left cannot be taken back.
        await scene.close()
        scene = await openScene()
      }
      scene.at = null
      return scene
    },
    close: () => scene.close()
  }
}

/** An environment for spanplan in which that goes wrong. */
export async function setUp(
  { programs, docker }: Scene,
  fault: { readonly program?: Mishap; readonly request?: DockerMishap; readonly meanwhile?: () => Promise<void> }
): Promise<Readonly<Record<string, string>>> {
  const { env } = await programs.prepare(fault.program)
  docker.prepare(fault.request, fault.meanwhile)
  return { ...env, ...docker.env }
}

async function record(scene: Scene): Promise<Score> {
  const { programs, docker, lab } = scene
  const run = await programs.prepare()
  docker.prepare()
  await spanplan(lab, applyNew, 0, { env: { ...run.env, ...docker.env } })
  return { calls: await run.calls(), requests: docker.requests.map((words) => words.replace(/\?.*/, '')) }
}

async function lead(scene: Scene): Promise<boolean> {
  try {
    if (scene.at !== 'first') await scene.destroy()
    await scene.prepare()
    return writeState(await readState(scene.lab)) === writeState(scene.before)
  } catch {
    return false
  }
}

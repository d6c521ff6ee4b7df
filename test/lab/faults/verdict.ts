/** What an apply that fails may leave, and what it has to say about it. */
import { expect } from 'vitest'
import type { Outcome } from '../lab.ts'
import { expectDestroyed, expectNewConverged, expectNextApplyConverges, expectState, type Scene } from './scene.ts'
import { listDifferences, readAliases, readState, without } from './state.ts'

interface Verdict {
  /** The statuses that it may end with. */
  readonly exits: readonly number[]
  /** With 4, one sensor is left out, and all else is as the new file says. */
  readonly leavesOut?: boolean
  /** A card that somebody took out meanwhile: nothing can bring it back. */
  readonly gone?: string
}

/**
 * With 0, the new file is what is there; with 4, some of both is, all that differs from before is named, and the next apply
 * and destroy work; with anything else, what was there before is there again.
 */
export async function expectVerdict(
  scene: Scene,
  said: Outcome,
  { exits, leavesOut = false, gone = '' }: Verdict
): Promise<void> {
  const { lab, before } = scene
  if (said.exitCode === 0) await expectNewConverged(lab)
  else if (said.exitCode === 4) await (leavesOut ? expectOneLeftOut(scene, said) : expectTruth(scene, said, gone))
  else {
    await expectState(lab, before, { said, gone })
    if (gone === '') scene.at = 'before'
  }
  expect(exits, `status ${said.exitCode}\n${said.stderr}`).toContain(said.exitCode)
}

async function expectTruth(scene: Scene, said: Outcome, gone: string): Promise<void> {
  const { lab, before } = scene
  const after = without(await readState(lab), gone)
  const differing = listDifferences(without(before, gone), after)
  const aliasesOf = await readAliases(lab)
  const unnamed = differing.filter((name) => !aliasesOf(name).some((alias) => said.stderr.includes(alias)))
  expect.soft(unnamed, `not named, though not as before:\n${said.stderr}`).toEqual([])
  if (gone === '') await expectNextApplyConverges(lab)
  await expectDestroyed(scene, gone)
}

/** What is not as the new file says is about a container that is named; the next apply and destroy work. */
async function expectOneLeftOut(scene: Scene, { stderr }: Outcome): Promise<void> {
  const { lab } = scene
  const { stdout } = await lab.spanplan(['plan', '--json', '-f', 'new.yaml'])
  type Row = { readonly container?: string; readonly place?: { readonly container: string } } | null
  const { changes }: { changes: { address: string; before: Row; after: Row }[] } = JSON.parse(stdout)
  // A note on a container says where that belongs.
  const containerOf = (row: Row) => row?.container ?? row?.place?.container
  const containers = new Set(changes.map(({ before, after }) => containerOf(after ?? before)))
  expect([...containers], stderr).toEqual([expect.any(String)])
  expect(stderr).toMatch(/everything else was done/i)
  for (const container of containers) expect(stderr).toContain(container)
  await expectNextApplyConverges(lab)
  await expectDestroyed(scene)
}

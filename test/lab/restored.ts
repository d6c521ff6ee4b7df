/** What the tests of a file do to a lab, each from the same beginning. */
import { afterEach, beforeEach } from 'vitest'
import type { Argv, Lab } from './lab.ts'
import { expectRestored, spanplan } from './spans.ts'

/**
 * After each test of the file, all spans are destroyed, and the lab is as it was before that test.
 *
 * @returns what the lab was like before the test that runs.
 */
export function restoreAfterEach(lab: () => Lab): () => string {
  let before = ''
  beforeEach(async () => {
    before = await lab().snapshotText()
  })
  afterEach(async () => {
    await spanplan(lab(), ['destroy', '--all', '--yes'])
    await expectRestored(lab(), before)
  })
  return () => before
}

/** Functions that run a command, whose words have no spaces in them, on the host and on the switch of a lab. */
export function runnersOf(lab: () => Lab) {
  return {
    onHost: (command: string) => lab().run(wordsOf(command)),
    onSwitch: (command: string) => lab().run(wordsOf(command), { on: 'switch' })
  }
}

/** The words of a command that has no quotes and no spaces in them. */
export function wordsOf(command: string): Argv {
  const [program = '', ...words] = command.split(' ')
  return [program, ...words]
}

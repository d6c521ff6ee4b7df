/** The demonstration, as who reads the README runs it: on Debian's own kernel, a plan has a row more than on others. */

import { execa } from 'execa'
import { expect, test } from 'vitest'
import { projectRoot } from '../lab/programs.ts'

test('the demonstration shows the main job to its end', async () => {
  const { stdout } = await execa('bash', ['test/aside', process.execPath, 'dist/demo.cjs'], { cwd: projectRoot })
  expect(stdout).toContain('closes the ports of span0 from their first frame on')
  expect(stdout).toContain('Destroyed and verified: ')
})

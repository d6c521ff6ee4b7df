/** The scripts of examples/ that hooks run: they call spanplan only where there is a file, and follow no link to find that out. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const execute = promisify(execFile)

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  await mkdir(join(root, 'bin'))
  await writeFile(join(root, 'bin/spanplan'), '#!/bin/sh\necho "called: $*"\n')
  await chmod(join(root, 'bin/spanplan'), 0o755)
})
afterAll(() => rm(root, { recursive: true }))

const folders: Readonly<Record<string, readonly [lay: (folder: string) => Promise<unknown>, calls: boolean]>> = {
  'has no file': [async () => undefined, false],
  'has a file': [(folder) => writeFile(join(folder, 'a.yaml'), ''), true],
  'has a file of the other kind': [(folder) => writeFile(join(folder, 'b c.yml'), ''), true],
  'has a link, wherever that leads': [(folder) => symlink('/nowhere', join(folder, 'a.yaml')), true],
  'has other files': [(folder) => writeFile(join(folder, 'a.txt'), ''), false],
  'has a link to a folder of many files': [
    async (folder) => {
      await mkdir(join(folder, '../many'))
      await writeFile(join(folder, '../many/a.yaml'), '')
      await symlink('../many', join(folder, 'many'))
    },
    false
  ]
}

describe.each(['ifupdown', 'networkmanager'])('%s', (example) => {
  const run = async (path: string) => {
    const env = { PATH: `${join(root, 'bin')}:/usr/bin:/bin`, SPANPLAN_FILE: path }
    const { stdout } = await execute('sh', [`examples/${example}/spanplan`, 'ens192', 'up'], { env })
    return stdout.startsWith('called: hook')
  }

  test.each(Object.entries(folders))('a folder that %s', async (_, [lay, calls]) => {
    const folder = join(await mkdtemp(join(root, 'case-')), 'spanplan')
    await mkdir(folder)
    await lay(folder)
    expect(await run(folder)).toBe(calls)
  })

  test('a file, or nothing', async () => {
    expect(await run('package.json')).toBe(true)
    expect(await run('/nowhere')).toBe(false)
  })
})

/** Who builds spanplan, while another is about to start it, is not in its way. */
import { cp, mkdir, mkdtemp, open, readdir, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { projectRoot } from '../lab/programs.ts'

let clone: string

beforeAll(async () => {
  clone = await mkdtemp(join(tmpdir(), 'spanplan-build-'))
  await mkdir(join(clone, 'dist'))
  for (const name of ['bin', 'esbuild.config.mjs', 'package.json']) {
    await cp(join(projectRoot, name), join(clone, name), { recursive: true })
  }
  for (const name of ['src', 'node_modules']) await symlink(join(projectRoot, name), join(clone, name))
  await build()
})
afterAll(() => rm(clone, { recursive: true, force: true }))

const build = () => execa(process.execPath, ['esbuild.config.mjs'], { cwd: clone })

test.each(['launch.cjs', 'spanplan.cjs', 'commands.cjs', 'dockerode.cjs'])(
  '%s is replaced as a whole: whoever reads it has the one before',
  async (name) => {
    const before = await open(join(clone, 'dist', name))
    try {
      await build()
      expect((await stat(join(clone, 'dist', name))).ino).not.toBe((await before.stat()).ino)
      expect((await before.readFile()).length).toBe((await stat(join(clone, 'dist', name))).size)
      expect((await readdir(join(clone, 'dist'))).filter((file) => file.endsWith('.new'))).toEqual([])
    } finally {
      await before.close()
    }
  }
)

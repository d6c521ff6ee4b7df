import { spawnSync } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFiles } from '../../../src/cli/input/spec-files.ts'
import { listSpecFiles } from '../../../src/cli/input/spec-folder.ts'

/** What is listed of a folder with files of these names. */
async function list(...names: readonly Buffer[]): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  const descriptor = openSync(folder, 'r')
  try {
    for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), '')
    return listSpecFiles('/etc/spanplan', descriptor)
  } finally {
    closeSync(descriptor)
    await rm(folder, { recursive: true })
  }
}

test('a file whose name is not UTF-8 is named as what it is', async () => {
  const latin1 = Buffer.from('caf\u00e9.yaml', 'latin1')
  await expect(list(Buffer.from('a.yaml'), latin1)).rejects.toThrow(
    '/etc/spanplan/caf\\xe9.yaml cannot be read: its name is not UTF-8'
  )
  const read = await openFiles([{ path: '/etc/caf\ufffd.yaml', isDefault: true }], false)
  expect(read).toThrow('it does not exist, or its name is not UTF-8')
})

test('names of UTF-8 are read as they are, and others than YAML files do not matter', async () => {
  const names = ['z\u00fcrich.yml', 'b.yaml']
  const other = Buffer.from('caf\u00e9.txt', 'latin1')
  expect(await list(...names.map((name) => Buffer.from(name)), other)).toEqual(['b.yaml', 'z\u00fcrich.yml'])
})

test('where there is no file at all, it says where it looked, and how to get one', async () => {
  const hint =
    'to write a first one: sudo spanplan init; for mirrors that are on this host already: sudo spanplan import >spans.yaml'
  await expect(list()).rejects.toMatchObject({
    diagnostics: [
      {
        code: 'FILE_UNREADABLE',
        message: '/etc/spanplan cannot be read: there is no *.yaml or *.yml in it',
        hint: `put a file there, or name another with -f; ${hint}`
      }
    ]
  })
  const folder = await mkdtemp(join(tmpdir(), 'spanplan-unit-'))
  const program = join(process.cwd(), 'bin/spanplan.js')
  const env = { ...process.env, SPANPLAN_FILE: '' }
  const { stderr, status } = spawnSync('node', [program, 'validate'], { cwd: folder, env, encoding: 'utf8' })
  await rm(folder, { recursive: true })
  expect({ stderr, status }).toEqual({
    status: 65,
    stderr: `error: there is no spans.yaml here, and no /etc/spanplan\n  name the file with -f, or with $SPANPLAN_FILE; ${hint}\n`
  })
})

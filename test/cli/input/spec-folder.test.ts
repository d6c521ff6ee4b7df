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

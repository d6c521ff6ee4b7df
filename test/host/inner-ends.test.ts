import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readInnerEnds } from '../../src/host/docker/inner-ends.ts'

test('a container that ends meanwhile, whose file is a namespace no more, is nothing to tell a user of', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spanplan-'))
  try {
    const sandbox = join(folder, '0123456789ab')
    writeFileSync(sandbox, '')
    const chosen = { networkId: 'n', aliases: [], driverOptions: {}, fixedAddress: null }
    const endpoint = { ...chosen, network: 'span0', port: { inside: 7, host: 8 } }
    const [read] = await readInnerEnds([{ sandbox, endpoints: [endpoint] }], new Set(['span0']))
    expect(read?.endpoints).toEqual([endpoint])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readInnerEnds } from '../../src/host/docker/inner-ends.ts'
import type { Container } from '../../src/host/snapshot.ts'

test('a container that ends meanwhile, whose file is a namespace no more, is nothing to tell a user of', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spanplan-'))
  try {
    const sandbox = join(folder, '0123456789ab')
    writeFileSync(sandbox, '')
    const endpoint = { network: 'span0', port: { inside: 7, host: 8 } }
    // Nothing else of it is looked at.
    const container = { name: 'zeek', sandbox, endpoints: [endpoint] } as unknown as Container
    const [read] = await readInnerEnds([container], new Set(['span0']))
    expect(read?.endpoints).toEqual([endpoint])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

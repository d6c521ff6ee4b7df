/** Random walks with the tunnels that only Debian's own kernel has: gretap and ERSPAN, as sources and as outputs. */
import { expect, test } from 'vitest'
import { sampledCount } from '../lab/sampled.ts'
import { readAlphabet } from '../walks/kernel/tunnels.ts'
import { takeWalks } from '../walks/kernel/walk.ts'
import { WALK_MS } from '../walks/search.ts'

test(
  'with gretap and ERSPAN too, an apply leads to the file, and destroy to what was there before',
  async () => {
    const { sources, outputs } = await readAlphabet()
    expect([sources, outputs]).toMatchObject([{ length: 6 }, { length: 5 }])
    const isNew = (one: string) => /gretap|erspan|interface/.test(one)
    const alphabet = { sources: sources.filter(isNew), outputs: outputs.filter(isNew) }
    await takeWalks(sampledCount(1, 10), 39960, alphabet, 3)
  },
  WALK_MS
)

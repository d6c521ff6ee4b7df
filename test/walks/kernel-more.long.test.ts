import { test } from 'vitest'
import { sampledCount } from '../lab/sampled.ts'
import { takeWalks } from './kernel/walk.ts'
import { WALK_MS } from './search.ts'

test(
  'and so do as many walks more, beside the others: an apply leads to the file, and destroy to what was there before',
  () => takeWalks(sampledCount(17, 100), 1155944726),
  WALK_MS
)

import { test } from 'vitest'
import { sampledCount } from '../e2e/sampled.ts'
import { WALK_MS } from './walks/search.ts'
import { takeWalks } from './walks/walk.ts'

test(
  'and so do as many walks more, beside the others: an apply leads to the file, and destroy to what was there before',
  () => takeWalks(sampledCount(25, 100), 1155944726),
  WALK_MS
)

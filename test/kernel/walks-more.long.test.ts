import { test } from 'vitest'
import { WALK_MS } from './walks/search.ts'
import { takeWalks } from './walks/walk.ts'

test(
  'and so do as many walks more, beside the others: an apply leads to the file, and destroy to what was there before',
  () => takeWalks(45, 1155944726),
  WALK_MS
)

import { test } from 'vitest'
import { WALK_MS } from './walks/search.ts'
import { takeWalks } from './walks/walk.ts'

test(
  'whatever happens on a host, an apply leads to the file, and destroy to what was there before',
  () => takeWalks(45, 2060540250),
  WALK_MS
)

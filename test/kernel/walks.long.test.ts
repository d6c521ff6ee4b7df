import { test } from 'vitest'
import { sampledCount } from '../e2e/sampled.ts'
import { WALK_MS } from './walks/search.ts'
import { takeWalks } from './walks/walk.ts'

test(
  'whatever happens on a host, an apply leads to the file, and destroy to what was there before',
  () => takeWalks(sampledCount(25, 100), 2060540250),
  WALK_MS
)

import { test } from 'vitest'
import { sampledCount } from '../lab/sampled.ts'
import { takeWalks } from './kernel/walk.ts'
import { WALK_MS } from './search.ts'

test(
  'whatever happens on a host, an apply leads to the file, and destroy to what was there before',
  () => takeWalks(sampledCount(17, 100), 2060540250),
  WALK_MS
)

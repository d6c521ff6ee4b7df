import { test } from 'vitest'
import { sampledCount } from '../lab/sampled.ts'
import { takeDockerWalks } from './docker/walk.ts'
import { WALK_MS } from './search.ts'

test(
  'whatever comes, goes and restarts in Docker, an apply leads to the file, and destroy to what was there before',
  () => takeDockerWalks(sampledCount(8, 40), 7),
  WALK_MS
)

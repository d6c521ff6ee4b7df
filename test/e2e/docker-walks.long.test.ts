import { test } from 'vitest'
import { WALK_MS } from '../kernel/walks/search.ts'
import { takeDockerWalks } from './docker-walks/walk.ts'
import { sampledCount } from './sampled.ts'

test(
  'whatever comes, goes and restarts in Docker, an apply leads to the file, and destroy to what was there before',
  () => takeDockerWalks(sampledCount(12, 40), 7),
  WALK_MS
)

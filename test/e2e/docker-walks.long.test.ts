import { test } from 'vitest'
import { WALK_MS } from '../kernel/walks/search.ts'
import { takeDockerWalks } from './docker-walks/walk.ts'

test(
  'whatever comes, goes and restarts in Docker, an apply leads to the file, and destroy to what was there before',
  () => takeDockerWalks(20, 7),
  WALK_MS
)

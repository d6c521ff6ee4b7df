/**
 * Writes the snapshot that spanplan takes of this host into a case of test/fixtures/plan, which has its spans.yaml, and its
 * target.json if it needs one: as host.json; if that is there, as the after.json that a rollback would find. Without
 * DOCKER_HOST, Docker is deferred.
 *
 *   npx esbuild test/unit/capture-host.ts --bundle --packages=external --platform=node --format=esm --outfile=dist/capture-host.mjs
 *   nsenter --net=/run/netns/LAB env DOCKER_HOST=unix://SOCKET node dist/capture-host.mjs test/fixtures/plan/CASE
 */

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readFactsFor, refreshForRollback } from '../../src/apply/refresh.ts'
import { planTarget } from '../../src/plan/plan-view.ts'
import { readSnapshot, readTarget } from './plan/case.ts'
import { asData, factsOf, writeHost } from './plan/host-file.ts'

async function main(path: string): Promise<void> {
  const before = existsSync(join(path, 'host.json')) ? readSnapshot(path, 'host.json') : null
  const target = { ...readTarget(path, before?.links ?? []), deferDocker: process.env.DOCKER_HOST === undefined }
  const { host, filters } = before
    ? await refreshForRollback(target, planTarget(target, factsOf(before)))
    : await readFactsFor(target)
  writeFileSync(join(path, before ? 'after.json' : 'host.json'), writeHost({ ...asData(host), programs: filters }))
}

main(process.argv[2] ?? '.').catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})

/**
 * Prints the snapshot that spanplan takes of this host for a spans.yaml: the host.json of a case in test/fixtures/plan.
 *
 *   npx esbuild test/unit/capture-host.ts --bundle --packages=external --platform=node --outfile=dist/capture-host.cjs
 *   nsenter --net=/run/netns/LAB env DOCKER_HOST=unix://SOCKET node dist/capture-host.cjs spans.yaml >host.json
 */
import { readFileSync } from 'node:fs'
import { look } from '../../src/apply/refresh.ts'
import { everySpan } from '../../src/resources/mark-inventory.ts'
import { loadSpec } from '../../src/spec/load.ts'
import { writeHost } from './plan/host-file.ts'

async function main(path: string): Promise<void> {
  const spec = loadSpec([{ path, bytes: readFileSync(path) }])
  const scope = { name: spec.name, spans: everySpan }
  const deferDocker = process.env.DOCKER_HOST === undefined
  const { host } = await look({ want: 'spec', spec, scope, deferDocker, adopt: false, patient: false, away: [] })
  process.stdout.write(writeHost(host))
}

main(process.argv[2] ?? 'spans.yaml').catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})

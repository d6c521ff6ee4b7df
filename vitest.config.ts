import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take long for their size: last, each would be alone at the end. The others start by their size. */
const longest = [
  'walks/kernel.long',
  'walks/kernel-more.long',
  'walks/docker.long',
  'fleet/fleet.long',
  'apply/faults.long',
  'apply/kills.long',
  'sources/fail-open.long',
  'adopt/faults.long',
  'destroy/kills.long',
  'documents/documents.long',
  'documents/troubleshooting.long',
  'packages/debian.long',
  'watch/slow.long',
  'sensors/running.long',
  'watch/triggers.long',
  'fleet/collection.long',
  'security/attacking-sensor.long',
  'watch/metrics.long',
  'apply/races.long',
  'watch/contention.long',
  'foreign/neighbours.long',
  'host/hanging-program.long',
  'watch/watch.host',
  'apply/apply.host',
  'hook/hook.host',
  'destroy/destroy.host',
  'apply/drift.host'
].map((name) => `/test/${name}.test.ts`)

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const bySize = await super.sort(files)
    const long = longest.flatMap((name) => bySize.filter(({ moduleId }) => moduleId.endsWith(name)))
    return [...long, ...bySize.filter((file) => !long.includes(file))]
  }
}

const host = 'test/**/*.host.test.ts'
const long = 'test/**/*.long.test.ts'
const stock = 'test/stock/**/*.test.ts'
const hosts = 'test/hosts/**/*.test.ts'
const globalSetup = 'test/lab/left-behind.ts'

/** The three sizes of tests, of which a file's name tells which it is of; those for Debian's own kernel; and those for other hosts alone. */
const sizes = [
  {
    name: 'quick',
    include: ['test/**/*.test.ts'],
    exclude: [host, long, stock, hosts],
    env: { NODE_DISABLE_COMPILE_CACHE: '1' }
  },
  { name: 'host', include: [host], globalSetup },
  { name: 'long', include: [long], globalSetup },
  {
    name: 'stock',
    include: [stock],
    globalSetup,
    // Where processors are emulated, most time goes into loading modules.
    isolate: false,
    maxWorkers: 1
  },
  { name: 'hosts', include: [hosts], globalSetup }
]

export default defineConfig({
  define: { SPANPLAN_VERSION: JSON.stringify('0.0.0') },
  test: {
    projects: sizes.map((size) => ({ extends: true, test: size })),
    pool: 'forks',
    // Kept in node_modules, where root's file would be in the way of the user's npm.
    cache: false,
    fileParallelism: true,
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // They only end what hangs: no test depends on how fast the machine is.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } }
  }
})

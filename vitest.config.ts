import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Short files whose tests take long: last, each would be alone at the end. The others start by their size. */
const longest = [
  'walks',
  'walks-more',
  'faults',
  'kills',
  'fail-open',
  'races',
  'readme',
  'watched-files',
  'program-size',
  'hang'
].map((name) => `/${name}.test.ts`)

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const bySize = await super.sort(files)
    const long = longest.flatMap((name) => bySize.filter(({ moduleId }) => moduleId.endsWith(name)))
    return [...long, ...bySize.filter((file) => !long.includes(file))]
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**', 'node_modules/**'],
    pool: 'forks',
    // Kept in node_modules, where root's file would be in the way of the user's npm.
    cache: false,
    fileParallelism: true,
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 120_000
  }
})

/** A run directory of a test's own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, vi } from 'vitest'

/** Gives each test of the file an empty run directory. */
export function useOwnRunFolder(): void {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync('/tmp/spanplan-run-')
    vi.stubEnv('SPANPLAN_RUN_DIR', folder)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })
}

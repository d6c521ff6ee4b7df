/** Tells whoever has asked Docker without the lock that the answer may be too old: spanplan has changed something of Docker since. */
import { randomUUID } from 'node:crypto'
import { readRunFile, writeRunFile } from './folder.ts'

/** Which file of the run directory says so. */
const kind = 'docker-change'

/** Records that something of Docker is about to be changed. The caller holds the lock. */
export function recordDockerChange(): void {
  try {
    writeRunFile(kind, `${randomUUID()}\n`)
  } catch {
    // The disk is full, or there is no run directory. What is planned with an old answer then fails, and is planned again.
  }
}

/** Identifies the last change of Docker; null: there was none since the machine was started. */
export function lastDockerChange(): string | null {
  return readRunFile(kind)
}

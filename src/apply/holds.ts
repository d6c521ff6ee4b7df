import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { runFile } from './lock.ts'

const holdsDocument = z.object({
  pauses: z.array(z.object({ span: z.string().nullable(), until: z.iso.datetime() })),
  away: z.array(z.string())
})

/** A span that nothing changes by itself for a while; null: all of them. */
export interface Pause {
  readonly span: string | null
  /** ISO 8601. */
  readonly until: string
}

/** What watches and hooks of this network namespace keep their hands off. */
export interface Holds {
  readonly pauses: readonly Pause[]
  /** The names of cards that a hook has been told are being taken down. */
  readonly away: readonly string[]
}

const none: Holds = { pauses: [], away: [] }

/**
 * Reads them, without those that have ended. What others than this user or root have written is not believed, and what
 * cannot be read holds nothing.
 *
 * @param now milliseconds since 1970.
 */
export function readHolds(now: number): Holds {
  try {
    const path = runFile('holds')
    const { uid } = lstatSync(path)
    if (uid !== 0 && uid !== process.geteuid?.()) return none
    const { pauses, away } = holdsDocument.parse(JSON.parse(readFileSync(path, 'utf8')))
    return { pauses: pauses.filter(({ until }) => Date.parse(until) > now), away }
  } catch {
    return none
  }
}

/** Writes them, at once and whole. Whoever holds the lock may call it. */
export function writeHolds(holds: Holds): void {
  const path = runFile('holds')
  if (holds.pauses.length === 0 && holds.away.length === 0) {
    rmSync(path, { force: true })
    return
  }
  writeFileSync(`${path}.new`, `${JSON.stringify(holds)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

import { rmSync } from 'node:fs'
import * as z from 'zod'
import { namespaceId, readRunFile, runFile, runFolder, systemFolder, writeRunFile } from './folder.ts'
import { goingDownSchema, settleInTime } from './going-down.ts'

const pauseSchema = z.object({
  /** null: every span. */
  span: z.string().nullable(),
  until: z.iso.datetime()
})

const pausesSchema = z.object({
  /** The network namespace that they are for. */
  namespace: z.string(),
  pauses: z.array(pauseSchema).readonly(),
  goingDown: z.array(goingDownSchema).readonly()
})

/** A span that watches and hooks leave alone until a time. */
export type Pause = Readonly<z.infer<typeof pauseSchema>>

/** What watches and hooks of this network namespace leave alone. */
export type Pauses = Readonly<Omit<z.infer<typeof pausesSchema>, 'namespace'>>

const none: Pauses = { pauses: [], goingDown: [] }

/** Which file of the run directory has them. */
const kind = 'pauses'

/**
 * Reads the pauses of root, which are in root's run directory, and those of this user. Files that others could have written,
 * or that cannot be read, are ignored.
 *
 * @param now milliseconds since 1970.
 */
export function readPauses(now: number): Pauses {
  const all = [...new Set([runFolder(), systemFolder])].map((folder) => readFrom(folder, now))
  return { pauses: all.flatMap(({ pauses }) => pauses), goingDown: all.flatMap(({ goingDown }) => goingDown) }
}

/**
 * Reads the pauses in this process's own run directory, to change and write them. The caller holds the lock.
 *
 * @param now milliseconds since 1970.
 */
export function readOwnPauses(now: number): Pauses {
  return readFrom(runFolder(), now)
}

/** The pause of a span that ends last, its own or one of all spans. @param span null: all spans. */
export function lastPause(span: string | null, pauses: readonly Pause[]): Pause | undefined {
  return pauses
    .filter((pause) => pause.span === null || pause.span === span)
    .sort((a, b) => Date.parse(a.until) - Date.parse(b.until))
    .at(-1)
}

function readFrom(folder: string, now: number): Pauses {
  try {
    const { namespace, pauses, goingDown } = pausesSchema.parse(JSON.parse(readRunFile(kind, folder) ?? ''))
    // The file's name has the namespace's inode, which the kernel gives to another namespace later.
    if (namespace !== namespaceId()) return none
    return { pauses: pauses.filter(({ until }) => Date.parse(until) > now), goingDown: goingDown.map(settleInTime) }
  } catch {
    return none
  }
}

/**
 * Writes the pauses. The caller holds the lock.
 *
 * @throws if the file cannot be written.
 */
export function writePauses({ pauses, goingDown }: Pauses): void {
  if (pauses.length === 0 && goingDown.length === 0) rmSync(runFile(kind), { force: true })
  else writeRunFile(kind, `${JSON.stringify({ namespace: namespaceId(), pauses, goingDown })}\n`)
}

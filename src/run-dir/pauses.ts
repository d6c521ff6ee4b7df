import { rmSync } from 'node:fs'
import { uptime } from 'node:os'
import * as z from 'zod'
import type { IpLink, Link } from '../host/snapshot.ts'
import { namespaceId, readRunFile, runFile, runFolder, systemFolder, writeRunFile } from './folder.ts'
import { type GoingDown, goingDownSchema, settleInTime, startGoingDown, stillGoingDown } from './going-down.ts'

const pauseSchema = z.object({
  /** null: every span. */
  span: z.string().nullable(),
  until: z.iso.datetime()
})

const pausesSchema = z.object({
  /** The network namespace that they are for. */
  namespace: z.string(),
  pauses: z.array(pauseSchema),
  goingDown: z.array(goingDownSchema)
})

/** A span that watches and hooks leave alone until a time. */
export type Pause = Readonly<z.infer<typeof pauseSchema>>

/** What watches and hooks of this network namespace leave alone. */
export interface Pauses {
  readonly pauses: readonly Pause[]
  readonly goingDown: readonly GoingDown[]
}

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

/**
 * Records that a hook was called for an interface. The caller holds the lock.
 *
 * @param name the interface.
 * @param links of the host, at the time of the hook.
 * @throws if the file cannot be written.
 */
export function recordHook(now: number, name: string, direction: 'up' | 'down', links: readonly IpLink[]): void {
  const own = readOwnPauses(now)
  const link = links.find((one) => one.name === name)
  const others = stillGoingDown(own.goingDown, links).filter(({ index }) => index !== link?.index)
  const added = direction === 'down' && link !== undefined ? [startGoingDown(link)] : []
  if (own.goingDown.length + added.length > 0) writePauses({ ...own, goingDown: [...others, ...added] })
}

/**
 * Removes the records of interfaces that are no longer going down. The caller holds the lock.
 *
 * @param links of the host.
 * @param read when the links were read, or before: seconds since the machine was started. Later records stay.
 */
export function forgetSettled(now: number, links: readonly Link[], read: number): void {
  keepGoingDown(now, (all) => {
    const later = all.filter(({ since }) => since >= read)
    const earlier = all.filter(({ since }) => since < read)
    return [...stillGoingDown(earlier, links), ...later]
  })
}

/**
 * Removes the records of interfaces to which a person has applied spans since: the newest word counts. The caller holds the lock.
 *
 * @param indexes of the interfaces.
 * @param applied when the spans were applied: seconds since the machine was started. Later records stay.
 */
export function forgetGoingDown(now: number, indexes: ReadonlySet<number>, applied = uptime()): void {
  keepGoingDown(now, (all) => all.filter(({ index, since }) => !indexes.has(index) || since > applied))
}

function keepGoingDown(now: number, choose: (all: readonly GoingDown[]) => readonly GoingDown[]): void {
  const own = readOwnPauses(now)
  const goingDown = choose(own.goingDown)
  if (JSON.stringify(goingDown) === JSON.stringify(own.goingDown)) return
  try {
    writePauses({ ...own, goingDown })
  } catch {
    // The disk is full. The next call tries again.
  }
}

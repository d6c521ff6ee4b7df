import { rmSync } from 'node:fs'
import { uptime } from 'node:os'
import * as z from 'zod'
import type { Link } from '../host/snapshot.ts'
import { namespaceId, readRunFile, runFile, runFolder, systemFolder, writeRunFile } from './folder.ts'

const goingDown = z.object({
  /** Its number in this network namespace, which no later one gets. */
  index: z.int().positive(),
  /** Seconds since the machine was started: when its hook said so. */
  since: z.number(),
  /** Once it is up, it is not being taken down any more: it has been down since, or had time enough to go. */
  settled: z.boolean()
})

const pausesDocument = z.object({
  /** The network namespace in which they hold. */
  namespace: z.string(),
  pauses: z.array(z.object({ span: z.string().nullable(), until: z.iso.datetime() })),
  goingDown: z.array(goingDown)
})

/** A span that nothing changes by itself for a while; null: all of them. */
export interface Pause {
  readonly span: string | null
  /** ISO 8601. */
  readonly until: string
}

/** An interface that a hook has been told is being taken down. */
export type GoingDown = Readonly<z.infer<typeof goingDown>>

/** What watches and hooks of this network namespace keep their hands off. */
export interface Pauses {
  readonly pauses: readonly Pause[]
  readonly goingDown: readonly GoingDown[]
}

const none: Pauses = { pauses: [], goingDown: [] }

/** Seconds that whatever takes an interface down is given to do so, once its hook has run. DHCP clients wait for some. */
const patience = 60

/**
 * What this process has to heed: what root has ordered, wherever this user's own run directory is, and what this user has.
 * What others have written is not believed, and what cannot be read holds nothing.
 *
 * @param now milliseconds since 1970.
 */
export function readPauses(now: number): Pauses {
  const all = [...new Set([runFolder(), systemFolder])].map((folder) => readFrom(folder, now))
  return { pauses: all.flatMap(({ pauses }) => pauses), goingDown: all.flatMap(({ goingDown }) => goingDown) }
}

/** What stands in this process's own run directory, to be changed and written again. Whoever holds the lock may call it. */
export function readOwnPauses(now: number): Pauses {
  return readFrom(runFolder(), now)
}

function readFrom(folder: string, now: number): Pauses {
  try {
    const { namespace, pauses, goingDown } = pausesDocument.parse(JSON.parse(readRunFile('pauses', folder) ?? ''))
    // What was held in a namespace that is gone holds nothing in the one that got its number.
    if (namespace !== namespaceId()) return none
    const settle = (one: GoingDown) => ({ ...one, settled: one.settled || uptime() - one.since > patience })
    return { pauses: pauses.filter(({ until }) => Date.parse(until) > now), goingDown: goingDown.map(settle) }
  } catch {
    return none
  }
}

/** Writes them, at once and whole. Whoever holds the lock may call it. */
export function writePauses({ pauses, goingDown }: Pauses): void {
  if (pauses.length === 0 && goingDown.length === 0) rmSync(runFile('pauses'), { force: true })
  else writeRunFile('pauses', `${JSON.stringify({ namespace: namespaceId(), pauses, goingDown })}\n`)
}

/** An interface of which a hook says just now that it is being taken down. */
export function markGoingDown({ index, up }: Pick<Link, 'index' | 'up'>): GoingDown {
  return { index, since: uptime(), settled: !up }
}

/**
 * Which interfaces are still being taken down. One that is up again after it was down, or a minute after its hook ran, was
 * brought up without the hook, or never taken down; and one that has gone does not come back.
 */
export function stillGoingDown(
  goingDown: readonly GoingDown[],
  links: readonly Pick<Link, 'index' | 'up'>[]
): GoingDown[] {
  return goingDown.flatMap((one) => {
    const link = links.find(({ index }) => index === one.index)
    if (link === undefined) return []
    if (!link.up) return [{ ...one, settled: true }]
    return one.settled ? [] : [one]
  })
}

/** Their names. */
export function namesGoingDown(goingDown: readonly GoingDown[], links: readonly Link[]): Set<string> {
  const indexes = new Set(stillGoingDown(goingDown, links).map(({ index }) => index))
  return new Set(links.filter(({ index }) => indexes.has(index)).map(({ name }) => name))
}

/** Forgets, once and for all, which interfaces are not being taken down any more. Whoever holds the lock may call it. */
export function forgetSettled(now: number, links: readonly Link[]): void {
  const holds = readOwnPauses(now)
  const goingDown = stillGoingDown(holds.goingDown, links)
  if (JSON.stringify(goingDown) === JSON.stringify(holds.goingDown)) return
  try {
    writePauses({ ...holds, goingDown })
  } catch {
    // The disk is full: it is forgotten at a later look.
  }
}

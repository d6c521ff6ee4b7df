import { uptime } from 'node:os'
import * as z from 'zod'
import type { Link } from '../host/snapshot.ts'

/** As the run directory has it. */
export const goingDownSchema = z.object({
  /** The interface's index in this network namespace. The kernel gives it to no later interface. */
  index: z.int().positive(),
  /** When the hook recorded it: seconds since the machine was started. */
  since: z.number(),
  /** An interface that is up after this is up again: it was down meanwhile, or its time to go down is over. */
  settled: z.boolean()
})

/** An interface that is being taken down, as a hook has recorded it. */
export type GoingDown = Readonly<z.infer<typeof goingDownSchema>>

/** What to do about an interface that is going down, as hooks say, and that does not. */
export const writeStaysUp = (apply: string): string => `if it is to stay up: ${apply}`

/** Seconds for an interface to go down after its hook. A DHCP client takes some of them. */
const downTimeLimit = 60

/** The record for an interface that goes down now. */
export function startGoingDown({ index, up }: Pick<Link, 'index' | 'up'>): GoingDown {
  return { index, since: uptime(), settled: !up }
}

/** Settles a record once its time is over. */
export function settleInTime(record: GoingDown): GoingDown {
  return { ...record, settled: record.settled || uptime() - record.since > downTimeLimit }
}

/**
 * The records that still hold on this host. An interface that is up again after it was down, or after its time was over, was
 * brought up without a hook, or never taken down. An interface that is gone does not come back.
 */
export function stillGoingDown(
  records: readonly GoingDown[],
  links: readonly Pick<Link, 'index' | 'up'>[]
): GoingDown[] {
  return records.flatMap((record) => {
    const link = links.find(({ index }) => index === record.index)
    if (link === undefined) return []
    if (!link.up) return [{ ...record, settled: true }]
    return record.settled ? [] : [record]
  })
}

/** The names of the interfaces that are still going down. */
export function namesGoingDown(records: readonly GoingDown[], links: readonly Link[]): Set<string> {
  const indexes = new Set(stillGoingDown(records, links).map(({ index }) => index))
  return new Set(links.filter(({ index }) => indexes.has(index)).map(({ name }) => name))
}

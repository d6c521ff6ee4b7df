/** The records of hooks: which interfaces go down. They are in the file of the pauses. */
import { uptime } from 'node:os'
import type { IpLink, Link } from '../host/snapshot.ts'
import { type GoingDown, startGoingDown, stillGoingDown } from './going-down.ts'
import { readOwnPauses, writePauses } from './pauses.ts'

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

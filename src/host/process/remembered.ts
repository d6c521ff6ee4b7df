import type { parseOffloads } from '../parsers/ip.ts'

/**
 * What takes as long as all else of a look: what only programs tell that answer no second question, and what nft tells. A process that
 * looks again and again remembers what they told, until something says that it may have changed.
 */
export type Topic = 'offloads' | 'rings' | 'programs' | 'modules' | 'bridgeTables' | 'senderTables'

/** What ethtool tells. */
export const topicsOfEthtool = ['offloads', 'rings'] as const satisfies readonly Topic[]

/** What nft tells. */
export const topicsOfNft = ['bridgeTables', 'senderTables'] as const satisfies readonly Topic[]

/** What is of a link, and ends with it. */
export const topicsOfLinks = [...topicsOfEthtool, 'programs'] as const satisfies readonly Topic[]

/** What nobody reports the changes of. */
const untold = ['programs', 'modules'] as const satisfies readonly Topic[]

interface Memory {
  readonly key: string
  readonly value: Promise<unknown>
  /** The value, once it is there. */
  settled?: unknown
}

const memories = new Map<Topic, Memory>()

/** Why a topic is remembered: its changes are followed, or a regular look comes soon. */
const remembered = new Set<Topic>()

/** From now on, what nobody reports the changes of is remembered until {@link forgetAll}, which a regular look calls. */
export function rememberUntold(): void {
  for (const topic of untold) remember(topic, true)
}

/** Everything is to be read again. */
export function forgetAll(): void {
  memories.clear()
}

/** From now on, a topic is remembered, or not any more. */
export function remember(topic: Topic, isRemembered: boolean): void {
  memories.delete(topic)
  if (isRemembered) remembered.add(topic)
  else remembered.delete(topic)
}

/** It may have changed. */
export function forget(...topics: readonly Topic[]): void {
  for (const topic of topics) memories.delete(topic)
}

/**
 * Gives what was read of a topic, or reads it.
 *
 * @param key what the reading depends on: of another one, nothing is remembered.
 */
export function recall<T>(topic: Topic, key: string, read: () => Promise<T>): Promise<T> {
  const memory = memories.get(topic)
  // A cast: each topic is read in one place.
  if (memory?.key === key) return memory.value as Promise<T>
  const value = read()
  if (remembered.has(topic)) {
    const next: Memory = { key, value }
    memories.set(topic, next)
    value.then(
      (settled) => {
        next.settled = settled
      },
      // What failed is tried again.
      () => {
        if (memories.get(topic) === next) memories.delete(topic)
      }
    )
  }
  return value
}

/** The offloads that were read last; undefined: nothing is remembered, or it is being read. */
export function lastOffloads(): ReturnType<typeof parseOffloads> | undefined {
  // A cast: see recall.
  return memories.get('offloads')?.settled as ReturnType<typeof parseOffloads> | undefined
}

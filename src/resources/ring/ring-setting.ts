import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { Link, RingSize } from '../../host/snapshot.ts'

/** The most that a mark can say of a ring: 16 bits. */
const largestRing = 0xffff

/**
 * A driver may round the size that it is asked for, and most reset their hardware to set one. So a ring that lacks no more than this part
 * of the largest one is as good: it is not set again and again.
 */
const rounding = 1 / 8

/** The receive ring of a link; null: it was not read, or its driver has none that can be set. */
export function ringOf({ ring }: Pick<Link, 'ring'>): RingSize | null {
  const size = ring?.size ?? null
  return size !== null && size.most <= largestRing ? size : null
}

/** The size that a ring is to have which is to be as large as its driver takes it. */
export function largestOf({ now, most }: RingSize): number {
  return now >= most * (1 - rounding) ? now : most
}

/** Warns of an interface whose ring is to be larger, and whose driver has none that can be set. All else is done. */
export function warnOfFixedRing(link: Link): Diagnostic[] {
  // Where it was not read, the interface has come meanwhile.
  if (link.ring === undefined || ringOf(link) !== null) return []
  const { driver } = link.ring
  const message = `${link.name}: its driver${driver === null ? '' : `, ${driver},`} has no receive ring that can be set`
  return [diagnostic('RING_FIXED', message, 'take "ring" out')]
}

import { type Cause, isCarrierCause } from '../counters/causes.ts'
import { type Hop, hopTitle } from '../counters/flow-report.ts'
import type { Period } from './rate-rings.ts'
import type { CountedPath } from './silences.ts'

/** A time in which a hop lost frames by one cause; in milliseconds of the monotonic clock. */
export interface LossTime {
  readonly span: string
  readonly kind: Hop['kind']
  title: string
  readonly cause: Cause
  readonly from: number
  to: number
  /** null: their number is not known. */
  frames: number | null
  /** The frames that came to the hop in the periods in which it lost some, with those that it lost. */
  of: number
}

/** Milliseconds: what is lost again within this time is one loss. */
const longestGap = 5 * 60 * 1000

/**
 * Makes what tells when frames were lost. That an interface has no carrier is an event of the watch; only that it was gone for a moment is
 * not.
 *
 * @param onBegin gets each loss as it begins; it is changed while it goes on.
 */
export function trackLosses(onBegin: (loss: LossTime) => void) {
  const open = new Map<string, LossTime>()
  return {
    add: (paths: readonly CountedPath[], period: Period): void => {
      for (const { path, hops, isKnown } of paths) {
        for (const hop of hops.filter((one) => one.frames === null || isKnown(one))) {
          for (const { cause, frames } of hop.losses) {
            if (isCarrierCause(cause) && cause !== 'carrier_flap') continue
            addLoss({ span: path.span, hop, cause, frames }, period)
          }
        }
      }
      for (const [key, { to }] of open) if (to < period.end - longestGap) open.delete(key)
    }
  }

  function addLoss({ span, hop, cause, frames }: NewLoss, { begin, end }: Period): void {
    const key = JSON.stringify([span, keyOfHop(hop), cause])
    const of = (hop.frames ?? 0) + (isBeyond(hop, cause) ? 0 : (frames ?? 0))
    const known = open.get(key)
    if (known === undefined) {
      const loss = { span, kind: hop.kind, title: hopTitle(hop), cause, from: begin, to: end, frames, of }
      open.set(key, loss)
      onBegin(loss)
      return
    }
    known.title = hopTitle(hop)
    known.to = end
    known.of += of
    known.frames = frames === null ? known.frames : frames + (known.frames ?? 0)
  }
}

interface NewLoss {
  readonly span: string
  readonly hop: Hop
  readonly cause: Cause
  readonly frames: number | null
}

/** Whether the hop itself has counted what is lost behind it. */
function isBeyond({ kind }: Hop, cause: Cause): boolean {
  return kind === 'interface' && (cause === 'no_mirror' || cause === 'no_sensor' || cause === 'unexplained')
}

/** What stays the same when a container, and with it the host's end of its interface, comes again. */
export function keyOfHop(hop: Hop): string {
  if (hop.kind === 'port') return JSON.stringify([hop.kind, hop.container ?? hop.device])
  return JSON.stringify([hop.kind, hopTitle(hop)])
}

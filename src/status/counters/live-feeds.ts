import { groupsOf } from '../../host/host-index.ts'
import type { Program } from '../../host/snapshot.ts'
import type { PlanView } from '../../plan/plan-view.ts'
import {
  type CopyPoint,
  type DesiredFeed,
  type DesiredSpan,
  type FeedId,
  type Part,
  placeOf
} from '../../resources/desired-state.ts'
import { identityOf } from '../../resources/mirrors/mirror-handle.ts'
import { bucketCount, readShare, type Share } from '../../resources/programs/share-program.ts'

/** A mirror on the host that feeds a receiver of a span, and not its bridge. */
export interface LiveFeed {
  readonly point: CopyPoint
  readonly handle: number
  /** The handle that it would be made with now. */
  readonly identity: number
  /** The link that gets the copies; `*`: that link is gone. */
  readonly target: string
  readonly program: Program
  /** The share that its program ends with; null: none. */
  readonly share: Share | null
}

/**
 * The mirrors that feed the receivers of a span now, at the hooks that it is to copy from. Their marks tell that, also where Docker does
 * not say whose a port is.
 */
export function liveFeeds(span: DesiredSpan, { host, marks }: Pick<PlanView, 'host' | 'marks'>): LiveFeed[] {
  return span.mirrors.flatMap((point) => {
    const { device, tcHook } = placeOf(point)
    return host.filtersAt(device, tcHook).flatMap((filter): LiveFeed | [] => {
      const { handle, mirror, program } = filter
      const mark = marks.mirrors.get(filter)
      if (mark?.bridge !== span.bridge || mark.feed === null || handle === null || mirror === null) return []
      const { identity } = mark
      return { point, handle, identity, target: mirror.target, program: program ?? '', share: readShare(program ?? '') }
    })
  })
}

/** Those of a receiver. */
export function feedsOf(span: DesiredSpan, feed: FeedId, live: readonly LiveFeed[]): LiveFeed[] {
  return live.filter(({ point, identity }) => identity === identityOf(span, point, feed))
}

/** Those of nobody whom the file is known to feed. */
export function unknownFeeds(span: DesiredSpan, live: readonly LiveFeed[]): LiveFeed[] {
  return live.filter(({ point, identity }) => span.feeds.every((feed) => identity !== identityOf(span, point, feed)))
}

/** What a receiver gets, with the share that its mirrors hand to it now: that is another one until an apply has moved its flows. */
export function livePart(span: DesiredSpan, feed: DesiredFeed, live: readonly LiveFeed[]): Part | null {
  const { part } = feed
  if (part === null || part.balance === null) return part
  const [first] = feedsOf(span, feed, live)
  if (first !== undefined) return { ...part, share: first.share }
  return { ...part, share: part.share && { ...part.share, buckets: new Set(), rest: false } }
}

/** The balances of which the live mirrors hand all flows to members that can take them, at each source; by their ids. */
export function coveredBalances(span: DesiredSpan, live: readonly LiveFeed[]): ReadonlySet<string> {
  const isAble = ({ absence }: DesiredFeed) => absence === null || absence === 'unread'
  const members = span.feeds.flatMap((feed) => (feed.part?.balance == null ? [] : { feed, id: feed.part.balance.id }))
  // Of one that has no share, nothing tells whether it leads to a member.
  const strangers = unknownFeeds(span, live).filter(({ share }) => share !== null)
  const covered = [...groupsOf(members, ({ id }) => id)].filter(([, group]) => {
    const able = group.flatMap(({ feed }) => (isAble(feed) ? feedsOf(span, feed, live) : []))
    const taking = [...able, ...strangers].filter(({ target }) => target !== '*')
    return span.mirrors.every((point) => {
      const shares = taking.flatMap((one) => (one.point === point ? [one.share] : []))
      // A mirror without a share hands out all of them.
      return (
        shares.includes(null) || new Set(shares.flatMap((share) => [...(share?.buckets ?? [])])).size === bucketCount
      )
    })
  })
  return new Set(covered.map(([id]) => id))
}

/** Whether two of these may copy one frame: no two shares of one hash do that if no bucket is in both. */
export function mayOverlap(live: readonly LiveFeed[]): boolean {
  const shares = live.map(({ share }) => share)
  const hashes = new Set(shares.map((share) => share?.hash))
  if (live.length > 1 && (hashes.size > 1 || hashes.has(undefined))) return true
  const buckets = shares.flatMap((share) => [...(share?.buckets ?? [])])
  return new Set(buckets).size < buckets.length
}

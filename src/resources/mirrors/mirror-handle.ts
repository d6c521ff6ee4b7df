import type { HostIndex } from '../../host/host-index.ts'
import type { CopyPoint, DesiredSpan, FeedId, MarkInventory } from '../desired-state.ts'
import { mirrorName } from '../feeds/feeds.ts'
import { handleOf } from '../sources/host-source-kind.ts'

/** The handle with which the mirror of a span at a hook is made. @param feed null: it feeds the span's bridge. */
export function identityOf({ owner, bridge }: DesiredSpan, point: CopyPoint, feed: FeedId | null): number {
  return handleOf({ owner, name: mirrorName(bridge, feed) }, point)
}

/**
 * The handle of the mirror of a span at a hook. The kernel changes no handle, and with another handle it is another filter: so a mirror
 * that was made under a former name of its file keeps the handle of that, and no frame is lost or doubled.
 */
export function findHandle(
  { marks, host }: { readonly marks: MarkInventory; readonly host: HostIndex },
  span: DesiredSpan,
  point: CopyPoint,
  feed: FeedId | null
): number {
  const identity = identityOf(span, point, feed)
  const handles = host.filtersAt(point.device.name, point.tcHook).flatMap((filter) => {
    const mark = marks.mirrors.get(filter)
    return mark?.inScope && mark.identity === identity ? (filter.handle ?? []) : []
  })
  return handles.includes(identity) ? identity : (handles[0] ?? identity)
}

import type { DesiredFeed, DesiredSpan } from '../../resources/desired-state.ts'

/** The receivers of a span that mirrors at the sources feed: all tunnels. */
export function resolveFeeds({ outputs }: DesiredSpan): DesiredFeed[] {
  return outputs.flatMap(({ isPort, device, item, origin }): DesiredFeed | [] =>
    isPort ? [] : { kind: 'tunnel', name: device, target: device, item, origin }
  )
}

/** A span by its name, with the name of its bridge: by that one the host knows it. */
export interface NamedSpan {
  readonly name: string
  readonly bridge: string
}

/** Which bridge a span has, and which span a bridge is of: each bridge has one name, and each name one bridge. */
export interface SpanNames {
  readonly nameOf: (bridge: string) => string
  readonly bridgeOf: (name: string) => string
}

/** Stands before the name of a bridge that is in no file, where a span of the file has that name, and another bridge. */
const unlisted = 'bridge:'

/** The names of these spans. The host has no other name for a span than that of its bridge: so is called what is not among them. */
export function indexNames(spans: readonly NamedSpan[]): SpanNames {
  const names = new Map(spans.map(({ name, bridge }) => [bridge, name]))
  const bridges = new Map(spans.map(({ name, bridge }) => [name, bridge]))
  return {
    nameOf: (bridge) => names.get(bridge) ?? (bridges.has(bridge) ? `${unlisted}${bridge}` : bridge),
    bridgeOf: (name) => bridges.get(name) ?? (name.startsWith(unlisted) ? name.slice(unlisted.length) : name)
  }
}

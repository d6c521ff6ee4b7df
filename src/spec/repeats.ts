import { type Diagnostic, type Origin, writeOrigin } from '../errors.ts'
import { printable } from '../printable.ts'

/** `line 5`, or `b.yaml:5:3` if the place is in another file. */
export function placeFrom(place: Origin, from: Origin): string {
  return place.file === from.file ? `line ${place.line}` : printable(writeOrigin(place))
}

/** Reports each item whose identity an earlier item has. `report` gets both, and the place of the earlier one. */
export function checkRepeats<Item extends { readonly origin: Origin }>(
  items: readonly Item[],
  identityOf: (item: Item) => string,
  report: (item: Item, earlier: Item, place: string) => Diagnostic
): Diagnostic[] {
  const seen = new Map<string, Item>()
  return items.flatMap((item) => {
    const identity = identityOf(item)
    const earlier = seen.get(identity)
    if (earlier !== undefined) return [report(item, earlier, placeFrom(earlier.origin, item.origin))]
    seen.set(identity, item)
    return []
  })
}

/** The identity of a span by its bridge. */
export const bridgeOf = ({ bridge }: { readonly bridge: string }) => bridge

/** The identity of an item by its name. */
export const nameOf = ({ name }: { readonly name: string }) => name

/** Items and their sources, each after its own sources. Of items that are each other's sources, one is the first. */
export function sortBySources<Item>(
  items: readonly Item[],
  sourcesOf: (item: Item) => readonly Item[]
): ReadonlySet<Item> {
  const sorted = new Set<Item>()
  const begun = new Set<Item>()
  const stack = [...items].reverse()
  for (let item = stack.at(-1); item !== undefined; item = stack.at(-1)) {
    if (begun.has(item)) {
      sorted.add(item)
      stack.pop()
      continue
    }
    begun.add(item)
    stack.push(...sourcesOf(item).filter((one) => !begun.has(one)))
  }
  return sorted
}

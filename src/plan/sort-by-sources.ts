/**
 * Items and all that they lead to, by what each is made of: each after its sources. Of those that are each other's, one is the first.
 *
 * @param sourcesOf what an item comes after.
 */
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

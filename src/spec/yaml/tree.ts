import type { Origin } from '../../errors.ts'

/** A value of a YAML file with its place. Aliases are resolved and `<<` is merged. Parts may be shared, and are never changed. */
export type Tree = ScalarTree | ListTree | MapTree | BrokenTree

interface Sized {
  readonly at: Origin
  /** The number of values, those of aliases among them. */
  readonly size: number
}

/** A single value. */
export interface ScalarTree extends Sized {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** The text in the file, without quotes. */
  readonly text: string
}

/** A list. */
export interface ListTree extends Sized {
  readonly kind: 'list'
  readonly items: readonly Tree[]
}

/** A mapping. */
export interface MapTree extends Sized {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
}

/** A value that has a diagnostic already. No further diagnostic is needed for it. */
interface BrokenTree extends Sized {
  readonly kind: 'broken'
}

/** One key of a mapping, with its value. */
export interface Entry {
  /** The key's place. */
  readonly at: Origin
  readonly value: Tree
}

/** Keys and indexes, from the root to a value. */
export type Path = readonly PropertyKey[]

/** Converts a tree to plain data for the schema. Objects have no prototype: a key such as `constructor` is not special. */
export function toData(tree: Tree): unknown {
  switch (tree.kind) {
    case 'scalar':
      return tree.value
    case 'list':
      return tree.items.map(toData)
    case 'map': {
      const data: Record<string, unknown> = Object.create(null)
      for (const [key, entry] of tree.entries) data[key] = toData(entry.value)
      return data
    }
    case 'broken':
      return undefined
  }
}

/** The value at a path; undefined: there is none. */
export function findTree(tree: Tree, path: Path): Tree | undefined {
  let found: Tree | undefined = tree
  for (const step of path) {
    if (found?.kind === 'map') found = found.entries.get(String(step))?.value
    else if (found?.kind === 'list') found = found.items[Number(step)]
    else return undefined
  }
  return found
}

/** The place of the value at a path, else of the nearest value around it. */
export function findValuePlace(tree: Tree, path: Path): Origin {
  return findTree(tree, path)?.at ?? findKeyPlace(tree, path.slice(0, -1))
}

/** The place of the key or the list item at a path, else of the nearest one around it. */
export function findKeyPlace(tree: Tree, path: Path): Origin {
  for (let length = path.length; length > 0; length--) {
    const parent = findTree(tree, path.slice(0, length - 1))
    const step = path[length - 1]
    if (parent?.kind === 'map') {
      const entry = parent.entries.get(String(step))
      if (entry) return entry.at
    } else if (parent?.kind === 'list') {
      const item = parent.items[Number(step)]
      if (item) return item.at
    }
  }
  return tree.at
}

/** A tree without the values at these paths. */
export function removePaths(tree: Tree, paths: readonly Path[]): Tree {
  const below = new Map<string, Path[]>()
  for (const [step, ...rest] of paths) {
    const key = String(step)
    const list = below.get(key)
    if (list) list.push(rest)
    else below.set(key, [rest])
  }
  const keep = (key: string, value: Tree): Tree | undefined => {
    const rests = below.get(key)
    if (!rests) return value
    return rests.some((rest) => rest.length === 0) ? undefined : removePaths(value, rests)
  }
  if (tree.kind === 'list') {
    const items = tree.items.map((item, index) => keep(String(index), item)).filter((item) => item !== undefined)
    return { ...tree, items }
  }
  if (tree.kind === 'map') {
    const entries = new Map<string, Entry>()
    for (const [key, entry] of tree.entries) {
      const value = keep(key, entry.value)
      if (value) entries.set(key, { at: entry.at, value })
    }
    return { ...tree, entries }
  }
  return tree
}

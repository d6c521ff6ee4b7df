import { nowhere, type Origin } from '../../errors.ts'

/** A value of a YAML file with its place. Aliases are resolved and `<<` is merged. Parts may be shared, and are never changed. */
export type Tree = ScalarTree | ListTree | MapTree | BrokenTree

interface Placed {
  readonly at: Origin
}

/** A single value. */
export interface ScalarTree extends Placed {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** The text in the file, without quotes. */
  readonly text: string
  readonly written: Written
}

/** A scalar as it stands in the file, with its quotes and its indentation. That of an alias stands at its anchor. */
export interface Written extends Placed {
  readonly source: string
}

/** A list. */
export interface ListTree extends Placed {
  readonly kind: 'list'
  readonly items: readonly Tree[]
}

/** A mapping. */
export interface MapTree extends Placed {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
}

/** A value that has a diagnostic already. No further diagnostic is needed for it. */
interface BrokenTree extends Placed {
  readonly kind: 'broken'
}

/** One key of a mapping, with its value. */
export interface Entry {
  /** The key's place. */
  readonly at: Origin
  /** The key, as it stands in the file. */
  readonly written: Written
  readonly value: Tree
}

/** Keys and indexes, from the root to a value. */
export type Path = readonly PropertyKey[]

/** Plain data that a tree can be of. */
export type Data = ScalarTree['value'] | Data[] | { readonly [key: string]: Data }

/** The tree of data that is in no file. */
export function treeOf(data: Data): Tree {
  // Not one object for all: what has the place of its span is a default.
  const at = { ...nowhere }
  if (Array.isArray(data)) return { kind: 'list', at, items: data.map(treeOf) }
  if (data === null || typeof data !== 'object') {
    const text = String(data)
    return { kind: 'scalar', at, value: data, text, written: { at, source: text } }
  }
  const entries = Object.entries(data).map(
    ([key, value]) => [key, { at, written: { at, source: key }, value: treeOf(value) }] as const
  )
  return { kind: 'map', at, entries: new Map(entries) }
}

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

/** A key of a mapping, or an item of a list, which has no key but its own place. */
function entryAt(tree: Tree | undefined, step: PropertyKey): Pick<Entry, 'at' | 'value'> | undefined {
  if (tree?.kind === 'map') return tree.entries.get(String(step))
  const item = tree?.kind === 'list' ? tree.items[Number(step)] : undefined
  return item && { at: item.at, value: item }
}

/** The value at a path; undefined: there is none. */
export function findTree(tree: Tree, path: Path): Tree | undefined {
  return path.reduce<Tree | undefined>((around, step) => entryAt(around, step)?.value, tree)
}

/** The place of the value at a path, else of the nearest value around it. */
export function findValuePlace(tree: Tree, path: Path): Origin {
  return findTree(tree, path)?.at ?? findKeyPlace(tree, path.slice(0, -1))
}

/** The place of the key or the list item at a path, else of the nearest one around it. */
export function findKeyPlace(tree: Tree, path: Path): Origin {
  let place = tree.at
  let around: Tree | undefined = tree
  for (const step of path) {
    const found: ReturnType<typeof entryAt> = entryAt(around, step)
    if (!found) break
    place = found.at
    around = found.value
  }
  return place
}

/** A tree without these values, wherever they are in it. */
export function withoutValues(tree: Tree, values: ReadonlySet<Tree | undefined>): Tree {
  if (tree.kind === 'list') {
    const items = tree.items.filter((item) => !values.has(item))
    return { ...tree, items: items.map((item) => withoutValues(item, values)) }
  }
  if (tree.kind === 'map') {
    const entries = [...tree.entries].filter(([, { value }]) => !values.has(value))
    return {
      ...tree,
      entries: new Map(entries.map(([key, entry]) => [key, { ...entry, value: withoutValues(entry.value, values) }]))
    }
  }
  return tree
}

/** What stands behind a backslash that makes a space or a line end. */
const blankEscape = /^(?:[ \t\r\nnrt]|x(?:09|0[ad]|20)|u00(?:09|0[ad]|20))/i

/** How long an escape within double quotes is, by the character behind its backslash. All others have two characters. */
const escapeLengths: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 }

/**
 * The place of a character of a scalar's text. The text and what is written have the same characters in the same order, but for
 * spaces, line ends and quotes.
 */
export function placeWithin({ at, source }: Written, text: string, offset: number): Origin {
  const style = source[0] ?? ''
  let position = style === '|' || style === '>' ? source.indexOf('\n') + 1 : style === '"' || style === "'" ? 1 : 0
  let left = text.slice(0, offset).replace(/[ \t\r\n]/g, '').length
  for (; position < source.length; ) {
    const character = source[position] ?? ''
    const next = source[position + 1] ?? ''
    const isEscape = style === '"' && character === '\\'
    const isBlank = /[ \t\r\n]/.test(character) || (isEscape && blankEscape.test(source.slice(position + 1)))
    if (!isBlank && left-- === 0) break
    position += isEscape ? (escapeLengths[next] ?? 2) : style === "'" && character === "'" ? 2 : 1
  }
  const before = source.slice(0, position).split('\n')
  const last = before.at(-1) ?? ''
  return before.length === 1
    ? { ...at, column: at.column + last.length }
    : { ...at, line: at.line + before.length - 1, column: last.length + 1 }
}

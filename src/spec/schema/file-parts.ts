import type { z } from 'zod'
import type { Diagnostic, Origin } from '../../errors.ts'
import { findTree, type MapTree, type Path, removePaths, type Tree, toData } from '../yaml/tree.ts'
import { explainIssues } from './errors.ts'
import { type InterfaceData, isOwnKey, type SpanData, schemas } from './schema.ts'

/** One entry under `interfaces` or `spans`: what it says, and the tree that knows the places, item for item. */
export interface Named<Data> {
  readonly name: string
  readonly data: Data
  readonly tree: Tree
  /** The place of its key. */
  readonly at: Origin
}

/** The name of an entry with its place, also of one that is not valid otherwise. */
export type Key = Pick<Named<unknown>, 'name' | 'at'>

/** What one file says, as far as it is valid. */
export interface Part {
  readonly owner: Key | undefined
  readonly interfaceKeys: readonly Key[]
  readonly spanKeys: readonly Key[]
  readonly interfaces: readonly Named<InterfaceData>[]
  readonly spans: readonly Named<SpanData>[]
}

/**
 * A file's tree as data that the schema has checked, and notices for all that breaks it. Entries with an error
 * are kept without what is wrong where that makes sense, so that other checks find their errors in the same run.
 */
export function readPart(file: Tree): { readonly part: Part; readonly diagnostics: readonly Diagnostic[] } {
  const tree = file.kind === 'map' ? withoutOwnKeys(file) : file
  const result = schemas.file.safeParse(toData(tree))
  const diagnostics = result.success ? [] : explainIssues(result.error.issues, tree)
  const owner = salvage(schemas.owner, findTree(tree, ['name']))
  const badNames = new Set(
    (result.error?.issues ?? []).filter(({ code }) => code === 'invalid_key').map(({ path }) => path.join('\0'))
  )
  const entries = (group: string) =>
    listEntries(tree, group).filter(({ name }) => !badNames.has([group, name].join('\0')))
  const interfaceEntries = entries('interfaces')
  const spanEntries = entries('spans')
  const part = {
    owner: owner && { name: owner.data, at: owner.tree.at },
    interfaceKeys: interfaceEntries,
    spanKeys: spanEntries,
    interfaces: interfaceEntries.flatMap((entry) => salvageEntry(schemas.interface, entry)),
    spans: spanEntries.flatMap((entry) => salvageEntry(schemas.span, entry))
  }
  return { part, diagnostics }
}

function withoutOwnKeys(tree: MapTree): MapTree {
  return { ...tree, entries: new Map([...tree.entries].filter(([key]) => !isOwnKey(key))) }
}

function listEntries(tree: Tree, group: string): (Key & { tree: Tree })[] {
  const map = findTree(tree, [group])
  return map?.kind === 'map' ? [...map.entries].map(([name, { at, value }]) => ({ name, at, tree: value })) : []
}

function salvageEntry<Data>(schema: z.ZodType<Data>, entry: Key & { tree: Tree }): Named<Data>[] {
  const found = salvage(schema, entry.tree)
  return found ? [{ name: entry.name, at: entry.at, ...found }] : []
}

/** The data of a tree without what is wrong with it, and the tree that fits; undefined if nothing sensible is left. */
function salvage<Data>(
  schema: z.ZodType<Data>,
  tree: Tree | undefined
): { readonly data: Data; readonly tree: Tree } | undefined {
  for (let rest = tree; rest; ) {
    const result = schema.safeParse(toData(rest))
    if (result.success) return { data: result.data, tree: rest }
    rest = removeWrong(rest, result.error.issues)
  }
  return undefined
}

function removeWrong(tree: Tree, issues: readonly z.core.$ZodIssue[]): Tree | undefined {
  const wrong = issues.flatMap((issue): Path[] =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : listUnits(issue.path)
  )
  // What is missing cannot be taken out, nor can the whole.
  const canRemove = wrong.every((path) => path.length > 0 && findTree(tree, path) !== undefined)
  return canRemove ? removePaths(tree, wrong) : undefined
}

/**
 * What to leave out for an error at a path: so much that no default stands in for what is wrong, and leads to
 * an error that is none. A source without its direction would copy both.
 */
function listUnits(path: Path): Path[] {
  const [key] = path
  if (key === 'sources' && path.length > 1) return [path.slice(0, 2)]
  if (key === 'sensors' && path.length > 1) return [path.slice(0, 2)]
  // Without its network, a span with sensors would have one of its own name.
  if (key === 'network') return [['network'], ['sensors']]
  return key === 'match' ? [[]] : [path.slice(0, 1)]
}

import type { z } from 'zod'
import type { Diagnostic, Origin } from '../../errors.ts'
import { findTree, type MapTree, type Path, removePaths, type Tree, toData } from '../yaml/tree.ts'
import { explainIssues } from './errors.ts'
import { type InterfaceData, isOwnKey, type SpanData, schemas } from './schema.ts'

/** One entry of `interfaces` or `spans`: its data, and the tree with the place of each value. */
export interface Named<Data> {
  readonly name: string
  readonly data: Data
  readonly tree: Tree
  /** The place of its key. */
  readonly at: Origin
}

/** The name and place of an entry, which need not be valid. */
export type Key = Pick<Named<unknown>, 'name' | 'at'>

/** The valid part of one file. */
export interface Part {
  readonly owner: Key | undefined
  readonly interfaceKeys: readonly Key[]
  readonly spanKeys: readonly Key[]
  readonly interfaces: readonly Named<InterfaceData>[]
  readonly spans: readonly Named<SpanData>[]
}

/**
 * Checks a file's tree with the schema. Entries with an error are kept without the invalid values where that makes sense, so
 * that later checks find their errors in the same run.
 */
export function readPart(file: Tree): { readonly part: Part; readonly diagnostics: readonly Diagnostic[] } {
  const tree = file.kind === 'map' ? withoutOwnKeys(file) : file
  const result = schemas.file.safeParse(toData(tree))
  const diagnostics = result.success ? [] : explainIssues(result.error.issues, tree)
  const owner = keepValid(schemas.owner, findTree(tree, ['name']))
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
    interfaces: interfaceEntries.flatMap((entry) => keepValidEntry(schemas.interface, entry)),
    spans: spanEntries.flatMap((entry) => keepValidEntry(schemas.span, entry))
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

function keepValidEntry<Data>(schema: z.ZodType<Data>, entry: Key & { tree: Tree }): Named<Data>[] {
  const found = keepValid(schema, entry.tree)
  return found ? [{ name: entry.name, at: entry.at, ...found }] : []
}

/** The data of a tree without the invalid values, and the tree for it; undefined: nothing sensible is left. */
function keepValid<Data>(
  schema: z.ZodType<Data>,
  tree: Tree | undefined
): { readonly data: Data; readonly tree: Tree } | undefined {
  for (let rest = tree; rest; ) {
    const result = schema.safeParse(toData(rest))
    if (result.success) return { data: result.data, tree: rest }
    rest = removeInvalid(rest, result.error.issues)
  }
  return undefined
}

function removeInvalid(tree: Tree, issues: readonly z.core.$ZodIssue[]): Tree | undefined {
  const invalid = issues.flatMap((issue): Path[] =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : listRemovals(issue.path)
  )
  // A missing value cannot be removed, nor can the tree itself.
  const canRemove = invalid.every((path) => path.length > 0 && findTree(tree, path) !== undefined)
  return canRemove ? removePaths(tree, invalid) : undefined
}

/**
 * The paths to remove for an error at a path. A default must not replace the invalid value, for that could lead to a further
 * error: a source without its direction would copy both.
 */
function listRemovals(path: Path): Path[] {
  const [key] = path
  if (key === 'sources' && path.length > 1) return [path.slice(0, 2)]
  if (key === 'sensors' && path.length > 1) return [path.slice(0, 2)]
  // A span with sensors and without a network would get a network of the span's name.
  if (key === 'network') return [['network'], ['sensors']]
  return key === 'match' ? [[]] : [path.slice(0, 1)]
}

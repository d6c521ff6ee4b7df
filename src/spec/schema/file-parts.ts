import type { z } from 'zod'
import type { Diagnostic, Origin } from '../../errors.ts'
import { breakStrange } from '../yaml/strange-text.ts'
import { findTree, type Path, type Tree, toData, withoutValues } from '../yaml/tree.ts'
import { schemas } from './schema.ts'
import { explainIssues } from './schema-errors.ts'
import { explainForeign } from './suggestions.ts'

/** The valid data of a value, and the tree with the place of each part of the data. */
export interface Valid<Data> {
  readonly data: Data
  readonly tree: Tree
}

/** One entry of `interfaces` or `spans`, which has a valid name. */
export interface Entry<Data> {
  readonly name: string
  /** The place of its key. */
  readonly origin: Origin
  /** undefined: nothing sensible is left without the invalid values. */
  readonly valid: Valid<Data> | undefined
}

/** What is valid in one file. */
export interface Part {
  readonly owner: Valid<string> | undefined
  readonly formerly: Valid<readonly string[]> | undefined
  readonly interfaces: readonly Entry<z.output<typeof schemas.interface>>[]
  readonly spans: readonly Entry<z.output<typeof schemas.span>>[]
}

/**
 * Checks a file's tree with the schema. Entries with an error are kept without the invalid values where that makes sense, so
 * that later checks find their errors in the same run.
 */
export function readPart(file: Tree): { readonly part: Part; readonly diagnostics: readonly Diagnostic[] } {
  const foreign = file.kind === 'map' ? explainForeign(file) : undefined
  if (foreign)
    return { part: { owner: undefined, formerly: undefined, interfaces: [], spans: [] }, diagnostics: [foreign] }
  const strange: Diagnostic[] = []
  // Keys with x- are the user's own.
  const isOurs = ([key]: readonly [string, unknown]) => !key.startsWith('x-')
  const checked = file.kind === 'map' ? { ...file, entries: new Map([...file.entries].filter(isOurs)) } : file
  const tree = breakStrange(checked, (found) => strange.push(found))
  const { error } = schemas.file.safeParse(toData(tree))
  const part = {
    owner: keepValid(schemas.owner, findTree(tree, ['name'])),
    formerly: keepValid(schemas.formerly, findTree(tree, ['formerly'])),
    interfaces: listEntries(findTree(tree, ['interfaces']), schemas.interfaceName, schemas.interface),
    spans: listEntries(findTree(tree, ['spans']), schemas.spanName, schemas.span)
  }
  return { part, diagnostics: [...strange, ...(error ? explainIssues(error.issues, tree) : [])] }
}

function listEntries<Data>(
  group: Tree | undefined,
  nameSchema: z.ZodType<string>,
  schema: z.ZodType<Data>
): Entry<Data>[] {
  if (group?.kind !== 'map') return []
  return [...group.entries]
    .filter(([name]) => nameSchema.safeParse(name).success)
    .map(([name, { at, value }]) => ({ name, origin: at, valid: keepValid(schema, value) }))
}

/** The data of a tree without the invalid values, and the tree for it; undefined: nothing sensible is left. */
function keepValid<Data>(schema: z.ZodType<Data>, tree: Tree | undefined): Valid<Data> | undefined {
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
  const values = invalid.map((path) => findTree(tree, path))
  // A missing value cannot be removed, nor can the tree itself.
  return values.includes(undefined) || values.includes(tree) ? undefined : withoutValues(tree, new Set(values))
}

/**
 * The paths to remove for an error at a path. A default must not replace the invalid value, for that could lead to a further
 * error: a source without its direction would copy both.
 */
function listRemovals(path: Path): Path[] {
  const [key] = path
  if ((key === 'sources' || key === 'sensors' || key === 'outputs') && path.length > 1) return [path.slice(0, 2)]
  // A span with sensors and without a network would get a network of the span's name.
  if (key === 'network') return [['network'], ['sensors']]
  return key === 'match' ? [[]] : [path.slice(0, 1)]
}

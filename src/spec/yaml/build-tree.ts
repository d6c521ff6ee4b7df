import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type Node,
  Scalar,
  type YAMLMap
} from 'yaml'
import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic, type Origin } from '../../errors.ts'
import { printable, quote } from '../../printable.ts'
import { explainTemplate } from './strange-text.ts'
import { lineAt, suggestQuotes } from './syntax-errors.ts'
import type { Entry, Tree, Written } from './tree.ts'

/** Converts a position in the text to a place. */
export type Place = (offset: number) => Origin

/** The tree of a file, and what is wrong with its YAML. */
export interface Parsed {
  /** undefined: the file has no value, or its structure is not certain. */
  readonly tree: Tree | undefined
  readonly diagnostics: readonly Diagnostic[]
}

/** The values that aliases and `<<` may add to a file: enough for a block that a thousand spans share. */
const mostCopies = 100_000

/** Characters of a variable in braces. */
const longestTemplate = 200

/** The tags of the core schema: every value has one of them, also without a tag in the file. */
const coreTags: ReadonlySet<string> = new Set(
  ['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`)
)

/**
 * Builds the tree from the composer's nodes: resolves aliases and merges `<<`. The size of the text bounds the work, whatever its
 * aliases are. The tree is undefined where the document has no value.
 */
export function buildTree({ contents: root }: Document.Parsed, yaml: string, placeOf: Place): Parsed {
  const diagnostics: Diagnostic[] = []
  /** Each anchor's tree and the number of values in it. undefined: it is being built, so that an alias in it would contain itself. */
  const anchors = new Map<string, { readonly tree: Tree; readonly values: number } | undefined>()
  /** The number of values so far, those of aliases among them. */
  let count = 0
  let copies = 0

  const writtenAt = (node: Node | null, at: Origin): Written => {
    return { at, source: node ? yaml.slice(start(node), node.range?.[1]) : '' }
  }

  const report = (...what: Parameters<typeof diagnostic>): void => {
    diagnostics.push(diagnostic(...what))
  }

  /** `outer` is the place of a value without any text: that of its key or its list. */
  const buildValue = (node: Node | null, outer: Origin): Tree => {
    count++
    return build(node, outer)
  }

  const build = (node: Node | null, outer: Origin): Tree => {
    if (!node) return { kind: 'scalar', at: outer, value: null, text: '', written: writtenAt(node, outer) }
    if (isAlias(node)) return resolveAlias(node)
    const { anchor } = node
    if (anchor === undefined) return buildNode(node, outer)
    anchors.set(anchor, undefined)
    const before = count
    const tree = buildNode(node, outer)
    anchors.set(anchor, { tree, values: count - before })
    return tree
  }

  const buildNode = (node: Exclude<Node, Alias>, outer: Origin): Tree => {
    const at = placeOf(start(node))
    if (node.tag !== undefined && !coreTags.has(node.tag)) {
      const tag = node.tag.replace(/^tag:yaml\.org,2002:/, '!!')
      const hint = isScalar(node) ? suggestQuotesFor(node) : 'remove it'
      reportIndicator('YAML_TAG', tag, 'a YAML tag', node, hint)
      return { kind: 'broken', at }
    }
    if (isMap(node)) return buildMap(node, at)
    if (isSeq(node)) {
      // A cast: a parsed list holds nodes; a pair within [a: b] is a map.
      return { kind: 'list', at, items: node.items.map((item) => buildValue(item as Node | null, at)) }
    }
    const isBlank = node.type === Scalar.PLAIN && !node.source
    if (!isBlank || node.anchor === undefined) return buildScalar(node, isBlank ? outer : at)
    reportIndicator('YAML_ANCHOR', `&${node.anchor}`, 'an anchor', node, suggestQuotesFor(node))
    return { kind: 'broken', at }
  }

  const buildScalar = (node: Scalar, at: Origin): Tree => {
    const { value } = node
    const text = node.source ?? String(value ?? '')
    const isPlain =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null
    return { kind: 'scalar', at, value: isPlain ? value : text, text, written: writtenAt(node, at) }
  }

  const suggestQuotesFor = (node: Node) => suggestQuotes(lineAt(yaml, start(node)))

  /** Reports a tag or an anchor, which stands shortly before the value. */
  const reportIndicator = (code: Code, text: string, kind: string, value: Node, hint: string): void => {
    const end = start(value)
    const begin = Math.max(0, end - 200)
    const found = yaml.slice(begin, end).lastIndexOf(text)
    const message = `${quote(text)} at the start of a value is ${kind}, and no part of the value`
    report(code, message, hint, placeOf(found === -1 ? end : begin + found))
  }

  /** Reports braces such as `{{ x }}`, which YAML reads as a mapping that is the key of another one. */
  const isTemplate = (node: Node, at: Origin): boolean => {
    const [found] = /^\{\{[^\n]*?\}\}/.exec(yaml.slice(start(node), start(node) + longestTemplate)) ?? []
    if (found !== undefined) diagnostics.push({ ...explainTemplate(found), origin: at })
    return found !== undefined
  }

  const buildMap = (node: YAMLMap, at: Origin): Tree => {
    if (isTemplate(node, at)) return { kind: 'broken', at }
    const entries = new Map<string, Entry>()
    const merged: Tree[] = []
    for (const pair of node.items) {
      // A cast: parsed pairs hold nodes.
      const keyNode = pair.key as Node | null
      const keyAt = keyNode ? placeOf(start(keyNode)) : at
      const key = readKey(keyNode, keyAt)
      const value = buildValue(pair.value as Node | null, keyAt)
      if (key === undefined) continue
      if (key === '<<' && isScalar(keyNode) && keyNode.type === Scalar.PLAIN) {
        merged.push(...readMerge(value))
        continue
      }
      const earlier = entries.get(key)
      if (earlier) {
        const message = `the key ${quote(key)} is here for the second time; the first is on line ${earlier.at.line}`
        report('YAML_DUPLICATE_KEY', message, 'remove one of them', keyAt)
        continue
      }
      entries.set(key, { at: keyAt, written: writtenAt(keyNode, keyAt), value })
    }
    // The map's own keys precede merged ones, and keys that are merged first precede later ones.
    for (const tree of merged) {
      if (tree.kind !== 'map') continue
      if (!countCopies(tree.entries.size, at)) break
      for (const [key, entry] of tree.entries) if (!entries.has(key)) entries.set(key, entry)
    }
    return { kind: 'map', at, entries }
  }

  const readKey = (node: Node | null, at: Origin): string | undefined => {
    if (isMap(node) && isTemplate(node, at)) return undefined
    const tree = isCollection(node) ? undefined : build(node, at)
    if (tree?.kind === 'broken') return undefined
    if (tree?.kind !== 'scalar' || (tree.value === null && tree.text === '')) {
      report('YAML_SYNTAX', 'a key must be one word', 'write "key: value"', at)
      return undefined
    }
    return tree.text
  }

  const readMerge = (value: Tree): readonly Tree[] => {
    const parts = value.kind === 'list' ? value.items : [value]
    for (const part of parts) {
      if (part.kind === 'map' || part.kind === 'broken') continue
      const message = '"<<" merges mappings, and this is not one'
      report('VALUE_INVALID', message, 'give it an alias of a mapping: "<<: *name"', part.at)
    }
    return parts
  }

  const resolveAlias = (node: Alias): Tree => {
    const at = placeOf(start(node))
    // The composer has reported an alias without a name.
    if (node.source === '') return { kind: 'broken', at }
    const target = anchors.get(node.source)
    if (target && countCopies(target.values + 1, at)) {
      count += target.values
      // The values inside keep their own places, where errors have to be fixed.
      return { ...target.tree, at }
    }
    if (!target) {
      const name = printable(node.source)
      if (anchors.has(node.source)) {
        const message = `the alias "*${name}" is inside its own anchor "&${name}"`
        diagnostics.push({ code: 'YAML_ALIAS', message, origin: at })
      } else {
        const message = `"*${name}" is an alias, and there is no anchor "&${name}" before it`
        report('YAML_ALIAS', message, `if it is meant as text: ${suggestQuotesFor(node)}`, at)
      }
    }
    return { kind: 'broken', at }
  }

  /** Counts the values that an alias adds. Returns false, and reports it once, if there are too many. */
  const countCopies = (values: number, at: Origin): boolean => {
    const before = copies
    copies += values
    if (before <= mostCopies && copies > mostCopies) {
      const message = `aliases expand this file to more than ${mostCopies} values`
      report('YAML_BOMB', message, 'write the values out instead', at)
    }
    return copies <= mostCopies
  }

  const isBlank = !root || (isScalar(root) && root.value === null && !root.source && !root.tag)
  return { tree: isBlank ? undefined : build(root, placeOf(start(root))), diagnostics }
}

/** Every parsed node has a range. */
const start = (node: Node) => node.range?.[0] ?? 0

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  Scalar,
  type YAMLMap,
  type YAMLSeq
} from 'yaml'
import type { Diagnostic, Origin } from '../../errors.ts'
import { printable, quote } from '../../printable.ts'
import { lineAt, suggestQuotes } from './syntax-errors.ts'
import type { Entry, ListTree, MapTree, ScalarTree, Tree } from './tree.ts'

/** Converts a position in the text to a place. */
type Place = (offset: number) => Origin

/** The values that aliases and `<<` may add to a file: enough for a block that a thousand spans share. */
const mostCopies = 100_000

/**
 * Builds the tree from the composer's nodes: resolves aliases and merges `<<`. `tree` is undefined if the document has no value.
 * The size of the text bounds the work, whatever its aliases are.
 */
export function buildTree(
  document: Document.Parsed,
  text: string,
  place: Place
): { readonly tree: Tree | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const builder = new TreeBuilder(document, text, place)
  return { tree: builder.buildRoot(), diagnostics: builder.diagnostics }
}

/** The tags of the core schema: every value has one of them, also without a tag in the file. */
const coreTags: ReadonlySet<string> = new Set(
  ['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`)
)

class TreeBuilder {
  readonly diagnostics: Diagnostic[] = []
  readonly #document: Document.Parsed
  readonly #text: string
  readonly #place: Place
  /** undefined: the value is being built, so that an alias in it would contain itself. */
  readonly #anchors = new Map<string, Tree | undefined>()
  #copies = 0
  #tooManyCopies = false

  constructor(document: Document.Parsed, text: string, place: Place) {
    this.#document = document
    this.#text = text
    this.#place = place
  }

  buildRoot(): Tree | undefined {
    const root = this.#document.contents
    if (!root || (isScalar(root) && root.value === null && !root.source && !root.tag)) return undefined
    return this.#build(root, this.#place(start(root)))
  }

  #report(code: string, at: Origin, message: string, hint?: string): void {
    this.diagnostics.push({ code, message, ...(hint !== undefined && { hint }), origin: at })
  }

  /** `outer` is the place of a value without any text: that of its key or its list. */
  #build(node: Node | null, outer: Origin): Tree {
    if (!node) return { kind: 'scalar', at: outer, size: 1, value: null, text: '' }
    if (isAlias(node)) return this.#resolveAlias(node)
    const anchor = 'anchor' in node ? node.anchor : undefined
    if (anchor !== undefined) this.#anchors.set(anchor, undefined)
    const tree = this.#buildNode(node, outer)
    if (anchor !== undefined) this.#anchors.set(anchor, tree)
    return tree
  }

  #buildNode(node: Node, outer: Origin): Tree {
    const at = this.#place(start(node))
    if (node.tag !== undefined && !coreTags.has(node.tag)) {
      const tag = node.tag.replace(/^tag:yaml\.org,2002:/, '!!')
      const message = `${quote(tag)} at the start of a value is a YAML tag, and no part of the value`
      const hint = isScalar(node) ? suggestQuotes(lineAt(this.#text, start(node))) : 'take it out'
      this.#report('YAML_TAG', this.#findBefore(tag, start(node)), message, hint)
      return { kind: 'broken', at, size: 1 }
    }
    if (isMap(node)) return this.#buildMap(node, at)
    if (isSeq(node)) return this.#buildList(node, at)
    if (isScalar(node)) {
      const isBlank = node.type === Scalar.PLAIN && !node.source
      if (!isBlank || node.anchor === undefined) return buildScalar(node, isBlank ? outer : at)
      const message = `${quote(`&${node.anchor}`)} at the start of a value is an anchor, and no part of the value`
      this.#report(
        'YAML_ANCHOR',
        this.#findBefore(`&${node.anchor}`, start(node)),
        message,
        suggestQuotes(lineAt(this.#text, start(node)))
      )
    }
    return { kind: 'broken', at, size: 1 }
  }

  /** The place of a tag or an anchor, which stands shortly before the value. */
  #findBefore(text: string, value: number): Origin {
    const begin = Math.max(0, value - 200)
    const found = this.#text.slice(begin, value).lastIndexOf(text)
    return this.#place(found === -1 ? value : begin + found)
  }

  #buildList(node: YAMLSeq, at: Origin): ListTree {
    const items: Tree[] = []
    let size = 1
    for (const item of node.items) {
      // A cast: a parsed list holds nodes; a pair within [a: b] is a map.
      const tree = this.#build(item as Node | null, at)
      items.push(tree)
      size += tree.size
    }
    return { kind: 'list', at, size, items }
  }

  #buildMap(node: YAMLMap, at: Origin): MapTree {
    const entries = new Map<string, Entry>()
    const merged: Tree[] = []
    let size = 1
    for (const pair of node.items) {
      // A cast: parsed pairs hold nodes.
      const keyNode = pair.key as Node | null
      const keyAt = keyNode ? this.#place(start(keyNode)) : at
      const key = this.#readKey(keyNode, keyAt)
      const value = this.#build(pair.value as Node | null, keyAt)
      if (key === undefined) continue
      if (key === '<<' && isScalar(keyNode) && keyNode.type === Scalar.PLAIN) {
        merged.push(...this.#readMerge(value))
        continue
      }
      const earlier = entries.get(key)
      if (earlier) {
        const message = `the key ${quote(key)} is here for the second time; the first is in line ${earlier.at.line}`
        this.#report('YAML_DUPLICATE_KEY', keyAt, message, 'take one of them out')
        continue
      }
      entries.set(key, { at: keyAt, value })
      size += value.size
    }
    // The map's own keys precede merged ones, and keys that are merged first precede later ones.
    for (const tree of merged) {
      if (tree.kind !== 'map') continue
      if (!this.#countCopies(tree.entries.size, at)) break
      for (const [key, entry] of tree.entries) {
        if (entries.has(key)) continue
        entries.set(key, entry)
        size += entry.value.size
      }
    }
    return { kind: 'map', at, size, entries }
  }

  #readKey(node: Node | null, at: Origin): string | undefined {
    let tree: Tree | undefined
    if (isAlias(node)) tree = this.#resolveAlias(node)
    else if (isScalar(node)) tree = this.#build(node, at)
    if (tree?.kind === 'broken') return undefined
    if (tree?.kind !== 'scalar' || (tree.value === null && tree.text === '')) {
      this.#report('YAML_SYNTAX', at, 'a key must be one word', 'write "key: value"')
      return undefined
    }
    if (tree.text === '__proto__') {
      this.#report('KEY_UNKNOWN', at, '"__proto__" cannot be a key', 'choose another name')
      return undefined
    }
    return tree.text
  }

  #readMerge(value: Tree): readonly Tree[] {
    const parts = value.kind === 'list' ? value.items : [value]
    for (const part of parts) {
      if (part.kind === 'map' || part.kind === 'broken') continue
      const message = '"<<" merges mappings, and this is none'
      this.#report('VALUE_INVALID', part.at, message, 'give it an alias of a mapping: "<<: *name"')
    }
    return parts
  }

  #resolveAlias(node: Alias): Tree {
    const at = this.#place(start(node))
    const broken: Tree = { kind: 'broken', at, size: 1 }
    // The composer has reported an alias without a name.
    if (node.source === '') return broken
    const target = this.#anchors.get(node.source)
    if (!target) {
      const name = printable(node.source)
      if (this.#anchors.has(node.source)) {
        this.#report('YAML_ALIAS', at, `the alias "*${name}" stands within its own anchor "&${name}"`)
      } else {
        const message = `"*${name}" is an alias, and there is no anchor "&${name}" before it`
        this.#report(
          'YAML_ALIAS',
          at,
          message,
          `if it is meant as text: ${suggestQuotes(lineAt(this.#text, start(node)))}`
        )
      }
      return broken
    }
    if (!this.#countCopies(target.size, at)) return broken
    // The values inside keep their own places, where errors have to be fixed.
    return { ...target, at }
  }

  /** Counts the values that an alias adds. Returns false, and reports it once, if there are too many. */
  #countCopies(values: number, at: Origin): boolean {
    this.#copies += values
    if (this.#copies <= mostCopies) return true
    if (!this.#tooManyCopies) {
      const message = `aliases make more than ${mostCopies} values of this file`
      this.#report('YAML_BOMB', at, message, 'write out what is meant')
    }
    this.#tooManyCopies = true
    return false
  }
}

/** Every parsed node has a range. */
const start = (node: Node) => node.range?.[0] ?? 0

function buildScalar(node: Scalar, at: Origin): ScalarTree {
  const { value } = node
  const text = node.source ?? String(value ?? '')
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null
  return { kind: 'scalar', at, size: 1, value: isPlain ? value : text, text }
}

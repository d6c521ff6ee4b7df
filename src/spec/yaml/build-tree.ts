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
import type { Entry, Tree } from './tree.ts'

/** Converts a position in the text to a place. */
export type Place = (offset: number) => Origin

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
 * aliases are.
 */
export class TreeBuilder {
  readonly diagnostics: Diagnostic[] = []
  readonly #text: string
  readonly #place: Place
  /** Each anchor's tree and the number of values in it. undefined: it is being built, so that an alias in it would contain itself. */
  readonly #anchors = new Map<string, { readonly tree: Tree; readonly values: number } | undefined>()
  /** The number of values so far, those of aliases among them. */
  #values = 0
  #copies = 0

  constructor(text: string, place: Place) {
    this.#text = text
    this.#place = place
  }

  /** undefined: the document has no value. */
  build({ contents: root }: Document.Parsed): Tree | undefined {
    if (!root || (isScalar(root) && root.value === null && !root.source && !root.tag)) return undefined
    return this.#build(root, this.#place(start(root)))
  }

  #report(code: Code, at: Origin, message: string, hint?: string): void {
    this.diagnostics.push(diagnostic(code, message, hint, at))
  }

  /** `outer` is the place of a value without any text: that of its key or its list. */
  #buildValue(node: Node | null, outer: Origin): Tree {
    this.#values++
    return this.#build(node, outer)
  }

  #build(node: Node | null, outer: Origin): Tree {
    if (!node) return { kind: 'scalar', at: outer, value: null, text: '', written: { at: outer, source: '' } }
    if (isAlias(node)) return this.#resolveAlias(node)
    const { anchor } = node
    if (anchor === undefined) return this.#buildNode(node, outer)
    this.#anchors.set(anchor, undefined)
    const before = this.#values
    const tree = this.#buildNode(node, outer)
    this.#anchors.set(anchor, { tree, values: this.#values - before })
    return tree
  }

  #buildNode(node: Exclude<Node, Alias>, outer: Origin): Tree {
    const at = this.#place(start(node))
    if (node.tag !== undefined && !coreTags.has(node.tag)) {
      const tag = node.tag.replace(/^tag:yaml\.org,2002:/, '!!')
      const hint = isScalar(node) ? this.#suggestQuotes(node) : 'remove it'
      this.#reportIndicator('YAML_TAG', tag, 'a YAML tag', node, hint)
      return { kind: 'broken', at }
    }
    if (isMap(node)) return this.#buildMap(node, at)
    if (isSeq(node)) {
      // A cast: a parsed list holds nodes; a pair within [a: b] is a map.
      return { kind: 'list', at, items: node.items.map((item) => this.#buildValue(item as Node | null, at)) }
    }
    const isBlank = node.type === Scalar.PLAIN && !node.source
    if (!isBlank || node.anchor === undefined) return this.#buildScalar(node, isBlank ? outer : at)
    this.#reportIndicator('YAML_ANCHOR', `&${node.anchor}`, 'an anchor', node, this.#suggestQuotes(node))
    return { kind: 'broken', at }
  }

  #buildScalar(node: Scalar, at: Origin): Tree {
    const { value } = node
    const text = node.source ?? String(value ?? '')
    const isPlain =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null
    const written = { at, source: this.#text.slice(start(node), node.range?.[1]) }
    return { kind: 'scalar', at, value: isPlain ? value : text, text, written }
  }

  #suggestQuotes(node: Node): string {
    return suggestQuotes(lineAt(this.#text, start(node)))
  }

  /** Reports a tag or an anchor, which stands shortly before the value. */
  #reportIndicator(code: Code, text: string, kind: string, value: Node, hint: string): void {
    const end = start(value)
    const begin = Math.max(0, end - 200)
    const found = this.#text.slice(begin, end).lastIndexOf(text)
    const message = `${quote(text)} at the start of a value is ${kind}, and no part of the value`
    this.#report(code, this.#place(found === -1 ? end : begin + found), message, hint)
  }

  /** Reports braces such as `{{ x }}`, which YAML reads as a mapping that is the key of another one. */
  #isTemplate(node: Node, at: Origin): boolean {
    const [found] = /^\{\{[^\n]*?\}\}/.exec(this.#text.slice(start(node), start(node) + longestTemplate)) ?? []
    if (found !== undefined) this.diagnostics.push({ ...explainTemplate(found), origin: at })
    return found !== undefined
  }

  #buildMap(node: YAMLMap, at: Origin): Tree {
    if (this.#isTemplate(node, at)) return { kind: 'broken', at }
    const entries = new Map<string, Entry>()
    const merged: Tree[] = []
    for (const pair of node.items) {
      // A cast: parsed pairs hold nodes.
      const keyNode = pair.key as Node | null
      const keyAt = keyNode ? this.#place(start(keyNode)) : at
      const key = this.#readKey(keyNode, keyAt)
      const value = this.#buildValue(pair.value as Node | null, keyAt)
      if (key === undefined) continue
      if (key === '<<' && isScalar(keyNode) && keyNode.type === Scalar.PLAIN) {
        merged.push(...this.#readMerge(value))
        continue
      }
      const earlier = entries.get(key)
      if (earlier) {
        const message = `the key ${quote(key)} is here for the second time; the first is on line ${earlier.at.line}`
        this.#report('YAML_DUPLICATE_KEY', keyAt, message, 'remove one of them')
        continue
      }
      const source = keyNode ? this.#text.slice(start(keyNode), keyNode.range?.[1]) : ''
      entries.set(key, { at: keyAt, written: { at: keyAt, source }, value })
    }
    // The map's own keys precede merged ones, and keys that are merged first precede later ones.
    for (const tree of merged) {
      if (tree.kind !== 'map') continue
      if (!this.#countCopies(tree.entries.size, at)) break
      for (const [key, entry] of tree.entries) if (!entries.has(key)) entries.set(key, entry)
    }
    return { kind: 'map', at, entries }
  }

  #readKey(node: Node | null, at: Origin): string | undefined {
    if (isMap(node) && this.#isTemplate(node, at)) return undefined
    const tree = isCollection(node) ? undefined : this.#build(node, at)
    if (tree?.kind === 'broken') return undefined
    if (tree?.kind !== 'scalar' || (tree.value === null && tree.text === '')) {
      this.#report('YAML_SYNTAX', at, 'a key must be one word', 'write "key: value"')
      return undefined
    }
    return tree.text
  }

  #readMerge(value: Tree): readonly Tree[] {
    const parts = value.kind === 'list' ? value.items : [value]
    for (const part of parts) {
      if (part.kind === 'map' || part.kind === 'broken') continue
      const message = '"<<" merges mappings, and this is not one'
      this.#report('VALUE_INVALID', part.at, message, 'give it an alias of a mapping: "<<: *name"')
    }
    return parts
  }

  #resolveAlias(node: Alias): Tree {
    const at = this.#place(start(node))
    // The composer has reported an alias without a name.
    if (node.source === '') return { kind: 'broken', at }
    const target = this.#anchors.get(node.source)
    if (target && this.#countCopies(target.values + 1, at)) {
      this.#values += target.values
      // The values inside keep their own places, where errors have to be fixed.
      return { ...target.tree, at }
    }
    if (!target) {
      const name = printable(node.source)
      if (this.#anchors.has(node.source)) {
        this.#report('YAML_ALIAS', at, `the alias "*${name}" is inside its own anchor "&${name}"`)
      } else {
        const message = `"*${name}" is an alias, and there is no anchor "&${name}" before it`
        this.#report('YAML_ALIAS', at, message, `if it is meant as text: ${this.#suggestQuotes(node)}`)
      }
    }
    return { kind: 'broken', at }
  }

  /** Counts the values that an alias adds. Returns false, and reports it once, if there are too many. */
  #countCopies(values: number, at: Origin): boolean {
    const before = this.#copies
    this.#copies += values
    if (before <= mostCopies && this.#copies > mostCopies) {
      const message = `aliases expand this file to more than ${mostCopies} values`
      this.#report('YAML_BOMB', at, message, 'write the values out instead')
    }
    return this.#copies <= mostCopies
  }
}

/** Every parsed node has a range. */
const start = (node: Node) => node.range?.[0] ?? 0

import type { z } from 'zod'
import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { printable, quote } from '../../printable.ts'
import { suggestFraction } from '../values/fraction.ts'
import { suggestRate } from '../values/rate.ts'
import {
  findKeyPlace,
  findTree,
  findValuePlace,
  type ListTree,
  type MapTree,
  type Path,
  type ScalarTree,
  type Tree
} from '../yaml/tree.ts'
import { suggest, suggestHint } from './did-you-mean.ts'
import { findRefused } from './refused-keys.ts'
import {
  isKeyOfSpan,
  keysAt,
  keysMeant,
  type Level,
  levelOf,
  shorten,
  suggestIndent,
  suggestKey,
  suggestMtu
} from './suggestions.ts'

type Issue = z.core.$ZodIssue

/** Hints for a key that is missing or has no value. */
const missingKeyHints: ReadonlyMap<string, string> = new Map([
  ['remote', 'write the address of the host that gets the frames'],
  ['version', 'write "version: 1"'],
  ['spans', 'write "spans: {}" if there are to be none'],
  ['sources', 'a span needs one source or more, for example "- interface: eth1"'],
  ['name', 'a network has a name, and perhaps a subnet'],
  ['local', 'write the address of this host that the sender sends to'],
  ['frames', 'write the fraction, as in sample: {frames: 1/1000}'],
  ['id', 'write the VXLAN network identifier (VNI) of the sender']
])

/** `span "span0"`, `interface "tap-a"` */
const ownerOf = ([group, name]: Path) => `${group === 'spans' ? 'span' : 'interface'} ${quote(String(name))}`

/** ` in span "span0"`, or nothing at the top level. */
const inOwner = (path: Path) => (path.length < 2 ? '' : ` in ${ownerOf(path)}`)

/** What an item of a list is called. */
const itemNames: Readonly<Partial<Record<Level, string>>> = {
  source: 'a source',
  sensor: 'a sensor',
  output: 'an output',
  member: 'a member of a balance'
}

/** `mtu in span "span0"`, `a sensor in span "span0"`. */
function subjectOf(path: Path): string {
  if (path.length === 0) return 'the file'
  const last = path.at(-1)
  if (path.length === 2 && typeof last !== 'number') return ownerOf(path)
  const kind = levelOf(path)
  const item = typeof last === 'number' ? `an item of ${String(path.at(-2))}` : String(last)
  return `${(kind && itemNames[kind]) ?? item}${path.length === 2 ? '' : inOwner(path)}`
}

function valueText(tree: Tree, issue: Issue): string {
  if (tree.kind === 'list') return tree.items.length === 0 ? 'an empty list' : 'a list'
  if (tree.kind !== 'scalar') return 'a mapping'
  if (typeof tree.value === 'string') return quote(tree.value)
  return typeof tree.value === 'number' && expectsText(issue) ? `the number ${shorten(tree)}` : shorten(tree)
}

const expectsText = (issue: Issue) => issue.code === 'invalid_type' && issue.expected === 'string'

const bareMac = /^[0-9a-f]{12}$/i
const suggestColons = (text: string) => `write it with colons, in quotes: "${text.match(/../g)?.join(':')}"`

/** A hint for a value that its author meant as text, and that YAML read as something else. */
function suggestText(tree: ScalarTree, key: PropertyKey | undefined): string | undefined {
  const { text } = tree
  if (key === 'max_idle') return `give it a unit: ${text}s`
  if (key === 'limit') return suggestRate(text)
  return key === 'macaddress' && bareMac.test(text) ? suggestColons(text) : `put it in quotes: ${quote(text)}`
}

/** A hint for a word where true or false should be. */
function suggestFlag(word: string): string | undefined {
  if (word === 'true' || word === 'false') return `take the quotes off: ${word}`
  const suggestion = suggest(word, ['true', 'false'])
  if (suggestion === undefined) return undefined
  const isYaml11 = /^(?:y|yes|on|n|no|off)$/i.test(word)
  return isYaml11 ? `${quote(word)} is a word in YAML 1.2: write ${suggestion}` : `did you mean ${suggestion}?`
}

function suggestFix(issue: Issue, tree: Tree): string | undefined {
  const key = issue.path.at(-1)
  if (issue.code === 'invalid_type' && issue.expected === 'array') {
    if (tree.kind === 'scalar') {
      const text = shorten(tree).replace(/^[[\s]+|[\]\s]+$/g, '')
      return key === 'sources' || key === 'outputs' ? `write "- interface: ${text}"` : `write [${text}]`
    }
    return tree.kind === 'map' ? suggestItems(tree) : undefined
  }
  if (issue.code === 'invalid_type' && issue.expected === 'record' && tree.kind === 'list') {
    return `write each under its name, without "- ": "${firstName(tree)}:"`
  }
  if (expectsText(issue) && typeof key === 'number' && tree.kind !== 'scalar') return 'write the name alone'
  if (expectsText(issue) && tree.kind === 'list') return suggestOne(key, tree)
  if (tree.kind !== 'scalar') return undefined
  if (levelOf(issue.path) === 'source' || levelOf(issue.path) === 'output') {
    const [, name = shorten(tree)] = /^interface\s*[:\uFF1A=]\s*(\S+)$/.exec(shorten(tree)) ?? []
    return `write "interface: ${name}"`
  }
  const { value } = tree
  if (key === 'version') return suggestVersion(tree)
  if (key === 'sample' || key === 'frames') return suggestFraction(tree.text)
  if (typeof value !== 'string') return expectsText(issue) ? suggestText(tree, key) : undefined
  if (issue.code === 'invalid_type' && issue.expected === 'boolean') return suggestFlag(value)
  if (issue.code === 'invalid_value') {
    const allowed = issue.values.map(String)
    return allowed.includes(value) ? `take the quotes off: ${value}` : suggestHint(value, allowed)
  }
  return issue.code === 'invalid_union' && key === 'mtu' ? suggestMtu(value) : undefined
}

/** A hint for a mapping where a list of mappings is expected. */
function suggestItems(tree: MapTree): string {
  const [key = ''] = tree.entries.keys()
  const dash = /^[-\u2010-\u2015\u2212]\s*/
  return dash.test(key)
    ? `begin the item with "- ", a hyphen and a space: "- ${printable(key.replace(dash, ''))}: …"`
    : 'begin each item with "- "'
}

/** A hint for a list where one text is expected. */
function suggestOne(key: PropertyKey | undefined, { items }: ListTree): string {
  if (key === 'bridge') return 'write one name: a span has one bridge'
  const [first] = items
  const text = first?.kind === 'scalar' ? shorten(first) : '…'
  return key === 'filter'
    ? 'write one text, and join its parts with "or"'
    : `write an item for each: "- ${String(key)}: ${text}"`
}

/** The name that the first item of a list has, or what stands for it. */
function firstName({ items: [first] }: ListTree): string {
  if (first?.kind === 'scalar') return shorten(first)
  const [entry] = first?.kind === 'map' ? first.entries : []
  if (entry === undefined) return 'span0'
  const [key, { value }] = entry
  return key === 'name' && value.kind === 'scalar' ? shorten(value) : printable(key)
}

function suggestVersion({ text, value }: ScalarTree): string {
  if (text === '1' && typeof value === 'string') return 'take the quotes off: 1'
  return 'write "version: 1", the version of this format; there is no other'
}

function explainUnknownKey(key: string, path: Path, tree: Tree): Diagnostic {
  const origin = findKeyPlace(tree, [...path, key])
  const subject = `${quote(key)}${inOwner(path)}`
  const refused = findRefused(key, levelOf(path))
  if (refused !== undefined) {
    const { code, hint } = refused
    return diagnostic(
      code,
      code === 'KEY_UNSUPPORTED' ? `${subject} is not supported` : `unknown key ${subject}`,
      hint,
      origin
    )
  }
  const hint = suggestKey(key, path, findTree(tree, path))
  return diagnostic('KEY_UNKNOWN', `unknown key ${subject}`, hint, origin)
}

/** The paths at which an unknown key explains another issue: the path of its mapping, and that of the key that is meant. */
function listExplained(issue: Issue): string[] {
  if (issue.code !== 'unrecognized_keys') return []
  const known = keysAt(issue.path)
  // An unknown key of a source or of `match` may be meant as the one key that these need.
  const meant = issue.keys.flatMap((key) => [suggest(key, known) ?? [], keysMeant(key, levelOf(issue.path))].flat())
  return [issue.path, ...meant.map((key) => [...issue.path, key])].map((path) => path.join('\0'))
}

const isBroken = ({ value }: { readonly value: Tree }) => value.kind === 'broken'

/** The diagnostics for zod's issues with a file. An issue that is the consequence of another one has none. */
export function explainIssues(issues: readonly Issue[], root: Tree): Diagnostic[] {
  const explained = new Set(issues.flatMap(listExplained))
  const isConsequence = (issue: Issue) => {
    // The key that is missed may be the one whose value is broken.
    const tree = findTree(root, issue.path)
    if (issue.code === 'custom' && tree?.kind === 'map' && [...tree.entries.values()].some(isBroken)) return true
    const concernsMapping = issue.code === 'custom' || tree === undefined
    return issue.code !== 'unrecognized_keys' && concernsMapping && explained.has(issue.path.join('\0'))
  }
  return issues.filter((issue) => !isConsequence(issue)).flatMap((issue) => explainIssue(issue, root))
}

/** Whether what stands there may be a container's name alone. */
const isContainer = (level: Level | undefined) => level === 'sensor' || level === 'member'

/** The diagnostics for one issue; none if the YAML parser has reported the value already. */
function explainIssue(issue: Issue, root: Tree): Diagnostic[] {
  const { path } = issue
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => explainUnknownKey(key, path, root))
  }
  if (issue.code === 'invalid_key') return issue.issues.map((inner) => explainName(inner, path, root))
  const tree = findTree(root, path)
  if (issue.code === 'invalid_union') {
    // A single word is meant as a container's name.
    const branch =
      findBranch(issue) ?? (isContainer(levelOf(path)) && tree?.kind === 'scalar' ? issue.errors[0] : undefined)
    if (branch !== undefined) {
      const absolute = branch.map((inner) => ({ ...inner, path: [...path, ...inner.path] }))
      return explainIssues(absolute, root)
    }
  }
  return tree?.kind === 'broken' ? [] : [explainValue(issue, tree, root)]
}

function explainValue(issue: Issue, tree: Tree | undefined, root: Tree): Diagnostic {
  const { path } = issue
  const key = String(path.at(-1))
  if (!tree) {
    const message = `${quote(key)} is missing${inOwner(path.slice(0, -1))}`
    return diagnostic('KEY_MISSING', message, missingKeyHints.get(key), findKeyPlace(root, path))
  }
  const origin = findValuePlace(root, path)
  const subject = subjectOf(path)
  if (isKeyOfSpan(path, tree)) {
    const message = `${quote(key)} is a key of a span, and stands where a span's name belongs`
    const hint = 'write it below the name of its span, indented by two more spaces'
    return diagnostic('KEY_UNKNOWN', message, hint, findKeyPlace(root, path))
  }
  if (tree.kind === 'scalar' && tree.value === null) {
    const isEntry = path.length === 2 || path.length === 4 || levelOf(path) === 'member'
    const usual = isEntry ? 'write what belongs here, or remove it' : 'give it a value, or remove the key'
    const hint = suggestIndent(path, findTree(root, path.slice(0, -1))) ?? missingKeyHints.get(key) ?? usual
    return diagnostic('VALUE_MISSING', `${subject} has no value`, hint, origin)
  }
  if (issue.code === 'custom') {
    const { code, hint } = readParams(issue)
    if (tree.kind !== 'scalar') return diagnostic(code, `${subject} ${issue.message}`, hint, origin)
    const fix = key === 'macaddress' && bareMac.test(tree.text) ? suggestColons(tree.text) : hint
    return diagnostic(code, `${subject} ${nameValue(issue.message, tree.text)}`, fix, origin)
  }
  const message = `${subject} ${issue.message}, not ${valueText(tree, issue)}`
  return diagnostic('VALUE_INVALID', message, suggestFix(issue, tree), origin)
}

/** Adds the value to a message that does not have it yet. */
function nameValue(message: string, text: string): string {
  if (text === '' || message.includes(quote(text))) return message
  return message.startsWith('must be') ? `${message}, not ${quote(text)}` : `${message}: ${quote(text)}`
}

/** The diagnostic for the name of a span or an interface. */
function explainName(issue: Issue, path: Path, root: Tree): Diagnostic {
  const [group, name] = path
  const subject = group === 'spans' ? "a span's name" : "an interface's name"
  const { code, hint } = readParams(issue)
  return diagnostic(code, `${subject} ${nameValue(issue.message, String(name))}`, hint, findKeyPlace(root, path))
}

/** The code and the hint of a rule: the schema puts nothing else into the parameters of an issue. */
function readParams(issue: Issue): { readonly code: Code; readonly hint: string | undefined } {
  const params: { code?: Code; hint?: string } = (issue.code === 'custom' && issue.params) || {}
  return { code: params.code ?? 'VALUE_INVALID', hint: params.hint }
}

/** The issues of the form that the value has, of those that it may have: the form that accepts the value's type. */
function findBranch(issue: z.core.$ZodIssueInvalidUnion): readonly Issue[] | undefined {
  const rejectsType = ({ code, path }: Issue) => path.length === 0 && code !== 'unrecognized_keys' && code !== 'custom'
  return issue.errors.find((branch) => !branch.some(rejectsType))
}

import type { z } from 'zod'
import type { Diagnostic } from '../../errors.ts'
import { printable, quote } from '../../printable.ts'
import { findKeyPlace, findTree, findValuePlace, type Path, type ScalarTree, type Tree } from '../yaml/tree.ts'
import { suggest, suggestHint } from './did-you-mean.ts'

type Issue = z.core.$ZodIssue

/** What to do when a key that must be there is not, or has nothing under it. */
const missingHints: ReadonlyMap<string, string> = new Map([
  ['version', 'write "version: 1"'],
  ['spans', 'write "spans: {}" if there are to be none'],
  ['sources', 'a span needs one source or more, for example "- interface: eth1"'],
  ['name', 'a network has a name, and perhaps a subnet']
])

/** What the format has room for, and this version cannot do; by the place where it is written. */
const unsupported: ReadonlyMap<string, string> = new Map([
  ['span outputs', 'outputs'],
  ['source container', 'sources of the kind "container"'],
  ['source label', 'sources of the kind "label"'],
  ['source compose', 'sources of the kind "compose"'],
  ['source network', 'sources of the kind "network"'],
  ['source vxlan', 'sources of the kind "vxlan"'],
  ['sensor balance', 'balance among sensors']
])

/** What kind of thing is at a path. */
function kindOf(path: Path): 'source' | 'sensor' | 'span' | 'other' {
  if (path[0] !== 'spans') return 'other'
  if (path.length === 2) return 'span'
  if (path.length === 4 && path[2] === 'sources') return 'source'
  if (path.length === 4 && path[2] === 'sensors') return 'sensor'
  return 'other'
}

/** ` in span "span0"`, for what is at a path. */
function describeOwner(path: Path): string {
  const [group, key] = path
  if (path.length < 2) return ''
  if (group === 'spans') return ` in span ${quote(String(key))}`
  if (group === 'interfaces') return ` in interface ${quote(String(key))}`
  return ''
}

/** `mtu in span "span0"`, `a sensor in span "span0"`. */
function describeSubject(path: Path): string {
  if (path.length === 0) return 'the file'
  if (path.length === 2) return `${path[0] === 'spans' ? 'span' : 'interface'} ${quote(String(path[1]))}`
  const kind = kindOf(path)
  const name = kind === 'source' || kind === 'sensor' ? `a ${kind}` : String(path.at(-1))
  return `${name}${describeOwner(path)}`
}

function describeValue(tree: Tree): string {
  if (tree.kind === 'list') return tree.items.length === 0 ? 'an empty list' : 'a list'
  if (tree.kind !== 'scalar') return 'a mapping'
  if (typeof tree.value === 'string') return quote(tree.value)
  return String(tree.value === null ? null : printable(tree.text.slice(0, 60)))
}

const isTextWanted = (issue: Issue) => issue.code === 'invalid_type' && issue.expected === 'string'

const bareMac = /^[0-9a-f]{12}$/i
const suggestColons = (text: string) => `write it with colons, in quotes: "${text.match(/../g)?.join(':')}"`

/** YAML read something else than text from what looked like text to its author. */
function suggestText(tree: ScalarTree, key: PropertyKey | undefined): string {
  const { text } = tree
  if (key === 'max_idle') return `give it a unit: ${text}s`
  return key === 'macaddress' && bareMac.test(text) ? suggestColons(text) : `put it in quotes: ${quote(text)}`
}

/** What to do about a word where true or false should be. */
function suggestFlag(word: string): string | undefined {
  if (word === 'true' || word === 'false') return `take the quotes off: ${word}`
  const meant = suggest(word, ['true', 'false'])
  if (meant === undefined) return undefined
  const isOldWord = /^(?:y|yes|on|n|no|off)$/i.test(word)
  return isOldWord ? `${quote(word)} is a word in YAML 1.2: write ${meant}` : `did you mean ${meant}?`
}

function suggestFix(issue: Issue, tree: Tree): string | undefined {
  const key = issue.path.at(-1)
  if (issue.code === 'invalid_type' && issue.expected === 'array') {
    const text = tree.kind === 'scalar' ? printable(tree.text.slice(0, 60)) : undefined
    if (text !== undefined) return key === 'sources' ? `write "- interface: ${text}"` : `write [${text}]`
    return tree.kind === 'map' ? 'begin each item with "- "' : undefined
  }
  if (kindOf(issue.path) === 'source' && tree.kind === 'scalar')
    return `write "interface: ${printable(tree.text.slice(0, 60))}"`
  if (tree.kind !== 'scalar') return undefined
  const { value } = tree
  if (typeof value !== 'string') {
    return isTextWanted(issue) ? suggestText(tree, key) : undefined
  }
  if (issue.code === 'invalid_type' && issue.expected === 'boolean') return suggestFlag(value)
  if (issue.code === 'invalid_value') {
    const words = issue.values.map(String)
    return words.includes(value) ? `take the quotes off: ${value}` : suggestHint(value, words)
  }
  if (issue.code === 'invalid_union') {
    if (/^\d+$/.test(value)) return `take the quotes off: ${value}`
    return key === 'mtu' ? suggestHint(value, ['auto']) : undefined
  }
  return undefined
}

function explainUnknownKey(key: string, path: Path, known: readonly string[], tree: Tree): Diagnostic {
  const origin = findKeyPlace(tree, [...path, key])
  const owner = path.length === 0 ? '' : describeOwner(path)
  const message = `unknown key ${quote(key)}${owner}`
  const missing = unsupported.get(`${kindOf(path)} ${key}`)
  if (missing !== undefined) {
    const hint = `this version of spanplan does not support ${missing} yet`
    return { code: 'KEY_UNSUPPORTED', message: `${quote(key)}${owner} is not supported`, hint, origin }
  }
  return { code: 'KEY_UNKNOWN', message, hint: suggestHint(key, known) ?? `known here: ${known.join(', ')}`, origin }
}

/** The keys whose absence an unknown key explains: those that were meant by it. */
function listMeant(issue: Issue): string[] {
  if (issue.code !== 'unrecognized_keys') return []
  const known = issue.message.split(', ')
  return issue.keys.flatMap((key) => {
    // What is unknown in a source or in `match` may be the one key that has to be there.
    const meant = suggest(key, known)
    return [issue.path, ...(meant === undefined ? [] : [[...issue.path, meant]])].map((path) => path.join('\0'))
  })
}

/** The notices for what zod found wrong with a file; none for what follows from another. */
export function explainIssues(issues: readonly Issue[], root: Tree): Diagnostic[] {
  const meant = new Set(issues.flatMap(listMeant))
  const follows = (issue: Issue) => {
    const isOfMapping = issue.code === 'custom' || findTree(root, issue.path) === undefined
    return issue.code !== 'unrecognized_keys' && isOfMapping && meant.has(issue.path.join('\0'))
  }
  return issues.filter((issue) => !follows(issue)).flatMap((issue) => explainIssue(issue, root))
}

/** The notices for one thing that zod found wrong; none where the reader of YAML has said it already. */
function explainIssue(issue: Issue, root: Tree): Diagnostic[] {
  const { path } = issue
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(', ')
    return issue.keys.map((key) => explainUnknownKey(key, path, known, root))
  }
  if (issue.code === 'invalid_key') return issue.issues.map((inner) => explainName(inner, path, root))
  const tree = findTree(root, path)
  if (issue.code === 'invalid_union') {
    // One word is meant for a container's name.
    const inner =
      findMeantBranch(issue) ?? (kindOf(path) === 'sensor' && tree?.kind === 'scalar' ? issue.errors[0] : undefined)
    if (inner !== undefined) {
      const whole = inner.map((one) => ({ ...one, path: [...path, ...one.path] }))
      return explainIssues(whole, root)
    }
  }
  if (tree?.kind === 'broken') return []
  const subject = describeSubject(path)
  const key = String(path.at(-1))
  if (!tree) {
    const hint = missingHints.get(key)
    const message = `${quote(key)} is missing${describeOwner(path.slice(0, -1))}`
    return [{ code: 'KEY_MISSING', message, ...(hint !== undefined && { hint }), origin: findKeyPlace(root, path) }]
  }
  const origin = findValuePlace(root, path)
  if (tree.kind === 'scalar' && tree.value === null) {
    const hint =
      missingHints.get(key) ??
      (path.length === 2 || path.length === 4
        ? 'write what belongs here, or take it out'
        : 'give it a value, or take the key out')
    return [{ code: 'VALUE_MISSING', message: `${subject} has no value`, hint, origin }]
  }
  if (issue.code === 'custom') {
    const { code, hint } = readParams(issue)
    if (tree.kind !== 'scalar') return [{ code, message: `${subject} ${issue.message}`, ...hint, origin }]
    const mended = key === 'macaddress' && bareMac.test(tree.text) ? { hint: suggestColons(tree.text) } : hint
    return [{ code, message: `${subject} ${blame(issue.message, tree.text)}`, ...mended, origin }]
  }
  const hint = suggestFix(issue, tree)
  const isNumber = tree.kind === 'scalar' && typeof tree.value === 'number'
  const type = isNumber && isTextWanted(issue) ? 'the number ' : ''
  const message = `${subject} ${issue.message}, not ${type}${describeValue(tree)}`
  return [{ code: 'VALUE_INVALID', message, ...(hint !== undefined && { hint }), origin }]
}

/** What is wrong, with the text that it is wrong with, unless that is said already. */
function blame(message: string, text: string): string {
  if (text === '' || message.includes(quote(text))) return message
  return message.startsWith('must be') ? `${message}, not ${quote(text)}` : `${message}: ${quote(text)}`
}

/** The key of a span or of an interface breaks a rule. */
function explainName(issue: Issue, path: Path, root: Tree): Diagnostic {
  const [group, name] = path
  const what = group === 'spans' ? "a span's name" : "an interface's name"
  const { code, hint } = issue.code === 'custom' ? readParams(issue) : { code: 'NAME_INVALID', hint: {} }
  return {
    code,
    message: `${what} ${blame(issue.message, String(name))}`,
    ...hint,
    origin: findKeyPlace(root, path)
  }
}

/** What the schema's own rules say of themselves; its definition writes nothing else there. */
function readParams(issue: z.core.$ZodIssueCustom): { code: string; hint: { hint?: string } } {
  const { code, hint }: Record<string, unknown> = issue.params ?? {}
  return {
    code: typeof code === 'string' ? code : 'VALUE_INVALID',
    hint: typeof hint === 'string' ? { hint } : {}
  }
}

/** Of the forms that a value may have, the one it has: the one that does not object to the value's type. */
function findMeantBranch(issue: z.core.$ZodIssueInvalidUnion): readonly Issue[] | undefined {
  const objects = ({ code, path }: Issue) => path.length === 0 && code !== 'unrecognized_keys' && code !== 'custom'
  return issue.errors.find((branch) => !branch.some(objects))
}

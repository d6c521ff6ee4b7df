import { type Diagnostic, diagnostic } from '../../errors.ts'
import { quote } from '../../printable.ts'
import { placeWithin, type Tree } from './tree.ts'

/** Characters that word processors and web pages put in place of those of YAML, pcap-filter(7) and Docker. */
const strangeCharacters: readonly (readonly [pattern: RegExp, name: string, hint: string])[] = [
  [/[\u201C-\u201F\u00AB\u00BB]/, 'a typographic quote', 'write a straight one: "'],
  [/[\u2018-\u201B]/, 'a typographic quote', "write a straight one: '"],
  [/[\u00A0\u202F]/, 'a no-break space', 'replace it with a usual space'],
  [/[\u1680\u2000-\u200A\u205F\u3000]/, 'a wide or narrow space', 'replace it with a usual space'],
  [/[\u00AD\u200B\u2060\uFEFF]/, 'an invisible character', 'take it out'],
  [/[\u2010-\u2015\u2212]/, 'a dash', 'write a hyphen: -'],
  [/\uFF1A/, 'a wide colon', 'write a usual one, and a space: ": "']
]

/** `${X}`, `{{ x }}`, and `$NAME` as a word. The lengths are bounded, so that the time grows with the text and not faster. */
const template = /\$\{[^}]{0,100}\}|\{\{.{0,100}?\}\}|(?<=^|\s)\$[A-Za-z_]\w{2,}/

/** Free text, and labels, which are as their author wrote them. */
const free: ReadonlySet<string> = new Set(['description', 'label'])

/** What is strange in a text, and its position; undefined: nothing is. */
export function findStrange(text: string): { readonly at: number; readonly diagnostic: Diagnostic } | undefined {
  const found = strangeCharacters.flatMap(([pattern, name, hint]) => {
    const at = text.search(pattern)
    return at === -1 ? [] : [{ at, name, hint }]
  })
  const [first] = found.sort((one, other) => one.at - other.at)
  if (first !== undefined) {
    const code = text.charCodeAt(first.at).toString(16).toUpperCase().padStart(4, '0')
    const message = `${first.name} (U+${code}) cannot stand here`
    return { at: first.at, diagnostic: diagnostic('YAML_CHARACTER', message, first.hint) }
  }
  const variable = template.exec(text)
  return variable === null ? undefined : { at: variable.index, diagnostic: explainTemplate(variable[0]) }
}

/** The diagnostic for a variable that nothing has filled in, without its place. */
export function explainTemplate(text: string): Diagnostic {
  const [kind, how] = text.startsWith('$')
    ? ['variable', 'fill the file in first: envsubst < spans.yaml | spanplan plan -f -']
    : ['template', 'let the tool that the template is for write the file first']
  const hint = `spanplan fills in no ${kind}s: write the value, or ${how}`
  return diagnostic('VALUE_TEMPLATE', `a ${kind} that is not filled in: ${quote(text)}`, hint)
}

/** Reports what is strange in a tree, and makes these values `broken`: no further diagnostic is needed for them. */
export function breakStrange(tree: Tree, report: (diagnostic: Diagnostic) => void): Tree {
  if (tree.kind === 'list') return { ...tree, items: tree.items.map((item) => breakStrange(item, report)) }
  if (tree.kind === 'scalar') {
    const found = typeof tree.value === 'string' ? findStrange(tree.text) : undefined
    if (found === undefined) return tree
    report({ ...found.diagnostic, origin: placeWithin(tree.written, tree.text, found.at) })
    return { kind: 'broken', at: tree.at }
  }
  if (tree.kind !== 'map') return tree
  const keys = [...tree.entries].flatMap(([key, { written }]) => {
    const found = findStrange(key)
    return found ? [{ ...found.diagnostic, origin: placeWithin(written, key, found.at) }] : []
  })
  for (const one of keys) report(one)
  if (keys.length > 0) return { kind: 'broken', at: tree.at }
  const entries = [...tree.entries].flatMap(([key, entry]) => {
    if (key !== '__proto__')
      return [[key, free.has(key) ? entry : { ...entry, value: breakStrange(entry.value, report) }] as const]
    report(diagnostic('KEY_UNKNOWN', '"__proto__" cannot be a key', 'choose another name', entry.at))
    return []
  })
  return { ...tree, entries: new Map(entries) }
}

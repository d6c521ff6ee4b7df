import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAst } from 'vitest/node'

/** A node of a syntax tree (ESTree), of which only some fields matter here. */
interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

interface Declaration extends Node {
  readonly id: Node
  readonly init: Node | null
}

/** A message with its hint, as the source writes them: what is put in is in braces. */
interface Message {
  readonly code: string
  readonly file: string
  readonly message: string
  readonly hint: string | null
}

/** All that a file of the source can print. */
interface FileTexts {
  readonly file: string
  readonly messages: readonly Message[]
  /** Texts of several words that belong to no code as a whole. */
  readonly others: readonly string[]
}

const codeFormat = /^[A-Z]{3,}(?:_[A-Z]+)*$/

/** Whether a text has two words beside what is put in. */
const isText = (text: string) => /[A-Za-z]{2,}[,;:.)]* \S|\S [A-Za-z]{2,}/.test(text.replace(/\{[^{}]*\}/g, '{}'))

/** What has pages in docs/reference, which show each text. */
const isInReference = (file: string) => /^src\/(?:codes\/|reference\/|cli\/help\/)/.test(file)

/** All messages and texts of the source, file by file; without those of the reference. */
export function readTexts(): readonly FileTexts[] {
  return readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', name))
    .filter((file) => !isInReference(file))
    .sort()
    .map(readFileTexts)
}

function readFileTexts(file: string): FileTexts {
  const source = readFileSync(file, 'utf8')
  const messages: Message[] = []
  const others: string[] = []
  const used = new Set<Node>()
  // The parser's own type names each kind of node; here, nodes are walked whatever their kind.
  for (const statement of childrenOf(parseAst(source, { lang: 'ts' }) as unknown as Node)) {
    const nodes = [...descendants(statement)]
    const declarations = nodes.filter(isDeclaration)
    /** What an expression stands for: that of the declaration before it. */
    const resolve = (node: Node): Node =>
      declarations.findLast(({ id, start }) => start < node.start && node.name === id.name)?.init ?? node
    /** The text of an expression; null: it makes none. */
    const write = (node: Node): string | null => {
      const found = node.type === 'Identifier' ? resolve(node) : node
      const text = textOf(found, source)
      if (text !== null) used.add(found)
      if (text !== null || !makesText(found, source)) return text
      return `{${sourceOf(found, source)}}`
    }
    for (const { code, texts, isSure } of nodes.flatMap(diagnosticsIn)) {
      const [message, hint = null] = texts.flatMap(
        (node) => write(node) ?? (isSure ? `{${sourceOf(node, source)}}` : [])
      )
      if (message !== undefined) messages.push({ code, file, message, hint })
    }
    for (const node of nodes) {
      const text = used.has(node) ? null : textOf(node, source)
      if (text !== null && isText(text)) others.push(text)
    }
  }
  return { file, messages, others }
}

const isDeclaration = (node: Node): node is Declaration => node.type === 'VariableDeclarator'

interface Found {
  readonly code: string
  /** The message and the hint; of a call, all that follows the code. */
  readonly texts: readonly Node[]
  /** Only a diagnostic looks so: its message is one, even where it is no literal. */
  readonly isSure: boolean
}

/** The diagnostics that a node makes: an object with a code, or a call with a code, a message and a hint. */
function diagnosticsIn(node: Node): Found[] {
  if (node.type === 'CallExpression') {
    const parts = node.arguments as readonly Node[]
    return parts.flatMap((part, index) => {
      const code = codeIn(part)
      return code === null ? [] : [{ code, texts: parts.slice(index + 1), isSure: false }]
    })
  }
  if (node.type !== 'ObjectExpression') return []
  const properties = node.properties as readonly { key?: Node; value?: Node }[]
  const property = (name: string) =>
    properties.flatMap(({ key, value }) => (key?.name === name && value ? [value] : []))
  return property('code').flatMap((value) =>
    [...descendants(value)].flatMap((part) => {
      const code = codeIn(part)
      return code === null ? [] : [{ code, texts: [...property('message'), ...property('hint')], isSure: true }]
    })
  )
}

/** Whether an expression makes a text, by calling a function or by choosing: what gives a place does not. */
function makesText(node: Node, source: string): boolean {
  if (node.type === 'CallExpression') return !/^this|[pP]lace\(/.test(sourceOf(node, source))
  const isChoice = /^(?:Conditional|Logical)Expression$/.test(node.type)
  return isChoice && [...descendants(node)].some((part) => isText(textOf(part, source) ?? ''))
}

function codeIn({ type, value }: Node): string | null {
  return type === 'Literal' && typeof value === 'string' && codeFormat.test(value) ? value : null
}

/** The text of a string or a template; null: it is neither. */
function textOf(node: Node, source: string): string | null {
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : null
  if (node.type !== 'TemplateLiteral') return null
  const quasis = node.quasis as readonly { value: { cooked: string } }[]
  const expressions = node.expressions as readonly Node[]
  return quasis
    .map(({ value }, index) => {
      const expression = expressions[index]
      return value.cooked + (expression ? `{${sourceOf(expression, source)}}` : '')
    })
    .join('')
}

function sourceOf({ start, end }: Node, source: string): string {
  return source.slice(start, end).replace(/\s+/g, ' ')
}

function* descendants(node: Node): Iterable<Node> {
  if (isAssembly(node)) return
  yield node
  for (const child of childrenOf(node)) yield* descendants(child)
}

/** The lines of a program for the kernel, which nobody sees. */
function isAssembly({ type, tag }: Node): boolean {
  return type === 'TaggedTemplateExpression' && (tag as Node).name === 'asm'
}

/** Without types and imports, whose strings nobody sees. */
function childrenOf(node: Node): readonly Node[] {
  return Object.values(node)
    .flat()
    .filter((value): value is Node => typeof value === 'object' && value !== null && 'type' in value)
    .filter(({ type }) => !/^(?:TS(?!AsExpression|SatisfiesExpression|NonNull)|Import|ExportAll)/.test(type))
}

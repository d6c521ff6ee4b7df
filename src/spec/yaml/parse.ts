import { Composer, CST, Lexer, LineCounter, Parser, type YAMLError } from 'yaml'
import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { buildTree, type Parsed, type Place } from './build-tree.ts'
import { breaksStructure, explainSyntax, lineAt, openColumns, type ParserError } from './syntax-errors.ts'

/** Levels. No spans.yaml is deeper; the composer is recursive, and the stack is finite. */
const deepest = 100

/** Tokens of a file: a thousand spans have some 50,000. Each costs microseconds, and a kilobyte if it is an error. */
const mostTokens = 500_000

/** Syntax errors of a file that are explained. Further ones follow from these, and finding the cause of each takes time. */
const mostErrors = 200

/**
 * Parses YAML 1.2 to a tree of values with their places, and reports all that is wrong with the file as YAML. The size of the text
 * bounds time and memory, whatever the text is.
 */
export function parseYaml(file: string, text: string): Parsed {
  const lines = countLines(text)
  const place: Place = (offset) => {
    const { line, col } = lines.linePos(Math.min(offset, text.length))
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const tokens = readTokens(text, place)
  if (!Array.isArray(tokens)) return { tree: undefined, diagnostics: [tokens] }
  // buildTree() finds duplicate keys with a map: the composer's own check takes time that grows with the square of their number.
  const composer = new Composer({ uniqueKeys: false, resolveKnownTags: false, logLevel: 'silent' })
  const [first, second] = [...composer.compose(tokens, true, text.length)]
  if (!first) return { tree: undefined, diagnostics: [] }
  if (second) {
    const dashes = text.indexOf('---', first.range[1])
    const hint = 'move it to a file of its own, or remove the "---"'
    const offset = dashes === -1 ? second.range[0] : dashes
    const message = 'a second document begins here: a file holds only one'
    return { tree: undefined, diagnostics: [diagnostic('YAML_DOCUMENTS', message, hint, place(offset))] }
  }
  if (first.directives.yaml.version !== '1.2') {
    const message = 'spanplan reads every file as YAML 1.2'
    const origin = place(text.search(/^%YAML/m))
    return { tree: undefined, diagnostics: [diagnostic('YAML_VERSION', message, 'remove this line', origin)] }
  }
  const diagnostics = explainErrors(first.errors, tokens, text, place)
  if (first.errors.some(breaksStructure)) return { tree: undefined, diagnostics }
  const built = buildTree(first, text, place)
  return { tree: built.tree, diagnostics: [...diagnostics, ...built.diagnostics] }
}

/** Counts the errors that the composer will find within one token, up to `most`. */
function countBadEscapes(lexeme: string, most: number): number {
  if (!lexeme.startsWith('"')) return 0
  const bad = /\\(?:[0abtnvfre "/\\N_LPxuU\t\r\n]|(.|$))/g
  let count = 0
  for (let found = bad.exec(lexeme); found && count <= most; found = bad.exec(lexeme)) {
    if (found[1] !== undefined) count++
  }
  return count
}

/** Indexes the lines. The parser reports them too, but not always in order. */
function countLines(text: string): LineCounter {
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) lines.addNewLine(end + 1)
  return lines
}

/** Splits the text into tokens, or says that there are too many. */
function readTokens(text: string, place: Place): CST.Token[] | Diagnostic {
  const parser = new Parser()
  const tooMuch = (code: Code, message: string) =>
    diagnostic(code, message, 'is it the right file?', place(parser.offset))
  const tokens: CST.Token[] = []
  let count = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (parser.stack.length > deepest) return tooMuch('YAML_BOMB', `more than ${deepest} nested levels`)
    count += 1 + countBadEscapes(lexeme, mostTokens)
    if (count > mostTokens) return tooMuch('FILE_TOO_LARGE', 'the file has far more content than any set of spans')
  }
  return [...tokens, ...parser.end()]
}

/** One diagnostic for each line with errors: further errors of the line follow from the first. */
function explainErrors(
  errors: readonly YAMLError[],
  tokens: readonly CST.Token[],
  text: string,
  place: Place
): Diagnostic[] {
  const byLine = new Map<number, Diagnostic>()
  for (const error of joinErrors(errors.slice(0, mostErrors))) {
    const offset = findCause(error, tokens, text)
    const { file, line, column } = place(offset)
    const content = lineAt(text, offset)
    const bracket = text[offset] === '{' || text[offset] === '[' ? text[offset] : null
    const explanation = explainSyntax(error, { line: content, columns: openColumns(text, offset, line), bracket })
    const indent = explanation.code === 'YAML_TAB' ? content.indexOf('\t') : content.search(/\S/)
    const origin = { file, line, column: error.code === 'too-far' ? indent + 1 : Math.max(column, indent + 1) }
    const other = byLine.get(line)?.origin
    if (!other || origin.column < other.column) byLine.set(line, { ...explanation, origin })
  }
  const diagnostics = [...byLine.values()]
  // A tab also breaks the indentation of the lines around it.
  const tabs = diagnostics.filter(({ code }) => code === 'YAML_TAB')
  return tabs.length > 0 ? tabs : diagnostics
}

/**
 * Merges the two errors that the parser reports for a line that is indented too far below a value: a key over two lines, and that
 * within a value.
 */
function joinErrors(errors: readonly YAMLError[]): readonly ParserError[] {
  const nested = new Set(errors.filter(({ code }) => code === 'BLOCK_AS_IMPLICIT_KEY').map(({ pos }) => pos[0]))
  const tooFar = errors.filter(({ code, pos }) => code === 'MULTILINE_IMPLICIT_KEY' && nested.has(pos[0]))
  const places = new Set(tooFar.map(({ pos }) => pos[0]))
  return [
    ...errors.filter(({ pos }) => !places.has(pos[0])),
    ...tooFar.map(({ pos: [, end], message }) => ({ code: 'too-far' as const, message, pos: [end - 1, end] as const }))
  ]
}

/** The position to fix: the parser finds some errors far behind it. */
function findCause(error: ParserError, tokens: readonly CST.Token[], text: string): number {
  const [from] = error.pos
  if (/^Flow (?:map|sequence) (?:in|must)/.test(error.message))
    return findLast(tokens, (token) => token.offset <= from && isOpenCollection(token))?.offset ?? from
  if (error.code !== 'MISSING_CHAR') return from
  const open = findLast(tokens, (token) => isOpenScalar(token) && token.offset + token.source.length === from)
  return open === undefined ? from : text.lastIndexOf(text[open.offset] ?? '', from)
}

/** A scalar without its second quote. */
function isOpenScalar(token: CST.Token): token is CST.FlowScalar {
  if (token.type !== 'double-quoted-scalar' && token.type !== 'single-quoted-scalar') return false
  return token.source.length === 1 || token.source.at(-1) !== token.source[0]
}

/** A { or [ without its } or ]. */
function isOpenCollection(token: CST.Token): boolean {
  if (token.type !== 'flow-collection') return false
  const closing = token.start.type === 'flow-map-start' ? 'flow-map-end' : 'flow-seq-end'
  return !token.end.some(({ type }) => type === closing)
}

/** The last key or value that passes a test. */
function findLast(tokens: readonly CST.Token[], test: (token: CST.Token) => boolean): CST.Token | undefined {
  let found: CST.Token | undefined
  for (const token of tokens) {
    if (token.type !== 'document') continue
    CST.visit(token, ({ key, value }) => {
      for (const one of [key, value]) if (one && test(one)) found = one
    })
  }
  return found
}

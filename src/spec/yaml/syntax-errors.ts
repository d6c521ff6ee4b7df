import type { YAMLError } from 'yaml'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { printable, quote } from '../../printable.ts'
import { explainTemplate, findStrange } from './strange-text.ts'

/** Errors that leave the structure of the file intact. */
const harmless: ReadonlySet<YAMLError['code']> = new Set(['TAG_RESOLVE_FAILED', 'BAD_COLLECTION_TYPE', 'BAD_ALIAS'])

/** Whether the structure of the file is uncertain after an error. */
export const breaksStructure = ({ code }: Pick<YAMLError, 'code'>) => !harmless.has(code)

/** A line with one key and its value; the key may be the first of a list item. */
const keyAndValue = /^\s*(?:- +)*([A-Za-z0-9_.-]+):[ \t]+(.*\S)\s*$/

/** A hint that shows a line's value in quotes. */
export function suggestQuotes(line: string): string {
  const [, key, value] = keyAndValue.exec(line) ?? []
  if (key === undefined || value === undefined || value.length > 80 || printable(value) !== value)
    return 'put the value in quotes'
  const quoted = /["\\]/.test(value) ? `'${value.replaceAll("'", "''")}'` : `"${value}"`
  return `put the value in quotes: ${key}: ${quoted}`
}

/** A value that begins with a character that no plain value can begin with, or that has a meaning of its own there. */
const startsWithIndicator = /^\s*(?:- +)*[A-Za-z0-9_.-]+:[ \t]+[&*!%@`>|[\]{},]/

/** Where an error is: its line, and the columns in which this line may begin. */
export interface Surroundings {
  readonly line: string
  /** The columns in which a block that is still open begins, with the text there and its line; the nearest first. */
  readonly columns: readonly { readonly column: number; readonly text: string; readonly line: number }[]
  /** The bracket that is not closed; null: there is none. */
  readonly bracket: '{' | '[' | null
}

/** What is wrong, as the parser says it; and a line that is indented too far below a value, of which it makes two errors. */
export interface ParserError {
  readonly code: YAMLError['code'] | 'too-far'
  readonly message: string
  readonly pos: readonly [begin: number, end: number]
}

/** Errors, by their code; or by their message, where one code is for several. And how they are explained. */
type Rule = readonly [
  errors: ParserError['code'] | RegExp,
  message: string,
  hint?: string | ((around: Surroundings) => string | undefined)
]

const quoteValue = ({ line }: Surroundings) => suggestQuotes(line)

/** A hint that says in which column the line may begin. */
function suggestColumn({ columns: [nearest] }: Surroundings): string | undefined {
  return nearest && `begin it in column ${nearest.column}, like ${quote(nearest.text)} in line ${nearest.line}`
}

const isItem = (line: string) => /^\s*-(?:\s|$)/.test(line)

const unevenIndent = 'the indentation does not match the lines before'

/** The first rule that matches applies. */
const rules: readonly Rule[] = [
  [
    'too-far',
    'this line is indented too far',
    (around) => `${suggestColumn(around) ?? 'indent it like the key above'}, or put the value above in quotes`
  ],
  [
    /^A block sequence may not|^Unexpected block-seq-ind/,
    'a list cannot begin on the line of its key',
    'begin it on the next line, or put the value in quotes if it is text'
  ],
  ['BLOCK_AS_IMPLICIT_KEY', 'a ": " within a plain value begins a mapping', quoteValue],
  ['BAD_SCALAR_START', 'a plain value cannot begin with this character', quoteValue],
  [/^Missing closing/, 'the quote is never closed', 'write the same quote behind the end of the text'],
  ['BAD_DQ_ESCAPE', 'unknown escape within double quotes', 'use single quotes: in them, a \\ stands for itself'],
  [/^Implicit (?:map )?keys/, 'a key without a colon and a space', 'write "key: value"'],
  [/must start at the same column|without - indicator/, unevenIndent, suggestColumn],
  [
    /^Flow (?:map|sequence) (?:in block collection )?must/,
    'this is never closed, or not before the indentation ends',
    ({ bracket }) => `write the missing ${bracket === '{' ? '}' : ']'} behind the last value that belongs to it`
  ],
  [
    /^Missing ,|^Missing space after :/,
    'a comma is missing, or a space after a colon',
    'write {key: value, key: value} or [one, two]'
  ],
  [/^Unexpected (?:empty item|,)/, 'a comma too many', 'take it out'],
  [/^Unexpected flow-(?:map|seq)-end/, 'a } or ] without its { or [', 'take it out, or write the { or [ before it'],
  [/Block scalar header/, 'text after | or > must begin on the next line', quoteValue],
  [/^Not a YAML token/, 'this cannot stand here', quoteValue],
  [/^Unexpected scalar/, 'text after the end of the value', quoteValue],
  [/Comments must be separated/, 'a comment needs a space before its #', quoteValue],
  [
    /^Block scalars with more-indented|^Block scalar lines/,
    'the lines of this text are indented unevenly',
    'begin its lines in one column'
  ],
  [/^(?:An alias node|Tags and anchors|A node can have)/, 'too many tags or anchors before the value', quoteValue],
  ['BAD_ALIAS', '"*" and "&" at the start of a value are for aliases', quoteValue]
]

/** Explains a parser's error to the user, without its place. */
export function explainSyntax(error: ParserError, around: Surroundings): Diagnostic {
  const { line } = around
  if (error.code === 'TAB_AS_INDENT' || /^ *\t/.test(line)) {
    return diagnostic('YAML_TAB', 'a tab is used as indentation', 'YAML takes spaces only: replace it with spaces')
  }
  if (error.code === 'TAG_RESOLVE_FAILED' || error.code === 'BAD_COLLECTION_TYPE') {
    return diagnostic('YAML_TAG', 'this tag does not fit its value', 'remove the tag')
  }
  const code = error.code === 'BAD_ALIAS' ? 'YAML_ALIAS' : 'YAML_SYNTAX'
  if (/^\s*\{[%#]/.test(line)) return explainTemplate(line.trim())
  const strange = findStrange(line)
  if (strange !== undefined) return strange.diagnostic
  if (/^Unexpected block-seq-ind|^A block sequence may not/.test(error.message) && isItem(line)) {
    return diagnostic(code, unevenIndent, suggestColumn(around))
  }
  const rule = rules.find(([errors]) =>
    typeof errors === 'string' ? errors === error.code : errors.test(error.message)
  )
  if (rule) {
    const [, message, hint] = rule
    return diagnostic(code, message, typeof hint === 'function' ? hint(around) : hint)
  }
  const message = `not valid YAML: ${printable(error.message.slice(0, 200))}`
  return diagnostic(code, message, startsWithIndicator.test(line) ? suggestQuotes(line) : undefined)
}

/** Characters on either side of a position. Many errors in one line of megabytes must not take hours. */
const longestContext = 1000

/** The line of a position, without the line end. */
export function lineAt(text: string, offset: number): string {
  const before = text.slice(Math.max(0, offset - longestContext), offset)
  const after = text.slice(offset, offset + longestContext)
  return before.slice(before.lastIndexOf('\n') + 1) + after.replace(/\r?\n.*$/s, '')
}

/** Lines before an error in which the open blocks are looked for. */
const mostLinesBefore = 200

/** The columns in which the line of a position may begin: those of the blocks that are open there, the nearest first. */
export function openColumns(text: string, offset: number, lineNumber: number): Surroundings['columns'] {
  const begin = text.lastIndexOf('\n', offset - 1) + 1
  const own = lineAt(text, offset)
  const before = text
    .slice(Math.max(0, begin - mostLinesBefore * 100), begin)
    .split('\n')
    .slice(0, -1)
    .reverse()
  const found: { column: number; text: string; line: number }[] = []
  let innermost = Number.POSITIVE_INFINITY
  for (const [index, line] of before.slice(0, mostLinesBefore).entries()) {
    const [, indent = '', dash = '', word = ''] = /^( *)(- +)?([\w."'-]+)(?=\s*:)/.exec(line) ?? []
    if (word === '' || indent.length >= innermost) continue
    innermost = indent.length
    const at = { line: lineNumber - 1 - index }
    if (dash !== '') found.push({ ...at, column: indent.length + 1, text: '-' })
    found.push({ ...at, column: indent.length + dash.length + 1, text: word })
    if (innermost === 0) break
  }
  const column = own.search(/\S/) + 1
  const distanceOf = (one: { column: number }) => Math.abs(one.column - column)
  return found
    .filter((one) => (one.text === '-') === isItem(own))
    .sort((one, other) => distanceOf(one) - distanceOf(other) || other.column - one.column)
}

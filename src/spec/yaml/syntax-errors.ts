import type { YAMLError } from 'yaml'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { hasControls, printable } from '../../printable.ts'

/** Errors that leave the structure of the file intact. */
const harmless: ReadonlySet<YAMLError['code']> = new Set(['TAG_RESOLVE_FAILED', 'BAD_COLLECTION_TYPE', 'BAD_ALIAS'])

/** Whether the structure of the file is uncertain after an error. */
export const breaksStructure = ({ code }: Pick<YAMLError, 'code'>) => !harmless.has(code)

/** A line with one key and its value; the key may be the first of a list item. */
const keyAndValue = /^\s*(?:- +)*([A-Za-z0-9_.-]+):[ \t]+(.*\S)\s*$/

/** A hint that shows a line's value in quotes. */
export function suggestQuotes(line: string): string {
  const [, key, value] = keyAndValue.exec(line) ?? []
  if (key === undefined || value === undefined || value.length > 80 || hasControls(value))
    return 'put the value in quotes'
  const quoted = /["\\]/.test(value) ? `'${value.replaceAll("'", "''")}'` : `"${value}"`
  return `put the value in quotes: ${key}: ${quoted}`
}

/** A value that begins with a character that no plain value can begin with, or that has a meaning of its own there. */
const startsWithIndicator = /^\s*(?:- +)*[A-Za-z0-9_.-]+:[ \t]+[&*!%@`>|[\]{},]/

/** A pattern of the parser's messages, and how they are explained. The hint may be made of the line of the error. */
type Rule = readonly [pattern: RegExp, message: string, hint?: string | ((line: string) => string)]

/** The parser's messages and their explanations. The first rule that matches applies. */
const rules: readonly Rule[] = [
  [
    /^This line is indented too far/,
    'this line is indented too far',
    'indent it like the key above, or put the value above in quotes'
  ],
  [/^Nested mappings/, 'a ": " within a plain value begins a mapping', suggestQuotes],
  [
    /^A block sequence may not|^Unexpected block-seq-ind/,
    'a list cannot begin on the line of its key',
    'begin it on the next line, or put the value in quotes if it is text'
  ],
  [/^Plain value cannot start with/, 'a plain value cannot begin with this character', suggestQuotes],
  [/^Missing closing/, 'the quote is never closed'],
  [/^Invalid escape sequence/, 'no such escape within double quotes', 'use single quotes: a \\ is itself there'],
  [/^Implicit (?:map )?keys/, 'a key without a colon and a space', 'write "key: value"'],
  [/must start at the same column|without - indicator/, 'the indentation does not match the lines before'],
  [/^Flow (?:map|sequence) in block collection must be/, 'this is never closed, or not before the indentation ends'],
  [/^Missing ,|^Missing space after :/, 'a comma is missing, or a space after a colon'],
  [/^Unexpected (?:empty item|,)/, 'a comma too many'],
  [/^Unexpected flow-(?:map|seq)-end/, 'a } or ] that nothing opens'],
  [/Block scalar header/, 'text after | or > begins on the next line', suggestQuotes],
  [/^Not a YAML token/, 'this cannot stand here', suggestQuotes],
  [/^Unexpected scalar/, 'text after the end of the value', suggestQuotes],
  [/Comments must be separated/, 'a comment needs a space before its #', suggestQuotes],
  [/^Block scalars with more-indented|^Block scalar lines/, 'the indentation of this text is not even'],
  [/^(?:An alias node|Tags and anchors|A node can have)/, 'too much before the value', suggestQuotes],
  [/^Alias cannot be|^Anchor cannot be/, '"*" and "&" at the start of a value are for aliases', suggestQuotes]
]

/** Explains a parser's error to the user, without its place; `line` is the line of the error. */
export function explainSyntax(error: Pick<YAMLError, 'code' | 'message'>, line: string): Diagnostic {
  if (error.code === 'TAB_AS_INDENT' || /^ *\t/.test(line)) {
    return diagnostic('YAML_TAB', 'a tab is used as indentation', 'YAML takes spaces only: replace it with spaces')
  }
  if (error.code === 'TAG_RESOLVE_FAILED' || error.code === 'BAD_COLLECTION_TYPE') {
    return diagnostic('YAML_TAG', 'this tag does not fit its value', 'take the tag out')
  }
  const code = error.code === 'BAD_ALIAS' ? 'YAML_ALIAS' : 'YAML_SYNTAX'
  const rule = rules.find(([pattern]) => pattern.test(error.message))
  if (rule) {
    const [, message, hint] = rule
    return diagnostic(code, message, typeof hint === 'function' ? hint(line) : hint)
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

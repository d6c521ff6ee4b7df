import type { YAMLError } from 'yaml'
import type { Diagnostic } from '../../errors.ts'
import { hasControls, printable } from '../../printable.ts'

/** The part of a diagnostic that does not depend on the place. */
export type Explanation = Pick<Diagnostic, 'code' | 'message' | 'hint'>

/** Errors that leave the structure of the file intact. */
const harmless: ReadonlySet<YAMLError['code']> = new Set([
  'TAG_RESOLVE_FAILED',
  'BAD_COLLECTION_TYPE',
  'BAD_ALIAS',
  'DUPLICATE_KEY'
])

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

interface Rule {
  readonly pattern: RegExp
  readonly message: string
  readonly hint?: string | ((line: string) => string)
}

/** The parser's messages and their explanations. The first rule that matches applies. */
const rules: readonly Rule[] = [
  {
    pattern: /^This line is indented too far/,
    message: 'this line is indented too far',
    hint: 'indent it like the key above, or put the value above in quotes'
  },
  {
    pattern: /^Nested mappings/,
    message: 'a ": " within a plain value begins a mapping',
    hint: suggestQuotes
  },
  {
    pattern: /^A block sequence may not|^Unexpected block-seq-ind/,
    message: 'a list cannot begin on the line of its key',
    hint: 'begin it on the next line, or put the value in quotes if it is text'
  },
  {
    pattern: /^Plain value cannot start with/,
    message: 'a plain value cannot begin with this character',
    hint: suggestQuotes
  },
  { pattern: /^Missing closing/, message: 'the quote is never closed' },
  {
    pattern: /^Invalid escape sequence/,
    message: 'no such escape within double quotes',
    hint: 'use single quotes: a \\ is itself there'
  },
  {
    pattern: /^Implicit (?:map )?keys/,
    message: 'a key without a colon and a space',
    hint: 'write "key: value"'
  },
  {
    pattern: /must start at the same column|without - indicator/,
    message: 'the indentation does not match the lines before'
  },
  {
    pattern: /^Flow (?:map|sequence) in block collection must be/,
    message: 'this is never closed, or not before the indentation ends'
  },
  { pattern: /^Missing ,|^Missing space after :/, message: 'a comma is missing, or a space after a colon' },
  { pattern: /^Unexpected (?:empty item|,)/, message: 'a comma too many' },
  { pattern: /^Unexpected flow-(?:map|seq)-end/, message: 'a } or ] that nothing opens' },
  { pattern: /Block scalar header/, message: 'text after | or > begins on the next line', hint: suggestQuotes },
  { pattern: /^Not a YAML token/, message: 'this cannot stand here', hint: suggestQuotes },
  { pattern: /^Unexpected scalar/, message: 'text after the end of the value', hint: suggestQuotes },
  { pattern: /Comments must be separated/, message: 'a comment needs a space before its #', hint: suggestQuotes },
  {
    pattern: /^Block scalars with more-indented|^Block scalar lines/,
    message: 'the indentation of this text is not even'
  },
  {
    pattern: /^(?:An alias node|Tags and anchors|A node can have)/,
    message: 'too much before the value',
    hint: suggestQuotes
  },
  {
    pattern: /^Alias cannot be|^Anchor cannot be/,
    message: '"*" and "&" at the start of a value are for aliases',
    hint: suggestQuotes
  }
]

/** Explains a parser's error to the user; `line` is the line of the error. */
export function explainSyntax(error: Pick<YAMLError, 'code' | 'message'>, line: string): Explanation {
  if (error.code === 'TAB_AS_INDENT' || /^ *\t/.test(line)) {
    return {
      code: 'YAML_TAB',
      message: 'a tab is used as indentation',
      hint: 'YAML takes spaces only: replace it with spaces'
    }
  }
  if (error.code === 'TAG_RESOLVE_FAILED' || error.code === 'BAD_COLLECTION_TYPE') {
    return { code: 'YAML_TAG', message: 'this tag does not fit its value', hint: 'take the tag out' }
  }
  const code = error.code === 'BAD_ALIAS' ? 'YAML_ALIAS' : 'YAML_SYNTAX'
  const rule = rules.find(({ pattern }) => pattern.test(error.message))
  if (rule) {
    const hint = typeof rule.hint === 'function' ? rule.hint(line) : rule.hint
    return { code, message: rule.message, ...(hint !== undefined && { hint }) }
  }
  const message = `not valid YAML: ${printable(error.message.slice(0, 200))}`
  return { code, message, ...(startsWithIndicator.test(line) && { hint: suggestQuotes(line) }) }
}

/** Characters on either side of a position. Many errors in one line of megabytes must not take hours. */
const longestContext = 1000

/** The line of a position, without the line end. */
export function lineAt(text: string, offset: number): string {
  const before = text.slice(Math.max(0, offset - longestContext), offset)
  const after = text.slice(offset, offset + longestContext)
  return before.slice(before.lastIndexOf('\n') + 1) + after.replace(/\r?\n.*$/s, '')
}

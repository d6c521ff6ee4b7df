import type { YAMLError } from 'yaml'
import type { Diagnostic } from '../../errors.ts'
import { hasControls, printable } from '../../printable.ts'

/** What of a notice depends on what went wrong, not on where. */
export type Complaint = Pick<Diagnostic, 'code' | 'message' | 'hint'>

/** After these the rest of the file still means what it says; after any other it may not. */
const harmless: ReadonlySet<YAMLError['code']> = new Set([
  'TAG_RESOLVE_FAILED',
  'BAD_COLLECTION_TYPE',
  'BAD_ALIAS',
  'DUPLICATE_KEY'
])

/** Whether, after such an error, what the file says can no longer be told. */
export const breaksStructure = ({ code }: Pick<YAMLError, 'code'>) => !harmless.has(code)

/** A line with one key and its value, perhaps the first of a list item. */
const keyAndValue = /^\s*(?:- +)*([A-Za-z0-9_.-]+):[ \t]+(.*\S)\s*$/

/** How the value of a line would look in quotes. */
export function suggestQuotes(line: string): string {
  const [, key, value] = keyAndValue.exec(line) ?? []
  if (key === undefined || value === undefined || value.length > 80 || hasControls(value))
    return 'put the value in quotes'
  const quoted = /["\\]/.test(value) ? `'${value.replaceAll("'", "''")}'` : `"${value}"`
  return `put the value in quotes: ${key}: ${quoted}`
}

/** The characters with which a plain value cannot begin, or begins to mean something else. */
const startsWithIndicator = /^\s*(?:- +)*[A-Za-z0-9_.-]+:[ \t]+[&*!%@`>|[\]{},]/

interface Rule {
  readonly says: RegExp
  readonly message: string
  readonly hint?: string | ((line: string) => string)
}

/** The parser's words, and ours for them. The first rule that fits counts. */
const rules: readonly Rule[] = [
  {
    says: /^This line is indented too far/,
    message: 'this line is indented too far',
    hint: 'indent it like the key above, or put the value above in quotes'
  },
  {
    says: /^Nested mappings/,
    message: 'a ": " within a plain value begins a mapping',
    hint: suggestQuotes
  },
  {
    says: /^A block sequence may not|^Unexpected block-seq-ind/,
    message: 'a list cannot begin on the line of its key',
    hint: 'begin it on the next line, or put the value in quotes if it is text'
  },
  {
    says: /^Plain value cannot start with/,
    message: 'a plain value cannot begin with this character',
    hint: suggestQuotes
  },
  { says: /^Missing closing/, message: 'the quote is never closed' },
  {
    says: /^Invalid escape sequence/,
    message: 'no such escape within double quotes',
    hint: 'use single quotes: a \\ is itself there'
  },
  {
    says: /^Implicit (?:map )?keys/,
    message: 'a key without a colon and a space',
    hint: 'write "key: value"'
  },
  {
    says: /must start at the same column|without - indicator/,
    message: 'the indentation does not match the lines before'
  },
  {
    says: /^Flow (?:map|sequence) in block collection must be/,
    message: 'this is never closed, or not before the indentation ends'
  },
  { says: /^Missing ,|^Missing space after :/, message: 'a comma is missing, or a space after a colon' },
  { says: /^Unexpected (?:empty item|,)/, message: 'a comma too many' },
  { says: /^Unexpected flow-(?:map|seq)-end/, message: 'a } or ] that nothing opens' },
  { says: /Block scalar header/, message: 'text after | or > begins on the next line', hint: suggestQuotes },
  { says: /^Not a YAML token/, message: 'this cannot stand here', hint: suggestQuotes },
  { says: /^Unexpected scalar/, message: 'text after the end of the value', hint: suggestQuotes },
  { says: /Comments must be separated/, message: 'a comment needs a space before its #', hint: suggestQuotes },
  {
    says: /^Block scalars with more-indented|^Block scalar lines/,
    message: 'the indentation of this text is not even'
  },
  {
    says: /^(?:An alias node|Tags and anchors|A node can have)/,
    message: 'too much before the value',
    hint: suggestQuotes
  },
  {
    says: /^Alias cannot be|^Anchor cannot be/,
    message: '"*" and "&" at the start of a value are for aliases',
    hint: suggestQuotes
  }
]

/** The parser's error in the user's words; `line` is the line that it is in. */
export function explainSyntax(error: Pick<YAMLError, 'code' | 'message'>, line: string): Complaint {
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
  const rule = rules.find(({ says }) => says.test(error.message))
  if (rule) {
    const hint = typeof rule.hint === 'function' ? rule.hint(line) : rule.hint
    return { code, message: rule.message, ...(hint !== undefined && { hint }) }
  }
  const message = `not valid YAML: ${printable(error.message.slice(0, 200))}`
  return { code, message, ...(startsWithIndicator.test(line) && { hint: suggestQuotes(line) }) }
}

/** A line that is longer is looked at in part: many errors in one line of many megabytes must not take hours. */
const longestLook = 1000

/** The line that a position is in, without its end. */
export function lineAt(text: string, offset: number): string {
  const before = text.slice(Math.max(0, offset - longestLook), offset)
  const after = text.slice(offset, offset + longestLook)
  return before.slice(before.lastIndexOf('\n') + 1) + after.replace(/\r?\n.*$/s, '')
}

/** Control characters, line and paragraph separators, halves of surrogate pairs, and marks that change the reading direction. */
const controlClass = '\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\u202A-\\u202E\\u2066-\\u2069'
const control = new RegExp(`[${controlClass}]`, 'gu')

/** What no terminal and no log may get as it is: control characters, and what cannot be seen (format characters, Cf). */
const unprintable = new RegExp(`[${controlClass}\\p{Cf}]`, 'gu')

/** Whether a text has control characters other than the allowed ones. A joiner within a word or an emoji is none. */
export function hasControls(text: string, allowed = ''): boolean {
  return (text.match(control) ?? []).some((character) => !allowed.includes(character))
}

/** Replaces each unprintable character, line ends among them. */
export function replaceUnprintable(text: string, replace: (character: string) => string): string {
  return text.replace(unprintable, replace)
}

/** A name or a message from anywhere, safe to print in one line: `\u001b` for an escape. */
export function printable(text: string): string {
  return replaceUnprintable(text, (character) => escapeCode(character.codePointAt(0) ?? 0))
}

/** A text of several lines, safe to print in one. */
export function oneLine(text: string): string {
  return printable(text.trim().replace(/\s+/g, ' '))
}

/** Characters of a text that {@link quote} shows. */
const longestQuote = 60

/** A value as a message shows it: in double quotes, on one line, cut when it is long. */
export function quote(text: string): string {
  // A surrogate pair is not cut in two.
  const short = text.length > longestQuote ? `${text.slice(0, longestQuote).replace(/[\uD800-\uDBFF]$/, '')}…` : text
  return `"${printable(short.replaceAll('\n', ' ').replaceAll('\t', ' '))}"`
}

/** Makes several lines safe to print. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** JSON that is safe to print, in one line or indented. JSON.stringify alone escapes only the control characters of ASCII. */
export function printableJson(value: unknown, indent = 0): string {
  const lines = JSON.stringify(value, null, indent).split('\n')
  // JSON escapes by UTF-16 code unit.
  const escapeUnits = (character: string) => character.replace(/./gs, (unit) => escapeCode(unit.charCodeAt(0)))
  return lines.map((line) => replaceUnprintable(line, escapeUnits)).join('\n')
}

const escapeCode = (code: number) => `\\u${code.toString(16).padStart(4, '0')}`

/** What a colour is for. The actions have one each, so that removals stand out. */
export type Tone = 'create' | 'update' | 'replace' | 'remove' | 'adopt' | 'wait' | 'title'

/** Colours a text, or leaves it alone. */
export type Paint = (tone: Tone, text: string) => string

/** Paints without colours. */
export const plain: Paint = (_, text) => text

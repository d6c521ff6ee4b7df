/** What moves the cursor, sets colours, turns the direction round or cannot be seen; line ends too. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** A name or message of anybody's, safe to print on a terminal and in one line: `\u001b` for an escape. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`)
}

/** Several lines, each safe to print. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** JSON, in one line or indented, safe to print: JSON.stringify escapes the control characters of ASCII alone. */
export function printableJson(value: unknown, indent = 0): string {
  const lines = JSON.stringify(value, null, indent).split('\n')
  return lines.map((line) => line.replace(unprintable, escapeUnits)).join('\n')
}

/** By UTF-16 code unit, as JSON has it. */
function escapeUnits(character: string): string {
  return character.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** What may be coloured: one style each, so that a person sees at a glance what is taken away. */
export type Tone = 'create' | 'update' | 'replace' | 'remove' | 'adopt' | 'wait' | 'title'

/** Colours a text, or leaves it alone. */
export type Paint = (tone: Tone, text: string) => string

/** No colours. */
export const plain: Paint = (_, text) => text

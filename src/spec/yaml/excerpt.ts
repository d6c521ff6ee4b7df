import type { Origin } from '../../errors.ts'
import { printable } from '../../printable.ts'
import { widthOf } from '../../text-lines.ts'

/** Columns of a terminal. A longer line is cut around the place. */
const longestLine = 100
const tabWidth = 4

/** A character as it can be printed. */
function show(character: string): string {
  if (character === '\t') return ' '.repeat(tabWidth)
  // Unicode has a symbol for each ASCII control character.
  if (character < ' ') return String.fromCodePoint(0x2400 + character.charCodeAt(0))
  if (character === '\u007F') return '\u2421'
  return printable(character) === character ? character : '\uFFFD'
}

const sumWidths = (characters: readonly string[]) => widthOf(characters.join(''))

function findLine(text: string, line: number): string {
  let start = 0
  for (let count = 1; count < line; count++) {
    start = text.indexOf('\n', start) + 1
    if (start === 0) return ''
  }
  const [content = ''] = text.slice(start).split('\n', 1)
  return content.replace(/\r$/, '')
}

/**
 * The line of a place, with a caret under its column:
 * ```
 *   5 |     sorces:
 *     |     ^
 * ```
 * The excerpt is safe to print, whatever the text is. `text` has no byte order mark, so that columns are those of editors.
 */
export function excerpt(text: string, { line, column }: Origin): string {
  const content = findLine(text, line)
  // Only the text near the place is split into characters: a line may have megabytes.
  const start = Math.max(0, column - 1 - 2 * longestLine)
  const before = [...content.slice(start, column - 1)].map(show)
  const after = [...content.slice(column - 1, column - 1 + 2 * longestLine)].map(show)
  let isCutBefore = start > 0
  let isCutAfter = content.length > column - 1 + 2 * longestLine
  // The text before the place gets the columns that the text after it leaves, and at least half of the line.
  const roomBefore = Math.max(longestLine / 2, longestLine - sumWidths(after))
  while (sumWidths(before) > roomBefore) {
    before.shift()
    isCutBefore = true
  }
  while (sumWidths(before) + sumWidths(after) > longestLine) {
    after.pop()
    isCutAfter = true
  }
  const cut = isCutBefore ? '…' : ''
  const shown = `${cut}${[...before, ...after].join('')}${isCutAfter ? '…' : ''}`
  const number = String(line).padStart(4)
  const indent = ' '.repeat(cut.length + sumWidths(before))
  return `${`${number} | ${shown}`.trimEnd()}\n${' '.repeat(number.length)} | ${indent}^`
}

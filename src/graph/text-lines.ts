/** Characters that take two cells of a monospace font. */
const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uFF01-\uFF60]/u

/** Characters that are drawn on the one before. */
const joined = /\p{Mark}/u

/** How many cells of a monospace font a text takes. */
export function widthOf(text: string): number {
  return [...text].reduce((sum, character) => sum + cellsOf(character), 0)
}

function cellsOf(character: string): number {
  return joined.test(character) ? 0 : wide.test(character) ? 2 : 1
}

/**
 * Breaks a text into lines: between words, and within a word that is longer than a line.
 *
 * @param room cells of a line, 3 at least.
 * @param most lines. What does not fit ends with an ellipsis.
 */
export function wrapLines(text: string, room: number, most: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ').flatMap((one) => breakWord(one, room))) {
    const line = lines.at(-1)
    if (line !== undefined && widthOf(line) + 1 + widthOf(word) <= room) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  if (lines.length <= most) return lines
  const [last = ''] = breakWord(lines[most - 1] ?? '', room - 1)
  return [...lines.slice(0, most - 1), `${last}…`]
}

function breakWord(word: string, room: number): string[] {
  const pieces = ['']
  for (const character of word) {
    const piece = pieces.at(-1) ?? ''
    if (widthOf(piece) + cellsOf(character) <= room) pieces[pieces.length - 1] = `${piece}${character}`
    else pieces.push(character)
  }
  return pieces
}

import { eastAsianWidth } from 'get-east-asian-width'

/** Characters that are drawn on the one before, or not at all. */
const withoutWidth = /[\p{Mn}\p{Me}\p{Cf}]/u

/**
 * How many cells of a monospace font, and so columns of a terminal, a text takes. Of Node's and npm's ways to know it, those that
 * join characters to graphemes load ICU's rules first: 15 ms of a start.
 */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) {
    if (!withoutWidth.test(character)) width += eastAsianWidth(character.codePointAt(0) ?? 0)
  }
  return width
}

/** A text with spaces behind it, up to a width. */
export function padTo(width: number, text: string): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

/** Breaks a text between words into lines of so many cells. A word that is longer has a line of its own. */
export function wrap(text: string, room: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && widthOf(line) + 1 + widthOf(word) <= room) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

const boundSpace = '\u00a0'

/** The same, and what an arrow joins stays in one line where there is room. */
export function wrapAroundArrows(text: string, room: number): string[] {
  const bound = text.replaceAll(' → ', `${boundSpace}→${boundSpace}`)
  return wrap(bound, room).flatMap((line) => {
    const unbound = line.replaceAll(boundSpace, ' ')
    return widthOf(unbound) > room ? wrap(unbound, room) : [unbound]
  })
}

/**
 * Breaks what to do into lines of so many cells, between its clauses. A clause with a command stays whole: it is copied.
 *
 * @param isCommand the hint is a command and nothing else.
 */
export function wrapHint(hint: string, room: number, isCommand = false): string[] {
  if (isCommand || widthOf(hint) <= room) return [hint]
  return hint.split(/(?<=;) /).flatMap((clause) => (clause.includes(': ') ? [clause] : wrap(clause, room)))
}

/** Breaks a word into pieces of so many cells. */
export function breakWord(word: string, room: number): string[] {
  const pieces = ['']
  for (const character of word) {
    const longer = `${pieces.at(-1)}${character}`
    if (widthOf(longer) <= room) pieces[pieces.length - 1] = longer
    else pieces.push(character)
  }
  return pieces
}

/** The beginning of a text, in so many cells; all of it, where it has no more. */
export function cutTo(room: number, text: string): string {
  if (widthOf(text) <= room) return text
  return `${(breakWord(text, Math.max(1, room - 1))[0] ?? '').trimEnd()}…`
}

/** A whole number, in groups of three digits: `1,234,567`. */
export function writeCount(count: number): string {
  return Math.round(count).toLocaleString('en')
}

/** Decimal, as rates of interfaces are. */
const prefixes = ['', 'k', 'M', 'G', 'T', 'P'] as const

/** A number of bytes, with three digits: `12.3 MB`. */
export function writeBytes(bytes: number): string {
  const power = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, Math.round(bytes))) / 3)))
  const value = bytes / 1000 ** power
  const digits = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${prefixes[power]}B`
}

/**
 * A part in whole percent, which is 0 or 100 only if it is none or all.
 *
 * @param little stands for a part of less than one percent.
 */
export function writePercent(part: number, whole: number, little = 'less than 1 %'): string {
  const percent = whole === 0 ? 0 : (100 * part) / whole
  if (percent > 0 && percent < 1) return little
  return `${percent < 100 ? Math.min(99, Math.round(percent)) : 100} %`
}

/** A text as a sentence begins: with a capital letter, but for the name of this program. */
export function capitalize(text: string): string {
  return text.startsWith('spanplan ') ? text : `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

/** A number of things: "1 span", "2 spans". */
export function counted(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}

/** Names as a sentence has them: "a, b and c". */
export function listAll(names: readonly string[]): string {
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter((part) => part !== '').join(' and ')
}

/** The first names, and how many more there are. */
export function listFew(names: readonly string[], most: number): string {
  const more = names.length - most
  return more > 0 ? `${names.slice(0, most).join(', ')} and ${more} more` : names.join(', ')
}

/** Of many names, only the first are of use. */
const listed = 5

/** Some names in words, each once, in their order. */
export function listNames(names: readonly string[]): string {
  const sorted = [...new Set(names)].sort()
  return sorted.length > listed ? listFew(sorted, listed) : listAll(sorted)
}

/** Clauses as a sentence has them: "a, b, and c". */
export function joinAnd(clauses: readonly string[]): string {
  return clauses.length < 2 ? clauses.join() : `${clauses.slice(0, -1).join(', ')}, and ${clauses.at(-1)}`
}

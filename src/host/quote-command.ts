import { replaceUnprintable } from '../printable.ts'
import { encodeBytes } from './parsers/bytes.ts'

/** An option and its value as two arguments; none where there is no value. */
export function option(name: string, value: string | number | null | undefined): string[] {
  return value === null || value === undefined ? [] : [name, String(value)]
}

/** The option again for each pair, as `KEY=VALUE`. */
export function pairOptions(name: string, pairs: Readonly<Record<string, string>>): string[] {
  return Object.entries(pairs).flatMap(([key, value]) => [name, `${key}=${value}`])
}

/**
 * Quotes an argument for iproute2's batch mode (makeargs and getcmdline in lib/utils.c). It splits at white space, knows both kinds
 * of quotes, and reads everything after `#` as a comment, also in quotes. null: no quoting carries the argument, and the command
 * has to run by itself.
 */
export function batchWord(word: string): string | null {
  if (/^[^\s#'"\\]+$/.test(word)) return word
  if (/[#\n\\]/.test(word)) return null
  if (!word.includes('"')) return `"${word}"`
  return word.includes("'") ? null : `'${word}'`
}

/** Writes a command as a line of a batch; null: no line can carry it. */
export function batchLine(argv: readonly string[]): string | null {
  const quoted = argv.map(batchWord)
  return quoted.includes(null) ? null : quoted.join(' ')
}

/** Quotes an argument for a POSIX shell. printf makes the unprintable characters from their bytes. */
function shellWord(argument: string): string {
  if (/^[\w@%+=:,./-]+$/.test(argument)) return argument
  const quoted = `'${argument.replaceAll("'", `'\\''`)}'`
  return replaceUnprintable(quoted, (character) => {
    const octal = [...encodeBytes(character)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
    return character === '\n' ? character : `'"$(printf '${octal}')"'`
  })
}

/** Writes a command as a line that a person can paste into a shell. */
export function shellLine(argv: readonly string[]): string {
  return argv.map(shellWord).join(' ')
}

/** What ip takes an interface of this index by, unless another interface has that name (ll_idx_a2n() of iproute2). */
export function indexName(index: number): string {
  return `if${index}`
}

import { Buffer } from 'node:buffer'
import { replaceUnprintable } from '../printable.ts'

/**
 * A word as iproute2's batch mode reads it back (lib/utils.c, makeargs and getcmdline): split at white space,
 * quoted by either quote, a comment from the first `#`, quoted or not. null for a word that no quoting carries:
 * the command has to be run by itself.
 */
export function batchWord(word: string): string | null {
  if (/^[^\s#'"\\]+$/.test(word)) return word
  if (/[#\n\\]/.test(word)) return null
  if (!word.includes('"')) return `"${word}"`
  return word.includes("'") ? null : `'${word}'`
}

/** The line of a batch that runs a command, or null if there is none. */
export function batchLine(words: readonly string[]): string | null {
  const quoted = words.map(batchWord)
  return quoted.includes(null) ? null : quoted.join(' ')
}

/** A word as a POSIX shell reads it back. What cannot be printed, printf makes of its bytes. */
function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  const quoted = `'${word.replaceAll("'", `'\\''`)}'`
  return replaceUnprintable(quoted, (character) =>
    character === '\n' ? character : `'"$(printf '${octal(character)}')"'`
  )
}

function octal(text: string): string {
  return [...Buffer.from(text)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}

/** A command as a person pastes it into a shell. */
export function shellLine(words: readonly string[]): string {
  return words.map(shellWord).join(' ')
}

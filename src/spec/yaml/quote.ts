/**
 * What a terminal or a log must not be handed as it is: control characters, halves of surrogate pairs,
 * line and paragraph separators, and the marks that turn the reading direction round.
 */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/gu

const longest = 60

/** The text with unprintable characters written as `\u{…}`. */
export function escapeUnprintable(text: string): string {
  return text.replace(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

/** Whether a text has an unprintable character; `allowed` are characters that do not count. */
export function hasUnprintable(text: string, allowed = ''): boolean {
  return (text.match(unprintable) ?? []).some((character) => !allowed.includes(character))
}

/** A value from a file as a message shows it: in double quotes, on one line, cut when it is long. */
export function quote(text: string): string {
  // Not in the middle of a pair of surrogates.
  const short = text.length > longest ? `${text.slice(0, longest).replace(/[\uD800-\uDBFF]$/, '')}…` : text
  return `"${escapeUnprintable(short.replaceAll('\n', ' ').replaceAll('\t', ' '))}"`
}

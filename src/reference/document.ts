import { capitalize } from '../text-lines.ts'

/** A term, such as an option, and what it is. */
type Entry = readonly [term: string, text: string]

/** A part of a page: a text, lines of code, or a list. Texts have `code` in backticks, and [links](to.md). */
export type Block =
  | string
  | { readonly kind: 'code'; readonly language: string; readonly code: string }
  | { readonly kind: 'list'; readonly entries: readonly Entry[] }

/** The sections of a page in their order: what stands below each heading. */
export type Sections = Readonly<Record<string, readonly Block[]>>

export const code = (lines: string, language = 'text'): Block => ({ kind: 'code', language, code: lines })
export const list = (entries: readonly Entry[]): Block => ({ kind: 'list', entries })

/** A list of terms that are code. */
export const codeList = (entries: readonly Entry[]): Block => list(entries.map(([term, text]) => [`\`${term}\``, text]))

/** A text as a sentence: with a capital, and a full stop. */
export function sentence(words: string): string {
  const end = /[.!?]$/.test(words) ? '' : '.'
  return `${capitalize(words)}${end}`
}

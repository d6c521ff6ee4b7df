import { capitalize } from '../text-lines.ts'

/** A part of a page. Texts have `code` in backticks, and [links](to.md). */
export type Block =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'code'; readonly language: string; readonly code: string }
  | { readonly kind: 'list'; readonly items: readonly Item[] }

/** An entry of a list: a term, such as an option, and what it is. */
interface Item {
  readonly term: string
  readonly text: string
}

/** Blocks below a heading. */
export interface Section {
  readonly title: string
  readonly blocks: readonly Block[]
}

export const text = (words: string): Block => ({ kind: 'text', text: words })
export const code = (lines: string, language = 'text'): Block => ({ kind: 'code', language, code: lines })

/** A list of terms. */
export function list(items: readonly (readonly [term: string, text: string])[]): Block {
  return { kind: 'list', items: items.map(([term, words]) => ({ term, text: words })) }
}

/** A list of terms that are code. */
export function codeList(items: readonly (readonly [term: string, text: string])[]): Block {
  return list(items.map(([term, words]) => [`\`${term}\``, words]))
}

/** A text as a sentence: with a capital, and a full stop. */
export function sentence(words: string): string {
  const end = /[.!?]$/.test(words) ? '' : '.'
  return `${capitalize(words)}${end}`
}

import { wrap } from '../../text-lines.ts'

/** Columns: help is no wider than that, on any terminal. */
const width = 80

/** Breaks a text at spaces into lines that fit, each after the indentation. */
export function paragraph(text: string, indent = 0, columns = width): string {
  const lines = wrap(text, columns - indent)
  return lines.map((line) => ' '.repeat(indent) + line).join('\n')
}

/** A list of terms, each with its description beside it. */
export function listTerms(items: readonly (readonly [term: string, description: string])[]): string {
  const widest = Math.max(...items.map(([term]) => term.length))
  const lines = items.map(([term, text]) => `  ${term.padEnd(widest)}  ${paragraph(text, widest + 4).trimStart()}`)
  return lines.join('\n')
}

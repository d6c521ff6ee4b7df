/** Columns: help is no wider than that, on any terminal. */
const width = 80

/** Breaks a text at spaces into lines that fit, each after the indentation. */
export function wrap(text: string, indent = 0, columns = width): string {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && indent + last.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.map((line) => ' '.repeat(indent) + line).join('\n')
}

/** A list of terms, each with its description beside it. */
export function listTerms(items: readonly (readonly [term: string, description: string])[]): string {
  const widest = Math.max(...items.map(([term]) => term.length))
  const lines = items.map(([term, text]) => `  ${term.padEnd(widest)}  ${wrap(text, widest + 4).trimStart()}`)
  return lines.join('\n')
}

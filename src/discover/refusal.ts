import { checkData } from '../spec/load.ts'
import type { Data } from '../spec/yaml/tree.ts'

/** Why the rules of spans.yaml refuse this part of a span, in their own message; null: they do not. */
export function problemOf(span: string, part: Readonly<Record<string, Data>> = {}): string | null {
  return refusalOf({ spans: { [span]: { sources: [{ interface: 'eth0' }], ...part } } })
}

/** Why they refuse a file, in their own message; null: they do not. */
export function refusalOf(file: Readonly<Record<string, Data>>): string | null {
  const problems = checkData({ version: 1, ...file })
  return problems.length === 0 ? null : problems.map(({ message }) => message).join('; ')
}

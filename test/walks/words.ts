import type { Argv } from '../lab/lab.ts'

/** Splits at spaces, less those between single quotes. */
export function words(line: string): Argv {
  const [first = '', ...rest] = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
  return [first, ...rest]
}

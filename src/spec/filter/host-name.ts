import { quote } from '../../printable.ts'
import { findNames, readTokens } from './tokens.ts'

/** A host name in an expression: its position, what is wrong with it, and what to do. */
export interface HostName {
  readonly at: number
  readonly message: string
  readonly hint: string
}

/** Finds a host name: an address that DNS gives can change at any time, and the mirrors would no longer be those that were applied. */
export function findHostName(expression: string): HostName | null {
  const host = findNames(readTokens(expression)).find(({ stands }) => stands === 'host')?.token
  if (host === undefined) return null
  return {
    at: host.at,
    message: `the filter has the name ${quote(host.text)} where an address belongs`,
    hint: `write the address, which a change of DNS does not change: getent ahosts ${host.text.replace(/^\\/, '')}`
  }
}

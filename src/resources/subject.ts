import type { Diagnostic, Subject } from '../errors.ts'
import { encodeBytes } from '../host/parsers/bytes.ts'

/** A subject as it is printed: the parts of an address are percent-encoded, so that a slash always separates two. */
export function writeAddress({ span, kind, id }: Subject): string {
  return [...(span === null ? [] : [span]), kind, ...id].map(encodePart).join('/')
}

/** Also a byte that is no UTF-8. */
function encodePart(part: string): string {
  if (part.isWellFormed()) return encodeURIComponent(part)
  const encode = (character: string) => encodeBytes(character).toString('hex').replace(/../g, '%$&')
  return [...part].map((one) => (one.isWellFormed() ? encodeURIComponent(one) : encode(one))).join('')
}

/** A diagnostic as a program reads it. */
export function diagnosticDocument({ subject, ...rest }: Diagnostic) {
  return { ...rest, ...(subject && { address: writeAddress(subject) }) }
}

import { Buffer, isUtf8 } from 'node:buffer'

/** A sequence of UTF-8 (RFC 3629, section 4), or a byte that begins none; each byte is a character of Latin 1 here. */
const sequence =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|[\x80-\xff]/g

/** Where the bytes that are no UTF-8 are among the UTF-16 code units: halves of pairs, which no UTF-8 gives. */
const firstHalf = 0xdc00

/**
 * Decodes UTF-8. The kernel takes nearly any bytes for a name: a byte that is no UTF-8 becomes a lone surrogate, as in Python's
 * `surrogateescape`. So two names never become one, and {@link encodeBytes} gives the bytes back.
 */
export function decodeBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (isUtf8(buffer)) return buffer.toString()
  return buffer
    .toString('latin1')
    .replace(sequence, (found) =>
      found.length > 1 ? Buffer.from(found, 'latin1').toString() : String.fromCharCode(firstHalf + found.charCodeAt(0))
    )
}

/** The bytes of a text that {@link decodeBytes} has decoded. */
export function encodeBytes(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text)
  const parts = text.split(/([\udc80-\udcff])(?<![\ud800-\udbff][\udc80-\udcff])/)
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) - firstHalf)))
  )
}

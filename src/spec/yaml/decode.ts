import { Buffer } from 'node:buffer'
import { type Diagnostic, Exit, SpanplanError } from '../../errors.ts'
import type { SourceFile } from '../spec.ts'

const mebibyte = 1024 * 1024

/** Bytes. No set of spans comes near; a capture that is given by mistake is larger. */
export const largestFile = 10 * mebibyte

const strictDecoder = () => new TextDecoder('utf-8', { fatal: true })

/**
 * The number of bytes from the start that are valid UTF-8. A sequence that the end cuts off is valid here. Each prefix of valid
 * text is valid, so a binary search finds the number.
 */
function countValidBytes(bytes: Uint8Array): number {
  let valid = 0
  let invalid = bytes.length + 1
  while (invalid - valid > 1) {
    const middle = Math.floor((valid + invalid) / 2)
    try {
      strictDecoder().decode(bytes.subarray(0, middle), { stream: true })
      valid = middle
    } catch {
      invalid = middle
    }
  }
  return valid
}

function describeInvalidByte(file: SourceFile): Diagnostic {
  const { bytes, path } = file
  // In stream mode, the decoder holds back an incomplete sequence: its text ends where the invalid sequence begins.
  const text = strictDecoder().decode(bytes.subarray(0, countValidBytes(bytes)), { stream: true })
  const byteOrderMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  const byte = bytes[Buffer.byteLength(text) + byteOrderMark] ?? 0
  const lines = text.split('\n')
  return {
    code: 'FILE_NOT_UTF8',
    message: `the file is not UTF-8: the byte 0x${byte.toString(16).padStart(2, '0')} cannot stand here`,
    hint: 'save it as UTF-8, for example with: iconv -f LATIN1 -t UTF-8',
    origin: { file: path, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
  }
}

function looksLikeUtf16([first, second]: Uint8Array): boolean {
  if (first === undefined || second === undefined) return false
  // A byte order mark of either byte order, or an ASCII character and a zero byte.
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || (first === 0) !== (second === 0)
}

/**
 * Decodes a file's bytes, and drops a byte order mark.
 *
 * @throws {SpanplanError} FILE_TOO_LARGE; FILE_NOT_UTF8, with the place of the first invalid byte.
 */
export function decodeFile(file: SourceFile): string {
  const fail = (diagnostic: Diagnostic) => new SpanplanError(diagnostic, Exit.invalidFile)
  const origin = { file: file.path, line: 1, column: 1 }
  if (file.bytes.length > largestFile) {
    const message = `the file has ${(file.bytes.length / mebibyte).toFixed(1)} MiB; at most ${largestFile / mebibyte} MiB are read`
    throw fail({ code: 'FILE_TOO_LARGE', message, hint: 'is it the right file?', origin })
  }
  if (looksLikeUtf16(file.bytes)) {
    const hint = 'convert it with: iconv -f UTF-16 -t UTF-8'
    throw fail({ code: 'FILE_NOT_UTF8', message: 'the file is UTF-16, not UTF-8', hint, origin })
  }
  try {
    return strictDecoder().decode(file.bytes)
  } catch {
    throw fail(describeInvalidByte(file))
  }
}

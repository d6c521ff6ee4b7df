import { Buffer } from 'node:buffer'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { SourceFile } from '../spec.ts'

const mebibyte = 1024 * 1024

/** Bytes. No set of spans comes near; a capture that is given by mistake is larger. */
export const largestFile = 10 * mebibyte

function explainInvalidByte({ bytes, path }: SourceFile): Diagnostic {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  // An invalid sequence is decoded as U+FFFD, so it differs once the text is encoded again.
  const encodedAgain = Buffer.from(decoder.decode(bytes))
  const changed = encodedAgain.findIndex((byte, index) => byte !== bytes[index])
  // In stream mode, the decoder holds back an incomplete sequence: its text ends where the invalid sequence begins.
  const text = decoder.decode(bytes.subarray(0, changed), { stream: true })
  const byte = bytes[Buffer.byteLength(text)] ?? 0
  const lines = text.replace(/^\uFEFF/, '').split('\n')
  const message = `the file is not UTF-8: the byte 0x${byte.toString(16).padStart(2, '0')} cannot stand here`
  const hint = 'save it as UTF-8, for example with: iconv -f LATIN1 -t UTF-8'
  const origin = { file: path, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
  return diagnostic('FILE_NOT_UTF8', message, hint, origin)
}

function looksLikeUtf16([first, second]: Uint8Array): boolean {
  if (first === undefined || second === undefined) return false
  // A byte order mark of either byte order, or an ASCII character and a zero byte.
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || (first === 0) !== (second === 0)
}

/**
 * Decodes a file's bytes, and drops a byte order mark.
 *
 * @returns the text; or FILE_TOO_LARGE, or FILE_NOT_UTF8 with the place of the first invalid byte.
 */
export function decodeFile(file: SourceFile): string | Diagnostic {
  const { bytes, path } = file
  const origin = { file: path, line: 1, column: 1 }
  if (bytes.length > largestFile) {
    const message = `the file has ${(bytes.length / mebibyte).toFixed(1)} MiB; the limit is ${largestFile / mebibyte} MiB`
    return diagnostic('FILE_TOO_LARGE', message, 'is it the right file?', origin)
  }
  if (looksLikeUtf16(bytes)) {
    const hint = 'convert it with: iconv -f UTF-16 -t UTF-8'
    return diagnostic('FILE_NOT_UTF8', 'the file is UTF-16, not UTF-8', hint, origin)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return explainInvalidByte(file)
  }
}

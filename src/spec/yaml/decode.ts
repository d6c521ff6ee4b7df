import { Buffer } from 'node:buffer'
import { type Diagnostic, Exit, SpanplanError } from '../../errors.ts'
import type { SourceFile } from '../spec.ts'

const mebibyte = 1024 * 1024

/** Larger files are refused: no set of spans comes near, and somebody's capture given by mistake does. */
export const largestFile = 10 * mebibyte

const strictly = () => new TextDecoder('utf-8', { fatal: true })

/** How many bytes from the start are whole UTF-8, up to a sequence that is cut off by the end. Prefixes of good text are good, so halving finds it. */
function countGoodBytes(bytes: Uint8Array): number {
  let good = 0
  let bad = bytes.length + 1
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    try {
      strictly().decode(bytes.subarray(0, middle), { stream: true })
      good = middle
    } catch {
      bad = middle
    }
  }
  return good
}

function describeBadByte(file: SourceFile): Diagnostic {
  const { bytes, path } = file
  // A decoder in the middle of a stream holds a sequence back that is not complete: what it gives ends where the bad one begins.
  const text = strictly().decode(bytes.subarray(0, countGoodBytes(bytes)), { stream: true })
  const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  const byte = bytes[Buffer.byteLength(text) + mark] ?? 0
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
  // Its byte order mark either way round, or an ASCII character with its zero.
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || (first === 0) !== (second === 0)
}

/**
 * A file's bytes as text, without a byte order mark.
 * @throws {SpanplanError} FILE_TOO_LARGE, FILE_NOT_UTF8 with the place of the first bad byte.
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
    return strictly().decode(file.bytes)
  } catch {
    throw fail(describeBadByte(file))
  }
}

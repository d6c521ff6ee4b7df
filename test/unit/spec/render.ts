import { type Diagnostic, SpanplanError } from '../../../src/errors.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import type { SourceFile, Spec } from '../../../src/spec/spec.ts'
import { excerpt } from '../../../src/spec/yaml/excerpt.ts'

export const file = (text: string | Uint8Array, path = 'spans.yaml'): SourceFile => ({
  path,
  bytes: typeof text === 'string' ? new TextEncoder().encode(text) : text
})

export const load = (text: string): Spec => loadSpec([file(text)])

/** A spec without its places. */
export function withoutPlaces({ name, interfaces, spans }: Spec): unknown {
  return JSON.parse(
    JSON.stringify({ name, interfaces, spans }, (key, value) =>
      ['origin', 'written'].includes(key) ? undefined : value
    )
  )
}

/** The diagnostics of the files. An error of another kind is thrown. */
export function diagnosticsOf(...files: SourceFile[]): readonly Diagnostic[] {
  try {
    loadSpec(files)
  } catch (error) {
    if (error instanceof SpanplanError) return error.diagnostics
    throw error
  }
  return []
}

/** The diagnostics as a person reads them. */
export function render(...files: SourceFile[]): string {
  return diagnosticsOf(...files)
    .map(({ code, message, hint, origin }) => {
      const source = files.find(({ path }) => path === origin?.file)
      const place = origin ? `${origin.file}:${origin.line}:${origin.column}: ` : ''
      const shown = origin && source ? `\n${excerpt(new TextDecoder().decode(source.bytes), origin)}` : ''
      return `${place}${message} [${code}]${shown}${hint === undefined ? '' : `\n     = ${hint}`}\n`
    })
    .join('')
}

/** Parses the cases of test/fixtures/spec/messages.txt. */
export function readCases(text: string): { title: string; files: SourceFile[]; says: string }[] {
  return text
    .split(/^=== /m)
    .slice(1)
    .map((section) => {
      const end = section.indexOf('\n') + 1
      const [given = '', says = ''] = section.slice(end).split(/^--- says\n/m)
      const parts = given.split(/^--- file (.*)\n/m)
      const files: SourceFile[] = []
      for (let at = 1; at < parts.length; at += 2) files.push(file(parts[at + 1] ?? '', parts[at] ?? ''))
      return { title: section.slice(0, end - 1), files: files.length > 0 ? files : [file(given)], says }
    })
}

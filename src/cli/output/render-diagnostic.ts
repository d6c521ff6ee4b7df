import { type Diagnostic, writeOrigin } from '../../errors.ts'
import { type Paint, printable, printableLines } from '../../printable.ts'
import type { SourceFile } from '../../spec/spec.ts'
import { excerpt } from '../../spec/yaml/excerpt.ts'

/** Renders an error or a warning for people: place, message, the line of the file with a caret, and the hint. */
export function renderDiagnostic(
  kind: 'error' | 'warning',
  diagnostic: Diagnostic,
  files: readonly SourceFile[],
  paint: Paint
): string {
  const { origin, message, hint } = diagnostic
  const place = origin ? `${printable(writeOrigin(origin))}: ` : ''
  const file = origin && files.find(({ path }) => path === origin.file)
  return [
    `${place}${paint(kind === 'error' ? 'remove' : 'update', `${kind}:`)} ${printableLines(message)}`,
    ...(origin && file ? [excerpt(new TextDecoder().decode(file.bytes), origin)] : []),
    ...(hint === undefined ? [] : [`  ${printable(hint)}`])
  ].join('\n')
}

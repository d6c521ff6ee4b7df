import { meaningOf } from '../../codes/meanings.ts'
import { type Diagnostic, writeOrigin } from '../../errors.ts'
import { type Paint, printable, printableLines } from '../../printable.ts'
import type { SourceFile } from '../../spec/spec.ts'
import { excerpt } from '../../spec/yaml/excerpt.ts'
import { widthOf, wrap, wrapHint } from '../../text-lines.ts'

/**
 * Renders an error or a warning for people: place, message, the line of the file with a caret, and the hint.
 *
 * @param width columns of a line. By default, each line of the message is one line.
 */
export function renderDiagnostic(
  kind: 'error' | 'warning',
  diagnostic: Diagnostic,
  files: readonly SourceFile[],
  paint: Paint,
  width = Number.POSITIVE_INFINITY
): string {
  const { origin, message, hint } = diagnostic
  const place = origin ? `${printable(writeOrigin(origin))}: ` : ''
  const file = origin && files.find(({ path }) => path === origin.file)
  // The colour comes after the lines are broken: it takes no columns.
  const [first = '', ...rest] = hang(`${place}${kind}: ${printableLines(message)}`, '    ', width)
  const isCommand = meaningOf(diagnostic).hintIsCommand === true
  const hintLines = hint === undefined ? [] : wrapHint(printable(hint), width - margin.length, isCommand)
  const word = paint(kind === 'error' ? 'remove' : 'update', `${kind}:`)
  return [
    `${place}${word}${first.slice(place.length + kind.length + 1)}`,
    ...rest,
    ...(origin && file ? [excerpt(new TextDecoder().decode(file.bytes), origin)] : []),
    ...hintLines.map((line) => `${margin}${line}`)
  ].join('\n')
}

const margin = ' '.repeat(2)

/** Breaks each line of a text that is too long; what goes on is indented. */
function hang(text: string, indent: string, width: number): string[] {
  return text.split('\n').flatMap((line) => {
    if (widthOf(line) <= width) return [line]
    return wrap(line, width - indent.length).map((part, index) => (index === 0 ? part : `${indent}${part}`))
  })
}

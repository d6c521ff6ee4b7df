import { styleText } from 'node:util'
import type { Diagnostic } from '../../errors.ts'
import { type Paint, plain, printable, printableLines, type Tone } from '../../printable.ts'
import type { SourceFile } from '../../spec/spec.ts'
import { excerpt } from '../../spec/yaml/excerpt.ts'

/** What --color says. */
export type ColorChoice = 'auto' | 'always' | 'never'

const colours = {
  create: 'green',
  update: 'yellow',
  replace: 'magenta',
  remove: 'red',
  adopt: 'cyan',
  wait: 'dim',
  title: 'bold'
} as const satisfies Record<Tone, string>

/**
 * The colours for a stream: none where it is no terminal, unless asked for.
 * NO_COLOR (no-color.org) and FORCE_COLOR hold where --color says nothing else.
 */
export function choosePaint(choice: ColorChoice, stream: NodeJS.WriteStream): Paint {
  return wantsColour(choice, stream) ? (tone, text) => styleText(colours[tone], text, { validateStream: false }) : plain
}

function wantsColour(choice: ColorChoice, stream: NodeJS.WriteStream): boolean {
  if (choice !== 'auto') return choice === 'always'
  if (process.env.NO_COLOR) return false
  const forced = process.env.FORCE_COLOR
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && process.env.TERM !== 'dumb'
}

/** A notice as a person reads it: place, message, the line of the file with a caret, what to do. */
export function renderDiagnostic(
  kind: 'error' | 'warning',
  diagnostic: Diagnostic,
  files: readonly SourceFile[],
  paint: Paint
): string {
  const { origin, message, hint } = diagnostic
  const place = origin ? `${printable(origin.file)}:${origin.line}:${origin.column}: ` : ''
  const file = origin && files.find(({ path }) => path === origin.file)
  return [
    `${place}${paint(kind === 'error' ? 'remove' : 'update', `${kind}:`)} ${printableLines(message)}`,
    ...(origin && file ? [excerpt(new TextDecoder().decode(file.bytes), origin)] : []),
    ...(hint === undefined ? [] : [`  ${printable(hint)}`])
  ].join('\n')
}

/** What a person answered; `silence`: the terminal has gone, or the question was withdrawn. */
export type Reply = 'yes' | 'no' | 'silence'

/** Asks a person, again until there is a clear answer; what stands for none is `byDefault`, if that is given. */
export async function ask(question: string, signal: AbortSignal, byDefault?: Reply): Promise<Reply> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // It takes ^C off the terminal before that makes a signal of it.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  // Of a terminal that goes away, which readline hands on.
  terminal.on('error', () => undefined)
  const gone = new Promise<null>((resolve) => terminal.once('close', () => resolve(null)))
  const options = byDefault === undefined ? '[y/n]' : '[y/N]'
  try {
    for (;;) {
      const answer = await Promise.race([terminal.question(`${question} ${options} `, { signal }), gone])
      if (answer === null) return 'silence'
      if (/^y(es)?$/i.test(answer.trim())) return 'yes'
      if (/^no?$/i.test(answer.trim())) return 'no'
      if (byDefault !== undefined) return byDefault
    }
  } catch {
    return 'silence'
  } finally {
    terminal.close()
  }
}

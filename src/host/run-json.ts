import { SpanplanError } from '../errors.ts'
import { type Argv, commandFailed, run } from './exec.ts'
import { parseToolJson } from './parsers/json.ts'
import { batchLine } from './quote-command.ts'

/** Runs a program that prints one JSON document. */
export async function runJson(argv: Argv): Promise<unknown> {
  const output = await run(argv)
  if (output.status !== 0) throw commandFailed(argv, output)
  return parseJson(argv, output.stdout)
}

/**
 * Runs one batch, and gives back one document a command: with -force, iproute2 prints one a line, none for a command
 * that fails (its device has just gone), and names that command's line.
 */
export async function runJsonBatch(argv: Argv, commands: readonly (readonly string[])[]): Promise<unknown[]> {
  // A name that no quoting carries belongs to a device that no span can name either: it is asked for as one that is not there.
  const lines = commands.map((words) => batchLine(words) ?? 'unspeakable')
  const output = await run(argv, `${lines.join('\n')}\n`)
  const failed = new Set([...output.stderr.matchAll(/^Command failed -:(\d+)$/gm)].map((match) => Number(match[1])))
  const documents = output.stdout.split('\n').filter((line) => line.trim() !== '')
  if (documents.length !== commands.length - failed.size) throw commandFailed(argv, output)
  return commands.map((_, index) => (failed.has(index + 1) ? [] : parseJson(argv, documents.shift() ?? '')))
}

function parseJson(argv: Argv, text: string): unknown {
  return parseOutput(argv[0], () => parseToolJson(text))
}

/** Turns a surprise in a tool's output into an error that says whose it was. */
export function parseOutput<T>(program: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new SpanplanError(
      {
        code: 'OUTPUT_UNKNOWN',
        message: `what ${program} prints is not understood: ${error instanceof Error ? error.message : String(error)}`,
        hint: `report this, with the version of ${program}`
      },
      undefined,
      { cause: error }
    )
  }
}

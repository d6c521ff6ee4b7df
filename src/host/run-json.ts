import { diagnostic, messageOf, SpanplanError } from '../errors.ts'
import { type Argv, commandFailed } from './exec.ts'
import { parseToolJson } from './parsers/json.ts'
import { batchLine } from './quote-command.ts'
import { alone, batch, type Reading, read } from './readings.ts'

/** Runs a program that prints one JSON document. */
export function runJson(argv: Argv): Promise<unknown> {
  return readJson(alone(...argv))
}

/** The JSON document of a reading. */
export async function readJson(reading: Reading): Promise<unknown> {
  const output = await read(reading)
  if (output.status !== 0) throw commandFailed(reading.argv, output)
  return parseJson(reading.argv, output.stdout)
}

/** Runs a program of iproute2 with a batch of commands, and returns one document for each. */
export async function runJsonBatch(program: Argv, commands: readonly (readonly string[])[]): Promise<unknown[]> {
  if (commands.length === 0) return []
  // No span can have a device whose name no quoting carries: a command that fails stands in for it.
  const lines = commands.map((command) => batchLine(command) ?? 'unspeakable')
  return readJsonBatch(batch(program, lines))
}

/**
 * The JSON documents of a batch, one for each command. iproute2 prints one document a line. For a command that fails because its
 * device is gone, it prints none, and the number of the command's line.
 */
export async function readJsonBatch(reading: Reading): Promise<unknown[]> {
  const { argv, input } = reading
  const commands = input.trimEnd().split('\n')
  const output = await read(reading)
  const failed = new Set([...output.stderr.matchAll(/^Command failed -:(\d+)$/gm)].map((match) => Number(match[1])))
  const documents = output.stdout.split('\n').filter((line) => line.trim() !== '')
  if (documents.length !== commands.length - failed.size) throw commandFailed(argv, output)
  return commands.map((_, index) => (failed.has(index + 1) ? [] : parseJson(argv, documents.shift() ?? '')))
}

function parseJson(argv: Argv, text: string): unknown {
  return parseOutput(argv[0], () => parseToolJson(text))
}

/**
 * Parses a program's output.
 *
 * @throws SpanplanError OUTPUT_UNKNOWN, with the program's name, if the parser fails.
 */
export function parseOutput<T>(program: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    const message = `what ${program} prints is not understood: ${messageOf(error)}`
    const unknown = diagnostic('OUTPUT_UNKNOWN', message, `report this, with the version of ${program}`)
    throw new SpanplanError(unknown, undefined, { cause: error })
  }
}

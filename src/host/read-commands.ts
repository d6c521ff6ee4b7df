import { diagnostic, messageOf, SpanplanError } from '../errors.ts'
import { type Argv, commandFailed, type Output, run } from './exec.ts'
import { checkCommand } from './nftables/seal-table.ts'
import { parseToolJson } from './parsers/tool-json.ts'
import { batchLine } from './quote-command.ts'

/** A program that reads the host, and its stdin. */
export interface ReadCommand {
  readonly argv: Argv
  readonly input: string
}

/** A program without stdin. */
const alone = (...argv: Argv): ReadCommand => ({ argv, input: '' })

/** A program of iproute2 that gets a command a line. With -force, it goes on after one that fails. */
const batch = (program: Argv, lines: readonly string[]): ReadCommand => ({
  argv: [...program, '-force', '-batch', '-'],
  input: lines.map((line) => `${line}\n`).join('')
})

/** What each look at the host begins with. It depends on no file. */
export const readCommands = {
  links: batch(['ip', '-json', '-details'], ['link show', 'addr show']),
  forwarding: alone('bridge', '-json', 'fdb', 'show'),
  /** As text: as JSON, it is five times as long, 8 KB for each link. */
  offloads: alone('ethtool', '-k', '*'),
  qdiscs: alone('tc', '-json', 'qdisc', 'show'),
  /** All tables of the family that spanplan's are of, with what is in them. */
  tables: alone('nft', '-j', 'list', 'ruleset', 'bridge'),
  /** The same of the family that the tables of senders are of. Firewalls have theirs there, with sets that may be long. */
  senderTables: alone('nft', '-j', '-t', 'list', 'ruleset', 'inet'),
  /** Its status shows whether the kernel can have such tables. */
  tableSupport: alone(...checkCommand),
  programs: alone('bpftool', '-j', 'prog', 'show')
} as const satisfies Readonly<Record<string, ReadCommand>>

/** The programs that {@link readAhead} has started and nobody has asked for yet. */
const ahead = new Map<ReadCommand, Promise<Output>>()

/**
 * Starts what each look at the host begins with, for a command that reads the host first: the programs run while the command
 * is loaded, and the files are read.
 *
 * @returns ends the programs that nobody has asked for.
 */
export function readAhead(): () => void {
  const end = new AbortController()
  for (const command of Object.values(readCommands)) {
    // Few hosts need them.
    if (command === readCommands.senderTables) continue
    const output = run(command.argv, command.input, { cancel: end.signal })
    // Whoever asks for the output gets the error.
    output.catch(() => undefined)
    ahead.set(command, output)
  }
  return () => {
    ahead.clear()
    end.abort()
  }
}

/** @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS or OUTPUT_TOO_LONG. */
export function readOutput(command: ReadCommand): Promise<Output> {
  const started = ahead.get(command)
  // The next look needs a new one.
  ahead.delete(command)
  return started ?? run(command.argv, command.input)
}

/** Parses what a command prints. */
export async function readParsed<T>(command: ReadCommand, parse: (text: string) => T): Promise<T> {
  const output = await readOutput(command)
  if (output.status !== 0) throw commandFailed(command.argv, output)
  return parseOutput(command.argv[0], () => parse(output.stdout))
}

/** Parses the JSON document that a command prints. */
export function readJson<T>(command: ReadCommand, parse: (document: unknown) => T): Promise<T> {
  return readParsed(command, (text) => parse(parseToolJson(text)))
}

/** Runs a program of iproute2 with a batch of commands, and returns one document for each. */
export async function runJsonBatch(program: Argv, commands: readonly (readonly string[])[]): Promise<unknown[]> {
  if (commands.length === 0) return []
  // No span can have a device whose name no quoting carries: a command that fails stands in for it.
  const lines = commands.map((command) => batchLine(command) ?? 'unspeakable')
  return readJsonBatch(batch(program, lines))
}

/**
 * The JSON documents of a batch, one for each command. In iproute2's output, each document begins a line; what tc prints as text in
 * one may have several. For a command that fails because its device is gone, there is none, and the number of the command's line.
 */
export async function readJsonBatch(command: ReadCommand): Promise<unknown[]> {
  return parseJsonBatch(command, await readOutput(command))
}

/** The same, of output that was read already. */
export function parseJsonBatch({ argv, input }: ReadCommand, output: Output): unknown[] {
  const commands = input.trimEnd().split('\n')
  const failed = new Set([...output.stderr.matchAll(/^Command failed -:(\d+)$/gm)].map((match) => Number(match[1])))
  const documents = output.stdout.split(/\n(?=\[)/).filter((line) => line.trim() !== '')
  if (documents.length !== commands.length - failed.size) throw commandFailed(argv, output)
  const parse = (text: string) => parseOutput(argv[0], () => parseToolJson(text))
  return commands.map((_, index) => (failed.has(index + 1) ? [] : parse(documents.shift() ?? '')))
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
    const message = `the output of ${program} could not be understood: ${messageOf(error)}`
    const unknown = diagnostic('OUTPUT_UNKNOWN', message, `report this with the version of ${program}`)
    throw new SpanplanError(unknown, undefined, { cause: error })
  }
}

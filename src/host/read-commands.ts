import { diagnostic, messageOf, SpanplanError } from '../errors.ts'
import { type Argv, commandFailed, type Output, run } from './exec.ts'
import { checkLine } from './nftables/seal-table.ts'
import { parseToolJson } from './parsers/tool-json.ts'
import { askProgram, endPrograms } from './process/program-pool.ts'
import { batchLine } from './quote-command.ts'

/** A program that reads the host, and its stdin. */
export interface ReadCommand {
  readonly argv: Argv
  readonly input: string
  /** Has the program run, or asks one that stays. */
  readonly run: (argv: Argv, input: string) => Promise<Output>
}

/** A program without stdin. */
const alone = (...argv: Argv): ReadCommand => ({ argv, input: '', run })

const joinLines = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')

/** A program of iproute2 that gets a command a line. With -force, it goes on after one that fails. */
const batch = (program: Argv, lines: readonly string[], run: ReadCommand['run']): ReadCommand => ({
  argv: [...program, '-force', '-batch', '-'],
  input: joinLines(lines),
  run
})

/** The program nft, which gets a command a line. With -c, it changes nothing. */
const ask = (program: Argv, ...lines: readonly string[]): ReadCommand => ({
  argv: [...program, '-i'],
  input: joinLines(lines),
  run: askProgram
})

/** What each look at the host begins with. It depends on no file. */
export const readCommands = {
  links: batch(['ip', '-json', '-details'], ['link show', 'addr show'], askProgram),
  forwarding: batch(['bridge', '-json'], ['fdb show'], askProgram),
  /** As text: as JSON, it is five times as long, 8 KB for each link. */
  offloads: alone('ethtool', '-k', '*'),
  qdiscs: batch(['tc', '-json'], ['qdisc show'], askProgram),
  /** All tables of the family that spanplan's are of, with what is in them; and an error, where the kernel cannot have such tables. */
  tablesAndSupport: ask(['nft', '-c', '-j'], 'list ruleset bridge', checkLine),
  tables: ask(['nft', '-c', '-j'], 'list ruleset bridge'),
  /** The same of the family that the tables of senders are of. Firewalls have theirs there, with sets that may be long. */
  senderTables: ask(['nft', '-c', '-j', '-t'], 'list ruleset inet'),
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
    // Few hosts need the senders' tables, and later looks the others alone.
    if (command === readCommands.senderTables || command === readCommands.tables) continue
    const output = command.run === run ? run(command.argv, command.input, { cancel: end.signal }) : readNow(command)
    // Whoever asks for the output gets the error.
    output.catch(() => undefined)
    ahead.set(command, output)
  }
  return () => {
    ahead.clear()
    end.abort()
    endPrograms()
  }
}

/** @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS or OUTPUT_TOO_LONG. */
export function readOutput(command: ReadCommand): Promise<Output> {
  const started = ahead.get(command)
  // The next look needs a new one.
  ahead.delete(command)
  return started ?? readNow(command)
}

const readNow = ({ argv, input, run }: ReadCommand): Promise<Output> => run(argv, input)

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

/**
 * Has a program of iproute2 carry out a batch of commands, and returns one document for each. A command with a name that no quoting
 * carries, as an interface that a container has made may have one, is run by itself.
 *
 * @param runBatch which program. Default: one that stays, and may remember names of earlier commands.
 */
export async function runJsonBatch(
  program: Argv,
  commands: readonly (readonly string[])[],
  runBatch: ReadCommand['run'] = askProgram
): Promise<unknown[]> {
  const lines = commands.flatMap((command) => batchLine(command) ?? [])
  const documents = lines.length === 0 ? [] : await readJsonBatch(batch(program, lines, runBatch))
  const answers: unknown[] = []
  for (const command of commands) {
    // One after the other: whoever gives such names may give many.
    answers.push(batchLine(command) === null ? await readAlone([...program, ...command]) : documents.shift())
  }
  return answers
}

/** The document of one command; without one where the command fails, as where its device is gone. */
async function readAlone(argv: Argv): Promise<unknown> {
  const { status, stdout } = await run(argv)
  return status === 0 && stdout !== '' ? parseOutput(argv[0], () => parseToolJson(stdout)) : []
}

/**
 * The JSON documents of a batch, one for each command. In iproute2's output, each document begins a line; what tc prints as text in
 * one may have several. For a command that fails because its device is gone, there is none, and the number of the command's line.
 */
export async function readJsonBatch(command: ReadCommand): Promise<unknown[]> {
  return parseJsonBatch(command, await readOutput(command))
}

/** The same, of output that was read already. */
export function parseJsonBatch({ argv, input }: Pick<ReadCommand, 'argv' | 'input'>, output: Output): unknown[] {
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

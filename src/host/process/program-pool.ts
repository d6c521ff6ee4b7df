import { type Argv, type Output, programHangs, run, within } from '../exec.ts'
import type { Link } from '../snapshot.ts'
import { type KeptProgram, keepProgram } from './kept-program.ts'
import { defaultBytes, type RunLimits, timeLimit } from './run-limits.ts'

/** A program of the pool, by its arguments. */
interface Place {
  readonly argv: Argv
  /** The one that is asked; null: none was needed yet, or it may not be asked any more. */
  asked: KeptProgram | null
  answers: number
  /** One that has done nothing yet, and remembers nothing; null: there is none. */
  spare: Promise<KeptProgram | null> | null
  /** Settles when the last answer is there. */
  last: Promise<unknown>
}

const places = new Map<string, Place>()

/** Whether programs are kept for later runs, and started before they are needed. */
let isKeeping = false

/** The pairs of a name and an index of links that the programs may remember: see {@link noteNames}. */
const [indexOf, nameOf] = [new Map<string, number>(), new Map<number, string>()]

let timesForgotten = 0
let timesRenamed = 0

/** Milliseconds for an answer. After them, a program that ends gets the commands, too: the one that was asked hangs, or all are slow. */
const answerPatience = 2000

/** The most answers of a program: what it remembers, and what it leaks, has an end. */
const mostAnswers = 1000

/** Names of links that are gone, and may be remembered: ports of containers come and go. */
const mostNames = 1000

/** Milliseconds until a spare program is started in place of one that was taken: what is urgent is done by then. */
const spareDelay = 20

/**
 * Keeps programs from now on, for a process that reads the host again and again. They end with this process.
 */
export function keepPrograms(): void {
  isKeeping = true
}

/** Ends the programs. The next command starts new ones. */
export function endPrograms(): void {
  for (const place of places.values()) {
    close(place)
    void place.spare?.then((spare) => spare?.close())
  }
  places.clear()
}

/**
 * Has a program that stays carry out commands that only read. Its answer is as fast as the kernel's.
 *
 * @param argv the program, which reads commands from its stdin until that ends, and goes on after one that fails.
 * @param input the commands, a line each.
 * @returns the output, and the status, as of {@link run}. Where no program can be kept, that gets the commands.
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS or OUTPUT_TOO_LONG.
 */
export function askProgram(argv: Argv, input: string, limits: Pick<RunLimits, 'bytes'> = {}): Promise<Output> {
  const place = placeOf(argv)
  const answer = place.last.then(() => askOf(place, input, limits))
  place.last = answer.catch(() => undefined)
  return answer
}

async function askOf(place: Place, input: string, { bytes = defaultBytes }: Pick<RunLimits, 'bytes'>): Promise<Output> {
  if (place.asked !== null && (place.answers >= mostAnswers || !place.asked.isUsable())) close(place)
  place.asked ??= (await takeSpare(place)) ?? (await startKept(place))
  if (place.asked === null) return run(place.argv, input, { bytes })
  place.answers++
  const commands = input.trimEnd().split('\n')
  const asked = place.asked.ask(commands, { milliseconds: timeLimit, bytes })
  // Its error is thrown below, or comes when nobody waits for it any more.
  asked.catch(() => undefined)
  let answer: Output | null = null
  try {
    answer = await within(answerPatience, asked)
    return answer ?? (await runBeside(asked, place.argv, input, bytes))
  } finally {
    if (answer === null) close(place)
  }
}

/**
 * Runs a program beside a kept one, which has ended or is late.
 *
 * @returns what the first of both says.
 */
async function runBeside(kept: Promise<Output | null>, argv: Argv, input: string, bytes: number): Promise<Output> {
  const end = new AbortController()
  const ended = run(argv, input, { bytes, cancel: end.signal })
  ended.catch(() => undefined)
  return Promise.race([kept.then((answer) => answer ?? ended), ended]).finally(() => end.abort())
}

/**
 * Runs a program with commands for its stdin, as {@link run} does. Where a program was started for that before, it takes no time to
 * start one: such a one has done nothing yet, and remembers nothing.
 *
 * @throws SpanplanError PROGRAM_MISSING or PROGRAM_HANGS.
 */
export async function runStarted(
  argv: Argv,
  input: string,
  { milliseconds = timeLimit }: Pick<RunLimits, 'milliseconds'> = {}
): Promise<Output> {
  const spare = await takeSpare(placeOf(argv))
  if (spare === null) return run(argv, input, { milliseconds })
  const output = await spare.finish(input, { milliseconds, bytes: defaultBytes })
  if (output === null) throw programHangs(argv, milliseconds)
  return output
}

/**
 * Notes the names of links, as the kernel tells them. iproute2 remembers for the life of a process which index a name has, and which
 * name an index (lib/ll_map.c): of a link that was renamed, or made again, a kept program tells what was.
 *
 * @param links all links.
 * @returns whether the programs may remember other names. Others are asked from now on: what these have told is to be read again.
 */
export function noteNames(links: readonly NamedLink[]): boolean {
  const differs = links.some(isNamedAnew)
  const isFull = indexOf.size > mostNames + links.length
  if (isFull) {
    indexOf.clear()
    nameOf.clear()
  }
  if (differs || isFull) forgetNames()
  links.forEach(noteLink)
  return differs
}

/**
 * Notes the name of one link, as an event of the kernel tells it. Where two links have swapped their names, and have them back, before all
 * links are read again, only the events tell: a program that was started in between remembers what was for a moment.
 */
export function noteName(link: NamedLink): void {
  if (isNamedAnew(link)) forgetNames()
  noteLink(link)
}

/** Has other programs asked from now on, which remember nothing. */
export function forgetNames(): void {
  timesForgotten++
  for (const place of places.values()) close(place)
}

/** How often the names were forgotten: what was read meanwhile may be by other names. */
export const namesForgotten = (): number => timesForgotten

/** How often a link was found to have another name. One that was made again is another link. */
export const linksRenamed = (): number => timesRenamed

type NamedLink = Pick<Link, 'name' | 'index'>

const isRenamed = ({ name, index }: NamedLink) => (nameOf.get(index) ?? name) !== name

const isNamedAnew = (link: NamedLink) => (indexOf.get(link.name) ?? link.index) !== link.index || isRenamed(link)

function noteLink(link: NamedLink): void {
  const { name, index } = link
  if (isRenamed(link)) timesRenamed++
  indexOf.set(name, index)
  nameOf.set(index, name)
}

function placeOf(argv: Argv): Place {
  const key = argv.join('\0')
  const place = places.get(key) ?? { argv, asked: null, answers: 0, spare: null, last: Promise.resolve() }
  places.set(key, place)
  return place
}

function close(place: Place): void {
  place.asked?.close()
  place.asked = null
  place.answers = 0
}

/** null: there is none that can be asked. */
async function takeSpare(place: Place): Promise<KeptProgram | null> {
  if (!isKeeping) return null
  const { spare: taken } = place
  // Before anything is awaited: another one that needs a spare may not get this one.
  place.spare = null
  setTimeout(() => {
    // All programs may have been ended since.
    if ([...places.values()].includes(place)) place.spare ??= startKept(place)
  }, spareDelay).unref()
  const spare = await taken
  if (spare?.isUsable()) return spare
  spare?.close()
  return null
}

/** null: none can be started. Then each run of the program says why, or that goes by itself. */
function startKept({ argv }: Place): Promise<KeptProgram | null> {
  return keepProgram(argv, isKeeping).catch(() => null)
}

import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { shellLine } from '../../host/quote-command.ts'
import { findSlips, suggest } from '../../spec/schema/did-you-mean.ts'
import { isFileName } from '../../spec/scope.ts'
import { readDuration } from '../../spec/values/duration.ts'
import { findOption, haveOption, type KnownOption, splitOption } from './option-words.ts'
import {
  commonOptions,
  companions,
  durationOptions,
  exampleOptionValues,
  exampleValues,
  type OtherOption,
  otherOptions
} from './other-words.ts'

/** One line in the making: words that are in their place, and arguments whose place depends on the command. */
type Part = string | { readonly argument: string }

/** What a command was repaired to. */
export interface Found {
  readonly words: readonly string[]
  readonly why: string | null
  /** Another command does this, and why says so. */
  readonly isMove: boolean
  readonly pipe: string
}

/** Without these nouns, a line says the same. */
const nouns: ReadonlySet<string> = new Set('all * span spans sensors sources mirrors interfaces -A'.split(' '))

/** What is known beside the words. */
export interface Facts {
  /** The names of spans that are live. */
  readonly spans: readonly string[]
  /** The names of the host's interfaces. */
  readonly interfaces: readonly string[]
  readonly isFile: (path: string) => boolean
  /** The user's shell, where it is one that can be completed in. */
  readonly shell: string
}

/** The command of this name. */
export const commandOf = ({ commands }: CommandUnknownOpts, name: string) => commands.find((one) => one.name() === name)

/** A command in the making. */
interface Work {
  readonly program: CommandUnknownOpts
  readonly command: CommandUnknownOpts
  readonly facts: Facts
  /** How often the words have been moved to another command, or changed: at some time, it is enough. */
  readonly moves: number
  readonly words: readonly string[]
  readonly parts: Part[]
  /** Why something is left out. */
  readonly reasons: string[]
  readonly piped: string[]
}

/** Repairs what comes after a command. null: something there cannot be placed. */
export function repairCommand(
  program: CommandUnknownOpts,
  name: string,
  words: readonly string[],
  facts: Facts,
  moves = 0
): Found | null {
  const command = commandOf(program, name)
  if (command === undefined || moves > mostMoves) return null
  const work: Work = { program, command, facts, moves, words, parts: [], reasons: [], piped: [] }
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (!word.startsWith('-') || word === '-') {
      work.parts.push({ argument: word })
      continue
    }
    const own = findOption(command.options, word)
    const step = own ? keepOption(work, own, at) : repairOption(work, at)
    if (typeof step !== 'number') return step
    at += step
  }
  const placed = placeArguments(work)
  if (placed === null) return null
  const pipe = work.piped.length === 0 ? '' : ` --write - | tcpdump ${shellLine([...new Set(work.piped)])} -r -`
  return {
    words: [name, ...placed, ...missingOptions(command, placed)],
    why: work.reasons[0] ?? null,
    isMove: false,
    pipe
  }
}

/** A line that needs more is not repaired, but another one. */
const mostMoves = 5

/** The value after an option; undefined: another option comes, or nothing. */
function valueAfter(words: readonly string[], at: number): string | undefined {
  const value = words[at + 1]
  return value === undefined || (value.startsWith('-') && value !== '-') ? undefined : value
}

/** Keeps an option of the command, with a value that it takes, and returns how many words after it are its own. */
function keepOption(
  { command, words, parts }: Work,
  { option, value: given, isOpen }: KnownOption,
  at: number
): number {
  const word = words[at] ?? ''
  const value = isOpen ? valueAfter(words, at) : given
  if (!option.required) parts.push(word)
  else if (value === undefined || value === '') parts.push(option.long ?? word, exampleOf(command.name(), option))
  else {
    const near = nearValue(command.name(), option, value)
    parts.push(...(isOpen ? [word, near] : near === value ? [word] : [option.long ?? word, near]))
  }
  return isOpen && value !== undefined ? 1 : 0
}

/**
 * Puts something in the place of an option that the command does not have.
 *
 * @returns how many words after it are its own; the whole line, where that is another command's; null: nothing is known of it.
 */
function repairOption(work: Work, at: number): number | Found | null {
  const { program, command, words, facts, moves, reasons } = work
  const name = command.name()
  const word = words[at] ?? ''
  const strange = splitOption(word)
  const longs = command.options.flatMap(({ long }) => long?.slice(2) ?? [])
  const retry = (long: string) => {
    const flag = strange.value === undefined ? `--${long}` : `--${long}=${strange.value}`
    return repairCommand(program, name, words.toSpliced(at, 1, flag), facts, moves + 1)
  }
  const [slip] = strange.name.length > 2 ? findSlips(strange.name, longs) : []
  if (slip !== undefined) return retry(slip)
  const row = otherOptions.find(
    ({ names, of }) => names.split(' ').includes(strange.name) && (of === undefined || of.split(' ').includes(name))
  )
  if (row !== undefined) return placeOther(work, row, at)
  const options = program.commands.flatMap((one) => one.options)
  const elsewhere = findOption(options, word) ?? findOption(options, `--${strange.name}`)
  if (elsewhere !== undefined) {
    const { long = word } = elsewhere.option
    if (commonOptions.split(' ').includes(long)) {
      reasons.push(`${name} takes no ${long}`)
      return elsewhere.isOpen && valueAfter(words, at) !== undefined ? 1 : 0
    }
    const [first = '', ...more] = haveOption(program, elsewhere.option)
    const moved =
      repairCommand(program, first, words, facts, moves + 1) ?? repairCommand(program, first, [long], facts, moves + 1)
    return moved && { ...moved, isMove: true, why: `${long} is an option of ${[first, ...more].join(' and ')}` }
  }
  const near = suggest(strange.name, longs)
  return near === undefined ? null : retry(near)
}

/** Puts what a row says in the place of another tool's option. */
function placeOther(work: Work, row: OtherOption, at: number): number | Found | null {
  const { program, command, words, parts, facts, moves, reasons, piped } = work
  const { value: given } = splitOption(words[at] ?? '')
  const after = row.hasValue && given === undefined ? valueAfter(words, at) : undefined
  const value = given ?? after
  const taken = after === undefined ? 0 : 1
  const type = row.type === '' ? [] : row.type.split(' ')
  const others = words.filter((word, index) => !word.startsWith('-') && index !== at + taken)
  if (type.length === 0 && row.hasValue && value !== undefined && !(row.isFirst && others.length > 0)) {
    parts.push({ argument: value })
    return taken
  }
  const target = row.command === undefined ? command : commandOf(program, row.command)
  const option = target?.options.find(({ long }) => long === type.at(-1))
  const isOpen = option?.required === true && row.hasValue === true
  const placed = [...type, ...(isOpen && target ? [value ?? exampleOf(target.name(), option)] : [])]
  if (row.command !== undefined) {
    const rest = words.toSpliced(at, 1 + taken)
    const moved = repairCommand(program, row.command, [...placed, ...rest], facts, moves + 1)
    return moved && { ...moved, isMove: true, why: row.why ?? moved.why }
  }
  if (row.why !== undefined) reasons.push(row.why)
  if (row.pipe !== undefined) piped.push(words[at] ?? '')
  parts.push(...placed)
  return taken
}

/** Gives each argument its place, or the option that it needs. null: one has none. */
function placeArguments({ program, command, parts, facts, reasons }: Work): readonly string[] | null {
  const name = command.name()
  const has = (flag: string) => command.options.some(({ long, short }) => long === flag || short === flag)
  const [first] = command.registeredArguments
  const isVariadic = command.registeredArguments.some(({ variadic }) => variadic)
  const most = isVariadic ? Number.POSITIVE_INFINITY : command.registeredArguments.length
  const words: string[] = []
  let taken = 0
  const takesPlan = first?.name() === 'plan'
  const duration = durationOptions[name]
  for (const part of parts) {
    if (typeof part === 'string') {
      words.push(part)
      continue
    }
    const { argument } = part
    const [, span] = /^spans?\/([\w.-]+)$/.exec(argument) ?? []
    const isFile =
      span === undefined && (isFileName(argument) || (facts.isFile(argument) && !facts.spans.includes(argument)))
    const isMisplaced = takesPlan ? /\.ya?ml$/.test(argument) : first?.name() === 'span' && taken === 0 && isFile
    const isDuration = duration !== undefined && typeof readDuration(argument) === 'number' && !words.includes(duration)
    const [choice, ...choices] = (taken === 0 && first?.argChoices) || []
    // Of one choice, the word is left out where it is clear.
    if (choice !== undefined && choices.length === 0 && nearChoice([choice], argument) !== choice) {
      taken += 1
      words.push(choice)
    }
    if (taken < most && !isMisplaced && !(isDuration && first?.name() === 'span')) {
      taken += 1
      words.push(taken === 1 ? nearChoice(first?.argChoices, argument) : argument)
    } else if ((isFile || isMisplaced) && has('-f')) words.push('-f', argument)
    else if (isDuration) words.push(duration, argument)
    else if (argument === 'all' && name === 'destroy') words.push('--all')
    else if (nouns.has(argument)) continue
    else if (commandOf(program, argument)) reasons.push('one command at a time')
    else if (has('--span')) words.push('--span', span ?? argument)
    else return null
  }
  // A saved plan has its files and spans.
  if (takesPlan && taken > 0 && words.some((word) => ['-f', '--file', '--span'].includes(word))) return null
  const missing = command.registeredArguments.slice(taken).filter(({ required }) => required)
  const examples = missing.map((argument) => exampleArgument(argument, facts))
  if (taken === 0) words.unshift(...examples)
  else words.splice(taken, 0, ...examples)
  return words
}

function exampleArgument(argument: CommandUnknownOpts['registeredArguments'][number], { spans, shell }: Facts): string {
  const { argChoices } = argument
  if (argChoices) return argChoices.includes(shell) ? shell : (argChoices[0] ?? '')
  return (argument.name() === 'span' ? spans[0] : undefined) ?? exampleValues[argument.name()] ?? ''
}

/** The options that a command has to have, each with an example. */
function missingOptions(command: CommandUnknownOpts, words: readonly string[]): string[] {
  const needed = words.flatMap((word) => companions[word] ?? [])
  const missing = command.options.filter(
    ({ mandatory, long = '' }) =>
      (mandatory || needed.includes(long)) && !words.some((word) => word === long || word.startsWith(`${long}=`))
  )
  return missing.flatMap((option) => [option.long ?? '', exampleOf(command.name(), option)])
}

function exampleOf(command: string, { long, flags, argChoices }: Option): string {
  const placeholder = /<(.*)>/.exec(flags)?.[1] ?? ''
  return exampleOptionValues[`${command} ${long}`] ?? argChoices?.at(-1) ?? exampleValues[placeholder] ?? placeholder
}

/** A value that an option takes, where the word is near to one. */
function nearValue(command: string, option: Option, word: string): string {
  const isNumber = /^\d+$/.test(word)
  // The unit of the example is the likeliest.
  if (isNumber && /<duration>/.test(option.flags)) return `${word}${exampleOf(command, option).replace(/\d+/, '')}`
  if (isNumber && /<address>/.test(option.flags)) return `127.0.0.1:${word}`
  return nearChoice(option.argChoices, word)
}

/** One of some choices, where the word is near to it. */
function nearChoice(choices: readonly string[] | undefined, word: string): string {
  if (!choices || choices.includes(word)) return word
  const [slip] = findSlips(word, choices)
  return slip ?? choices.find((one) => one.startsWith(word)) ?? suggest(word, choices) ?? word
}

import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { messages } from '../../codes/explained-codes.ts'
import { shellLine } from '../../host/quote-command.ts'
import { findSlips, suggest } from '../../spec/schema/did-you-mean.ts'
import { isFileName } from '../../spec/scope.ts'
import { readDuration } from '../../spec/values/duration.ts'
import { topics } from '../help/topics.ts'
import {
  commonOptions,
  companions,
  durationOptions,
  exampleOptionValues,
  exampleValues,
  type OtherOption,
  otherCommands,
  otherOptions
} from './other-words.ts'

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

/** A line that spanplan takes, in place of one that it does not. */
export interface Repair {
  /** The whole command. */
  readonly line: string
  /** What it is for; null: it is what was meant. */
  readonly why: string | null
}

/** One line in the making: words that are in their place, and arguments whose place depends on the command. */
type Part = string | { readonly argument: string }

interface Found {
  readonly words: readonly string[]
  readonly why: string | null
  /** Another command does this, and why says so. */
  readonly isMove: boolean
  readonly pipe: string
}

/** Without these nouns, a line says the same. */
const nouns: ReadonlySet<string> = new Set('all * span spans sensors sources mirrors interfaces -A'.split(' '))

/** Where an option is one of several commands, the first of these that has it is meant. */
const likely = ['apply', 'plan', 'status', 'capture', 'pause', 'watch']

/**
 * Makes a line that can be typed of one that spanplan has refused: words of other tools, typing errors, options of other commands, files and
 * spans without their options, and values that are missing. null: nobody can know what was meant.
 *
 * @param given the words after "spanplan".
 */
export function repairLine(program: CommandUnknownOpts, given: readonly string[], facts: Facts): Repair | null {
  // Word processors and web pages make one dash of two.
  const words = given.map((word) => word.replace(/^[\u2013\u2014]-?/, '--'))
  const at = findCommandWord(program, words)
  const before = words.slice(0, at)
  const word = words[at]
  if (word === undefined) return repairOptions(program, before, facts)
  const rest = [...before, ...words.slice(at + 1)]
  if (word === 'help') return repairHelp(program, rest[0] ?? '', facts)
  if (commandOf(program, word)) {
    const found = repairCommand(program, word, rest, facts)
    return found && asRepair(found, given)
  }
  const meant = findCommand(program, word, facts)
  if (meant === null) return null
  const topic = meant.line === 'spanplan help' && rest[0] !== undefined ? repairHelp(program, rest[0], facts) : null
  if (meant.isWhole) return topic ?? { line: meant.line, why: meant.why }
  const [name = '', ...more] = meant.line.split(' ')
  const known = meant.keeps ? [word] : []
  const found =
    repairCommand(program, name, [...more, ...known, ...rest], facts) ??
    repairCommand(program, name, [...more, ...known], facts)
  // What was left out for another command needs no word.
  return found && asRepair({ ...found, why: meant.why ?? (found.isMove ? found.why : null) }, given)
}

function asRepair({ words, why, pipe }: Found, given: readonly string[]): Repair | null {
  if (pipe === '' && words.length === given.length && words.every((word, index) => word === given[index])) return null
  return { line: `spanplan ${shellLine(words)}${pipe}`, why }
}

const commandOf = ({ commands }: CommandUnknownOpts, name: string) => commands.find((one) => one.name() === name)

const commandNames = ({ commands }: CommandUnknownOpts) => commands.map((one) => one.name())

/** The place of the first word that is no option, and no value of an option that some command has. */
function findCommandWord({ commands }: CommandUnknownOpts, words: readonly string[]): number {
  const options = commands.flatMap((command) => command.options)
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (!word.startsWith('-')) return at
    if (findOption(options, word)?.isOpen) at += 1
  }
  return words.length
}

interface Meant {
  readonly line: string
  readonly why: string | null
  /** The whole line, whatever else was typed. */
  readonly isWhole?: boolean
  /** The word itself is an argument of the command. */
  readonly keeps?: boolean
}

/** The command that a word stands for that is none. */
function findCommand(program: CommandUnknownOpts, typed: string, facts: Facts): Meant | null {
  const names = commandNames(program)
  const word = typed.toLowerCase()
  const [slip] = findSlips(word, names)
  if (slip !== undefined) return { line: slip, why: null }
  if (isFileName(typed) || facts.isFile(typed)) return { line: 'plan', why: 'to see what apply would do', keeps: true }
  const other = otherOf(word)
  if (other !== undefined) {
    const { type, why = null, isWhole = false } = other
    const isComplete = isWhole || /^(?:help|-)/.test(type)
    return { line: isComplete && !isWhole ? `spanplan ${type}` : type, why, isWhole: isComplete }
  }
  const explained = findExplained(typed)
  if (explained !== undefined) return { line: `spanplan help ${explained}`, why: 'it is explained by', isWhole: true }
  if (facts.spans.includes(typed) || /^span\d+$/.test(typed))
    return { line: 'status', why: 'to look at that span', keeps: true }
  if (facts.interfaces.includes(typed))
    return { line: 'spanplan status', why: `${typed} is an interface; to see who copies it`, isWhole: true }
  const near = suggest(word, names)
  return near === undefined ? null : { line: near, why: null }
}

const otherOf = (word: string) => otherCommands.find(({ words }) => words.split(' ').includes(word))

/** The topic or code of a word, as help takes it. */
function findExplained(word: string): string | undefined {
  if (Object.hasOwn(topics, word)) return word
  return messages.find(({ code }) => code === word.toUpperCase())?.code
}

/** What was asked help for. */
function repairHelp(program: CommandUnknownOpts, typed: string, facts: Facts): Repair | null {
  const word = typed.replace(/^-+/, '')
  const help = (topic: string): Repair => ({ line: `spanplan help ${topic}`, why: null })
  const explained = commandOf(program, word)?.name() ?? findExplained(word)
  if (explained !== undefined) return help(explained)
  const codes = messages.map(({ code }) => code)
  const names = [...commandNames(program), ...Object.keys(topics)]
  const [slip] = findSlips(word, names)
  if (slip !== undefined) return help(slip)
  if (isFileName(word)) return help('spans.yaml')
  const [code] = otherOf(word) ? [] : findSlips(word, codes)
  if (code !== undefined) return help(code)
  const meant = findCommand(program, word, facts)
  const [name = ''] = meant?.line.split(' ') ?? []
  if (meant?.keeps) return asRepair({ ...emptyFound, words: [name, '--span', word], why: meant.why }, [])
  if (meant?.isWhole) return meant
  const near = (meant && name) ?? suggest(word, [...names, ...codes])
  return near ? help(near) : null
}

const emptyFound: Found = { words: [], why: null, isMove: false, pipe: '' }

/** Options without a command: a command with dashes, or options of some command. */
function repairOptions(program: CommandUnknownOpts, words: readonly string[], facts: Facts): Repair | null {
  const [first = '', ...rest] = words
  const { name } = splitOption(first)
  if (name === 'v') return { line: 'spanplan --version', why: null }
  const own = findOption(
    program.commands.flatMap((command) => command.options),
    first
  )
  const meant = own?.option.required ? null : findCommand(program, name, { ...facts, isFile: () => false })
  if (meant?.isWhole) return meant
  if (meant) {
    const [command = '', ...more] = meant.line.split(' ')
    const found = repairCommand(program, command, [...more, ...rest], facts)
    return found && asRepair({ ...found, why: meant.why ?? found.why }, words)
  }
  const command = own ? haveOption(program, own.option)[0] : undefined
  const found = command === undefined ? null : repairCommand(program, command, words, facts)
  return found && asRepair({ ...found, why: found.why ?? 'a command is missing, such as' }, words)
}

/** The commands that have an option, the likeliest first. */
function haveOption({ commands }: CommandUnknownOpts, { long }: Option): readonly string[] {
  const names = commands.filter(({ options }) => options.some((one) => one.long === long)).map((one) => one.name())
  return [...likely.filter((name) => names.includes(name)), ...names.filter((name) => !likely.includes(name))]
}

interface KnownOption {
  readonly option: Option
  /** The value that is in the same word. */
  readonly value: string | undefined
  /** The next word is its value. */
  readonly isOpen: boolean
}

/** The option that a word is, as commander reads it. */
function findOption(options: readonly Option[], word: string): KnownOption | undefined {
  const [, long, , longValue] = /^(--[^=]+)(=(.*))?$/s.exec(word) ?? []
  const byLong = long === undefined ? undefined : options.find((one) => one.long === long)
  if (byLong) return { option: byLong, value: longValue, isOpen: byLong.required && longValue === undefined }
  const [, short, rest = ''] = /^(-[A-Za-z])(.*)$/s.exec(word) ?? []
  const byShort = short === undefined ? undefined : options.find((one) => one.short === short)
  if (byShort === undefined || (rest !== '' && !byShort.required)) return undefined
  return { option: byShort, value: rest === '' ? undefined : rest, isOpen: byShort.required && rest === '' }
}

/** The name of an option without its dashes, and its value. */
function splitOption(word: string): { readonly name: string; readonly value: string | undefined } {
  const [, name = '', , value] = /^-*([^=]*)(=(.*))?$/s.exec(word) ?? []
  return { name, value }
}

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
function repairCommand(
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
    if (taken < most && !isMisplaced && !(isDuration && first?.name() === 'span')) {
      taken += 1
      words.push(nearChoice(first?.argChoices, argument))
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
  if (first?.required && taken === 0) words.unshift(exampleArgument(first, facts))
  return words
}

function exampleArgument(argument: CommandUnknownOpts['registeredArguments'][number], { spans, shell }: Facts): string {
  const { argChoices } = argument
  if (argChoices) return argChoices.includes(shell) ? shell : (argChoices[0] ?? '')
  return spans[0] ?? exampleValues[argument.name()] ?? ''
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

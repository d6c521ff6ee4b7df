import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { messages } from '../../codes/explained-codes.ts'
import { shellLine } from '../../host/quote-command.ts'
import { findSlips, suggest } from '../../spec/schema/did-you-mean.ts'
import { isFileName } from '../../spec/scope.ts'
import { topics } from '../help/topics.ts'
import { findOption, haveOption, splitOption } from './option-words.ts'
import { otherCommands } from './other-words.ts'
import { commandOf, type Facts, type Found, repairCommand } from './repair-command.ts'

/** A line that spanplan takes, in place of one that it does not. */
export interface Repair {
  /** The whole command. */
  readonly line: string
  /** What it is for; null: it is what was meant. */
  readonly why: string | null
}

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
  const [slip] = Object.hasOwn(topics, word) ? [] : findSlips(word, names)
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

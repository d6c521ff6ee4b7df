import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { CommanderError, CommandUnknownOpts } from '@commander-js/extra-typings'
import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, Exit, type ExitCode } from '../../errors.ts'
import { listInterfaces, listLiveSpans } from '../../look/kernel-names.ts'
import { printableJson } from '../../printable.ts'
import { type ColorChoice, choosePaint } from '../output/colours.ts'
import { renderDiagnostic } from '../output/render-diagnostic.ts'
import type { Facts } from './repair-command.ts'
import { repairLine } from './repair-line.ts'

/** The code of each kind of refusal, by commander's own. */
const codes: Readonly<Record<string, Code>> = {
  'commander.unknownCommand': 'COMMAND_UNKNOWN',
  'commander.excessArguments': 'ARGUMENT_UNKNOWN',
  'commander.missingArgument': 'ARGUMENT_UNKNOWN',
  'commander.invalidArgument': 'OPTION_INVALID',
  'spanplan.topic': 'TOPIC_UNKNOWN',
  'spanplan.file': 'ARGUMENT_UNKNOWN',
  'commander.unknownOption': 'OPTION_UNKNOWN'
}

/** Characters. A longer line is no help. */
const longestLine = 200

/** What spanplan says of a line that it does not take: what is wrong, and what to type. */
export function explainRefusal(
  program: CommandUnknownOpts,
  { code, message }: Pick<CommanderError, 'code' | 'message'>,
  words: readonly string[],
  facts: Facts
): Diagnostic {
  const repair = repairLine(program, words, facts)
  const [name] = words
  const isCommand = program.commands.some((one) => one.name() === name)
  const page = name === 'help' ? name : isCommand ? `${name} --help` : '--help'
  const hint =
    repair === null || repair.line.length > longestLine
      ? `see: spanplan ${page}`
      : `${repair.why ?? 'did you mean'}: ${repair.line}`
  return { code: codes[code] ?? 'OPTION_INVALID', message: message.replace(/^error: /, ''), hint }
}

/** Prints that, for people or for programs. */
export function refuse(program: CommandUnknownOpts, error: CommanderError, words: readonly string[]): ExitCode {
  const found = explainRefusal(program, error, words, readFacts())
  const isJson = words.includes('--json')
  if (isJson) process.stdout.write(`${printableJson({ type: 'error', errors: [found], exit: Exit.usage })}\n`)
  const paint = choosePaint(isJson ? 'never' : colorIn(words), process.stderr)
  process.stderr.write(`${renderDiagnostic('error', found, [], paint)}\n`)
  return Exit.usage
}

function colorIn(words: readonly string[]): ColorChoice {
  const given = words.flatMap(
    (word, index) => /^--color=(.*)$/.exec(word)?.[1] ?? (word === '--color' ? words[index + 1] : [])
  )
  return given.includes('never') ? 'never' : given.includes('always') ? 'always' : 'auto'
}

function readFacts(): Facts {
  return {
    spans: listLiveSpans(),
    interfaces: listInterfaces(),
    isFile: (path) => existsSync(path),
    shell: basename(process.env.SHELL ?? '')
  }
}

import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { messages } from '../../codes/explained-codes.ts'
import { signs } from '../../plan/output/signs.ts'
import { quote } from '../../printable.ts'
import { type CommandHelp, commandHelp, commonExits } from './commands.ts'
import { exitStatuses } from './exit-statuses.ts'
import { listTerms, paragraph } from './layout.ts'
import { topics } from './topics.ts'

export { refuse } from '../usage/refuse.ts'

/** What `spanplan` alone prints. */
export const firstSteps = `spanplan gives containers a switch's mirrored traffic, as spans.yaml says.

Begin with:
  spanplan validate   check ./spans.yaml
  spanplan plan       show what would be done; changes nothing
  spanplan apply      do it, and verify it

All commands: spanplan --help. The file: spanplan help spans.yaml.
`

/** What help explains beside commands: topics and codes. */
export const explained: readonly string[] = [...Object.keys(topics), ...messages.map(({ code }) => code)]

/** Adds to the help of the command line and of each command what their definition does not have. */
export function addHelp(program: CommandUnknownOpts): void {
  program.addHelpText('after', `\n${listTopics()}\n\nExamples:\n${writeExamples(programExamples)}`)
  for (const command of program.commands) {
    const help = commandHelp[command.name()]
    if (help) command.addHelpText('after', `\n${writeCommandHelp(help)}`)
  }
}

const programExamples: CommandHelp['examples'] = [
  ['Show what would be done, then do it:', 'sudo spanplan plan'],
  ['', 'sudo spanplan apply'],
  ['Does it work?', 'sudo spanplan status']
]

function listTopics(): string {
  return `spanplan help explains more:\n${listTerms([
    ...Object.entries(topics).map(([name, { about }]) => [name, about] as const),
    ['CODE', 'what the code of a message means, such as LOCKED, and what to do']
  ])}`
}

function writeCommandHelp({ examples, exits, hasPlan }: CommandHelp): string {
  const statuses = exitsOf(exits).map((exit) => [String(exit), exitStatuses[exit]] as const)
  return [
    ...(hasPlan
      ? [`The rows of a plan:\n${listTerms(Object.values(signs).map(({ sign, means }) => [sign, means]))}`]
      : []),
    `Examples:\n${writeExamples(examples)}`,
    `Exit status:\n${listTerms(statuses)}`,
    'Environment variables: spanplan help environment'
  ].join('\n\n')
}

/** The statuses with which a command exits, in rising order. */
export function exitsOf(exits: CommandHelp['exits']): CommandHelp['exits'] {
  return [...new Set([...commonExits, ...exits])].sort((a, b) => a - b)
}

function writeExamples(examples: CommandHelp['examples']): string {
  return examples.map(([does, run]) => `${does === '' ? '' : `  ${does}\n`}    ${run}`).join('\n')
}

/** `spanplan help`: explains a command, a topic or a code. Anything else is wrong usage. */
export function printHelp(program: CommandUnknownOpts, topic?: string): void {
  const command = topic === undefined ? program : program.commands.find((one) => one.name() === topic)
  if (command) command.outputHelp()
  if (command || topic === undefined) return
  const text = Object.hasOwn(topics, topic) ? topics[topic]?.write() : writeCode(topic.toUpperCase())
  if (text !== undefined) process.stdout.write(`${text}\n`)
  else program.error(`error: there is no command, topic or code ${quote(topic)}`, { code: 'spanplan.topic' })
}

function writeCode(code: string): string | undefined {
  const message = messages.find((one) => one.code === code)
  if (message === undefined) return undefined
  const { kind, means, todo } = message
  return [`${code} (${kind})`, paragraph(means, 2), paragraph(`What to do: ${todo}`, 2)].join('\n\n')
}

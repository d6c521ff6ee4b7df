import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import { type CommandHelp, commandHelp } from '../cli/help/commands.ts'
import { everywhere, type Variable, variables } from '../cli/help/environment.ts'
import { exitStatuses } from '../cli/help/exit-statuses.ts'
import { exitsOf } from '../cli/help/help.ts'
import { listFields } from '../cli/help/spec-fields.ts'
import { filterExamples, filterNotes, smallestFile } from '../cli/help/topics.ts'
import { keysOf } from '../keys.ts'
import { signs } from '../plan/output/signs.ts'
import { jsonSchema } from '../spec/schema/schema.ts'
import { adoptionIntro, adoptionNotes, adoptions, commandDetails, fileNotes, optionDetails } from './details.ts'
import { type Block, code, codeList, list, type Sections, sentence } from './document.ts'
import { writeMarkdown } from './markdown.ts'
import { writeMan } from './roff.ts'
import { specNotes } from './spec-notes.ts'

/** What the command line says of one command. */
function syntaxOf(command: CommandUnknownOpts) {
  const help = Object.assign(command.createHelp(), command.configureHelp())
  const name = command.name()
  const options = command.options.map((option) => {
    const details = optionDetails[`${name} ${option.long}`] ?? optionDetails[option.long ?? '']
    return [option.flags, [sentence(help.optionDescription(option)), details].filter(Boolean).join(' ')] as const
  })
  const args = command.registeredArguments.map((argument) => {
    const choices = argument.argChoices ? ` (one of ${argument.argChoices.join(', ')})` : ''
    return [`<${argument.name()}>`, sentence(`${argument.description}${choices}`)] as const
  })
  return { name, usage: `spanplan ${name} ${command.usage()}`.trim(), about: command.description(), options, args }
}

const legend: Block = codeList(Object.values(signs).map(({ sign, means }) => [sign, means]))

/** By its name. Every command of the command line has one: a test checks it. */
function helpOf(name: string): CommandHelp {
  const help = commandHelp[name]
  if (help === undefined) throw new Error(`src/cli/help/commands.ts has no ${name}`)
  return help
}

function writeExamples({ examples }: CommandHelp): Block[] {
  return examples.flatMap(([does, run]) => [...(does === '' ? [] : [does]), code(run)])
}

/** docs/reference/cli.md */
export function writeCommandLine(program: CommandUnknownOpts): string {
  const commands = program.commands.map((command) => {
    const { name, usage, about, options, args } = syntaxOf(command)
    const help = helpOf(name)
    const exits = exitsOf(help.exits).join(', ')
    const environment = help.environment.map((variable) => `\`${variable}\``).join(', ')
    return [
      `spanplan ${name}`,
      [
        sentence(about),
        code(usage),
        ...[commandDetails[name] ?? []].flat(),
        ...(args.length > 0 || options.length > 0 ? [codeList([...args, ...options])] : []),
        ...writeExamples(help),
        `[Exit status](exit-codes.md): ${exits}.${environment === '' ? '' : ` [Environment](#environment): ${environment}.`}`
      ]
    ] as const
  })
  const groups = [...new Set(program.commands.map((command) => command.helpGroup()))].map((group) => {
    const names = program.commands.filter((command) => command.helpGroup() === group).map((command) => command.name())
    return [group.replace(/:$/, ''), names.map((name) => `[${name}](#spanplan-${name})`).join(', ')] as const
  })
  const intro = [
    list(groups),
    'Results go to stdout, all else to stderr. On a terminal, lines are broken at its width, at 100 columns at most, and what takes long says what goes on, in a line that goes away by itself. A duration has a unit: `500ms`, `30s`, `5m`, `1h30m`; 24 days are the most. Every command has `--help`, and a man page, such as `spanplan-plan(1)`.'
  ]
  return writeMarkdown('The command line', intro, {
    ...Object.fromEntries(commands),
    'The rows of a plan': ['What stands before a row says what happens to the thing:', legend],
    'Which files root obeys': fileNotes,
    'What --adopt takes over': [adoptionIntro, list(adoptions), ...adoptionNotes],
    Environment: [codeList(Object.entries(variables))]
  })
}

/** The man page of spanplan itself, and of each command, by the name of its file. */
export function writeManPages(program: CommandUnknownOpts): ReadonlyMap<string, string> {
  const own = program.options.map((option) => [option.flags, sentence(option.description)] as const)
  const names = program.commands.map((command) => command.name())
  const overview = writeMan('spanplan', 1, "give containers a switch's mirrored traffic", {
    Synopsis: ['`spanplan` `<command>` [`<options>`]'],
    Description: [program.description(), overviewText],
    Commands: [list(program.commands.map((one) => [`\`spanplan-${one.name()}(1)\``, sentence(one.description())]))],
    Options: [codeList([...own, ['-h, --help', 'Print help.']])],
    'Exit status': [codeList(Object.entries(exitStatuses))],
    Environment: [environmentList(keysOf(variables))],
    Files: [codeList(files)],
    'See also': [['`spans.yaml(5)`', ...names.map((name) => `\`spanplan-${name}(1)\``)].join(', ')]
  })
  const pages = program.commands.map((command) => [`spanplan-${command.name()}.1`, writeCommandPage(command)] as const)
  return new Map([['spanplan.1', overview], ...pages, ['spans.yaml.5', writeSpecPage()]])
}

const overviewText =
  'A span is a Linux bridge, the mirrors that feed it, and the Docker network that hands it out. A source is where traffic is copied from, a mirror is one tc filter, a sensor is a container that listens. spanplan shows what it would do before it does it, verifies afterwards, and repairs what has changed since.'

const files = [
  ['./spans.yaml', 'The file, where neither --file nor $SPANPLAN_FILE names another.'],
  ['/etc/spanplan/', 'The folder of files, where there is no ./spans.yaml either.'],
  ['/run/spanplan/', 'The lock, pauses and sockets. They are gone after a restart of the host.'],
  ['/var/cache/spanplan/', 'Compiled code, so that the next start is faster. It can be deleted at any time.']
] as const

function environmentList(names: readonly Variable[]): Block {
  return codeList(names.map((name) => [name, sentence(variables[name])]))
}

function writeCommandPage(command: CommandUnknownOpts): string {
  const { name, usage, about, options, args } = syntaxOf(command)
  const help = helpOf(name)
  const [program = '', verb = '', ...rest] = usage.split(' ')
  return writeMan(`spanplan-${name}`, 1, about, {
    Synopsis: [`\`${program} ${verb}\` ${rest.join(' ')}`],
    Description: [sentence(about), ...[commandDetails[name] ?? []].flat()],
    ...(args.length > 0 && { Arguments: [codeList(args)] }),
    ...(options.length > 0 && { Options: [codeList(options)] }),
    ...(help.hasPlan && { 'The rows of a plan': [legend] }),
    Examples: writeExamples(help),
    'Exit status': [codeList(exitsOf(help.exits).map((exit) => [String(exit), sentence(exitStatuses[exit])]))],
    Environment: [environmentList([...help.environment, ...everywhere])],
    'See also': ['`spanplan(1)`, `spans.yaml(5)`']
  })
}

const specIntro = [
  '`spans.yaml` says what is copied, to which Docker network, for which containers. At its smallest:',
  code(smallestFile, 'yaml')
]

const specSections = (): Sections => ({
  Keys: [codeList(listFields(jsonSchema()))],
  Filters: [...filterNotes, codeList(filterExamples)],
  ...specNotes
})

/** docs/reference/spans-yaml.md */
export function writeSpecReference(): string {
  const links =
    '[examples/full.yaml](../../examples/full.yaml) has every key. Editors complete and check the file with [schemas/spans.schema.json](../../schemas/spans.schema.json).'
  return writeMarkdown('spans.yaml', [...specIntro, links], specSections())
}

function writeSpecPage(): string {
  return writeMan('spans.yaml', 5, 'the spans that spanplan makes', {
    Description: specIntro,
    ...specSections(),
    'See also': ['`spanplan(1)`, `spanplan-validate(1)`, `pcap-filter(7)`']
  })
}

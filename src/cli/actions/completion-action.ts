import type { Argument, CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { Exit, type ExitCode } from '../../errors.ts'
import type { Session } from '../session.ts'

type Commands = readonly CommandUnknownOpts[]

/** What completes a value: a list of values, file names, or nothing. */
type Candidates = readonly string[] | 'files' | 'nothing'

/** The placeholders of file names in a usage line. */
const filePlaceholders: ReadonlySet<string> = new Set(['file', 'path', 'plan'])

/** `spanplan completion`: prints a script for the shell. */
export async function completionCommand(
  _: Session,
  { shell, commands }: { readonly shell: keyof typeof scripts; readonly commands: Commands }
): Promise<ExitCode> {
  process.stdout.write(scripts[shell](commands))
  return Exit.done
}

/** Writes a script that completes commands, options, and the values that are known. */
const scripts = {
  bash: (commands: Commands) => `_spanplan() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words= files=
  case $before in
${bashValues(commands)}
    *) case \${COMP_WORDS[1]} in
${commands.map((command) => `      ${command.name()}) ${bashCandidates(command)} ;;`).join('\n')}
    esac ;;
  esac
  [ "$COMP_CWORD" -gt 1 ] || words='${commands.map((command) => command.name()).join(' ')}' files=
  [ -z "$files" ] || compopt -o filenames 2>/dev/null || :
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word" || :; [ -z "$files" ] || compgen -f -- "$word")
}
complete -F _spanplan spanplan
`,
  zsh: (commands: Commands) => `#compdef spanplan
_spanplan() {
  local -a commands
  commands=(
${commands.map((command) => `    ${quote(`${command.name()}:${command.description()}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${commands.map((command) => `    ${command.name()}) _arguments ${zshCandidates(command).map(quote).join(' ')} ;;`).join('\n')}
  esac
}
compdef _spanplan spanplan
`,
  fish: (commands: Commands) =>
    [
      'complete -c spanplan -f',
      ...commands.flatMap((command) => [
        `complete -c spanplan -n __fish_use_subcommand -a ${command.name()} -d ${quote(command.description())}`,
        ...fishCandidates(command).map(
          (words) => `complete -c spanplan -n '__fish_seen_subcommand_from ${command.name()}' ${words}`
        )
      ]),
      ''
    ].join('\n')
}

/** An option of one name takes the same values in every command. */
function bashValues(commands: Commands): string {
  const valued = commands.flatMap(({ options }) => options.filter(({ required }) => required))
  const cases = valued.flatMap((option) =>
    flagsOf(option).map((flag) => `    ${flag}) ${bashSet(candidatesFor(option), [])} ;;`)
  )
  return [...new Set(cases)].join('\n')
}

function bashCandidates({ options, registeredArguments: [first] }: CommandUnknownOpts): string {
  return bashSet(first ? candidatesFor(first) : 'nothing', options.flatMap(flagsOf))
}

function bashSet(candidates: Candidates, more: readonly string[]): string {
  const words = [...(typeof candidates === 'string' ? [] : candidates), ...more].join(' ')
  return `words='${words}'${candidates === 'files' ? ' files=yes' : ''}`
}

function zshCandidates({ options, registeredArguments }: CommandUnknownOpts): string[] {
  return [
    ...options.flatMap((option) => {
      const description = option.description.replaceAll(/[[\]\\]/g, '\\$&')
      const value = option.required ? `:${placeholder(option)}:${zshAction(option)}` : ''
      return flagsOf(option).map((flag) => `*${flag}[${description}]${value}`)
    }),
    ...registeredArguments.map((argument) => {
      const place = argument.variadic ? '*:' : argument.required ? ':' : '::'
      return `${place}${argument.name()}:${zshAction(argument)}`
    })
  ]
}

function zshAction(value: Option | Argument): string {
  const candidates = candidatesFor(value)
  if (candidates === 'files') return '_files'
  return candidates === 'nothing' ? ' ' : `(${candidates.join(' ')})`
}

function fishCandidates({ options, registeredArguments }: CommandUnknownOpts): string[] {
  return [
    ...options.map((option) => {
      const names = [option.short && `-s ${option.short.slice(1)}`, option.long && `-l ${option.long.slice(2)}`]
      const value = option.required && `-r ${fishAction(option)}`
      return [...names, value, `-d ${quote(option.description)}`].filter(Boolean).join(' ')
    }),
    ...registeredArguments.map(fishAction).filter((action) => action !== '-f')
  ]
}

function fishAction(value: Option | Argument): string {
  const candidates = candidatesFor(value)
  if (candidates === 'files') return '-F'
  return candidates === 'nothing' ? '-f' : `-f -a ${quote(candidates.join(' '))}`
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined)
}

function candidatesFor(value: Option | Argument): Candidates {
  return value.argChoices ?? (filePlaceholders.has(placeholder(value)) ? 'files' : 'nothing')
}

function placeholder(value: Option | Argument): string {
  return 'flags' in value ? (/<(.*)>/.exec(value.flags)?.[1] ?? '') : value.name()
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

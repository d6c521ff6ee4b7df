import type { Argument, CommandUnknownOpts, Option } from '@commander-js/extra-typings'
import { Exit, type ExitCode } from '../../errors.ts'
import type { NameList } from '../input/complete-names.ts'
import type { Session } from '../session.ts'

/** What a script completes. */
interface Known {
  readonly commands: readonly CommandUnknownOpts[]
  /** What help explains: commands, topics and codes. */
  readonly topics: readonly string[]
}

/** What completes a value: a list of values, file names, names that spanplan is asked for while somebody types, or nothing. */
type Candidates = readonly string[] | 'files' | { readonly names: NameList } | 'nothing'

/** The placeholders of file names in a usage line. */
const filePlaceholders: ReadonlySet<string> = new Set(['file', 'path', 'plan'])

/** The values that are names, by the option or the argument. */
const namedValues: Readonly<Record<string, NameList>> = {
  '--span': 'spans',
  span: 'spans',
  '--interface': 'interfaces',
  // A span is an interface.
  '--on': 'interfaces'
}

/** `spanplan completion`: prints a script for the shell. */
export async function completionCommand(
  _: Session,
  {
    shell,
    commands,
    explained
  }: Pick<Known, 'commands'> & {
    readonly shell: keyof typeof scripts
    /** What help explains beside commands. */
    readonly explained: readonly string[]
  }
): Promise<ExitCode> {
  const topics = [...commands.map((command) => command.name()), ...explained]
  process.stdout.write(scripts[shell]({ commands, topics }))
  return Exit.done
}

/**
 * Writes a script that completes commands, options, and the values that are known. A script asks spanplan for names, and has them only
 * compared: compgen -W of bash, and compadd without a list of zsh, would run what is in a name.
 */
const scripts = {
  bash: (known: Known) => `_spanplan() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words= files= names= name
  if [ "$word" = = ]; then
    word=
  elif [ "$before" = = ] && [ "$COMP_CWORD" -gt 2 ]; then
    before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $before in
${bashValues(known)}
    *) case \${COMP_WORDS[1]} in
${known.commands.map((command) => `      ${command.name()}) ${bashCandidates(command, known)} ;;`).join('\n')}
    esac ;;
  esac
  [ "$COMP_CWORD" -gt 1 ] || words='${known.commands.map((command) => command.name()).join(' ')}' files= names=
  [ -z "$files" ] || compopt -o filenames 2>/dev/null || :
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word" || :; [ -z "$files" ] || compgen -f -- "$word")
  [ -z "$names" ] || while IFS= read -r name; do
    [[ $name != "$word"* ]] || COMPREPLY+=("$name")
  done < <(spanplan __complete "$names" "\${COMP_WORDS[@]:1}" </dev/null 2>/dev/null)
}
complete -F _spanplan spanplan
`,
  zsh: (known: Known) => `#compdef spanplan
_spanplan_names() {
  local -a found
  found=(\${(f)"$(spanplan __complete $argv[-1] \${(Q)words} </dev/null 2>/dev/null)"})
  compadd "\${(@)argv[1,-2]}" -a found
}
_spanplan() {
  local -a commands
  commands=(
${known.commands.map((command) => `    ${quote(`${command.name()}:${command.description()}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${known.commands.map((command) => `    ${command.name()}) _arguments ${zshCandidates(command, known).map(quote).join(' ')} ;;`).join('\n')}
  esac
}
if [[ $funcstack[1] = _spanplan ]]; then
  _spanplan
else
  compdef _spanplan spanplan
fi
`,
  fish: (known: Known) =>
    [
      'function __spanplan_names',
      '  set -l typed (commandline -opc)',
      '  spanplan __complete $argv[1] $typed[2..] </dev/null 2>/dev/null',
      'end',
      'complete -c spanplan -f',
      ...known.commands.flatMap((command) => [
        `complete -c spanplan -n __fish_use_subcommand -a ${command.name()} -d ${quote(command.description())}`,
        ...fishCandidates(command, known).map(
          (words) => `complete -c spanplan -n '__fish_seen_subcommand_from ${command.name()}' ${words}`
        )
      ]),
      ''
    ].join('\n')
}

/** An option of one name takes the same values in every command. */
function bashValues(known: Known): string {
  const valued = known.commands.flatMap(({ options }) => options.filter(({ required }) => required))
  const cases = valued.flatMap((option) =>
    flagsOf(option).map((flag) => `    ${flag}) ${bashSet(candidatesFor(option, known), [])} ;;`)
  )
  return [...new Set(cases)].join('\n')
}

function bashCandidates({ options, registeredArguments: [first] }: CommandUnknownOpts, known: Known): string {
  return bashSet(first ? candidatesFor(first, known) : 'nothing', options.flatMap(flagsOf))
}

function bashSet(candidates: Candidates, more: readonly string[]): string {
  const words = [...(isList(candidates) ? candidates : []), ...more].join(' ')
  const names = isNamed(candidates) ? ` names=${candidates.names}` : ''
  return `words='${words}'${candidates === 'files' ? ' files=yes' : ''}${names}`
}

const isList = (candidates: Candidates): candidates is readonly string[] => Array.isArray(candidates)

const isNamed = (candidates: Candidates): candidates is { readonly names: NameList } =>
  typeof candidates === 'object' && 'names' in candidates

function zshCandidates({ options, registeredArguments }: CommandUnknownOpts, known: Known): string[] {
  return [
    ...options.flatMap((option) => {
      const description = option.description.replaceAll(/[[\]\\]/g, '\\$&')
      const value = option.required ? `:${placeholder(option)}:${zshAction(candidatesFor(option, known))}` : ''
      // A value may be in the same word.
      const joined = { short: '+', long: '=' }
      return flagsOf(option).map((flag) => {
        const sign = option.required ? joined[flag.startsWith('--') ? 'long' : 'short'] : ''
        return `*${flag}${sign}[${description}]${value}`
      })
    }),
    ...registeredArguments.map((argument) => {
      const place = argument.variadic ? '*:' : argument.required ? ':' : '::'
      return `${place}${argument.name()}:${zshAction(candidatesFor(argument, known))}`
    })
  ]
}

function zshAction(candidates: Candidates): string {
  if (isList(candidates)) return `(${candidates.join(' ')})`
  if (isNamed(candidates)) return `_spanplan_names ${candidates.names}`
  return candidates === 'files' ? '_files' : ' '
}

function fishCandidates({ options, registeredArguments }: CommandUnknownOpts, known: Known): string[] {
  return [
    ...options.map((option) => {
      const names = [option.short && `-s ${option.short.slice(1)}`, option.long && `-l ${option.long.slice(2)}`]
      const value = option.required && `-r ${fishAction(candidatesFor(option, known))}`
      return [...names, value, `-d ${quote(option.description)}`].filter(Boolean).join(' ')
    }),
    ...registeredArguments
      .map((argument) => fishAction(candidatesFor(argument, known)))
      .filter((action) => action !== '-f')
  ]
}

function fishAction(candidates: Candidates): string {
  if (isList(candidates)) return `-f -a ${quote(candidates.join(' '))}`
  if (isNamed(candidates)) return `-f -a '(__spanplan_names ${candidates.names})'`
  return candidates === 'files' ? '-F' : '-f'
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined)
}

function candidatesFor(value: Option | Argument, { topics }: Known): Candidates {
  const key = 'flags' in value ? (value.long ?? '') : value.name()
  const names = namedValues[key]
  if (names !== undefined) return { names }
  if (key === 'topic') return topics
  return value.argChoices ?? (filePlaceholders.has(placeholder(value)) ? 'files' : 'nothing')
}

function placeholder(value: Option | Argument): string {
  return 'flags' in value ? (/<(.*)>/.exec(value.flags)?.[1] ?? '') : value.name()
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

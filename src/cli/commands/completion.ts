/** The part of commander's types that completion reads. */
interface Commands {
  readonly commands: readonly Command[]
}

interface Command {
  name(): string
  description(): string
  readonly options: readonly Option[]
  readonly registeredArguments: readonly Argument[]
}

interface Option {
  readonly long?: string | undefined
  readonly short?: string | undefined
  /** As in `-f, --file <path>`. */
  readonly flags: string
  readonly description: string
  /** The option needs a value. */
  readonly required: boolean
  readonly argChoices?: readonly string[] | undefined
}

interface Argument {
  name(): string
  readonly required: boolean
  readonly variadic: boolean
  readonly argChoices?: readonly string[] | undefined
}

type Shell = 'bash' | 'zsh' | 'fish'

/** What completes a value: a list of values, file names, or nothing. */
type Candidates = readonly string[] | 'files' | 'nothing'

/** The placeholders of file names in a usage line. */
const filePlaceholders: ReadonlySet<string> = new Set(['file', 'path', 'plan'])

/** Writes a script for the shell that completes commands, options, and the values that are known. */
export function completionScript(shell: Shell, program: Commands): string {
  return scripts[shell](program)
}

const scripts: Readonly<Record<Shell, (program: Commands) => string>> = {
  bash: ({ commands }) => `_spanplan() {
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
  zsh: ({ commands }) => `#compdef spanplan
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
  fish: ({ commands }) =>
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
function bashValues(commands: readonly Command[]): string {
  const valued = commands.flatMap((command) => command.options.filter(({ required }) => required))
  return [...new Map(valued.flatMap((option) => flagsOf(option).map((flag) => [flag, candidatesFor(option)] as const)))]
    .map(([flag, candidates]) => `    ${flag}) ${bashSet(candidates, [])} ;;`)
    .join('\n')
}

function bashCandidates({ options, registeredArguments: [first] }: Command): string {
  return bashSet(first ? candidatesFor(first) : 'nothing', options.flatMap(flagsOf))
}

function bashSet(candidates: Candidates, more: readonly string[]): string {
  const words = [...(typeof candidates === 'string' ? [] : candidates), ...more].join(' ')
  return `words='${words}'${candidates === 'files' ? ' files=yes' : ''}`
}

function zshCandidates({ options, registeredArguments }: Command): string[] {
  return [
    ...options.flatMap((option) =>
      flagsOf(option).map((flag) => `*${flag}[${zshText(option.description)}]${zshValue(option)}`)
    ),
    ...registeredArguments.map((argument) => {
      const place = argument.variadic ? '*:' : argument.required ? ':' : '::'
      return `${place}${argument.name()}:${zshAction(candidatesFor(argument))}`
    })
  ]
}

function zshValue(option: Option): string {
  return option.required ? `:${placeholder(option)}:${zshAction(candidatesFor(option))}` : ''
}

function zshAction(candidates: Candidates): string {
  if (candidates === 'files') return '_files'
  return candidates === 'nothing' ? ' ' : `(${candidates.join(' ')})`
}

function zshText(text: string): string {
  return text.replaceAll(/[[\]\\]/g, '\\$&')
}

function fishCandidates({ options, registeredArguments }: Command): string[] {
  return [
    ...options.map((option) => {
      const names = [option.short && `-s ${option.short.slice(1)}`, option.long && `-l ${option.long.slice(2)}`]
      const value = option.required ? [`-r ${fishArgument(candidatesFor(option))}`] : []
      return [...names, ...value, `-d ${quote(option.description)}`].filter(Boolean).join(' ')
    }),
    ...registeredArguments.flatMap((argument) => {
      const candidates = candidatesFor(argument)
      return candidates === 'nothing' ? [] : [fishArgument(candidates)]
    })
  ]
}

function fishArgument(candidates: Candidates): string {
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

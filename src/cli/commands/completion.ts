/** What of the command line a completion needs: commander's commands, arguments and options have it. */
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
  /** All of it, as in `-f, --file <path>`. */
  readonly flags: string
  readonly description: string
  /** A value has to follow. */
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

/** What can be offered for a value: some words, the names of files, or nothing, as nobody can know it. */
type Offer = readonly string[] | 'files' | 'nothing'

/** What stands for a file in a usage line. */
const fileWords: ReadonlySet<string> = new Set(['file', 'path', 'plan'])

/** A script for the shell that completes commands, flags, and the values that are known. */
export function completionScript(shell: Shell, program: Commands): string {
  return scripts[shell](program)
}

const scripts: Readonly<Record<Shell, (program: Commands) => string>> = {
  bash: ({ commands }) => `_spanplan() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words= files=
  case $before in
${bashValues(commands)}
    *) case \${COMP_WORDS[1]} in
${commands.map((command) => `      ${command.name()}) ${bashOffers(command)} ;;`).join('\n')}
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
${commands.map((command) => `    ${command.name()}) _arguments ${zshOffers(command).map(quote).join(' ')} ;;`).join('\n')}
  esac
}
compdef _spanplan spanplan
`,
  fish: ({ commands }) =>
    [
      'complete -c spanplan -f',
      ...commands.flatMap((command) => [
        `complete -c spanplan -n __fish_use_subcommand -a ${command.name()} -d ${quote(command.description())}`,
        ...fishOffers(command).map(
          (words) => `complete -c spanplan -n '__fish_seen_subcommand_from ${command.name()}' ${words}`
        )
      ]),
      ''
    ].join('\n')
}

/** One of a name is like any other of it, whatever the command. */
function bashValues(commands: readonly Command[]): string {
  const valued = commands.flatMap((command) => command.options.filter(({ required }) => required))
  return [...new Map(valued.flatMap((option) => flagsOf(option).map((flag) => [flag, offerFor(option)] as const)))]
    .map(([flag, offer]) => `    ${flag}) ${bashSet(offer, [])} ;;`)
    .join('\n')
}

function bashOffers({ options, registeredArguments: [first] }: Command): string {
  return bashSet(first ? offerFor(first) : 'nothing', options.flatMap(flagsOf))
}

function bashSet(offer: Offer, more: readonly string[]): string {
  const words = [...(typeof offer === 'string' ? [] : offer), ...more].join(' ')
  return `words='${words}'${offer === 'files' ? ' files=yes' : ''}`
}

function zshOffers({ options, registeredArguments }: Command): string[] {
  return [
    ...options.flatMap((option) =>
      flagsOf(option).map((flag) => `*${flag}[${zshText(option.description)}]${zshValue(option)}`)
    ),
    ...registeredArguments.map((argument) => {
      const place = argument.variadic ? '*:' : argument.required ? ':' : '::'
      return `${place}${argument.name()}:${zshOffer(offerFor(argument))}`
    })
  ]
}

function zshValue(option: Option): string {
  return option.required ? `:${placeholder(option)}:${zshOffer(offerFor(option))}` : ''
}

function zshOffer(offer: Offer): string {
  if (offer === 'files') return '_files'
  return offer === 'nothing' ? ' ' : `(${offer.join(' ')})`
}

function zshText(text: string): string {
  return text.replaceAll(/[[\]\\]/g, '\\$&')
}

function fishOffers({ options, registeredArguments }: Command): string[] {
  return [
    ...options.map((option) => {
      const names = [option.short && `-s ${option.short.slice(1)}`, option.long && `-l ${option.long.slice(2)}`]
      const value = option.required ? [`-r ${fishOffer(offerFor(option))}`] : []
      return [...names, ...value, `-d ${quote(option.description)}`].filter(Boolean).join(' ')
    }),
    ...registeredArguments.flatMap((argument) => {
      const offer = offerFor(argument)
      return offer === 'nothing' ? [] : [fishOffer(offer)]
    })
  ]
}

function fishOffer(offer: Offer): string {
  if (offer === 'files') return '-F'
  return offer === 'nothing' ? '-f' : `-f -a ${quote(offer.join(' '))}`
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined)
}

function offerFor(value: Option | Argument): Offer {
  return value.argChoices ?? (fileWords.has(placeholder(value)) ? 'files' : 'nothing')
}

function placeholder(value: Option | Argument): string {
  return 'flags' in value ? (/<(.*)>/.exec(value.flags)?.[1] ?? '') : value.name()
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

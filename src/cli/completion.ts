/** What of the command line a completion needs: commander's commands and options have it. */
interface Commands {
  readonly commands: readonly {
    name(): string
    description(): string
    readonly options: readonly {
      readonly long?: string | null
      readonly short?: string | null
      readonly description: string
    }[]
  }[]
}

type Shell = 'bash' | 'zsh' | 'fish'

/** A script for the shell that completes commands and flags; file names where a flag takes one. */
export function completionScript(shell: Shell, program: Commands): string {
  return scripts[shell](program)
}

const scripts: Readonly<Record<Shell, (program: Commands) => string>> = {
  bash: ({ commands }) => `_spanplan() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  case $before in
    -f|--file|--out) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$word"); return ;;
    completion) mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$word"); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '${commands.map((command) => command.name()).join(' ')}' -- "$word")
    return
  fi
  case \${COMP_WORDS[1]} in
${commands.map((command) => `    ${command.name()}) mapfile -t COMPREPLY < <(compgen -W '${flags(command).join(' ')}' -- "$word") ;;`).join('\n')}
  esac
}
complete -o default -F _spanplan spanplan
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
  case $words[2] in
${commands.map((command) => `    ${command.name()}) _arguments ${[...options(command), ...argumentsOf(command.name())].join(' ')} ;;`).join('\n')}
  esac
}
compdef _spanplan spanplan
`,
  fish: ({ commands }) =>
    [
      'complete -c spanplan -f',
      ...commands.flatMap((command) => [
        `complete -c spanplan -n __fish_use_subcommand -a ${command.name()} -d ${quote(command.description())}`,
        ...command.options.map((option) => {
          const short = option.short ? ` -s ${option.short.slice(1)}` : ''
          const file = takesFile(option.long) ? ' -r -F' : ''
          return `complete -c spanplan -n '__fish_seen_subcommand_from ${command.name()}'${short} -l ${option.long?.slice(2)}${file} -d ${quote(option.description)}`
        })
      ]),
      `complete -c spanplan -n '__fish_seen_subcommand_from apply' -F`,
      `complete -c spanplan -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'`,
      ''
    ].join('\n')
}

function flags(command: Commands['commands'][number]): string[] {
  return command.options.flatMap(({ long, short }) => [...(short ? [short] : []), ...(long ? [long] : [])])
}

function options(command: Commands['commands'][number]): string[] {
  return command.options.map(({ long, description }) => {
    const value = takesFile(long) ? ':path:_files' : ''
    return quote(`*${long}[${description.replaceAll(/[[\]:]/g, ' ')}]${value}`)
  })
}

function takesFile(long: string | null | undefined): boolean {
  return long === '--file' || long === '--out'
}

function argumentsOf(command: string): string[] {
  if (command === 'apply') return [`'::plan:_files'`]
  return command === 'completion' ? [`'*:shell:(bash zsh fish)'`] : []
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

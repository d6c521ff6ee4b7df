import { Command, CommanderError, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { Exit, type ExitCode } from '../errors.ts'
import { printableLines } from '../printable.ts'
import type { ListenAddress } from '../watch/serve/http-listener.ts'
import { parseDuration } from './input/duration.ts'
import { parseListenAddress } from './input/listen-address.ts'
import type { ColorChoice } from './output/terminal.ts'
import { runCommand, type Session } from './session.ts'

const debounce = (value: string, list: readonly string[]): string[] => [...list, value]

const fileOption = (otherwise = '$SPANPLAN_FILE, ./spans.yaml or /etc/spanplan') =>
  new Option('-f, --file <path>', 'a file, a folder of *.yaml, or - for stdin; may be given again')
    .argParser(debounce)
    .default([] as string[], otherwise)
const spanOption = () =>
  new Option('--span <name>', 'only this span; may be given again').argParser(debounce).default([] as string[], 'all')
const jsonOption = () => new Option('--json', 'for programs: JSON on stdout').default(false)
const colorOption = () =>
  new Option('--color <when>', 'colours').choices(['auto', 'always', 'never'] as const).default('auto' as const)
const outOption = () => new Option('--out <file>', 'also save the plan, for apply').argParser(parseOut)
const pruneOption = () => new Option('--no-prune', 'keep spans that are live, and no longer in the file')
const adoptOption = () =>
  new Option('--adopt', 'take over foreign bridges, networks, qdiscs and mirrors that a span needs').default(false)
const emptyOption = () => new Option('--allow-empty', 'let a file without spans remove all that is live').default(false)
const rollbackOption = () =>
  new Option('--rollback-after <duration>', 'roll back after this time, as in 2m, unless it is confirmed')
    .argParser((text: string): number | null => parseDuration(text))
    .default(null as number | null, 'never')
const waitOption = () =>
  new Option('--wait <duration>', 'wait so long for sensors that are not there, as in 60s, and connect them')
    .argParser((text: string): number | null => parseDuration(text))
    .default(null as number | null, 'not at all')
    .conflicts(['rollbackAfter', 'deferDocker'])
const deferOption = () => new Option('--defer-docker', 'leave networks and sensors for a later run').default(false)
const yesOption = () => new Option('-y, --yes', 'do not ask before something is removed or replaced').default(false)
const intervalOption = () =>
  new Option('--interval <duration>', 'look again after so long, though nothing has happened')
    .argParser(parseInterval)
    .default(60_000, '60s')
const listenOption = () =>
  new Option('--listen <address>', 'serve metrics and health there, as in 127.0.0.1:9477')
    .argParser((text: string): ListenAddress | null => parseListenAddress(text))
    .default(null as ListenAddress | null, 'nowhere')
const dryRunOption = () => new Option('--dry-run', 'only report what differs, and change nothing').default(false)
const insecureOption = () =>
  new Option('--insecure-file', 'as root, also do what a file says that others may write').default(false)
const lockOption = (milliseconds = 0, otherwise = 'not at all') =>
  new Option('--lock-timeout <duration>', 'wait so long for another spanplan, as in 30s or 5m')
    .argParser(parseDuration)
    .default(milliseconds, otherwise)
const exitcodeOption = (what: string) =>
  new Option('--detailed-exitcode', `exit with 2 if there ${what} changes`).default(false)

/** Milliseconds: a look takes a tenth of that. */
const shortestInterval = 1000

/** What a saved plan was made with cannot be chosen again. */
const settledByPlan: ReadonlySet<string> = new Set(['file', 'span', 'prune', 'adopt', 'deferDocker'])

/** Standard output has the plan for people already. */
function parseOut(path: string): string {
  if (path === '-' || path === '') throw new InvalidArgumentError('It is the name of a file.')
  return path
}

function parseInterval(text: string): number {
  const interval = parseDuration(text)
  if (interval < shortestInterval) throw new InvalidArgumentError('It must be 1s at least.')
  return interval
}

function parseWrite(path: string): string {
  if (path === '') throw new InvalidArgumentError('It is the name of a file, or -.')
  return path
}

/** tcpdump's own limit is that of an int. */
function parseCount(text: string): number {
  const count = Number(text)
  if (!/^[1-9]\d{0,9}$/.test(text) || count > 2 ** 31 - 1) throw new InvalidArgumentError('It is a number from 1 on.')
  return count
}

/** Commander's own adds "default: false" to every flag. */
function optionDescription({ description, argChoices, defaultValueDescription }: Option): string {
  const choices = argChoices ? [`one of ${argChoices.join(', ')}`] : []
  const defaults = defaultValueDescription ? [`default: ${defaultValueDescription}`] : []
  const more = [...choices, ...defaults]
  return more.length > 0 ? `${description} (${more.join('; ')})` : description
}

const decisions = {
  confirm: 'keep what an apply with --rollback-after has done',
  rollback: 'roll back at once what an apply with --rollback-after has done'
} as const

/** The whole command line, as data: `spanplan completion` walks it too. */
function buildProgram() {
  const program = new Command('spanplan')
    .description("Gives containers a switch's mirrored traffic, as spans.yaml says.")
    .version(SPANPLAN_VERSION, '--version')
    .helpOption('-h, --help')
    .configureHelp({ optionDescription })
    .showSuggestionAfterError()
    .showHelpAfterError('(see --help)')
    .exitOverride()
    // What was typed is said again.
    .configureOutput({ outputError: (text, write) => write(printableLines(text)) })

  program
    .command('plan')
    .description('print what apply would do; changes nothing')
    .addOption(fileOption())
    .addOption(spanOption())
    .addOption(jsonOption().conflicts(['diff', 'commands']))
    .addOption(
      new Option('--diff', 'print a unified diff of live against desired').conflicts('commands').default(false)
    )
    .addOption(new Option('--commands', 'print the exact commands, as a script').default(false))
    .addOption(outOption())
    .addOption(pruneOption())
    .addOption(adoptOption())
    .addOption(deferOption())
    .addOption(insecureOption())
    .addOption(exitcodeOption('are'))
    .addOption(colorOption())
    .action((options) =>
      start(options, async (session) =>
        (await import('./commands/plan.ts')).plan(session, { ...options, out: options.out })
      )
    )

  program
    .command('apply')
    .description('make the host as the file says, and check that it is')
    .argument('[plan]', 'a plan that plan --out saved, instead of the file')
    .addOption(fileOption())
    .addOption(spanOption())
    .addOption(yesOption())
    .addOption(pruneOption())
    .addOption(adoptOption())
    .addOption(emptyOption())
    .addOption(rollbackOption())
    .addOption(waitOption())
    .addOption(jsonOption())
    .addOption(deferOption())
    .addOption(insecureOption())
    .addOption(lockOption())
    .addOption(exitcodeOption('were'))
    .addOption(colorOption())
    .action((plan, options, command) => {
      const chosen = command.options.filter(
        (option) =>
          settledByPlan.has(option.attributeName()) && command.getOptionValueSource(option.attributeName()) === 'cli'
      )
      if (plan !== undefined && chosen.length > 0) {
        const flags = chosen.map(({ long }) => long).join(', ')
        command.error(`error: a saved plan is made with these already: ${flags}`)
      }
      if (plan !== undefined && options.wait !== null) {
        command.error('error: --wait goes with a file: what is still to come is in no saved plan')
      }
      return start(options, async (session) =>
        (await import('./commands/apply.ts')).applyCommand(session, { ...options, plan })
      )
    })

  program
    .command('destroy')
    .description('remove what spanplan has made, and give back what it has changed')
    .addOption(fileOption())
    .addOption(new Option('--name <name>', "this name's spans, without a file"))
    .addOption(new Option('--all', "every name's spans, without a file").conflicts('name').default(false))
    .addOption(spanOption())
    .addOption(yesOption())
    .addOption(jsonOption())
    .addOption(deferOption())
    .addOption(insecureOption())
    .addOption(lockOption())
    .addOption(exitcodeOption('were'))
    .addOption(colorOption())
    .action((options) =>
      start(options, async (session) =>
        (await import('./commands/apply.ts')).destroyCommand(session, { ...options, name: options.name })
      )
    )

  for (const decision of ['confirm', 'rollback'] as const) {
    program
      .command(decision)
      .description(decisions[decision])
      .addOption(jsonOption())
      .addOption(colorOption())
      .action((options) =>
        start(options, async (session) => (await import('./commands/confirm.ts')).decideCommand(session, decision))
      )
  }

  program
    .command('hook')
    .description('for ifupdown and its like, which call it when an interface comes up or goes down')
    .addOption(fileOption('$SPANPLAN_FILE or /etc/spanplan'))
    .addOption(new Option('--interface <name>', 'which interface').default(undefined, '$IFACE'))
    .addOption(
      new Option('--phase <word>', 'which way it goes: up, down, or a phase of ifupdown').default(
        undefined,
        '$PHASE, then $MODE'
      )
    )
    .addOption(new Option('--strict', 'exit with a failure if something goes wrong, not only say so').default(false))
    .addOption(insecureOption())
    .addOption(lockOption(30_000, '30s'))
    .action((options) =>
      start({ color: 'never', json: false }, async (session) =>
        (await import('./commands/hook.ts')).hookCommand(session, {
          ...options,
          interface: options.interface,
          phase: options.phase
        })
      )
    )

  program
    .command('watch')
    .description('apply, and keep the host so, until a signal ends it')
    .addOption(fileOption())
    .addOption(intervalOption())
    .addOption(listenOption())
    .addOption(dryRunOption())
    .addOption(pruneOption())
    .addOption(emptyOption())
    .addOption(jsonOption())
    .addOption(insecureOption())
    .addOption(colorOption())
    .action((options) =>
      start(options, async (session) => (await import('./commands/watch.ts')).watchCommand(session, options))
    )

  program
    .command('pause')
    .description('have watch and hook leave spans alone while you debug; ends by itself')
    .argument('[span]', 'which span; all without it')
    .addOption(
      new Option('--for <duration>', 'how long, as in 30m; required').argParser(parseDuration).makeOptionMandatory()
    )
    .addOption(fileOption())
    .addOption(insecureOption())
    .addOption(jsonOption())
    .addOption(colorOption())
    .action((span, options) =>
      start(options, async (session) =>
        (await import('./commands/pause.ts')).pauseCommand(session, { ...options, for: options.for, span })
      )
    )

  program
    .command('resume')
    .description('end a pause before its time; without a span, every pause')
    .argument('[span]', 'which span; all without it')
    .addOption(jsonOption())
    .addOption(colorOption())
    .action((span, options) =>
      start(options, async (session) => (await import('./commands/pause.ts')).resumeCommand(session, { span }))
    )

  program
    .command('status')
    .description('show what is live, with counters, and whether it is healthy')
    .addOption(fileOption())
    .addOption(spanOption())
    .addOption(jsonOption().conflicts('live'))
    .addOption(new Option('--live', 'refresh it every second, until you type q').conflicts('for').default(false))
    .addOption(
      new Option('--for <duration>', "count for so long, as in 10s; 'watch': since the watch began")
        .argParser((text) => (text === 'watch' ? text : parseDuration(text)))
        .default(1000, '1s')
    )
    .addOption(insecureOption())
    .addOption(colorOption())
    .action((options) =>
      start(options, async (session) => (await import('./commands/status.ts')).statusCommand(session, options))
    )

  program
    .command('capture')
    .description('show what a sensor on a span gets, or write it for Wireshark; needs no sensor')
    .argument('<span>', 'which span')
    .argument('[filter...]', 'a pcap-filter(7) expression, as for tcpdump')
    .addOption(
      new Option('-w, --write <file>', 'write the frames as pcap to a file; - is stdout').argParser(parseWrite)
    )
    .addOption(new Option('-c, --count <number>', 'end after so many frames; without it, at ^C').argParser(parseCount))
    .addOption(fileOption())
    .addOption(insecureOption())
    .addOption(colorOption())
    .action((span, filter, options) =>
      start({ ...options, json: false }, async () =>
        (await import('./commands/capture.ts')).captureCommand({
          ...options,
          ...{ span, filter, write: options.write, count: options.count }
        })
      )
    )

  program
    .command('validate')
    .description('check the file, without a look at the host')
    .addOption(fileOption())
    .addOption(new Option('--print', 'print it, put together and with every default').conflicts('json').default(false))
    .addOption(jsonOption())
    .addOption(colorOption())
    .action((options) =>
      start(options, async (session) => (await import('./commands/validate.ts')).validate(session, options))
    )

  program
    .command('import')
    .description('write a spans.yaml for the mirrors found on this host')
    .addOption(colorOption())
    .action((options) =>
      start({ ...options, json: false }, async (session) =>
        (await import('./commands/import.ts')).importCommand(session)
      )
    )

  program
    .command('completion')
    .description('print a completion script')
    .addArgument(program.createArgument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish'] as const))
    .action((shell) =>
      start({ color: 'auto', json: false }, async () => {
        const { completionScript } = await import('./commands/completion.ts')
        process.stdout.write(completionScript(shell, program))
        return Exit.done
      })
    )
  return program
}

async function start(
  options: { readonly color: ColorChoice; readonly json: boolean },
  command: (session: Session) => Promise<ExitCode>
): Promise<void> {
  const session: Session = { color: options.color, json: options.json, files: [] }
  await runCommand(session, () => command(session))
}

/** A reader that has gone (`spanplan apply | head`) is no error, and no reason to stop half-way: what more comes is dropped. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`error: stdout cannot be written to: ${error.message}\n`)
})

/** Nor is one to whom nothing can be said any more: a terminal that has gone. */
process.stderr.on('error', () => undefined)

buildProgram()
  .parseAsync()
  .catch((error: unknown) => {
    // Commander has printed what is wrong, or the help that was asked for.
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? Exit.done : Exit.usage
  })

import { Command, CommanderError, Option } from '@commander-js/extra-typings'
import { Exit, type ExitCode } from '../errors.ts'
import { printableLines } from '../printable.ts'
import { parseDuration } from './input/duration.ts'
import {
  adoptOption,
  colorOption,
  deferOption,
  dryRunOption,
  emptyOption,
  exitcodeOption,
  fileOption,
  insecureOption,
  intervalOption,
  jsonOption,
  listenOption,
  lockOption,
  outOption,
  parseCount,
  parseWrite,
  pruneOption,
  rollbackOption,
  spanOption,
  waitOption,
  yesOption
} from './options.ts'
import type { ColorChoice } from './output/terminal.ts'
import { runCommand, type Session } from './session.ts'

/** A saved plan has these options already. */
const optionsOfPlan: ReadonlySet<string> = new Set(['file', 'span', 'prune', 'adopt', 'deferDocker'])

/** Unlike commander's own, it adds no "default: false" to flags. */
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

/** The whole command line, which `spanplan completion` reads too. */
function buildProgram() {
  const program = new Command('spanplan')
    .description("Gives containers a switch's mirrored traffic, as spans.yaml says.")
    .version(SPANPLAN_VERSION, '--version')
    .helpOption('-h, --help')
    .configureHelp({ optionDescription })
    .showSuggestionAfterError()
    .showHelpAfterError('(see --help)')
    .exitOverride()
    // The message repeats what was typed.
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
        (await import('./commands/plan.ts')).planCommand(session, { ...options, out: options.out })
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
      const refused = command.options.filter(
        (option) =>
          optionsOfPlan.has(option.attributeName()) && command.getOptionValueSource(option.attributeName()) === 'cli'
      )
      if (plan !== undefined && refused.length > 0) {
        const flags = refused.map(({ long }) => long).join(', ')
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
      start(options, async (session) => (await import('./commands/validate.ts')).validateCommand(session, options))
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

/** A reader of stdout that has gone (`spanplan apply | head`) is no error: what is written after that is dropped. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`error: stdout cannot be written to: ${error.message}\n`)
})

/** A terminal that has gone is no error either. */
process.stderr.on('error', () => undefined)

buildProgram()
  .parseAsync()
  .catch((error: unknown) => {
    // commander has printed the error, or the help.
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? Exit.done : Exit.usage
  })

import { dirname } from 'node:path'
import { Command, Option } from '@commander-js/extra-typings'
import { packageFolder } from '../debian-package.ts'
import { lockPatience } from '../run-dir/lock-limits.ts'
import { longestKept } from '../watch/events/event-history.ts'
import type { CommandName, CommandOptions } from './run-command.ts'
import * as shared from './shared-flags.ts'

/** A saved plan has these options already. */
const optionsOfPlan: ReadonlySet<string> = new Set([
  ...['--file', '--span', '--no-prune', '--adopt', '--no-recreate', '--defer-docker']
])

/** The command line alone has to be there for `--help`; what the commands do is in a bundle of its own. */
async function run<Name extends CommandName>(name: Name, options: CommandOptions<Name>): Promise<void> {
  const { runCommand } = await import('./run-command.ts')
  return runCommand(name, options)
}

/** Unlike commander's own, it adds no "default: false" to flags. */
function optionDescription({ description, argChoices, defaultValueDescription }: Option): string {
  const choices = argChoices && `one of ${argChoices.join(', ')}`
  const more = [choices, defaultValueDescription && `default: ${defaultValueDescription}`].filter(Boolean)
  return more.length > 0 ? `${description} (${more.join('; ')})` : description
}

/** Its name alone: options and arguments are in the help of the command. */
const subcommandTerm = (command: { name(): string }) => command.name()

/** Characters: help is no wider than that, also on a wider terminal. */
const widestHelp = 80

/** The whole command line, which `spanplan completion` and the pages of the reference read too. */
export const program = new Command('spanplan')
  .description("Gives containers a switch's mirrored traffic, as spans.yaml says.")
  .version(
    SPANPLAN_VERSION + (dirname(__dirname) === packageFolder ? ' (Debian package)' : ''),
    '-V, --version',
    'print the version'
  )
  .helpOption('-h, --help', 'print help')
  .helpCommand(false)
  .configureHelp({ optionDescription, subcommandTerm })
  .showSuggestionAfterError(false)
  .exitOverride()
  .configureOutput({
    // Whoever starts the command line prints what is wrong, with what to type.
    outputError: () => undefined,
    getOutHelpWidth: () => Math.min(process.stdout.columns || widestHelp, widestHelp)
  })

program.commandsGroup('Workflow:')

program
  .command('init')
  .description('list the interfaces with what they carry, and write a first file')
  .addOption(shared.interfaceOption())
  .addOption(
    new Option('-f, --file <path>', 'the new file, a folder for it, or - for stdout')
      .argParser(shared.parseWrite)
      .default(undefined, '$SPANPLAN_FILE or ./spans.yaml')
  )
  .option('--list', 'only list; write nothing', false)
  .addOption(new Option('--json', 'only list, as JSON on stdout, for programs').default(false))
  .addOption(shared.colorOption())
  .action((options) => run('init', options))

program
  .command('validate')
  .description('check the file, and its filters with tcpdump, without reading the host')
  .argument('[file...]', 'files or folders, as with -f')
  .addOption(shared.fileOption())
  .addOption(new Option('--print', 'print the file, merged and with all defaults').conflicts('json').default(false))
  .addOption(shared.jsonOption())
  .addOption(shared.colorOption())
  .action((files, options) => run('validate', { ...options, files }))

program
  .command('plan')
  .description('show what apply would do; changes nothing')
  .addOption(shared.fileOption())
  .addOption(shared.spanOption())
  .addOption(shared.jsonOption().conflicts(['diff', 'commands']))
  .addOption(new Option('--diff', 'print a unified diff of live against desired').conflicts('commands').default(false))
  .option('--commands', 'print the exact commands, as a script', false)
  .option('--out <file>', 'also save the plan, for apply', shared.parseOut)
  .addOption(shared.pruneOption())
  .addOption(shared.adoptOption())
  .addOption(shared.recreateOption())
  .addOption(shared.deferOption())
  .addOption(shared.insecureOption())
  .addOption(shared.installOption().conflicts(['out', 'span']))
  .addOption(shared.exitcodeOption('are'))
  .addOption(shared.colorOption())
  .action((options) => run('plan', options))

program
  .command('apply')
  .description('make the host match the file, and verify that it does')
  .argument('[plan]', 'a plan that plan --out saved, in place of the file')
  .addOption(shared.fileOption())
  .addOption(shared.spanOption())
  .addOption(shared.yesOption())
  .addOption(shared.pruneOption())
  .addOption(shared.adoptOption())
  .addOption(shared.recreateOption())
  .addOption(shared.emptyOption())
  .addOption(
    new Option('--rollback-after <duration>', 'roll back after this time, as in 2m, unless somebody confirms')
      .argParser(shared.parseDuration)
      .default(undefined, 'never')
  )
  .option('--detach', 'with --rollback-after: return at once; a unit of systemd waits', false)
  .addOption(shared.installOption().conflicts('span'))
  .addOption(
    new Option('--wait <duration>', 'wait this long for missing sensors, as in 60s, and connect them')
      .argParser(shared.parseDuration)
      .default(undefined, 'not at all')
      .conflicts(['rollbackAfter', 'deferDocker'])
  )
  .addOption(shared.jsonOption())
  .addOption(shared.deferOption())
  .addOption(shared.insecureOption())
  .addOption(shared.lockOption())
  .addOption(shared.exitcodeOption('were'))
  .addOption(shared.colorOption())
  .action((plan, options, command) => {
    if (plan !== undefined && /\.ya?ml$/.test(plan)) {
      command.error(`error: ${plan} is no saved plan: a file of spans is named with -f`, { code: 'spanplan.file' })
    }
    const given = command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
    const refused = given.map(({ long = '' }) => long).filter((flag) => optionsOfPlan.has(flag))
    if (plan !== undefined && refused.length > 0) {
      command.error(`error: these options are already part of the saved plan: ${refused.join(', ')}`)
    }
    if (plan !== undefined && options.install !== undefined) {
      command.error('error: --install needs a file: a saved plan is not installed')
    }
    if (options.detach && options.rollbackAfter === undefined) {
      command.error('error: --detach needs --rollback-after')
    }
    if (plan !== undefined && options.wait !== undefined) {
      command.error('error: --wait needs a file: a saved plan does not contain sensors that are missing')
    }
    return run('apply', { ...options, plan })
  })

program
  .command('destroy')
  .description('remove what spanplan created, and restore what it changed')
  .addOption(shared.fileOption())
  .addOption(new Option('--name <name>', "this name's spans, without a file").conflicts('file'))
  .addOption(new Option('--all', "every name's spans, without a file").conflicts(['name', 'file']).default(false))
  .addOption(shared.spanOption())
  .addOption(shared.yesOption())
  .addOption(shared.jsonOption())
  .addOption(shared.deferOption())
  .addOption(shared.insecureOption())
  .addOption(shared.lockOption())
  .addOption(shared.exitcodeOption('were'))
  .addOption(shared.colorOption())
  .action((options) => run('destroy', options))

program.commandsGroup('Operate:')

program
  .command('watch')
  .description('apply, and keep the host in sync until stopped')
  .addOption(shared.fileOption())
  .addOption(
    new Option('--interval <duration>', 'check the host at least this often')
      .argParser(shared.parseInterval)
      .default(60_000, '60s')
  )
  .addOption(
    new Option('--listen <address>', 'serve metrics and health there, as in 127.0.0.1:9477')
      .argParser(shared.parseListenAddress)
      .default(undefined, 'nowhere')
  )
  .addOption(
    new Option('--probe-interval <duration>', 'send a frame through each span this often, as in 1m')
      .argParser(shared.parseInterval)
      .default(undefined, 'never')
  )
  .option('--dry-run', 'only report what differs; changes nothing', false)
  .addOption(
    new Option('--log-level <level>', 'print only events of this level and above')
      .choices(['error', 'warning', 'info'] as const)
      .default('info' as const, 'info: all events')
  )
  .addOption(shared.pruneOption())
  .option('--recreate', 'also do what disconnects running sensors', false)
  .addOption(shared.emptyOption())
  .addOption(shared.jsonOption())
  .addOption(shared.insecureOption())
  .addOption(shared.colorOption())
  .action((options) => run('watch', options))

program
  .command('status')
  .description('show whether the spans are healthy, with counters')
  .addOption(shared.fileOption())
  .addOption(shared.spanOption())
  .addOption(shared.jsonOption().conflicts('live'))
  .addOption(new Option('--brief', 'print a line for each span').conflicts(['json', 'live']).default(false))
  .addOption(new Option('--live', 'refresh every second, until you type q').conflicts('for').default(false))
  .addOption(
    new Option(
      '--for <duration>',
      "count for so long; from 2s on, also tell whether traffic is whole. 'watch': since the watch began"
    )
      .argParser(shared.parseCountTime)
      .default(undefined, '1s')
  )
  .addOption(
    new Option('--since <duration>', 'show what was silent and lost so far back, as in 1h: a watch keeps a day of it')
      .argParser(shared.parseSince)
      .conflicts(['for', 'live', 'brief', 'file', 'insecureFile'])
  )
  .addOption(shared.insecureOption())
  .addOption(shared.colorOption())
  .action(({ since, ...options }) =>
    since === undefined ? run('status', options) : run('history', { ...options, since })
  )

program
  .command('events')
  .description('show what a watch has done and found in the last day')
  .argument('[span]', 'which span; all without it')
  .addOption(
    new Option('--since <duration>', 'how far back, as in 1h').argParser(shared.parseSince).default(longestKept, '24h')
  )
  .addOption(shared.jsonOption())
  .addOption(shared.colorOption())
  .action((span, options) => run('events', { ...options, span }))

program
  .command('capture')
  .description('show the frames that sensors on a span get, or write pcap')
  .argument('<span>', 'which span')
  .argument('[filter...]', 'a pcap-filter(7) expression, as for tcpdump')
  .option('-w, --write <file>', 'write the frames as pcap to a file; - is stdout', shared.parseWrite)
  .option('-c, --count <number>', 'stop after this many frames; without it, at ^C', shared.parseCount)
  .option('--for <duration>', 'stop after this time, as in 10s; without it, at ^C', shared.parseDuration)
  .addOption(shared.fileOption())
  .addOption(shared.insecureOption())
  .addOption(shared.colorOption())
  .action((span, filter, options) => run('capture', { ...options, span, filter }))

program
  .command('probe')
  .description('send a frame through a span, and tell which ports got it; changes nothing')
  .argument('[span]', 'which span; all without it')
  .addOption(shared.fileOption())
  .addOption(shared.jsonOption())
  .addOption(shared.insecureOption())
  .addOption(shared.colorOption())
  .action((span, options) => run('probe', { ...options, span }))

program
  .command('filter')
  .description('count how many frames a filter would take; changes nothing')
  .addArgument(program.createArgument('<what>', 'what to do').choices(['test'] as const))
  .argument('<filter...>', 'a pcap-filter(7) expression, as in the file')
  .requiredOption('--on <name>', 'an interface, or a span that is live; required')
  .addOption(
    new Option('--for <duration>', 'how long to count, as in 1m').argParser(shared.parseDuration).default(5000, '5s')
  )
  .addOption(shared.colorOption())
  .action((_, filter, options) => run('filter', { ...options, filter }))

program
  .command('pause')
  .description('keep watch and hook from changing spans for a while')
  .argument('[span]', 'which span; all without it')
  .requiredOption('--for <duration>', 'how long, as in 30m; required', shared.parseDuration)
  .addOption(shared.fileOption())
  .addOption(shared.insecureOption())
  .addOption(shared.jsonOption())
  .addOption(shared.colorOption())
  .action((span, options) => run('pause', { ...options, span }))

program
  .command('resume')
  .description('end a pause early, and have a watch try again what it left alone')
  .argument('[span]', 'which span; all without it')
  .addOption(shared.jsonOption())
  .addOption(shared.colorOption())
  .action((span, options) => run('resume', { ...options, span }))

program.commandsGroup('Safety:')

for (const [decision, description] of [
  ['confirm', 'keep what apply --rollback-after did'],
  ['rollback', 'roll back now what apply --rollback-after did']
] as const) {
  program
    .command(decision)
    .description(description)
    .argument('[window]', 'only this window: the id that apply has printed')
    .addOption(shared.jsonOption())
    .addOption(shared.colorOption())
    .action((window, options) => run('decide', { ...options, decision, window }))
}

program.commandsGroup('Integrate:')

program
  .command('import')
  .description('write a spans.yaml for the mirrors found on this host')
  .addOption(
    new Option('--name <name>', 'only the spans of this name').default(undefined, 'the first, and what has none')
  )
  .addOption(shared.colorOption())
  .action((options) => run('import', options))

program
  .command('hook')
  .description('for ifupdown and the like: an interface has come up, or goes down')
  .addOption(shared.fileOption('$SPANPLAN_FILE or /etc/spanplan'))
  .addOption(new Option('--interface <name>', 'which interface').default(undefined, '$IFACE'))
  .addOption(new Option('--phase <word>', 'up, down, or a phase of ifupdown').default(undefined, '$PHASE, then $MODE'))
  .option('--strict', 'fail if something goes wrong, instead of only reporting it', false)
  .addOption(shared.insecureOption())
  .addOption(shared.lockOption(lockPatience.hook))
  .action(async (options) => {
    const { leaveToWatch } = await import('./leave-to-watch.ts')
    const lockTimeout = await leaveToWatch(options)
    if (lockTimeout !== null) await run('hook', { ...options, lockTimeout, color: 'never' })
  })

program
  .command('graph')
  .description('draw the spans, with what waits and what is broken')
  .addOption(shared.fileOption())
  .addOption(shared.spanOption())
  .addOption(
    new Option('--format <format>', 'as text for a terminal, as Mermaid, or as an SVG picture')
      .choices(['text', 'mermaid', 'svg'] as const)
      .default('text' as const, 'text')
  )
  .addOption(
    new Option('--for <duration>', "count so long and draw rates, as in 10s; 'watch': since the watch began").argParser(
      shared.parseCountTime
    )
  )
  .addOption(
    new Option('--live', 'draw it in the terminal each second, with rates, until you type q')
      .conflicts(['for', 'fileOnly', 'format'])
      .default(false)
  )
  .addOption(
    new Option('--file-only', 'draw what the file says, without reading the host').conflicts('for').default(false)
  )
  .addOption(shared.insecureOption())
  .addOption(shared.colorOption())
  .action((options) => run('graph', options))

program
  .command('doctor')
  .description('check what this host lacks, and what stands in the way; changes nothing')
  .addOption(shared.fileOption())
  .addOption(shared.jsonOption())
  .addOption(shared.insecureOption())
  .addOption(shared.colorOption())
  .action((options) => run('doctor', options))

program
  .command('completion')
  .description('print a script that completes commands, options and names')
  .addArgument(program.createArgument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish'] as const))
  .action(async (shell) => {
    const { explained } = await import('./help/help.ts')
    return run('completion', { shell, commands: program.commands, explained })
  })

program.commandsGroup('Help:')

program
  .command('help')
  .description('explain a command, a topic, or the code of a message')
  .argument('[topic]', 'a command; exit-codes, spans.yaml, filters or environment; or a code, such as LOCKED')
  .action(async (topic) => {
    const { printHelp } = await import('./help/help.ts')
    printHelp(program, topic)
  })

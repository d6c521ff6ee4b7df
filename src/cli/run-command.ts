import { statSync } from 'node:fs'
import { asForeseen, type ExitCode } from '../errors.ts'
import { printableJson } from '../printable.ts'
import { diagnosticDocument } from '../resources/kind.ts'
import { printDiagnostics, type Session } from './session.ts'

/** Imports a command: no command waits for the others to be parsed. */
const commands = {
  init: async () => (await import('./actions/init/init-action.ts')).initCommand,
  plan: async () => (await import('./actions/plan-action.ts')).planCommand,
  apply: async () => (await import('./actions/apply-action.ts')).applyCommand,
  destroy: async () => (await import('./actions/apply-action.ts')).destroyCommand,
  decide: async () => (await import('./actions/confirm-action.ts')).decideCommand,
  window: async () => (await import('./window/window-program.ts')).windowCommand,
  hook: async () => (await import('./actions/hook-action.ts')).hookCommand,
  watch: async () => (await import('./actions/watch/watch-action.ts')).watchCommand,
  events: async () => (await import('./actions/watch/events-action.ts')).eventsCommand,
  pause: async () => (await import('./actions/pause-action.ts')).pauseCommand,
  resume: async () => (await import('./actions/pause-action.ts')).resumeCommand,
  status: async () => (await import('./actions/status-action.ts')).statusCommand,
  history: async () => (await import('./actions/watch/history-action.ts')).historyCommand,
  capture: async () => (await import('./actions/capture-action.ts')).captureCommand,
  probe: async () => (await import('./actions/probe-action.ts')).probeCommand,
  filter: async () => (await import('./actions/filter/filter-action.ts')).filterCommand,
  validate: async () => (await import('./actions/validate-action.ts')).validateCommand,
  doctor: async () => (await import('./actions/doctor-action.ts')).doctorCommand,
  import: async () => (await import('./actions/import-action.ts')).importCommand,
  graph: async () => (await import('./actions/graph-action.ts')).graphCommand,
  complete: async () => (await import('./input/complete-names.ts')).completeCommand,
  completion: async () => (await import('./actions/completion-action.ts')).completionCommand
} as const

export type CommandName = keyof typeof commands

type Arguments<Name extends CommandName> = Parameters<Awaited<ReturnType<(typeof commands)[Name]>>>

/** The options of a command, and those of the session. */
export type CommandOptions<Name extends CommandName> = (Arguments<Name> extends [Session, infer Options]
  ? Options
  : object) &
  Partial<Pick<Session, 'color' | 'json'>>

/** The same table, in the form in which the compiler knows that each command takes its own options. */
const loaders: {
  readonly [Name in CommandName]: () => Promise<(session: Session, options: CommandOptions<Name>) => Promise<ExitCode>>
} = commands

/** The commands that read the host without a lock, whatever the file says. */
const readsAhead: ReadonlySet<CommandName> = new Set(['plan', 'status', 'doctor', 'probe'])

/** Whether a file may come late, as through a pipe: the host is read after that, for it may change meanwhile. */
function comesLate(path: string): boolean {
  try {
    const stats = statSync(path === '-' ? '/dev/stdin' : path)
    return !stats.isFile() && !stats.isDirectory()
  } catch {
    // Whoever reads the file says what is wrong with it.
    return false
  }
}

/** The files that are named, on the command line or in the environment. */
function namedFiles(options: object): readonly string[] {
  const given = 'file' in options && Array.isArray(options.file) ? options.file.map(String) : []
  return given.length > 0 ? given : [process.env.SPANPLAN_FILE || []].flat()
}

/** Runs a command, and sets the exit status of the process. Prints the error that the command throws. */
export async function runCommand<Name extends CommandName>(name: Name, options: CommandOptions<Name>): Promise<void> {
  const session: Session = { color: options.color ?? 'auto', json: options.json ?? false, files: [] }
  let endReading = () => {}
  try {
    if (readsAhead.has(name) && !namedFiles(options).some(comesLate)) {
      const { readAhead } = await import('../host/read-commands.ts')
      endReading = readAhead()
    }
    const command = await loaders[name]()
    process.exitCode = await command(session, options)
  } catch (error) {
    const { diagnostics, exit } = asForeseen(error)
    const errors = diagnostics.map(diagnosticDocument)
    if (session.json) process.stdout.write(`${printableJson({ type: 'error', errors, exit })}\n`)
    printDiagnostics(session, 'error', diagnostics)
    process.exitCode = exit
  } finally {
    endReading()
  }
}

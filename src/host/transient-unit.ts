import { readlinkSync, statSync } from 'node:fs'
import { diagnostic, Exit, SpanplanError, systemReason } from '../errors.ts'
import { type Argv, commandFailed, run } from './exec.ts'
import { isRoot, rightMissing } from './process/process-rights.ts'

/** A unit that systemd runs once, and forgets when it has ended. */
export interface TransientUnit {
  readonly name: string
  readonly description: string
  readonly argv: Argv
  readonly environment: Readonly<Record<string, string>>
}

/** Seconds for a rollback, when the unit is stopped. */
const stopTimeLimit = 600

/**
 * Starts a unit, and returns once its program runs.
 *
 * @throws SpanplanError RIGHT_MISSING; or DETACH_IMPOSSIBLE where no systemd runs, its network namespace is another one or cannot
 * be read, or it refuses.
 */
export async function startTransientUnit(unit: TransientUnit): Promise<void> {
  if (!isRoot()) throw new SpanplanError(rightMissing('only root can have systemd start a unit'))
  // sd_booted(3)
  if (statSync('/run/systemd/system', { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw detachImpossible('systemd does not run here')
  }
  if (readNetworkNamespace('self') !== readNetworkNamespace('1')) {
    throw detachImpossible('systemd runs in another network namespace')
  }
  const argv = unitCommand(unit)
  try {
    const output = await run(argv)
    if (output.status !== 0) throw commandFailed([argv[0]], output)
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    throw detachImpossible(error.message)
  }
}

/**
 * The command that starts a unit. A SIGTERM to the unit reaches its main process alone, so that no batch is interrupted. A main
 * process that is killed is started again: unlike ExecStopPost, this comes also where the whole unit is killed.
 */
export function unitCommand({ name, description, argv, environment }: TransientUnit): Argv {
  const properties = [
    'SyslogIdentifier=spanplan',
    'KillMode=mixed',
    `TimeoutStopSec=${stopTimeLimit}`,
    'Restart=on-abnormal',
    `RestartForceExitStatus=${Exit.bug}`,
    // When the machine is shut down, it ends before Docker.
    'After=docker.service'
  ]
  return [
    'systemd-run',
    ...['--quiet', '--collect', '--no-ask-password', '--service-type=exec', `--unit=${name}`],
    `--description=${description}`,
    ...Object.entries(environment).map(([key, value]) => `--setenv=${key}=${value}`),
    ...properties.map((property) => `--property=${property}`),
    '--',
    ...argv
  ]
}

/** Root without CAP_SYS_PTRACE cannot read that of a process that has more rights. */
function readNetworkNamespace(process: string): string {
  const path = `/proc/${process}/ns/net`
  try {
    return readlinkSync(path)
  } catch (error) {
    throw detachImpossible(`${path} cannot be read: ${systemReason(error)}`)
  }
}

function detachImpossible(reason: string): SpanplanError {
  const hint = 'run it without --detach: it then waits at this terminal'
  return new SpanplanError(diagnostic('DETACH_IMPOSSIBLE', `no unit can hold the window: ${reason}`, hint))
}

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { diagnosticOf } from '../../errors.ts'
import { run } from '../../host/exec.ts'
import type { Known, UnitReading } from '../readings.ts'
import { programTime } from './doctor-limits.ts'

/** The units that come with spanplan. */
export const unitNames = { watch: 'spanplan.service', apply: 'spanplan-apply.service' } as const

const properties = [
  ...['Id', 'LoadState', 'ActiveState', 'UnitFileState', 'Result', 'ExecMainStatus', 'NeedDaemonReload'],
  ...['FragmentPath', 'ExecStart', 'MainPID']
]

/** Where the administrator's units are, which hide the packages' of the same name. */
const ownFolder = '/etc/systemd/system'
const packageFolder = '/usr/lib/systemd/system'

/** Asks systemd for the units that come with spanplan. */
export async function readUnits(): Promise<Known<readonly UnitReading[]>> {
  const argv = ['systemctl', 'show', `--property=${properties.join()}`, ...Object.values(unitNames)] as const
  try {
    const { stdout, stderr, status } = await run(argv, '', { milliseconds: programTime })
    const units = parseUnits(stdout)
    // In a chroot, systemctl ignores the question, and exits with 0.
    if (status === 0 && units.length > 0) return { known: units }
    return { unknown: `systemd cannot report its units: ${stderr.trim().split('\n')[0]}` }
  } catch (error) {
    return { unknown: diagnosticOf(error).message }
  }
}

/**
 * Parses the output of systemctl: a block of lines for each unit, with an empty line between two.
 *
 * @param exists whether there is a file.
 */
export function parseUnits(text: string, exists = existsSync): UnitReading[] {
  return text
    .trim()
    .split(/\n\n+/)
    .filter((block) => block !== '')
    .map((block) => {
      const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(block)?.[1] ?? ''
      const file = value('FragmentPath')
      const packaged = join(packageFolder, value('Id'))
      return {
        id: value('Id'),
        loadState: value('LoadState'),
        activeState: value('ActiveState'),
        fileState: value('UnitFileState'),
        result: value('Result'),
        exitStatus: value('ExecMainStatus'),
        needsReload: value('NeedDaemonReload') === 'yes',
        file,
        hidden: dirname(file) === ownFolder && exists(packaged) ? packaged : null,
        program: /\bpath=(\S+)/.exec(value('ExecStart'))?.[1] ?? '',
        mainPid: Number(value('MainPID')) || null
      }
    })
}

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { diagnosticOf } from '../../errors.ts'
import { run } from '../../host/exec.ts'
import type { Known } from '../known.ts'
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

/** A unit of systemd, as `systemctl show` prints it. */
export type UnitReading = Readonly<ReturnType<typeof parseUnits>[number]>

/**
 * Parses the output of systemctl: a block of lines for each unit, with an empty line between two.
 *
 * @param exists whether there is a file.
 */
export function parseUnits(text: string, exists = existsSync) {
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
        /** Empty: there is no such unit. */
        fileState: value('UnitFileState'),
        result: value('Result'),
        /** Of the last process. */
        exitStatus: value('ExecMainStatus'),
        /** The file has changed since systemd read it. */
        needsReload: value('NeedDaemonReload') === 'yes',
        /** The unit's file; empty: there is none. */
        file,
        /** The unit's file in Debian's package, which is not read because of that one; null: there is none. */
        hidden: dirname(file) === ownFolder && exists(packaged) ? packaged : null,
        /** The program that it starts. */
        program: /\bpath=(\S+)/.exec(value('ExecStart'))?.[1] ?? '',
        /** The number of its main process; null: it does not run. */
        mainPid: Number(value('MainPID')) || null
      }
    })
}

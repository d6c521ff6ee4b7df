import { shellLine } from '../../host/quote-command.ts'
import { type Check, type Finding, orOk, warning } from '../finding.ts'
import type { UnitReading } from '../gather/systemd.ts'
import type { Installation } from '../readings.ts'

export const installation: Check = ({ installations, units }) => {
  const hiding = 'known' in units ? units.known.flatMap(findHiding) : []
  const [first] = installations
  return orOk(
    [...findSeveral(installations), ...hiding],
    first ? `spanplan is installed once: ${installationName(first)}` : 'spanplan runs from a folder that is not in PATH'
  )
}

/** Which one runs depends on the PATH of who calls it. The package's stays, for hooks and units call it; else the first. */
function findSeveral(installations: readonly Installation[]): readonly Finding[] {
  const [first, ...others] = installations
  if (first === undefined || others.length === 0) return []
  const kept = installations.find(({ isPackaged }) => isPackaged) ?? first
  const removals = installations
    .filter((one) => one !== kept)
    .map(
      ({ npmPrefix }) => npmPrefix && shellLine(['npm', 'uninstall', '--global', `--prefix=${npmPrefix}`, 'spanplan'])
    )
  const command = removals.every((line) => line !== null) ? removals.join(' && ') : null
  const message = `spanplan is installed ${installations.length} times: ${installationName(first)} comes first in PATH, before ${others.map(installationName).join(' and ')}`
  return [warning(message, command)]
}

function installationName({ path, isPackaged }: Installation): string {
  return isPackaged ? `${path} (the Debian package)` : path
}

/** A unit that was copied there before the package came, or one that the administrator has changed, and so still calls the package's. */
function findHiding({ id, file, hidden, program }: UnitReading): readonly Finding[] {
  if (hidden === null || program === '/usr/bin/spanplan') return []
  const reload = shellLine(['systemctl', 'try-restart', id])
  const command = `${shellLine(['rm', '--', file])} && systemctl daemon-reload && ${reload}`
  return [warning(`${file} hides the unit of the Debian package, ${hidden}`, command)]
}

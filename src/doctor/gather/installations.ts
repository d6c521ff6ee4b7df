import { accessSync, constants, realpathSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { packageFolder } from '../../debian-package.ts'
import type { Installation } from '../readings.ts'

/** Finds every spanplan that the search path leads to, in its order. Two paths that lead to one file are one. */
export function findInstallations(searchPath = process.env.PATH ?? ''): Installation[] {
  const found = new Map<string, Installation>()
  for (const folder of searchPath.split(':').filter(isAbsolute)) {
    const path = join(folder, 'spanplan')
    const target = resolveProgram(path)
    if (target !== null && !found.has(target)) found.set(target, { path, target, ...provenanceOf(target) })
  }
  return [...found.values()]
}

/** The file that is run; null: there is no program. */
function resolveProgram(path: string): string | null {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile() ? realpathSync(path) : null
  } catch {
    return null
  }
}

/** npm keeps global packages in lib/node_modules of its prefix. */
function provenanceOf(target: string): Pick<Installation, 'isPackaged' | 'npmPrefix'> {
  const npmPrefix = /^(.*)\/lib\/node_modules\/spanplan\//.exec(target)?.[1] ?? null
  return { isPackaged: target.startsWith(`${packageFolder}/`), npmPrefix: npmPrefix === '' ? '/' : npmPrefix }
}

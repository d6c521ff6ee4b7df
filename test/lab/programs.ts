import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

/** npm and vitest start everything in the project's own folder; a bundled module does not know its place. */
export const projectRoot = process.cwd()

/** Where test/setup has unpacked what only labs need. */
export const privateRoot = resolve(projectRoot, 'node_modules/.cache/spanplan-lab/root')
const systemFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
const searched = [...systemFolders, join(privateRoot, 'usr/sbin'), join(privateRoot, 'usr/bin')]

/** The folder that holds all files of labs. Short: a socket's path has 108 bytes at most. */
export const labsFolder = '/tmp'

export const labFolder = (lab: string) => join(labsFolder, lab)

/** What a process of a lab carries in its environment, and passes on: how a lab's processes are found again. */
export const LAB_VARIABLE = 'SPANPLAN_LAB'

/**
 * A time zone in which it is about noon, so that it is not another day half an hour later: a time of another day is printed with
 * its date. POSIX counts the hours to the west.
 */
const noon = (() => {
  const west = new Date().getUTCHours() - 12
  return `Etc/GMT${west < 0 ? west : `+${west}`}`
})()

/** A small environment, the same on every machine: nothing of the test runner's own. */
export function labEnvironment(lab: string): Record<string, string> {
  const { HOME = '/root' } = process.env
  return {
    PATH: searched.join(delimiter),
    HOME,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    TZ: noon,
    // Not the machine's own.
    SPANPLAN_RUN_DIR: join(labFolder(lab), 'run'),
    [LAB_VARIABLE]: lab
  }
}

/** With the libraries of the programs that test/setup has unpacked; for those programs only. */
export function privateEnvironment(lab: string): Record<string, string> {
  const triplets = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const
  const triplet = process.arch === 'x64' || process.arch === 'arm64' ? triplets[process.arch] : ''
  return { ...labEnvironment(lab), LD_LIBRARY_PATH: join(privateRoot, 'usr/lib', triplet) }
}

/** The whole path of a program, the system's own before the unpacked one. */
export function findProgram(name: string): string {
  const path = searched.map((folder) => join(folder, name)).find((candidate) => existsSync(candidate))
  if (path === undefined) throw new Error(`${name} is not here: run test/setup`)
  return path
}

/** The unpacked busybox is the static one; the system's may not be. */
export function findBusybox(): string {
  const unpacked = join(privateRoot, 'usr/bin/busybox')
  return existsSync(unpacked) ? unpacked : findProgram('busybox')
}

import { lstatSync, statfsSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { Argv } from '../exec.ts'
import { parseVeths, type VethsBySandbox } from '../parsers/veths.ts'
import { parseOutput, runJsonBatch } from '../run-json.ts'

/**
 * Finds the host's end of each interface of a container. What a container says of itself cannot be trusted, and a PID may be used
 * again: only the kernel and Docker are asked. The kernel numbers the network namespaces that this one has links to. Docker keeps a
 * file for each container's namespace, from which `ip netns` gets the name for a number.
 */

const noVeths: VethsBySandbox = new Map()

/** NSFS_MAGIC in linux/magic.h: the file is a namespace. */
const nsfs = 0x6e736673

/** S_IWGRP and S_IWOTH, as in inode(7). */
const othersWrite = 0o022

/** Whether a file is a namespace, and only root can have made it. No other file is opened. */
export function isSandbox(file: string): boolean {
  try {
    const [folder, status] = [lstatSync(dirname(file)), lstatSync(file)]
    const isFolderSafe = folder.isDirectory() && folder.uid === 0 && (folder.mode & othersWrite) === 0
    return (
      isFolderSafe && resolve(file) === file && status.isFile() && status.uid === 0 && statfsSync(file).type === nsfs
    )
  } catch {
    // The file is gone, or this process may not see it.
    return false
  }
}

/** The folder in which `ip netns` finds names: NETNS_RUN_DIR of iproute2. */
const namesFolder = '/run/netns'

/**
 * Binds the parent of Docker's folder over /run, in a new mount namespace: the host's /run stays as it is, and may have no
 * /run/netns. `--rbind` includes the namespaces' files, which are mounts. A shell starts the program, because mount cannot. All that
 * varies is an argument.
 */
const bindOverRun = [
  'unshare',
  '--mount',
  '--',
  'sh',
  '-c',
  'mount --rbind "$1" /run && shift && exec "$@"',
  'sh'
] as const

const ip = ['ip', '-json', '-details', '-force', '-batch', '-'] as const

/** The command that lists links and names with Docker's folder in place of iproute2's; null: the folder has another name. */
function ipCommand(folder: string): Argv | null {
  if (isSame(folder, namesFolder)) return ip
  return basename(folder) === basename(namesFolder) ? [...bindOverRun, dirname(folder), ...ip] : null
}

/** The systemd unit binds Docker's folder over iproute2's. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other, { throwIfNoEntry: false })]
  return a.dev === b?.dev && a.ino === b.ino
}

/** Reads the veth pairs into these namespaces, each given by its file. A namespace that cannot be read is left out. */
export async function readVeths(files: readonly string[]): Promise<VethsBySandbox> {
  const sandboxes = [...new Set(files)].filter(isSandbox)
  const folders = [...new Set(sandboxes.map((file) => dirname(file)))]
  const found = await Promise.all(folders.map(readFolder))
  const all = new Map(found.flatMap((veths) => [...veths]))
  return new Map(sandboxes.flatMap((file) => (all.has(file) ? [[file, all.get(file) ?? []]] : [])))
}

async function readFolder(folder: string): Promise<VethsBySandbox> {
  try {
    const argv = ipCommand(folder)
    if (argv === null) return noVeths
    const [links, names] = await runJsonBatch(argv, [
      ['addr', 'show', 'type', 'veth'],
      ['netns', 'list-id']
    ])
    return parseOutput('ip', () => parseVeths(folder, links, names))
  } catch {
    // A right or a program is missing.
    return noVeths
  }
}

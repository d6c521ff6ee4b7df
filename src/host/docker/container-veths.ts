import { lstatSync, statfsSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import * as z from 'zod'
import { judgeOrigins, originOutput } from '../address-origin.ts'
import { type Argv, run } from '../exec.ts'
import { parseRecords } from '../parsers/records.ts'
import { runStarted } from '../process/program-pool.ts'
import { parseOutput, runJsonBatch } from '../read-commands.ts'
import { findRouted } from '../routes/read-routes.ts'
import type { Container, DockerNetwork, Endpoint, VethPair } from '../snapshot.ts'
import { dockerBridge, isPortName } from './docker-names.ts'

/**
 * Finds the host's end of each interface of a container. What a container says of itself cannot be trusted, and a PID may be used
 * again: only the kernel and Docker are asked. The kernel numbers the network namespaces that this one has links to. Docker keeps a
 * file for each container's namespace, from which `ip netns` gets the name for a number.
 */

/** The host's end of a veth pair whose other end is in another network namespace. */
export interface Veth extends VethPair {
  /** The kernel's number for the other namespace. It is valid in this namespace alone. */
  readonly namespace: number
  readonly master: string | null
  readonly name: string
  /** The host uses its end: by an address, or by its routing. Docker's ports have neither. */
  readonly isUsed: boolean
}

/** The veth pairs into each container's network namespace, by the namespace's file. Other namespaces are not known. */
export type VethsBySandbox = ReadonlyMap<string, readonly Veth[]>

/** NSFS_MAGIC in linux/magic.h: the file is a namespace. */
const nsfs = 0x6e736673

/** S_IWGRP and S_IWOTH, as in inode(7). */
const othersWrite = 0o022

/** Whether a file is a namespace, and only root can have made it. No other file is opened. */
export function isSandbox(file: string): boolean {
  return fileSystemOf(file) === nsfs
}

/** The type of the file system of a file that only root can have made; null: it is none, is gone, or this process may not see it. */
function fileSystemOf(file: string): number | null {
  try {
    const [folder, status] = [lstatSync(dirname(file)), lstatSync(file)]
    const isFolderSafe = folder.isDirectory() && folder.uid === 0 && (folder.mode & othersWrite) === 0
    const isSafe = isFolderSafe && resolve(file) === file && status.isFile() && status.uid === 0
    return isSafe ? statfsSync(file).type : null
  } catch {
    return null
  }
}

/**
 * Whether a file is there, and the namespace that Docker mounts on it is not: this process has a mount namespace of its own, made
 * before, into which what the host mounts does not come (mount_namespaces(7), MS_PRIVATE).
 */
function isUnmounted(file: string): boolean {
  const type = fileSystemOf(file)
  return type !== null && type !== nsfs
}

/** The folder in which `ip netns` finds names: NETNS_RUN_DIR of iproute2. */
const namesFolder = '/run/netns'

/**
 * A script that binds the parent of Docker's folder over /run, in a new mount namespace: the host's /run stays as it is, and may
 * have no /run/netns. `--rbind` includes the namespaces' files, which are mounts. The rest of its arguments is what it starts, for
 * mount starts no program.
 */
const bindOverRun = 'mount --rbind "$1" /run && shift && exec "$@"'

const ip = ['ip', '-json', '-details'] as const

/** The command that lists links and names with Docker's folder in place of iproute2's; null: the folder has another name. */
function ipCommand(folder: string): Argv | null {
  if (isSame(folder, namesFolder)) return ip
  if (basename(folder) !== basename(namesFolder)) return null
  return ['unshare', '--mount', '--', 'sh', '-c', bindOverRun, 'sh', dirname(folder), ...ip]
}

/** The systemd unit binds Docker's folder over iproute2's. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other, { throwIfNoEntry: false })]
  return a.dev === b?.dev && a.ino === b.ino
}

/** Whether there is such a file; null: this process may not look for it. */
export function isThere(file: string): boolean | null {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined
  } catch {
    return null
  }
}

/** Reads the veth pairs into these namespaces, each given by its file. A namespace that cannot be read is left out. */
export async function readVeths(files: readonly string[]): Promise<VethsBySandbox> {
  const sandboxes = new Set(files.filter(isSandbox))
  const folders = new Set([...sandboxes].map((file) => dirname(file)))
  const found = new Map(
    await Promise.all([...folders].map(async (folder) => [folder, await readFolder(folder)] as const))
  )
  return new Map(
    [...sandboxes].flatMap((file) => {
      const inFolder = found.get(dirname(file)) ?? null
      // The kernel has no number for a namespace before the first veth pair leads into it.
      return inFolder === null ? [] : [[file, inFolder.get(file) ?? []] as const]
    })
  )
}

/** The veth pairs into the namespaces of a folder that have a number; null: they cannot be read. */
async function readFolder(folder: string): Promise<VethsBySandbox | null> {
  try {
    const argv = ipCommand(folder)
    if (argv === null) return null
    const commands = [
      ['addr', 'show', 'type', 'veth'],
      ['netns', 'list-id']
    ]
    // A program that stays remembers the names of namespaces; and one that was started before, in which folder they were.
    const [links, names] = await runJsonBatch(argv, commands, argv === ip ? runStarted : run)
    const bySandbox = parseOutput('ip', () => parseVeths(folder, links, names))
    const loose = [...bySandbox].flatMap(([file, veths]) =>
      veths.filter((veth) => veth.master === null && mayBePort(veth, file))
    )
    const routed = await findRouted(loose.map(({ name }) => name))
    const judge = (veth: Veth) => (routed.has(veth.name) ? { ...veth, isUsed: true } : veth)
    return new Map([...bySandbox].map(([file, veths]) => [file, veths.map(judge)]))
  } catch {
    // A right or a program is missing.
    return null
  }
}

const vethOutput = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  link_index: z.number(),
  link_netnsid: z.number(),
  master: z.string().optional(),
  linkinfo: z.object({ info_kind: z.literal('veth') }),
  addr_info: z.array(originOutput)
})

const nameOutput = z.object({ nsid: z.number(), name: z.string().optional() })

/**
 * Parses `ip -json -details addr show type veth` and `ip -json netns list-id`. A namespace has a number since the first veth pair
 * into it, and keeps the number.
 */
export function parseVeths(folder: string, links: unknown, names: unknown): VethsBySandbox {
  const records = parseRecords(vethOutput, links)
  const isKernels = judgeOrigins(records.flatMap(({ addr_info }) => addr_info))
  const veths = records.map(({ ifindex, ifname, link_index, link_netnsid, master = null, addr_info }): Veth => {
    const isUsed = addr_info.some((address) => !isKernels(address))
    return { host: ifindex, inside: link_index, namespace: link_netnsid, name: ifname, master, isUsed }
  })
  return new Map(
    parseRecords(nameOutput, names).flatMap(({ nsid, name }) =>
      name === undefined ? [] : [[`${folder}/${name}`, veths.filter(({ namespace }) => namespace === nsid)]]
    )
  )
}

/** Adds its ports to a container. A port is found by its bridge: each Docker network has one. */
export function addPorts(
  container: Container,
  networks: readonly DockerNetwork[],
  vethsBySandbox: VethsBySandbox
): Container {
  const { running, sandbox } = container
  const veths = sandbox === null ? undefined : vethsBySandbox.get(sandbox)
  if (veths === undefined) {
    // One that starts or ends just now has none yet, or none any more: no right is missing to see its interfaces.
    const hasNamespace = !running || (sandbox !== null && isThere(sandbox) !== false)
    if (!hasNamespace) return { ...container, veths: [] }
    return { ...container, ...(sandbox !== null && isUnmounted(sandbox) && { isHidden: true }) }
  }
  const bridges = container.endpoints.map(({ network, networkId }) => {
    const own = networks.find(({ id }) => id === networkId) ?? networks.find(({ name }) => name === network)
    return own === undefined ? null : dockerBridge(own)
  })
  const dockerBridges = new Set(networks.map(dockerBridge))
  const elsewhere = veths.filter(({ master }) => master === null || !dockerBridges.has(master))
  const loose = elsewhere.filter((veth) => mayBePort(veth, sandbox ?? ''))
  const ports = findPorts(bridges, veths, elsewhere, loose)
  return {
    ...container,
    veths: veths.map(({ inside, host }) => ({ inside, host })),
    endpoints: container.endpoints.map((endpoint, index) => ({ ...endpoint, port: ports[index] ?? 'unknown' }))
  }
}

/** Podman's name of that file (NewNS() in its common/pkg/netns). */
const podmanSandbox = /^netns-[0-9a-f-]{36}$/

/** Whether it may have been made as a port. One that the host uses is no port any more. */
function mayBePort({ name, isUsed }: Veth, sandbox: string): boolean {
  // The file of the network namespace tells whose the container is.
  const engine = podmanSandbox.test(basename(sandbox)) ? 'podman' : 'docker'
  return !isUsed && isPortName(engine, name)
}

/**
 * The port on each of a container's bridges. If exactly one bridge has no port, and exactly one veth pair that Docker may have made
 * is on no bridge of Docker, these belong together. If there are more, nothing tells which belong together: the ports are absent, and
 * Docker can make new ones; but not where one of them may be a port of somebody's own bridge.
 *
 * @param elsewhere those of the veth pairs that are on no bridge of Docker.
 * @param loose those of them that Docker may have made.
 */
function findPorts(
  bridges: readonly (string | null)[],
  veths: readonly Veth[],
  elsewhere: readonly Veth[],
  loose: readonly Veth[]
): Endpoint['port'][] {
  const on = (bridge: string | null) => veths.filter(({ master }) => master !== null && master === bridge)
  const withoutPort = bridges.filter((bridge) => bridge !== null && on(bridge).length === 0)
  const matched = withoutPort.length === 1 && loose.length === 1 ? loose : []
  const isUnclear = elsewhere.some((veth) => veth.master !== null && !matched.includes(veth))
  return bridges.map((bridge) => {
    const [port, ...more] = on(bridge).length > 0 ? on(bridge) : matched
    if (bridge === null || more.length > 0 || (isUnclear && withoutPort.includes(bridge))) return 'unknown'
    return port === undefined ? 'absent' : { inside: port.inside, host: port.host }
  })
}

import { lstatSync, statfsSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import * as z from 'zod'
import type { Argv } from '../exec.ts'
import { parseOutput, runJsonBatch } from '../run-json.ts'
import type { Container, DockerNetwork, Endpoint } from '../snapshot.ts'
import { dockerBridge } from './docker-names.ts'

/**
 * Which interface of the host is the other end of which container's. A container shows and tells what it likes, and a
 * process's number is soon another's: the kernel is asked instead. It numbers the namespaces that this one has links to,
 * and Docker keeps a file for each container's, by which `ip netns` gives names to the numbers.
 */

/** The host's end of a veth pair whose other end is in another network namespace. */
export interface Veth {
  /** Its index on the host, and that of the other end, in the namespace where that is. */
  readonly host: number
  readonly inside: number
  /** The kernel's number of that namespace, as seen from here. */
  readonly namespace: number
  readonly master: string | null
  /** It has an address, as no port of Docker's has. */
  readonly addressed: boolean
}

/** By the file of a container's network namespace: the veth pairs into it. A namespace that is not in here is not known. */
export type VethsOf = ReadonlyMap<string, readonly Veth[]>

const nobodys: VethsOf = new Map()

/** NSFS_MAGIC in linux/magic.h: the file is a namespace. */
const nsfs = 0x6e736673

/** S_IWGRP and S_IWOTH, as in inode(7). */
const othersWrite = 0o022

/** Whether a file is a namespace that only root can have put there: nothing else is opened. */
export function isSandbox(file: string): boolean {
  try {
    const [folder, own] = [lstatSync(dirname(file)), lstatSync(file)]
    const safe = folder.isDirectory() && folder.uid === 0 && (folder.mode & othersWrite) === 0
    return safe && resolve(file) === file && own.isFile() && own.uid === 0 && statfsSync(file).type === nsfs
  } catch {
    // It has gone, or is not to be seen from here.
    return false
  }
}

/** Where `ip netns` looks for names: NETNS_RUN_DIR of iproute2. */
const namesFolder = '/run/netns'

/**
 * In a mount namespace of its own, so that the host keeps its /run: what is in it, iproute2's folder may not be. Bound with all
 * that is mounted in it, as each namespace's file is. A shell, because mount cannot start another program; all that varies is
 * an argument.
 */
const elsewhere = [
  'unshare',
  '--mount',
  '--',
  'sh',
  '-c',
  'mount --rbind "$1" /run && shift && exec "$@"',
  'sh'
] as const

const ip = ['ip', '-json', '-details', '-force', '-batch', '-'] as const

/** null: there is no way for iproute2 to see that folder. */
function askFor(folder: string): Argv | null {
  if (isSame(folder, namesFolder)) return ip
  return basename(folder) === basename(namesFolder) ? [...elsewhere, dirname(folder), ...ip] : null
}

/** It is bound there already, as the systemd unit has it. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other, { throwIfNoEntry: false })]
  return a.dev === b?.dev && a.ino === b.ino
}

/** Asks the kernel which veth pairs lead into these namespaces, each given by its file. What may not be told is left out. */
export async function readVeths(files: readonly string[]): Promise<VethsOf> {
  const safe = [...new Set(files)].filter(isSandbox)
  const folders = [...new Set(safe.map((file) => dirname(file)))]
  const found = await Promise.all(folders.map(readFolder))
  const all = new Map(found.flatMap((veths) => [...veths]))
  return new Map(safe.flatMap((file) => (all.has(file) ? [[file, all.get(file) ?? []]] : [])))
}

async function readFolder(folder: string): Promise<VethsOf> {
  try {
    const argv = askFor(folder)
    if (argv === null) return nobodys
    const [links, names] = await runJsonBatch(argv, [
      ['addr', 'show', 'type', 'veth'],
      ['netns', 'list-id']
    ])
    return parseOutput('ip', () => parseVeths(folder, links, names))
  } catch {
    // A right is missing, or a program: not known, so not judged.
    return nobodys
  }
}

const vethOutput = z.object({
  ifindex: z.number(),
  link_index: z.number(),
  link_netnsid: z.number(),
  master: z.string().optional(),
  linkinfo: z.object({ info_kind: z.literal('veth') }),
  addr_info: z.array(z.object({ protocol: z.string().optional() }))
})

const namesOutput = z.array(z.object({ nsid: z.number(), name: z.string().optional() }))

/**
 * What `ip -json -details addr show type veth` and `ip -json netns list-id` print, put together. A namespace has a number from
 * the first veth pair into it, also when that has gone.
 */
export function parseVeths(folder: string, links: unknown, names: unknown): VethsOf {
  const veths = z
    .array(z.unknown())
    .parse(links)
    .flatMap((link): Veth[] => {
      const read = vethOutput.safeParse(link)
      if (!read.success) return []
      const { ifindex, link_index, link_netnsid, master = null, addr_info } = read.data
      const addressed = addr_info.some(({ protocol }) => protocol !== 'kernel_ll')
      return [{ host: ifindex, inside: link_index, namespace: link_netnsid, master, addressed }]
    })
  return new Map(
    namesOutput
      .parse(names)
      .flatMap(({ nsid, name }) =>
        name === undefined ? [] : [[`${folder}/${name}`, veths.filter(({ namespace }) => namespace === nsid)]]
      )
  )
}

/** A container with its ports, found by the bridges that they are on: a network of Docker's has one. */
export function addPorts(container: Container, networks: readonly DockerNetwork[], vethsOf: VethsOf): Container {
  const veths = container.sandbox === null ? undefined : vethsOf.get(container.sandbox)
  if (veths === undefined) return container
  const bridges = container.endpoints.map((endpoint) => bridgeOf(endpoint, networks))
  const ports = findPorts(bridges, new Set(networks.map(dockerBridge)), veths)
  return {
    ...container,
    endpoints: container.endpoints.map((endpoint, index) => ({ ...endpoint, port: ports[index] ?? 'unknown' }))
  }
}

function bridgeOf({ network, networkId }: Endpoint, networks: readonly DockerNetwork[]): string | null {
  const own = networks.find(({ id }) => id === networkId) ?? networks.find(({ name }) => name === network)
  return own === undefined ? null : dockerBridge(own)
}

/**
 * For each of a container's bridges, its port there. A single bridge without one, and a single veth pair on none: these
 * belong together. Of more, which is whose cannot be told: no port is certain, and Docker can make another.
 */
function findPorts(
  bridges: readonly (string | null)[],
  dockers: ReadonlySet<string | null>,
  veths: readonly Veth[]
): Endpoint['port'][] {
  const on = (bridge: string | null) => veths.filter(({ master }) => master !== null && master === bridge)
  const lacking = bridges.filter((bridge) => bridge !== null && on(bridge).length === 0)
  const loose = veths.filter(({ master, addressed }) => master === null && !addressed)
  // Somebody has put it on a bridge of his own, and knows why.
  const moved = veths.some(({ master }) => master !== null && !dockers.has(master))
  const left = lacking.length === 1 && loose.length === 1 ? loose : []
  return bridges.map((bridge) => {
    const [port, ...more] = on(bridge).length > 0 ? on(bridge) : left
    if (bridge === null || more.length > 0 || (moved && lacking.includes(bridge))) return 'unknown'
    return port === undefined ? 'absent' : { inside: port.inside, host: port.host }
  })
}

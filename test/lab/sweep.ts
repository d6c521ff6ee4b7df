/**
 * Ends a lab, whatever state it is in, knowing nothing but its name. Synchronous, so that it also works from an exit
 * handler: one way down for a closed lab, a failed one, an interrupted one, and one whose owner was killed.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { findProgram, LAB_VARIABLE, labFolder, labsFolder } from './programs.ts'

const NAME = /^spanplan-(\d+)-[A-Za-z0-9]{6}$/
const NETNS_FOLDER = '/run/netns'
const CGROUP_FOLDER = '/sys/fs/cgroup'
/** containerd's place for the sockets of its shims, whatever its own folders are. */
const SHIM_SOCKETS = '/run/containerd/s'
const PATIENCE_MS = 120_000

/** What `mkdtemp` completes to a lab's name. */
export const namePrefix = `spanplan-${process.pid}-`

export const hostNamespace = (lab: string) => join(NETNS_FOLDER, lab)
export const switchNamespace = (lab: string) => join(NETNS_FOLDER, `${lab}-sw`)
export const containerdState = (lab: string) => join(labFolder(lab), 'ct/state')

const guarded = new Set<string>()
let handlersInstalled = false

/** Sees to it that the lab is swept also when this process exits, or is told to, before it has closed the lab. */
export function guardLab(lab: string): void {
  if (!handlersInstalled) installHandlers()
  guarded.add(lab)
}

/** Ends the lab for good. */
export function sweepLab(lab: string): void {
  const sockets = readShimSockets(lab)
  endProcesses(lab)
  unmountAll(lab)
  for (const namespace of [`${lab}-sw`, lab]) {
    waitUntil(`namespace ${namespace} is gone`, () => {
      if (!existsSync(join(NETNS_FOLDER, namespace))) return true
      spawnSync(findProgram('ip'), ['netns', 'del', namespace])
      return false
    })
  }
  removeCgroups(lab)
  for (const socket of sockets) rmSync(socket, { force: true })
  rmSync(labFolder(lab), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
  guarded.delete(lab)
  if (findLabs().length === 0) removeShimFolders()
}

/** Sweeps the labs whose owner is dead: killed, it could not do so itself. */
export function sweepStaleLabs(): void {
  for (const lab of listStaleLabs()) sweepLab(lab)
}

/** The labs whose owner is dead. */
export function listStaleLabs(): string[] {
  return findLabs().filter((lab) => !existsSync(`/proc/${NAME.exec(lab)?.[1]}`))
}

/** The ids of the processes that a lab has started, of their children, and of all that runs in its namespaces. */
export function findProcesses(lab: string): number[] {
  const own = readNamespace('self')
  const namespaces = [hostNamespace(lab), switchNamespace(lab)]
    .filter((path) => existsSync(path))
    .map((path) => `net:[${statSync(path).ino}]`)
    .filter((namespace) => namespace !== own)
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((pid) => belongs(pid, lab, namespaces))
    .map(Number)
}

function belongs(pid: string, lab: string, namespaces: readonly string[]): boolean {
  // A zombie has no memory any more, and nothing left to end.
  if (/^State:\t[ZX]/m.test(readProcess(pid, 'status'))) return false
  return (
    readProcess(pid, 'environ').split('\0').includes(`${LAB_VARIABLE}=${lab}`) ||
    readProcess(pid, 'cgroup')
      .split(/[/:\n]/)
      .includes(lab) ||
    namespaces.includes(readNamespace(pid))
  )
}

/** Nothing for a process that is gone, and for one that even root may not look into: not one of ours. */
function readProcess(pid: string, file: string): string {
  return allowing(['ENOENT', 'ESRCH', 'EACCES', 'EPERM'], '', () => readFileSync(`/proc/${pid}/${file}`, 'utf8'))
}

function readNamespace(pid: string): string {
  return allowing(['ENOENT', 'ESRCH', 'EACCES', 'EPERM'], '', () => readlinkSync(`/proc/${pid}/ns/net`))
}

/** A frozen process, as of a container that is paused, does not end. */
function thaw(lab: string): void {
  const folder = join('/sys/fs/cgroup/freezer', lab)
  for (const group of listFolder(folder)) {
    const file = join(folder, group, 'freezer.state')
    if (existsSync(file)) allowing(['ENOENT', 'ENODEV'], undefined, () => writeFileSync(file, 'THAWED'))
  }
}

function endProcesses(lab: string): void {
  thaw(lab)
  // Again and again: what forks while it is being looked at is seen the next time.
  waitUntil(`the processes of ${lab} are gone`, () => {
    const pids = findProcesses(lab)
    for (const pid of pids) allowing(['ESRCH'], false, () => process.kill(pid, 'SIGKILL'))
    return pids.length === 0
  })
}

/** Containerd removes what it keeps of a dead shim, so this comes before anything is ended. */
function readShimSockets(lab: string): string[] {
  const tasks = join(containerdState(lab), 'io.containerd.runtime.v2.task/moby')
  return listFolder(tasks).flatMap((task) => {
    const address = join(tasks, task, 'address')
    const path = existsSync(address) ? readFileSync(address, 'utf8').replace('unix://', '').trim() : ''
    return path.startsWith(`${SHIM_SOCKETS}/`) ? [path] : []
  })
}

/** Only after the last lab: a shim makes these folders, and expects to find them a moment later. */
function removeShimFolders(): void {
  for (const folder of [SHIM_SOCKETS, '/run/containerd']) {
    allowing(['ENOENT', 'ENOTEMPTY'], undefined, () => rmdirSync(folder))
  }
}

function unmountAll(lab: string): void {
  const folder = labFolder(lab)
  waitUntil(`nothing is mounted under ${folder}`, () => {
    const points = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
      .filter((point) => point.startsWith(`${folder}/`))
    // Lazily: nobody is left who could use it, and the last one in is on top.
    if (points.length > 0) spawnSync(findProgram('umount'), ['--lazy', ...points.reverse()])
    return points.length === 0
  })
}

function removeCgroups(lab: string): void {
  const hierarchies = [CGROUP_FOLDER, ...listFolder(CGROUP_FOLDER).map((entry) => join(CGROUP_FOLDER, entry))]
  for (const hierarchy of hierarchies) {
    const top = join(hierarchy, lab)
    // Busy for a moment after its last process.
    waitUntil(`cgroup ${top} is gone`, () => removeCgroup(top))
  }
}

function removeCgroup(folder: string): boolean {
  if (!existsSync(folder)) return true
  for (const entry of allowing(['ENOENT'], [], () => readdirSync(folder, { withFileTypes: true }))) {
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name))
  }
  allowing(['EBUSY', 'ENOENT'], undefined, () => rmdirSync(folder))
  return !existsSync(folder)
}

function findLabs(): string[] {
  const candidates = [...listFolder(labsFolder), ...listFolder(NETNS_FOLDER).map((entry) => entry.replace(/-sw$/, ''))]
  return [...new Set(candidates)].filter((entry) => NAME.test(entry))
}

function listFolder(folder: string): string[] {
  return allowing(['ENOENT', 'ENOTDIR'], [], () => readdirSync(folder))
}

function waitUntil(what: string, isDone: () => boolean): void {
  const deadline = Date.now() + PATIENCE_MS
  while (!isDone()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
  }
}

function installHandlers(): void {
  handlersInstalled = true
  process.once('exit', sweepGuarded)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      sweepGuarded()
      // This listener is gone by now: the signal does what it would have done without it.
      process.kill(process.pid, signal)
    })
  }
}

function sweepGuarded(): void {
  for (const lab of guarded) {
    try {
      sweepLab(lab)
    } catch (error) {
      console.error(error)
    }
  }
}

/** What the action gives, or `otherwise` if it fails in one of these ways. */
function allowing<T>(codes: readonly string[], otherwise: T, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (error instanceof Error && 'code' in error && codes.includes(String(error.code))) return otherwise
    throw error
  }
}

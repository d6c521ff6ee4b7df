import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { findDaemon, followEvents } from '../host/daemon.ts'
import { type Argv, follow } from '../host/run.ts'
import type { Trigger } from './state.ts'

type Wake = (trigger: Trigger) => void

/** Milliseconds before what has ended is begun again; twice as many after each time that it could not. */
const [shortestPause, longestPause] = [250, 2000]

/** Milliseconds between looks whether a program listens by now. */
const listenInterval = 5

/**
 * What tells of changes; of links that are up, also options of bridges, flags of ports, offloads. Forwarding tables and IPv6's
 * switches are left to the regular look: what tells of those tells of every neighbour and address too.
 */
const monitors: readonly { readonly trigger: Trigger; readonly argv: Argv }[] = [
  { trigger: 'link', argv: ['ip', 'monitor', 'link'] },
  { trigger: 'filter', argv: ['tc', 'monitor'] }
]

/**
 * Wakes when links, filters, or Docker's networks and containers change, until `signal` ends it; and each time that it has
 * begun to listen, or Docker is gone, for what happened meanwhile.
 */
export function followHost(wake: Wake, signal: AbortSignal): void {
  for (const { trigger, argv } of monitors) {
    void again((onSuccess) => followMonitor(argv, () => wake(trigger), onSuccess, signal), signal)
  }
  void again((onSuccess) => followDocker(() => wake('docker'), onSuccess, signal), signal)
}

/** Does what comes to an end again and again, with pauses. */
async function again(work: (onSuccess: () => void) => Promise<void>, signal: AbortSignal): Promise<void> {
  let pause = shortestPause
  while (!signal.aborted) {
    let succeeded = false
    await work(() => {
      succeeded = true
    })
    pause = succeeded ? shortestPause : Math.min(2 * pause, longestPause)
    await delay(pause, undefined, { signal }).catch(() => undefined)
  }
}

async function followMonitor(argv: Argv, wake: () => void, onSuccess: () => void, signal: AbortSignal): Promise<void> {
  const ended = new AbortController()
  const begin = async (pid: number) => {
    while (!isListening(pid)) await delay(listenInterval, undefined, { signal: ended.signal })
    onSuccess()
    wake()
  }
  await follow(argv, { onStart: (pid) => void begin(pid).catch(() => undefined), onOutput: wake }, signal)
  ended.abort()
}

/** Whether one of the process's sockets is a member of a group of netlink(7): what happens before, it is not told. */
function isListening(pid: number): boolean {
  try {
    const files = readdirSync(`/proc/${pid}/fd`).map((file) => readlinkSync(`/proc/${pid}/fd/${file}`))
    return readFileSync(`/proc/${pid}/net/netlink`, 'utf8')
      .split('\n')
      .map((row) => row.trim().split(/ +/))
      .some(([, , , groups = '', ...rest]) => /[1-9a-f]/.test(groups) && files.includes(`socket:[${rest.at(-1)}]`))
  } catch {
    // It has just ended, or closed a file.
    return false
  }
}

async function followDocker(wake: () => void, onSuccess: () => void, signal: AbortSignal): Promise<void> {
  const daemon = await findDaemon()
  if ('reason' in daemon) return
  let connected = false
  const onStart = () => {
    connected = true
    onSuccess()
    wake()
  }
  // Why it has gone, or refuses, is told by who looks.
  await followEvents(daemon, { onStart, onEvent: wake }, signal).catch(() => undefined)
  if (connected && !signal.aborted) wake()
}

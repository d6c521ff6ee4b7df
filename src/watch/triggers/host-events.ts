import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { diagnosticOf, type SpanplanError } from '../../errors.ts'
import { connectDocker, dockerFailed, followEvents } from '../../host/docker/docker-client.ts'
import { type Argv, follow } from '../../host/exec.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Trigger } from '../../status/watch-state.ts'
import type { Monitors } from './failed-monitors.ts'

/** Gets what happens on the host. */
export interface HostFollower extends Pick<Monitors, 'onFail' | 'onListen'> {
  readonly wake: (trigger: Trigger) => void
}

/** Gets what one monitor reports. */
interface Listener {
  readonly wake: () => void
  /** From now on it hears all. */
  readonly onListen: () => void
}

/** Milliseconds before what has ended is begun again; twice as many after each time that it could not. */
const [shortestPause, longestPause] = [250, 2000]

/** How often in a row a monitor may fail to start before that is reported: Docker that starts refuses its events at first. */
const mostFailures = 3

/** Milliseconds between looks whether a program listens by now. */
const listenInterval = 5

/**
 * What tells of changes; of links that are up, also options of bridges, flags of ports, offloads. Forwarding tables and IPv6's
 * switches are left to the regular look: what tells of those tells of every neighbour and address too.
 */
const monitors: readonly { readonly trigger: Trigger; readonly what: string; readonly argv: Argv }[] = [
  { trigger: 'link', what: 'interfaces and ports', argv: ['ip', 'monitor', 'link'] },
  { trigger: 'filter', what: 'qdiscs and filters', argv: ['tc', 'monitor'] }
]

/**
 * Wakes when links, filters, or Docker's networks and containers change, until `signal` ends it; and each time that it has
 * begun to listen, or Docker is gone, for what happened meanwhile. A monitor that cannot listen at all is reported.
 */
export function followHost({ wake, onFail, onListen }: HostFollower, signal: AbortSignal): void {
  const followAgain = (trigger: Trigger, what: string, hint: string, work: Work) => {
    const listener = { wake: () => wake(trigger), onListen: () => onListen(trigger) }
    const fail = (error: unknown) => {
      const message = `changes of ${what} are not reported, and are found at the regular look only: ${diagnosticOf(error).message}`
      onFail(trigger, { code: 'MONITOR_FAILED', message, hint })
    }
    void again(work, listener, fail, signal)
  }
  for (const { trigger, what, argv } of monitors) {
    followAgain(trigger, what, `try it: ${shellLine(argv)}`, (listener) => followMonitor(argv, listener, signal))
  }
  followAgain('docker', "Docker's networks and containers", 'try it: docker events', (listener) =>
    followDocker(listener, signal)
  )
}

/** Listens until that comes to an end; gives why, or null where that is no failure. */
type Work = (listener: Listener) => Promise<unknown>

/** Does what comes to an end again and again, with pauses. */
async function again(
  work: Work,
  { wake, onListen }: Listener,
  fail: (error: unknown) => void,
  signal: AbortSignal
): Promise<void> {
  let pause = shortestPause
  let failures = 0
  while (!signal.aborted) {
    let succeeded = false
    const onSuccess = () => {
      succeeded = true
      onListen()
    }
    const error = await work({ wake, onListen: onSuccess })
    pause = succeeded ? shortestPause : Math.min(2 * pause, longestPause)
    failures = succeeded || error === null ? 0 : failures + 1
    if (failures === mostFailures && !signal.aborted) fail(error)
    await delay(pause, undefined, { signal }).catch(() => undefined)
  }
}

async function followMonitor(argv: Argv, { wake, onListen }: Listener, signal: AbortSignal): Promise<SpanplanError> {
  const ended = new AbortController()
  const begin = async (pid: number) => {
    while (!isListening(pid)) await delay(listenInterval, undefined, { signal: ended.signal })
    onListen()
    wake()
  }
  const why = await follow(argv, { onStart: (pid) => void begin(pid).catch(() => undefined), onOutput: wake }, signal)
  ended.abort()
  return why
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

async function followDocker({ wake, onListen }: Listener, signal: AbortSignal): Promise<unknown> {
  const daemon = await connectDocker()
  // Whoever reads the host reports why there is none.
  if ('reason' in daemon) return null
  let connected = false
  const onStart = () => {
    connected = true
    onListen()
    wake()
  }
  const why = await followEvents(daemon, { onStart, onEvent: wake }, signal).catch(dockerFailed)
  if (connected && !signal.aborted) wake()
  return why
}

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { diagnosticOf, type SpanplanError } from '../../errors.ts'
import { connectDocker, dockerFailed, followEvents } from '../../host/docker/docker-client.ts'
import { type Argv, follow } from '../../host/exec.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Trigger } from '../../status/watch-state.ts'
import type { FailedMonitors } from './failed-monitors.ts'

/** Gets the events of the host and of its monitors. */
export interface HostFollower extends Pick<FailedMonitors, 'onFail' | 'onListen'> {
  readonly wake: (trigger: Trigger) => void
}

/** Gets the events of one monitor. */
interface Listener {
  readonly wake: () => void
  /** From now on, the monitor misses nothing. */
  readonly onListen: () => void
}

/** Milliseconds before a monitor that has ended is started again; doubled after each failure to start. */
const [shortestPause, longestPause] = [250, 2000]

/** So many failures to start in a row are reported: Docker refuses its events while it starts. */
const mostFailures = 3

/** Milliseconds between checks whether a program listens by now. */
const listenInterval = 5

/**
 * The programs that report changes. For links that are up, ip reports bridge options, port flags and offloads too. Changes of
 * forwarding tables and of IPv6's settings are left to the run at each interval: the monitor of those reports every neighbour
 * and address as well.
 */
const monitors: readonly { readonly trigger: Trigger; readonly what: string; readonly argv: Argv }[] = [
  { trigger: 'link', what: 'interfaces and ports', argv: ['ip', 'monitor', 'link'] },
  { trigger: 'filter', what: 'qdiscs and filters', argv: ['tc', 'monitor'] }
]

/**
 * Wakes when links, filters, or Docker's networks and containers change; also each time that a monitor has begun to listen, or
 * Docker has gone, for what had no event until then. A monitor that cannot listen at all is reported.
 *
 * @param signal ends it.
 */
export function followHost({ wake, onFail, onListen }: HostFollower, signal: AbortSignal): void {
  const start = (trigger: Trigger, what: string, hint: string, monitor: Monitor) => {
    const listener = { wake: () => wake(trigger), onListen: () => onListen(trigger) }
    const fail = (error: unknown) => {
      const message = `changes of ${what} are not reported, and are found at the regular look only: ${diagnosticOf(error).message}`
      onFail(trigger, { code: 'MONITOR_FAILED', message, hint })
    }
    void repeat(monitor, listener, fail, signal)
  }
  for (const { trigger, what, argv } of monitors) {
    start(trigger, what, `try it: ${shellLine(argv)}`, (listener) => followMonitor(argv, listener, signal))
  }
  start('docker', "Docker's networks and containers", 'try it: docker events', (listener) =>
    followDocker(listener, signal)
  )
}

/** Listens until it ends; gives the reason, or null where the end is no failure. */
type Monitor = (listener: Listener) => Promise<unknown>

/** Starts a monitor again each time that it has ended, with pauses. */
async function repeat(
  monitor: Monitor,
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
    const error = await monitor({ wake, onListen: onSuccess })
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
  const reason = await follow(
    argv,
    { onStart: (pid) => void begin(pid).catch(() => undefined), onOutput: wake },
    signal
  )
  ended.abort()
  return reason
}

/** Whether one of the process's sockets is a member of a group of netlink(7). Before, it misses events. */
function isListening(pid: number): boolean {
  try {
    const files = readdirSync(`/proc/${pid}/fd`).map((file) => readlinkSync(`/proc/${pid}/fd/${file}`))
    return readFileSync(`/proc/${pid}/net/netlink`, 'utf8')
      .split('\n')
      .map((row) => row.trim().split(/ +/))
      .some(([, , , groups = '', ...rest]) => /[1-9a-f]/.test(groups) && files.includes(`socket:[${rest.at(-1)}]`))
  } catch {
    // The process has just ended, or closed a file.
    return false
  }
}

async function followDocker({ wake, onListen }: Listener, signal: AbortSignal): Promise<unknown> {
  const client = await connectDocker()
  // The reading of the host reports why there is no Docker.
  if ('reason' in client) return null
  let connected = false
  const onStart = () => {
    connected = true
    onListen()
    wake()
  }
  const reason = await followEvents(client, { onStart, onEvent: wake }, signal).catch(dockerFailed)
  if (connected && !signal.aborted) wake()
  return reason
}

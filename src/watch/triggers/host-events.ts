import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { diagnosticOf, type SpanplanError } from '../../errors.ts'
import { connectDocker, dockerFailed, followEvents, type WantedEvents } from '../../host/docker/docker-client.ts'
import { type Argv, follow, run } from '../../host/exec.ts'
import { noteName } from '../../host/process/program-pool.ts'
import {
  forget,
  lastOffloads,
  remember,
  type Topic,
  topicsOfEthtool,
  topicsOfLinks,
  topicsOfNft
} from '../../host/process/remembered.ts'
import { shellLine } from '../../host/quote-command.ts'
import { isWithin } from '../../spec/values/ip-address.ts'
import type { FailedMonitor, Trigger } from '../../status/watch-state.ts'
import type { EmitEvent } from '../events/event.ts'
import { openHealthFilter } from './health-events.ts'
import { openOffloadFilter } from './offload-events.ts'

/** Knows which monitors fail. */
type MonitorTracker = Pick<ReturnType<typeof trackFailedMonitors>, 'onFail' | 'onListen'>

/** Gets the events of one monitor. */
interface MonitorListener {
  /** Something has changed. */
  readonly wake: () => void
  /** From now on, the monitor misses nothing. */
  readonly onListen: () => void
  /** The addresses of the hosts that frames are sent to, as the files have them now. */
  readonly remotes: () => readonly string[]
}

/** Milliseconds before a monitor that has ended is started again; doubled after each failure to start. */
const [shortestPause, longestPause] = [250, 2000]

/** So many failures to start in a row are reported: Docker refuses its events while it starts. */
const mostFailures = 3

/** Milliseconds between checks whether a program listens by now. */
const listenInterval = 5

/** What reports changes of the host. */
interface Monitor {
  readonly trigger: Trigger
  readonly what: string
  /** The program, or one that shows the same. */
  readonly argv: Argv
  /**
   * Whether a whole line of the program's output is a change that matters. It is called with each line. Missing: each output is.
   *
   * @param remotes the addresses of the hosts that frames are sent to.
   */
  readonly counts?: (line: string, remotes: readonly string[]) => boolean
  /** What it reports each change of that counts: while it listens, that is remembered. */
  readonly tells?: readonly Topic[]
  /** Listens until it ends; gives the reason, or null where the end is no failure. Missing: to the program. */
  readonly listen?: (monitor: Monitor, listener: MonitorListener, signal: AbortSignal) => Promise<unknown>
}

/** An address that routers renew every few seconds, in a line of `ip -oneline monitor`. Tunnels end at others. */
const renewedAddress = /^(Deleted )?\d+: \S+ +inet6 (?!fe80:).* dynamic /

/** A link that has gone, in such a line. */
const deletedLink = /^Deleted \d+: \S+: </

/** The index and the name of a link that is there, in such a line. Behind the name may be that of the link it belongs to. */
const namedLink = /^(\d+): (\S+?)(?:@[^@\s]*)?: </

/** A link, or one of its addresses, in such a line. */
const linkOrAddress = /^(?:Deleted )?\d+: /

/** Where a route leads, in such a line. Those that the kernel makes for an address of the host have another type. */
const routeTo = /^(?:Deleted )?(?:(?:unicast|blackhole|unreachable|prohibit|throw) )?(default|[\da-f.:]+(?:\/\d+)?) /

/** A rule of the policy by which routes are chosen, in such a line. */
const ruleOfRouting = /^(?:Deleted )?\d+:\t/

/** Routers of the Internet change hundreds of routes a second: those count by which frames may be sent to other hosts. */
function countsOfHost(line: string, remotes: readonly string[]): boolean {
  if (linkOrAddress.test(line)) return !renewedAddress.test(line)
  if (ruleOfRouting.test(line)) return remotes.length > 0
  const [, prefix] = routeTo.exec(line) ?? []
  if (prefix === undefined) return false
  return remotes.some((remote) => prefix === 'default' || isWithin(remote, prefix))
}

/** A table that may be spanplan's in a line of `nft monitor`. Docker changes tables of other families with each container. */
const ownTable = /^\w+ \w+ (?:bridge |inet spanplan_)/

/** What nft prints where the kernel had more events than its socket has room for (mnl_nft_event_listener in nft's src/mnl.c). */
const lostEvents = /^# ERROR: We lost some netlink events/

/**
 * The events of networks and containers that can change a plan. The processes that check a container's health, which come all the time, are
 * not among them; what comes of the checks is.
 */
export const dockerEvents: WantedEvents = {
  type: ['network', 'container'],
  // Podman says "remove" where Docker says "destroy".
  event: [
    ...['create', 'connect', 'disconnect', 'destroy', 'remove'],
    ...['rename', 'start', 'die', 'restart', 'pause', 'unpause', 'health_status']
  ]
}

/**
 * For links that are up, ip reports bridge options, port flags and offloads too. No monitor reports that IPv6 is switched on
 * again: netconf leaves `disable_ipv6` out (measured with Linux 6.18). The link-local address that the interface then gets
 * is reported; without one, and for forwarding tables, the run at each interval finds the change.
 */
const monitors: readonly Monitor[] = [
  {
    trigger: 'link',
    what: 'interfaces and ports',
    argv: ['ip', '-oneline', 'monitor', 'link', 'address', 'route', 'rule'],
    counts: (line, remotes) => {
      // It may come again with the same index, and others may have changed it meanwhile, as in another network namespace.
      if (deletedLink.test(line)) forget(...topicsOfLinks)
      const [, index, name] = namedLink.exec(line) ?? []
      if (name !== undefined) noteName({ name, index: Number(index) })
      return countsOfHost(line, remotes)
    }
  },
  { trigger: 'filter', what: 'qdiscs and filters', argv: ['tc', 'monitor'] },
  {
    trigger: 'nftables',
    what: 'tables of nftables',
    argv: ['nft', 'monitor'],
    counts: (line) => ownTable.test(line) || lostEvents.test(line),
    tells: topicsOfNft,
    listen: followTables
  },
  // Into a pipe, ethtool by itself writes only when its buffer is full.
  {
    trigger: 'offload',
    what: 'offloads and receive rings',
    argv: ['stdbuf', '-oL', 'ethtool', '--monitor'],
    tells: topicsOfEthtool,
    listen: followOffloads
  },
  { trigger: 'docker', what: "Docker's networks and containers", argv: ['docker', 'events'], listen: followDocker }
]

/**
 * Wakes when links, offloads, filters, or Docker's networks and containers change; also each time that a monitor has begun to listen or
 * has ended, as when Docker goes, for what had no event until then. A monitor that cannot listen at all is reported.
 *
 * @param remotes gives the addresses of the hosts that frames are sent to now.
 * @param signal ends it.
 */
export function followHost(
  wake: (trigger: Trigger) => void,
  tracker: MonitorTracker,
  remotes: () => readonly string[],
  signal: AbortSignal
): void {
  for (const monitor of monitors) {
    void repeat(monitor, { wake: () => wake(monitor.trigger), remotes }, tracker, signal)
  }
}

/** Starts a monitor again each time that it has ended, with pauses. */
async function repeat(
  monitor: Monitor,
  { wake, remotes }: Pick<MonitorListener, 'wake' | 'remotes'>,
  { onFail, onListen }: MonitorTracker,
  signal: AbortSignal
): Promise<void> {
  const { trigger, what, argv, listen = followProgram } = monitor
  let pause = shortestPause
  let failures = 0
  while (!signal.aborted) {
    let succeeded = false
    const onSuccess = () => {
      succeeded = true
      onListen(trigger)
      wake()
    }
    const error = await listen(monitor, { wake, remotes, onListen: onSuccess }, signal)
    if (succeeded && !signal.aborted) wake()
    pause = succeeded ? shortestPause : Math.min(2 * pause, longestPause)
    failures = succeeded || error === null ? 0 : failures + 1
    if (failures === mostFailures && !signal.aborted) {
      const message = `changes of ${what} are found only at the regular interval, because their monitor fails: ${diagnosticOf(error).message}`
      onFail({ trigger, diagnostic: { code: 'MONITOR_FAILED', message, hint: `try the monitor: ${shellLine(argv)}` } })
    }
    await delay(pause, undefined, { signal }).catch(() => undefined)
  }
}

/** Makes what knows which monitors fail. It emits an event when one fails, and when it listens again. */
export function trackFailedMonitors(emit: EmitEvent) {
  const failed = new Map<Trigger, FailedMonitor>()
  return {
    failed: (): readonly FailedMonitor[] => [...failed.values()],
    /** A monitor fails to start, again and again. */
    onFail: (monitor: FailedMonitor): void => {
      if (failed.has(monitor.trigger)) return
      failed.set(monitor.trigger, monitor)
      emit({ type: 'monitor_failed', monitor })
    },
    /** A monitor has begun to listen. */
    onListen: (trigger: Trigger): void => {
      const monitor = failed.get(trigger)
      if (monitor === undefined) return
      failed.delete(trigger)
      emit({ type: 'monitor_back', monitor })
    }
  }
}

async function followProgram(
  { argv, counts, tells = [] }: Monitor,
  { wake, onListen, remotes }: MonitorListener,
  signal: AbortSignal
): Promise<SpanplanError> {
  const ended = new AbortController()
  const remembers = (isRemembered: boolean) => {
    for (const topic of tells) remember(topic, isRemembered)
  }
  const begin = async (pid: number) => {
    while (!isListening(pid)) await delay(listenInterval, undefined, { signal: ended.signal })
    remembers(true)
    onListen()
  }
  const onStart = (pid: number) => void begin(pid).catch(() => undefined)
  let rest = ''
  const onOutput = (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    // Each line is shown to it, also after one that counts: it may keep something of it, or have something forgotten.
    if (counts !== undefined && lines.filter((line) => counts(line, remotes())).length === 0) return
    forget(...tells)
    wake()
  }
  const reason = await follow(argv, { onStart, onOutput }, signal)
  ended.abort()
  remembers(false)
  return reason
}

async function followTables(monitor: Monitor, listener: MonitorListener, signal: AbortSignal): Promise<unknown> {
  try {
    await run(['nft', '--version'])
  } catch {
    // Without nft, nothing of it is there to be followed: the reading of the host says so.
    await once(signal, 'abort')
    return null
  }
  return followProgram(monitor, listener, signal)
}

/** Each monitor that is started has a filter of its own. */
function followOffloads(monitor: Monitor, listener: MonitorListener, signal: AbortSignal): Promise<unknown> {
  return followProgram({ ...monitor, counts: openOffloadFilter(lastOffloads) }, listener, signal)
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

async function followDocker(_: Monitor, { wake, onListen }: MonitorListener, signal: AbortSignal): Promise<unknown> {
  const client = await connectDocker()
  // The reading of the host reports why there is no Docker.
  if ('reason' in client) return null
  const isNews = openHealthFilter()
  const onEvent = (line: string) => {
    if (isNews(line)) wake()
  }
  return followEvents(client, dockerEvents, { onStart: onListen, onEvent }, signal).catch(dockerFailed)
}

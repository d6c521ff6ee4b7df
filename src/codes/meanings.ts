import type { Code, WaitCode } from './explained-codes.ts'

/** A part of a host, of the files or of a report that a code is about: where that part is shown, the code need not be. */
export type Part =
  | 'changes'
  | 'losses'
  | 'carriers'
  | 'idleness'
  | 'sensors'
  | 'docker'
  | 'requests'
  | 'offloads'
  | 'mtu'
  | 'modules'
  | 'files'

/** What a code means to the program, in all of its messages. */
export interface Meaning {
  /** The exit status of a command that ends with this error. Missing: that of most errors. */
  readonly exit?: 'invalidFile' | 'locked' | 'stale'
  /** This user lacks a right: an error that says so has an exit status of its own. */
  readonly lacksRight?: true
  /** What could not be read, so that it is not known whether what depends on it is in sync. */
  readonly unread?: 'docker' | 'containers' | 'namespaces' | 'nftables' | 'filters'
  /**
   * What ends the wait: the container starts, or the container gets what it lacks; an apply; the interface comes up; a route comes; a person
   * repairs the host or the container; a person repairs the file. Missing: the reading of what is unread, or it is no wait.
   */
  readonly endedBy?: 'start' | 'container' | 'apply' | 'interface' | 'route' | 'repair' | 'file'
  /** The message of such a wait goes on after the name of what waits, as "waits for …" does. Missing: it is a sentence of its own. */
  readonly isClause?: true
  /** It makes nothing unhealthy: always so, or where this user may see less than root. */
  readonly harmless?: 'always' | 'unprivileged'
  /**
   * The warning makes its span unhealthy: frames may not arrive, or others do; sensors may send; or frames reach a sensor's
   * network stack.
   */
  readonly alarming?: true
  /** The warning may be over in a moment, as while a container starts: a watch tells it once it has lasted. */
  readonly mayPass?: true
  /** The warning is of the file and lasts: status repeats it, and it makes nothing unhealthy. */
  readonly isRepeated?: true
  readonly part?: Part
  /** The hint begins with a command, which no sentence gives a capital letter. */
  readonly hintIsCommand?: true
  /** The text names some of many, and others once one of these restarts: it is one warning for all that its address covers. */
  readonly namesExamples?: true
}

/** A wait says what ends it, or what is unread. */
type WaitMeaning = Meaning & (Required<Pick<Meaning, 'endedBy'>> | Required<Pick<Meaning, 'unread'>>)

/** The meaning of each code that has one; a code without an entry is an error, a warning or a problem like any other. */
const meanings: Readonly<Partial<Record<Code, Meaning>> & Record<WaitCode, WaitMeaning>> = {
  // The files.
  FILE_MISSING: { part: 'files' },
  FILE_UNREADABLE: { part: 'files' },
  FILE_INSECURE: { exit: 'invalidFile', hintIsCommand: true },
  // Interfaces and sources.
  INTERFACE_MISSING: { isClause: true },
  INTERFACE_NAME: { endedBy: 'repair' },
  INTERFACE_NAME_TWICE: { endedBy: 'repair' },
  INTERFACE_GOING_DOWN: { endedBy: 'interface', isClause: true },
  INTERFACE_AMBIGUOUS: { endedBy: 'repair' },
  INTERFACE_OF_TUNNEL: { endedBy: 'file' },
  INTERFACE_NOT_ETHERNET: { endedBy: 'repair' },
  DEDICATED_HAS_ADDRESS: { endedBy: 'repair' },
  DEDICATED_HAS_ROUTE: { endedBy: 'repair' },
  DEDICATED_SPAN: { endedBy: 'repair' },
  SOURCE_TWICE: { endedBy: 'repair' },
  COPIED_TWICE: { namesExamples: true },
  SOURCE_MISSING: { endedBy: 'start', isClause: true },
  SOURCE_UNREAD: { unread: 'containers', isClause: true },
  SOURCE_UNSEEN: { unread: 'namespaces', harmless: 'unprivileged', isClause: true },
  SOURCE_NO_INTERFACE: { endedBy: 'container', isClause: true },
  SOURCE_NETWORK_MODE: { endedBy: 'repair' },
  SOURCE_NETWORK_MISSING: { endedBy: 'container', isClause: true },
  SOURCE_NETWORK_BRIDGE: { endedBy: 'repair', isClause: true },
  SOURCE_NETWORK_DRIVER: { endedBy: 'file' },
  SOURCE_NETWORK_OF_SPAN: { endedBy: 'file' },
  TUNNEL_TAKEN: { endedBy: 'repair' },
  TUNNEL_FAILED: { endedBy: 'repair' },
  MODULE_MISSING: { endedBy: 'repair', part: 'modules', hintIsCommand: true },
  SENDERS_OVERLAP: { endedBy: 'repair' },
  SENDERS_UNSUPPORTED: { endedBy: 'repair' },
  ADDRESS_MISSING: { endedBy: 'repair' },
  SOURCE_IDLE: { part: 'idleness' },
  LOOP: { endedBy: 'file' },
  // Outputs.
  OUTPUT_TWICE: { endedBy: 'file' },
  OUTPUT_SOURCE: { endedBy: 'file' },
  OUTPUT_IN_USE: { endedBy: 'repair' },
  REMOTE_BROADCAST: { endedBy: 'file' },
  REMOTE_OWN: { endedBy: 'file' },
  OUTPUT_COPIED: { endedBy: 'apply', isClause: true },
  REMOTE_UNREACHABLE: { endedBy: 'route', isClause: true },
  // Filters, and what else is on an interface.
  FILTER_INVALID: { exit: 'invalidFile', endedBy: 'file' },
  FILTER_UNCHECKED: { unread: 'filters', isClause: true },
  FILTER_TOO_LARGE: { exit: 'invalidFile', endedBy: 'file' },
  LOOPBACK_DOWN: { hintIsCommand: true },
  FILTER_FORBIDDEN: { lacksRight: true, unread: 'filters', harmless: 'always', isClause: true },
  FILTER_PENDING: { unread: 'filters', isClause: true },
  FILTER_FOREIGN: { endedBy: 'repair' },
  QDISC_FOREIGN: { endedBy: 'repair' },
  QDISC_SHARED: { endedBy: 'repair' },
  MIRROR_TWICE: { endedBy: 'repair' },
  MIRROR_HIDDEN: { alarming: true },
  CHAIN_DEEP: { alarming: true },
  CHAIN_INGRESS: { alarming: true },
  CHAIN_UNFED: { alarming: true },
  COPIES_HIDDEN: { alarming: true },
  COPIES_FOREIGN: { alarming: true },
  PROGRAM_BEFORE: { alarming: true },
  OFFLOAD_FIXED: { part: 'offloads' },
  RING_FIXED: {},
  RING_FAILED: {},
  // The span: its bridge, seal and network.
  MTU_SMALL: { part: 'mtu' },
  OUTPUT_MTU: { part: 'mtu' },
  OUTPUT_FRAGMENTS: { part: 'mtu' },
  SEAL_BLOCKED: { endedBy: 'repair' },
  PORT_STRAY: { alarming: true, mayPass: true },
  RECREATE_DEFERRED: { endedBy: 'apply', isClause: true },
  STACK_BLOCKED: { alarming: true },
  STACK_UNREAD: { unread: 'namespaces' },
  TABLE_FOREIGN: { endedBy: 'repair' },
  TABLE_UNREAD: { unread: 'nftables', harmless: 'always', isClause: true },
  // Sensors and Docker.
  SENSOR_MISSING: { endedBy: 'start', part: 'sensors', isClause: true },
  SENSOR_UNREAD: { unread: 'containers', isClause: true },
  SENSOR_RESTARTING: { endedBy: 'container', part: 'sensors', isClause: true },
  SENSOR_STOPPED: { part: 'sensors' },
  SENSOR_PAUSED: { part: 'sensors' },
  SENSOR_DISCONNECTED: { part: 'sensors' },
  SENSOR_INTERFACE: { part: 'sensors' },
  SENSOR_DEAF: { part: 'sensors' },
  SENSOR_OVERLAPS: { isRepeated: true },
  SENSOR_NETWORK_MODE: { endedBy: 'repair', part: 'sensors', isClause: true },
  SENSOR_NETWORK_LOST: { endedBy: 'repair', part: 'sensors', isClause: true },
  CONTAINER_UNREAD: { unread: 'containers' },
  DOCKER_UNREACHABLE: { part: 'docker' },
  DOCKER_FORBIDDEN: { lacksRight: true, harmless: 'always', part: 'docker' },
  DOCKER_REMOTE: { part: 'docker' },
  DOCKER_DEFERRED: { unread: 'docker', harmless: 'always', isClause: true },
  DOCKER_FAILED: { part: 'requests' },
  // Applying.
  PLAN_INVALID: { exit: 'invalidFile' },
  PLAN_VERSION: { exit: 'invalidFile' },
  PLAN_STALE: { exit: 'stale' },
  LOCKED: { exit: 'locked', harmless: 'always' },
  RIGHT_MISSING: { lacksRight: true },
  INTERRUPTED: { harmless: 'always' },
  // Watching and looking.
  DRIFT: { part: 'changes' },
  FRAMES_LOST: { part: 'losses' },
  CARRIER_LOST: { part: 'carriers' }
}

const noMeaning: Meaning = {}

/** What a code means, whatever its message says. */
export function meaningOf({ code }: { readonly code: Code }): Meaning {
  return meanings[code] ?? noMeaning
}

/** The test whether a code is about one of these parts. */
export function isAbout(...parts: readonly Part[]): (coded: { readonly code: Code }) => boolean {
  return (coded) => {
    const { part } = meaningOf(coded)
    return part !== undefined && parts.includes(part)
  }
}

/** Whether what waits is a container that has to start, or to get what it lacks. */
export function isEndedByContainer(coded: { readonly code: Code }): boolean {
  const { endedBy } = meaningOf(coded)
  return endedBy === 'start' || endedBy === 'container'
}

/**
 * Whether what a code says makes nothing unhealthy.
 *
 * @param isRoot no right is missing to this user. By default, it is not asked for.
 */
export function isHarmless(coded: { readonly code: Code }, isRoot = true): boolean {
  const { harmless } = meaningOf(coded)
  return harmless === 'always' || (harmless === 'unprivileged' && !isRoot)
}

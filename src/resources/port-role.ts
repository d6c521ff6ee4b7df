import { type Diagnostic, diagnostic } from '../errors.ts'
import { dockerBridge, isPortName, label } from '../host/docker/docker-names.ts'
import { type HostIndex, peerHere } from '../host/host-index.ts'
import { indexName, shellLine } from '../host/quote-command.ts'
import type { DockerNetwork, Link } from '../host/snapshot.ts'
import { matchesName, type Scope } from '../spec/scope.ts'
import type { DesiredSpan, DesiredState } from './desired-state.ts'
import { type PortOrigin, readPortClass } from './marks.ts'
import { isInScope, isLiveNetwork, markOf } from './ownership.ts'
import { findSeal } from './seal-commands.ts'

/** What a port of a span's bridge is, or was. All that is done to the port follows from its role: see {@link treatments}. */
export type PortRole =
  /** It connects a container to the network of a span. */
  | { readonly kind: 'sensor'; readonly connects: Connection }
  /** It leads to a container on a foreign network, to another network namespace or, through a tap, to a virtual machine. */
  | { readonly kind: 'foreign'; readonly connects: Connection | null }
  /**
   * It was made to connect a container, and connects none any more: the container has moved its interface to another network
   * namespace, also to the host's, or has renamed it, so that Docker or Podman did not find it. Its mark alone says what it was made
   * for. `reference` is what ip calls it: its index, for another port may have its name by then.
   */
  | { readonly kind: 'left'; readonly connects: null; readonly reference: string }
  /** It may be such a port, and its mark does not say so. */
  | { readonly kind: 'stray'; readonly connects: null }
  /** spanplan has put an interface of the host on the bridge: a further place that gets the frames of the span. */
  | { readonly kind: 'output'; readonly connects: null }
  /** It is foreign, and leads nowhere else: the host may have another use for it. */
  | { readonly kind: 'local'; readonly connects: null }

/** The container that a port connects, and the Docker network. */
export interface Connection {
  readonly container: string
  readonly network: string
}

/** What follows from the role of a port. */
interface Treatment {
  /** The port is sealed where its span is: what comes from it comes from elsewhere, and would enter the host. */
  readonly sealed: boolean
  /** What comes from it is kept from packet sockets of the host, too. */
  readonly silent: boolean
  /** What becomes of a port that no span has any more. */
  readonly end: 'goes' | 'returned' | 'removed' | 'stays'
}

/** What follows from each role. */
export const treatments: Readonly<Record<PortRole['kind'], Treatment>> = {
  // Docker removes the port with the network or the endpoint, and creates another when the network is recreated.
  sensor: { sealed: true, silent: true, end: 'goes' },
  foreign: { sealed: true, silent: true, end: 'returned' },
  // What it has on it goes with it.
  left: { sealed: true, silent: false, end: 'removed' },
  // What its container sends would enter the host.
  stray: { sealed: true, silent: true, end: 'stays' },
  // A kind of its own attaches it, and takes it off.
  output: { sealed: true, silent: false, end: 'returned' },
  local: { sealed: false, silent: false, end: 'returned' }
}

/** What the mark of a port says, or of a link that was one; null: it has none. */
export function readPortMark(host: HostIndex, { name }: Link): PortOrigin | null {
  return readPortClass(findSeal(host, name)?.classId ?? null)
}

/**
 * Whether spanplan has put a link on this bridge of a span: its mark says so; or its mark is lost, and it has the settings of a sealed
 * port.
 */
export function isAttached(host: HostIndex, link: Link, bridge: string): boolean {
  if (link.master !== bridge) return false
  const mark = readPortMark(host, link)
  return mark === null ? link.port?.isolated === true && !link.port.learning : !mark.wasPort
}

/** The role of a port of a span's bridge, or of a link that was one. */
export function portRole(desired: DesiredState, host: HostIndex, link: Link): PortRole {
  const { container, endpoint } = host.attachmentOf(link) ?? {}
  if (container && endpoint) {
    const network = host.networkOf(endpoint.network)
    const isSpans = network !== undefined && isLiveNetwork(desired, network)
    return {
      kind: isSpans ? 'sensor' : 'foreign',
      connects: { container: container.name, network: endpoint.network }
    }
  }
  const mark = readPortMark(host, link)
  if (mark?.wasPort === false || desired.outputOf(link.name)?.span.bridge === link.master)
    return { kind: 'output', connects: null }
  if (mark !== null && isNobodys(host, link)) {
    if (!mark.connection && isOnOtherNetwork(desired, host, link)) return { kind: 'foreign', connects: null }
    if (!mark.connection || host.unreadContainers.length > 0) return { kind: 'stray', connects: null }
    const byIndex = indexName(link.index)
    return { kind: 'left', connects: null, reference: host.mayExist(byIndex) ? link.name : byIndex }
  }
  if (link.foreignPeer || link.kind === 'tun' || isBeingMade(host, link)) return { kind: 'foreign', connects: null }
  // Its other end was a container's, and has come to the host since: the host would take what comes from there for its own.
  return { kind: mark?.connection ? 'stray' : 'local', connects: null }
}

/**
 * Whether a link may be a port that Docker or Podman makes just now: they make both ends on the host, put one on the bridge, and set the
 * other up once that is in the container. Until then, the port leads nowhere; sealed by then, it lets no frame of the container in.
 */
export function isBeingMade({ engine, linkAt }: HostIndex, { name, peer, foreignPeer }: Link): boolean {
  return isPortName(engine, name) && !foreignPeer && peer !== null && linkAt(peer)?.up === false
}

/** Whether a link is on the bridge of a Docker network that is no span's: a port that was on a span's bridge for a while, and is back. */
function isOnOtherNetwork(desired: DesiredState, host: HostIndex, { master }: Link): boolean {
  const isOn = (network: DockerNetwork) => dockerBridge(network) === master && !isLiveNetwork(desired, network)
  // A network without a bridge is that of no port.
  return master !== null && host.networks.some(isOn)
}

/**
 * Whether a port with a name as the engine gives it connects no container that was read. While a container starts or stops, or where it is not known
 * which port is whose, each is taken for somebody's. One that has ended, and has no network namespace any more, has no port. One whose
 * veth pairs were read has no port but among these, also where it has made itself a second one, and nothing tells which is its own:
 * where none were, its namespace may not be seen from here.
 */
function isNobodys(host: HostIndex, link: Link): boolean {
  const { docker, engine } = host
  const own = host.attachmentOf(link)
  if ((!link.foreignPeer && link.peer === null) || !isPortName(engine, link.name)) return false
  if (docker.state !== 'read') return false
  const isSpans = (network: (typeof docker.networks)[number]) =>
    network.labels[label.name] !== undefined || (link.master !== null && dockerBridge(network) === link.master)
  const names = new Set(docker.networks.filter(isSpans).map(({ name }) => name))
  const containers = own === undefined ? docker.containers : [own.container]
  return containers.every(
    ({ isUnplugged, veths, endpoints }) =>
      isUnplugged ||
      (own === undefined && (veths ?? []).length > 0) ||
      endpoints.every(({ network, port }) => !names.has(network) || port !== 'unknown')
  )
}

/** Whether a link may be the port of a container of any span; also true where Docker was not read and a span uses Docker. */
export function sensorPorts({ spans }: DesiredState, host: HostIndex): (link: Link) => boolean {
  const { docker, links } = host
  if (docker.state !== 'read') {
    const uses =
      spans.some(({ network }) => network !== null) || links.some((one) => markOf(host, one)?.network === true)
    return () => uses
  }
  const networks = new Set(docker.networks.filter(({ labels }) => labels[label.name] !== undefined).map(({ id }) => id))
  const running = docker.containers.filter((container) => container.running)
  const ours = running.flatMap(({ endpoints }) => endpoints.filter(({ networkId }) => networks.has(networkId)))
  const isUnclear = docker.unread.length > 0 || ours.some(({ port }) => typeof port === 'string')
  const places = new Set(ours)
  return (link) => {
    const endpoint = host.attachmentOf(link)?.endpoint
    return isUnclear || (endpoint != null && places.has(endpoint))
  }
}

/**
 * The ports of spans with a network that may be such, and whose mark does not say so: a container may have moved its interface before
 * the port was sealed, or while Docker was not read. What somebody has put on the bridge by hand may look the same, so it stays.
 */
export function warnOfStrayPorts(desired: DesiredState, host: HostIndex): Diagnostic[] {
  const bridges = host.links.filter((link) => {
    const mark = markOf(host, link)
    return mark?.network === true && isInScope(desired, mark.owner, link.name)
  })
  return bridges.flatMap(({ name: bridge }) => {
    const span = desired.names.nameOf(bridge)
    return (
      host
        .portsOf(bridge)
        // What has no mark has just come: its container may not be told of yet.
        .filter((link) => portRole(desired, host, link).kind === 'stray')
        .map((link) => ({
          ...explainStray(link, span, host, desired.spanOn(bridge) === undefined),
          subject: { span, kind: 'port', id: [link.name] }
        }))
    )
  })
}

/** @param isGoing the span is removed: nobody hears it any more, and the port stays. */
function explainStray(link: Link, span: string, host: HostIndex, isGoing: boolean): Diagnostic {
  const { name } = link
  const own = host.attachmentOf(link)?.container
  const hears = peerHere(link) === null ? 'hears the span for as long as it runs' : 'the host hears the span by it'
  const meaning = isGoing ? 'could send to the host, so the port stays sealed' : hears
  const back =
    own === undefined && peerHere(link) === null
      ? `if a container of another network has it, put it back on that network's bridge; `
      : ''
  const remove = `${back}if nobody needs it: ${shellLine(['ip', 'link', 'del', 'dev', name])}`
  const open = isGoing ? `; to have it open: ${shellLine(['tc', 'qdisc', 'del', 'dev', name, 'clsact'])}` : ''
  const owner =
    own === undefined
      ? explainOtherEnd(link, host)
      : `the container ${own.name}, which neither Docker nor Podman has connected by it: it may have made the port itself, or kept it, and then`
  const where = `the port ${name} of span ${span} leads to ${owner}`
  return diagnostic('PORT_STRAY', `${where} ${meaning}`, `${remove}${open}`)
}

/** Any port may be that of a container that the engine has failed to describe. */
function explainOtherEnd(link: Link, { linkAt, unreadContainers }: HostIndex): string {
  const here = peerHere(link)
  if (here !== null) {
    return `${linkAt(here)?.name ?? indexName(here)} on this host: a sensor may have moved its interface here, and then`
  }
  const unread = unreadContainers.map(({ name }) => name)
  if (unread.length === 0) {
    return "a network namespace that is no sensor's: somebody has put the port of another container here, or a sensor has moved its interface there, and then"
  }
  return `a network namespace that is that of no container which could be read: it may be that of ${unread.join(', ')}, which then`
}

/** Whether a plan disconnects the container of a port, which gets nothing more until then. */
export function isLeaving(
  host: HostIndex,
  scope: Scope,
  { network, sensors }: Pick<DesiredSpan, 'network' | 'sensors'>,
  connects: Connection | null
): boolean {
  const listed = sensors.some(({ container }) => container.name === connects?.container)
  if (connects === null || listed || connects.network !== network?.name) return false
  const endpoint = host.containerOf(connects.container)?.endpoints.find((one) => one.network === network.name)
  const owner = endpoint?.driverOptions[label.name]
  return owner !== undefined && matchesName(scope, owner)
}

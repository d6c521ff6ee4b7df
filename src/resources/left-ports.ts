import { type Diagnostic, diagnostic } from '../errors.ts'
import { dockerBridge, isPortName, label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Link } from '../host/snapshot.ts'
import { markOf } from './copied-mark.ts'
import type { DesiredState } from './desired-state.ts'
import { writeAddress } from './kind.ts'
import { type PortOrigin, readPortClass } from './marks.ts'
import { isInScope } from './ownership.ts'
import { findSeal } from './seal.ts'

/**
 * Whether a port was made to connect a container, and connects none any more: the container has moved its interface to another network
 * namespace, or has renamed it, so that Docker or Podman did not find it. Its mark alone says what it was made for.
 */
export function isLeft(host: HostIndex, link: Link): boolean {
  return readPortMark(host, link)?.connection === true && unreadIn(host).length === 0 && isNobodys(host, link)
}

/**
 * Whether a port that spanplan has sealed may be such, and its mark does not say so. It stays sealed, whatever else is given back:
 * what its container sends would enter the host.
 */
export function isStray(host: HostIndex, link: Link): boolean {
  return readPortMark(host, link) !== null && !isLeft(host, link) && isNobodys(host, link)
}

function readPortMark(host: HostIndex, { name }: Link): PortOrigin | null {
  return readPortClass(findSeal(host, name)?.classId ?? null)
}

/** The containers that the engine has failed to describe: any port may be theirs. */
function unreadIn({ docker }: HostIndex): readonly string[] {
  return docker.state === 'read' ? docker.unread.map(({ name }) => name) : []
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
  if (!link.foreignPeer || !isPortName(engine, link.name) || own?.endpoint) return false
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

/**
 * The ports of spans with a network that may be such, and whose mark does not say so: a container may have moved its interface before
 * the port was sealed, or while Docker was not read. What somebody has put on the bridge by hand may look the same, so it stays.
 */
export function warnOfStrayPorts(desired: DesiredState, host: HostIndex): Diagnostic[] {
  const bridges = host.links.filter((link) => {
    const mark = markOf(host, link)
    return mark?.network === true && isInScope(desired, mark.owner, link.name)
  })
  return bridges.flatMap(({ name: span }) =>
    host
      .portsOf(span)
      // What has no mark has just come: its container may not be told of yet.
      .filter((link) => isStray(host, link))
      .map((link) => ({
        ...explainStray(link, span, host, desired.spanOf(span) === undefined),
        address: writeAddress(span, 'port', link.name)
      }))
  )
}

/** @param isGoing the span is removed: nobody hears it any more, and the port stays. */
function explainStray(link: Link, span: string, host: HostIndex, isGoing: boolean): Diagnostic {
  const { name } = link
  const meaning = isGoing ? 'could send to the host, so the port stays sealed' : 'hears the span for as long as it runs'
  const remove = `if nobody needs it: ${shellLine(['ip', 'link', 'del', 'dev', name])}`
  const open = isGoing ? `; to have it open: ${shellLine(['tc', 'qdisc', 'del', 'dev', name, 'clsact'])}` : ''
  const own = host.attachmentOf(link)?.container
  const owner =
    own === undefined
      ? `a network namespace that ${explainOwner(unreadIn(host))}`
      : `the container ${own.name}, which neither Docker nor Podman has connected by it: it may have made the port itself, or kept it, and then`
  const where = `the port ${name} of span ${span} leads to ${owner}`
  return diagnostic('PORT_STRAY', `${where} ${meaning}`, `${remove}${open}`)
}

function explainOwner(unread: readonly string[]): string {
  if (unread.length === 0) return "is no container's: a sensor may have moved its interface there, and then"
  return `is that of no container which could be read: it may be that of ${unread.join(', ')}, which then`
}

import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { sharesNetwork } from '../../host/docker/container-match.ts'
import { dockerBridge, label } from '../../host/docker/docker-names.ts'
import type { Attachment, HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Container, Link } from '../../host/snapshot.ts'
import { quote } from '../../printable.ts'
import type { SourceOf } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { suggestWords } from '../../spec/schema/did-you-mean.ts'
import { writeSelector } from '../../spec/values/container-selector.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { markOf } from '../ownership.ts'
import { explainUnmatched, hiddenNamespace } from '../unread.ts'
import { checkInterface } from './check-interface.ts'
import {
  type Context,
  directionAt,
  type HostSourceKind,
  joinResolved,
  type MirrorSource,
  nothingResolved,
  peerHooks,
  type Resolved,
  type ResolvedSource,
  recallMirrors,
  type SourceHook,
  suggestSelector,
  waitForMirrors
} from './host-source-kind.ts'

/**
 * The interfaces of containers, found by the host's ends of their veth pairs: nothing inside a container is read. A container's
 * ports on spans' bridges are left out, for a sensor that is a source would otherwise hear itself again and again.
 */
export const containerSource: HostSourceKind<SourceOf<'container'>> = {
  needs: (source) => ({ containers: [source] }),
  isDevice: () => false,
  resolve: resolveContainers,
  recall: (span, context) => recallMirrors(span, context, ({ foreignPeer }) => foreignPeer),
  identify({ device, tcHook }, host) {
    const attachment = host.attachmentOf(host.linkOf(device))
    return attachment === undefined
      ? null
      : { ...identityOf(attachment, device), direction: directionAt(peerHooks, tcHook) }
  }
}

/** A container's interface as a source. The interface's own name is no id: it changes with each start. */
function identityOf({ container, endpoint }: Attachment, device: string): Pick<MirrorSource, 'source' | 'serves'> {
  return { source: [container.name, endpoint?.network ?? device], serves: container.name }
}

function resolveContainers(source: SourceOf<'container'>, span: SpanSpec, context: Context): ResolvedSource {
  const { host } = context
  const { kind, value } = writeSelector(source)
  const isNamed = 'container' in source
  const described = isNamed ? value : `${kind} ${value}`
  const wait = (code: Code, message: string, hint?: string, name = described) =>
    waitForMirrors(span, source, [name], diagnostic(code, `waits for ${message}`, hint))
  const unmatched = explainUnmatched(source, host, 'SOURCE_UNREAD')
  if (unmatched !== null) {
    return { ...nothingResolved, waits: waitForMirrors(span, source, [described], unmatched), isUnread: true }
  }
  const selected = host.matchContainers(source)
  const matching = selected.filter(({ name }) => !source.except.includes(name))
  const running = matching.filter((container) => container.running && !container.restarting)
  const shared = running.filter(({ networkMode }) => sharesNetwork(networkMode)).map((one) => explainMode(one, source))
  const own = running.filter(({ networkMode }) => !sharesNetwork(networkMode))
  const unseen = own.filter((container) => container.veths === null && !hasNoNetwork(container))
  const opaque = own.flatMap(({ veths }) => host.opaque.filter((one) => veths?.some((pair) => pair.host === one.index)))
  const hidden = new Set(unseen)
  const seen = own.filter((container) => !hidden.has(container))
  const hooks = seen.map((container) => resolveContainer(container, source, span, context))
  const isMissing = own.length + shared.length === 0
  const slip = selected.length === 0 ? suggestSelector(source, context) : ''
  const left = selected.length > 0 && matching.length === 0 ? ' that "except" does not leave out' : ''
  const awaited = isNamed
    ? `the container ${value} to run${slip}`
    : `a running container of the ${kind} ${value}${left}${slip}`
  const others = {
    ...nothingResolved,
    waits: [
      ...(isMissing ? wait('SOURCE_MISSING', awaited) : []),
      ...(isNamed ? shared.flatMap((one) => waitForMirrors(span, source, [value], one)) : []),
      ...unseen.flatMap(({ name, isHidden }) => {
        const [what, hint] = isHidden
          ? [`the network namespace of the container ${name}: ${hiddenNamespace.reason}`, hiddenNamespace.hint]
          : [`the right to see which interfaces belong to the container ${name}`, 'run it as root']
        return wait('SOURCE_UNSEEN', what, hint, name)
      }),
      ...opaque.flatMap((link) => {
        const found = explainOpaque(link, `it leads to a container that the span ${span.name} mirrors`)
        return waitForMirrors(span, source, [link.name ?? String(link.index)], found)
      })
    ],
    // Of those that a label selects, others can be mirrored.
    warnings: [...(isNamed ? [] : shared), ...explainExcept(source, selected, described, host)].map((one) => ({
      ...one,
      message: `span ${span.name}: ${one.message}`
    }))
  }
  return {
    ...joinResolved([...hooks, others]),
    isUnread: unseen.length + opaque.length + host.unreadContainers.length > 0
  }
}

/** The names in "except" that leave nothing out. Where the source selects no container, it is waited for, and no name is wrong. */
function explainExcept(
  { except, origin }: SourceOf<'container'>,
  selected: readonly Container[],
  described: string,
  { unreadContainers }: HostIndex
): Diagnostic[] {
  const names = selected.map(({ name }) => name)
  if (names.length === 0) return []
  const known = new Set([...names, ...unreadContainers.map(({ name }) => name)])
  const others = names.filter((name) => !except.includes(name))
  return except
    .filter((name) => !known.has(name))
    .map((name) => {
      const message = `"except" leaves out ${quote(name)}, and the ${described} has no container of this name`
      return diagnostic('EXCEPT_UNKNOWN', message, suggestWords(name, others), origin)
    })
}

function explainMode({ name, networkMode }: Container, { origin }: SourceOf<'container'>): Diagnostic {
  const hint =
    networkMode === 'host' ? 'mirror the interfaces of the host instead' : 'name the container whose network it shares'
  const message = `the container ${name} has no interface of its own (network_mode: ${networkMode})`
  return diagnostic('SOURCE_NETWORK_MODE', message, hint, origin)
}

/** A namespace without a veth has no number, so that the kernel tells nothing of it. Docker says why there is none. */
function hasNoNetwork({ endpoints }: Container): boolean {
  return endpoints.every(({ network }) => network === 'none')
}

function resolveContainer(
  container: Container,
  source: SourceOf<'container'>,
  span: SpanSpec,
  { spec, host }: Context
): Resolved<SourceHook> {
  const bridges = new Set(spec.spans.map(({ bridge }) => bridge))
  const veths = container.veths ?? []
  const ends = veths.flatMap((pair) => {
    const link = host.linkAt(pair.host)
    return link?.foreignPeer && link.peer === pair.inside ? [link] : []
  })
  const links = ends.filter((link) => !isSpansPort(host, bridges, link))
  if (links.length === 0 && veths.some((pair) => host.isOpaque(pair.host))) return nothingResolved
  if (links.length === 0) {
    const waits = waitForMirrors(span, source, [container.name], explainAbsence(container, ends, host))
    return { ...nothingResolved, waits }
  }
  const items = links.flatMap((link) => {
    const found = checkInterface(link, false)
    return source.directions.map((direction) => ({
      ...identityOf(host.attachmentOf(link) ?? { container, endpoint: null }, link.name),
      device: { name: link.name, link },
      tcHook: peerHooks[direction],
      direction,
      settings: [],
      problem: found === undefined ? null : { ...found, origin: source.origin }
    }))
  })
  return { ...nothingResolved, items }
}

/** Why a container that runs has no interface to mirror. @param ends of its interfaces, all of them ports of spans' bridges. */
function explainAbsence(container: Container, ends: readonly Link[], { networks, engine }: HostIndex): Diagnostic {
  const { name, networkMode, endpoints } = container
  const connect = `connect it: ${engine} network connect NETWORK ${shellLine([name])}`
  if (ends.length > 0) {
    const message = `waits for an interface of the container ${name} beside those by which it is a sensor`
    return diagnostic('SOURCE_NO_INTERFACE', message, `${connect}; or leave it out of the sources`)
  }
  if (hasNoNetwork(container)) {
    const mode = networkMode === 'none' ? ' (network_mode: none)' : ''
    const message = `waits for an interface of the container ${name}: it has none, for it is on no Docker network${mode}`
    return diagnostic('SOURCE_NO_INTERFACE', message, connect)
  }
  const elsewhere = networks.find(
    (network) => network.driver !== 'bridge' && endpoints.some((endpoint) => endpoint.network === network.name)
  )
  const message = `waits for an interface of the container ${name} with an end on the host`
  const hint = elsewhere
    ? `a network of the driver ${elsewhere.driver}, as ${elsewhere.name}, gives none: mirror the interface of the host below it`
    : `it is ending, or has lost its interface: if it stays like this, ${shellLine([engine, 'restart', name])}`
  return diagnostic('SOURCE_NO_INTERFACE', message, hint)
}

/** Whether a link is a port of the bridge of a span of any owner; or was, until somebody took it off, or removed the bridge. */
function isSpansPort(host: HostIndex, own: ReadonlySet<string>, link: Link): boolean {
  const endpoint = host.attachmentOf(link)?.endpoint
  const network = endpoint && host.networkOf(endpoint.network)
  const bridges = [link.master, network ? dockerBridge(network) : null].filter((name) => name !== null)
  return bridges.some(
    (name) =>
      own.has(name) ||
      markOf(host, host.linkOf(name)) !== null ||
      host.networksOn(name).some(({ labels }) => labels[label.span] !== undefined)
  )
}

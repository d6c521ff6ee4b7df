import type { Code } from '../../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { composeLabel, dockerBridge, label } from '../../host/docker/docker-names.ts'
import { groupBy, type HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { DockerNetwork, Link } from '../../host/snapshot.ts'
import { quote } from '../../printable.ts'
import type { SourceOf } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { suggestNames } from '../../spec/schema/did-you-mean.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Direction } from '../../spec/values/direction.ts'
import { listNames } from '../../text-lines.ts'
import type { SourceId } from '../desired-state.ts'
import { dockerAddress } from '../foreign/bridge-adoption.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { markOf } from '../ownership.ts'
import { waitForDocker } from '../unread.ts'
import { checkInterface } from './check-interface.ts'
import {
  type Context,
  type HostSourceKind,
  nothingResolved,
  peerHooks,
  type Resolved,
  type ResolvedSource,
  recallMirrors,
  type SourceHook,
  waitForMirrors
} from './host-source-kind.ts'
import { findRenamedLink, sayRenamed } from './renamed-link.ts'

/**
 * Each frame on a Docker network, once: what a container or another port of the network's bridge sends is copied where it enters the
 * bridge, and what the host sends where it leaves the host for the bridge. Both directions of each port would copy each frame between
 * two containers twice (measured with Linux 6.18).
 */
export const networkSource: HostSourceKind<SourceOf<'network'>> = {
  needs: ({ network }) => ({ networks: [network] }),
  isDevice: () => false,
  resolve(source, span, context) {
    const found = findBridge(source, span, context)
    return 'link' in found ? { ...resolvePorts(source, found, context), isUnread: found.isUnread } : found
  },
  recall: (span, context) => recallMirrors(span, context, (link) => link.bridge !== null || link.master !== null),
  // What a container sends is that, whichever source of the file asks for it.
  identify: () => null
}

/** The bridge of a network, or what it was before somebody has renamed it: then the mirror on it waits, and those on its ports do not. */
interface NetworkBridge {
  readonly link: Link
  readonly isUnread: boolean
  readonly problem?: Diagnostic
}

function findBridge(
  source: SourceOf<'network'>,
  span: SpanSpec,
  { spec, names, host, patient }: Context
): ResolvedSource | NetworkBridge {
  const { network: name, origin } = source
  const wait = (found: Diagnostic, isUnread = false): ResolvedSource => ({
    ...nothingResolved,
    waits: waitForMirrors(span, source, [name], found),
    isUnread
  })
  const refuse = (code: Code, message: string, hint: string): ResolvedSource => {
    const found = diagnostic(code, message, hint, origin)
    return patient ? wait(found) : { ...nothingResolved, errors: [found], isUnread: false }
  }
  if (host.docker.state !== 'read') return wait(waitForDocker(), true)
  const network = host.networkOf(name)
  if (network === undefined) {
    const message = `waits for the Docker network ${name}${suggestNetwork(name, spec, host)}`
    return wait(
      diagnostic('SOURCE_NETWORK_MISSING', message, 'once it is there, a watch mirrors it, as does the next apply')
    )
  }
  const bridge = dockerBridge(network)
  if (bridge === null) {
    const message = `the network ${name} has the driver ${network.driver}, and no bridge on this host`
    return refuse('SOURCE_NETWORK_DRIVER', message, 'mirror the interface of the host that its frames pass')
  }
  const own = spanBridge(network, bridge, host) ?? spec.spans.find((one) => one.bridge === bridge)?.bridge
  if (own !== undefined) {
    const message = `the network ${name} hands out the span ${names.nameOf(own)}: its frames are copies`
    return refuse('SOURCE_NETWORK_OF_SPAN', message, `to copy them again, write "interface: ${bridge}"`)
  }
  const opaque = host.findOpaque(bridge)
  if (opaque !== undefined) {
    return wait(explainOpaque(opaque, `it is the bridge of a network that the span ${span.name} mirrors`), true)
  }
  const named = host.linkOf(bridge)
  const link = named ?? findRenamedLink(bridge, span, { spec, host }) ?? findByAddress(network, host)
  const missing = (hint: string) =>
    diagnostic('SOURCE_NETWORK_BRIDGE', `waits for the bridge ${bridge} of the network ${name}`, hint, origin)
  if (link === undefined) {
    const restart = shellLine(['systemctl', 'restart', 'docker'])
    const hint = `Docker makes it with the network: remove that and make it again; or when it starts: ${restart}, which stops containers, but for live-restore`
    return wait(missing(hint))
  }
  const isUnread = host.opaque.some(({ master }) => master === link.name)
  if (link !== named) return { link, isUnread, problem: missing(sayRenamed(link, bridge)) }
  // A bridge without ports has no carrier, and that is no fault of it.
  const isEmpty = host.membersOf(bridge).length === 0 && !isUnread
  return isEmpty
    ? wait(diagnostic('SOURCE_MISSING', `waits for a container on the network ${name}`))
    : { link, isUnread }
}

/** The bridge on which the host has the address that Docker has given it for a network. */
function findByAddress(network: DockerNetwork, { links }: HostIndex): Link | undefined {
  return links.find((link) => link.bridge !== null && dockerAddress(link, network) !== undefined)
}

/**
 * The networks that a name may stand for, in brackets: those that can be a source, and are none in the file. Compose's own name for a
 * network is not what Docker calls it.
 */
function suggestNetwork(name: string, { spans }: Spec, { networks }: HostIndex): string {
  const used = new Set(spans.flatMap(({ sources }) => sources.flatMap((one) => ('network' in one ? one.network : []))))
  const others = networks.filter(
    (one) => !used.has(one.name) && dockerBridge(one) !== null && one.labels[label.span] === undefined
  )
  const composed = others.filter(({ labels }) => labels[composeLabel.network] === name).map((one) => one.name)
  if (composed.length > 0) return ` (Compose calls ${listNames(composed)} that: write Docker's name)`
  const names = others.map((one) => one.name)
  // Compose puts a project's name before those of its networks.
  const ofProject = others
    .filter((one) => one.labels[composeLabel.project] === name || one.name.startsWith(`${name}_`))
    .map((one) => quote(one.name))
  const hint = ofProject.length > 0 ? `did you mean ${listNames(ofProject)}?` : suggestNames(name, names)
  return names.length === 0 ? '' : ` (${hint ?? `there are: ${listNames(names)}`})`
}

/** The bridge of the live span that a network hands out. */
function spanBridge({ labels }: DockerNetwork, bridge: string, host: HostIndex): string | undefined {
  return labels[label.span] ?? (markOf(host, host.linkOf(bridge)) === null ? undefined : bridge)
}

function resolvePorts(
  source: SourceOf<'network'>,
  { link: bridge, problem }: NetworkBridge,
  { host }: Context
): Resolved<SourceHook> {
  const ports = host.membersOf(bridge.name)
  const ends: Readonly<Record<Direction, readonly Link[]>> = { received: [bridge], sent: ports }
  const containerOf = (link: Link) => host.attachmentOf(link)?.container.name ?? null
  const nameOf = (link: Link) => containerOf(link) ?? link.name
  const hint = 'make the network again with another "com.docker.network.bridge.name"'
  // A container may have two ports here, and somebody's port may have a container's name.
  const names = groupBy(ports, nameOf)
  return {
    ...nothingResolved,
    items: source.directions.flatMap((direction) =>
      ends[direction].map((link): SourceHook => {
        const found = (link === bridge ? problem : undefined) ?? checkInterface(link, false)
        const id: SourceId =
          link === bridge
            ? [source.network]
            : [source.network, names(nameOf(link)).length === 1 ? nameOf(link) : link.name]
        return {
          source: id,
          serves: containerOf(link),
          device: { name: link.name, link },
          tcHook: peerHooks[direction],
          direction,
          settings: [],
          problem:
            found === undefined
              ? null
              : { ...found, ...(link === bridge && found !== problem && { hint }), origin: source.origin }
        }
      })
    )
  }
}

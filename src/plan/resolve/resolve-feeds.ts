import type { Diagnostic } from '../../errors.ts'
import { isPortName } from '../../host/docker/docker-names.ts'
import { groupBy, groupsOf, type HostIndex, indexHost } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import type { DesiredFeed, DesiredSpan, Part } from '../../resources/desired-state.ts'
import { assignBuckets } from '../../resources/feeds/assign-buckets.ts'
import { programOf } from '../../resources/feeds/feeds.ts'
import { type Wait, waitFor } from '../../resources/kind.ts'
import { isOwnTunnel } from '../../resources/ownership.ts'
import { isBeingMade, isLeaving } from '../../resources/port-role.ts'
import type { Share } from '../../resources/programs/share-program.ts'
import type { Context } from '../../resources/sources/host-source-kind.ts'
import type { BalanceSpec } from '../../spec/items/balance.ts'
import type { FilterSpec } from '../../spec/items/filter-key.ts'
import type { OutputSpec } from '../../spec/items/output-item.ts'
import type { SensorSpec } from '../../spec/items/sensor-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { explainLongPart } from './filter-errors.ts'
import { findReceivers, type Receiver } from './find-receivers.ts'
import { findExcess } from './program-size.ts'
import { resolveFilter } from './resolve-filter.ts'

/** Adds to each span its feeds: all tunnels, and every sensor and output that gets a part of the frames. */
export function resolveFeeds(spans: readonly DesiredSpan[], specs: readonly SpanSpec[], context: Context) {
  const known = { ...context, host: withLastAnswer(context.host) }
  const byName = new Map(specs.map((spec) => [spec.name, spec]))
  const resolved = spans.map((span) => {
    const spec = byName.get(span.name)
    const parts = spec === undefined ? [] : resolveParts(span, spec, known)
    const feeds = parts.map(({ feed }) => feed)
    const feedsBridge = spec === undefined || hasListener({ ...span, feeds }, spec, context)
    return { span: { ...span, feeds, feedsBridge }, parts }
  })
  const all = resolved.flatMap(({ parts }) => parts)
  return {
    spans: resolved.map(({ span }) => span),
    waits: all.flatMap(({ waits }) => waits),
    errors: all.flatMap(({ errors }) => errors)
  }
}

/**
 * While Docker is not asked, its last answer tells whose a port is, and the kernel whether that is still there: the shares of a member
 * that has ended move without waiting for Docker, whose API blocks meanwhile.
 */
function withLastAnswer(host: HostIndex): HostIndex {
  const { docker, snapshot } = host
  return docker.state === 'deferred' && docker.last ? indexHost({ ...snapshot, docker: docker.last }) : host
}

/**
 * Whether the bridge has to be fed: some port gets, or may get, its frames. If mirrors feed all ports, the bridge has no carrier. Frames
 * that are copied to it would then be lost, and the kernel would log that.
 */
export function hasListener(
  span: DesiredSpan,
  spec: SpanSpec,
  { scope, host }: Pick<Context, 'scope' | 'host'>
): boolean {
  const { bridge, network, feeds } = span
  const { sensors, outputs } = spec
  const isWhole = ({ filter, balance }: Pick<SensorSpec, 'filter' | 'balance'>) => filter === null && balance === null
  if (sensors.length + outputs.length === 0 || sensors.some(isWhole)) return true
  if (network !== null && sensors.length === 0) return true
  const isFed = (kind: DesiredFeed['kind'], id: string | undefined) =>
    feeds.some((feed) => feed.kind === kind && feed.name === id)
  if (outputs.some((output) => isWhole(output) && !isTunnelOutput(output))) return true
  // Ports that are not in the file: of a container or an interface that somebody has connected, or of a capture.
  const ports = host.portsOf(bridge).filter((link) => !isOwnTunnel(host, link) && !isFed('output', link.name))
  // Without Docker, it is not known which containers are connected to its network: the bridge is fed if it was.
  if (network !== null && host.docker.state !== 'read') return host.filtersInto(bridge).length > 0
  const isListening = (link: Link) => {
    const { container, endpoint } = host.attachmentOf(link) ?? {}
    // A container that starts just now has a port before Docker names it: until then, nothing changes.
    if (container === undefined) return !mayBeSensors(link, host) || host.filtersInto(bridge).length > 0
    const connects = endpoint && { container: container.name, network: endpoint.network }
    return !isFed('sensor', container.name) && !isLeaving(host, scope, span, connects ?? null)
  }
  return ports.some(isListening)
}

/** Whether a port has such a name as Docker and Podman give, and leads to another network namespace, or is about to. */
function mayBeSensors(link: Link, host: HostIndex): boolean {
  return isPortName(host.engine, link.name) && (link.foreignPeer || isBeingMade(host, link))
}

const isTunnelOutput = (output: OutputSpec) => 'tunnel' in output

function resolveParts(span: DesiredSpan, spec: SpanSpec, context: Context) {
  const receivers = findReceivers(span, spec, context.host)
  const membersOf = groupBy(receivers, ({ balance }) => balance?.id)
  const alone = receivers
    .filter(({ kind, filter, balance }) => balance === null && (kind === 'tunnel' || filter !== null))
    .map((receiver) => ({ receiver, filter: receiver.filter, share: null, shared: null }))
  const sharing = spec.balances.flatMap((balance) => shareAmong(holdBack(membersOf(balance.id)), balance))
  // While Docker is not read, it is not known which sensors can take frames: outputs beside them keep the share that they have.
  const isUnread = context.host.docker.state !== 'read'
  const isKept = ({ balance }: Receiver) =>
    isUnread && balance !== null && spec.sensors.some((sensor) => sensor.balance?.id === balance.id)
  return [...alone, ...sharing].map((one) => resolvePart(span, one, context, isKept(one.receiver)))
}

/** The part that a receiver gets of the frames that the sources' filters accept. */
interface Taking {
  readonly receiver: Receiver
  readonly filter: FilterSpec | null
  readonly share: Share | null
  readonly shared: Part['balance']
}

const isToCome = (absence: Receiver['absence']) =>
  absence === 'missing' || absence === 'disconnected' || absence === 'detached'

/**
 * Before an interface is attached, it is not sealed, may be down, and may reset itself when it gets its MTU: no other member loses flows to it
 * until then. If there is no other, nothing can be lost.
 */
function holdBack(members: readonly Receiver[]): readonly Receiver[] {
  const hasOthers = members.some(({ target, isToAttach }) => target !== null && isToAttach !== true)
  return members.map((one) =>
    hasOthers && one.isToAttach === true ? { ...one, target: null, absence: 'detached' as const } : one
  )
}

/**
 * A member that has a health check, and is not called healthy, counts as gone: its process may not listen yet, or not work. Where no member
 * is healthy, nothing would be won by that: those that run share.
 */
function leaveOutAiling(members: readonly Receiver[]): readonly Receiver[] {
  if (!members.some(({ target, ailment }) => target !== null && ailment === null)) return members
  return members.map((one) => (one.ailment === null ? one : { ...one, target: null, absence: one.ailment }))
}

/** Shares the flows among the members of a balance that can take frames now. The first of these also gets the frames without a flow. */
function shareAmong(all: readonly Receiver[], { id, hash, filter }: BalanceSpec): Taking[] {
  const members = leaveOutAiling(all)
  // While a container is recreated, the old and the new one have the same place: the one that can take frames counts. If both can, each
  // has a place of its own.
  const places = [...groupsOf(members, ({ item, place }) => `${item} ${place}`).values()].flatMap((inPlace) => {
    const able = inPlace.filter(({ target }) => target !== null)
    return able.length > 0 ? able : inPlace.slice(0, 1)
  })
  // Members at the end that are not connected yet do not count: no flow moves before they have a port. An interface that is to be attached
  // never counts.
  const count = places.findLastIndex(({ absence }) => !isToCome(absence)) + 1
  const counted = places.slice(0, count).filter(({ absence }) => absence !== 'detached')
  const isTwice = ({ place }: Receiver) => places.filter((one) => one.place === place).length > 1
  const slots = counted.map((one) => ({
    name: isTwice(one) ? one.name : one.place,
    alive: one.target !== null
  }))
  const buckets = assignBuckets(slots)
  const first = places.find(({ target }) => target !== null)
  // Members without a place get nothing: they have a part, so the bridge hands them nothing either.
  return [...places, ...members.filter((one) => !places.includes(one))].map((receiver) => ({
    receiver,
    filter,
    share: { hash, buckets: buckets[counted.indexOf(receiver)] ?? new Set(), rest: receiver === first },
    shared: { id, members: places.length }
  }))
}

function resolvePart(
  span: DesiredSpan,
  { receiver, filter, share, shared }: Taking,
  { filters, patient }: Context,
  isKept: boolean
) {
  const { place: _, filter: __, balance: ___, ailment: ____, isToAttach: _____, ...id } = receiver
  const found = resolveFilter({ filter, limit: null }, filters)
  const program = 'program' in found && !isKept ? found.program : null
  const expression = filter?.expression ?? null
  const isWhole = filter === null && share === null
  const part = isWhole ? null : { expression, program, share: isKept ? null : share, balance: shared }
  const feed: DesiredFeed = { ...id, part }
  const mirrors = span.mirrors.flatMap((point) => {
    const joined = programOf({ point, feed })
    return joined === null ? [] : { program: joined, limit: point.limit }
  })
  const excess = findExcess(mirrors)
  const tooLong = excess === null ? undefined : explainLongPart(receiver.name, excess, receiver.origin)
  const error = 'error' in found ? found.error : tooLong
  const problem = 'wait' in found ? found.wait : patient ? error : undefined
  return {
    feed: tooLong === undefined ? feed : { ...feed, target: null },
    waits: problem === undefined ? [] : [waitForFeed(span.name, receiver, problem)],
    errors: error === undefined || patient ? [] : [{ ...error, message: `span ${span.name}: ${error.message}` }]
  }
}

function waitForFeed(span: string, { kind, name, item }: Receiver, found: Diagnostic): Wait {
  const subject = { span, kind: kind === 'sensor' ? 'sensor' : 'output', id: [name], item }
  return waitFor(subject, `${name} → ${span}`, found)
}

import { nowhere } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { hookKey } from '../host/snapshot.ts'
import { everyFrame } from '../host/tc-conventions.ts'
import {
  type CopyPoint,
  type DesiredFeed,
  type DesiredSpan,
  type DesiredSpans,
  indexDesired,
  placeOf
} from '../resources/desired-state.ts'
import { liveOutputs, mirrorName } from '../resources/feeds/feeds.ts'
import { mirror } from '../resources/kinds/mirror.ts'
import type { Mirror } from '../resources/mirrors/mirror-resource.ts'
import { outputName } from '../resources/outputs/output-port.ts'
import { markOf } from '../resources/ownership.ts'
import { readShare } from '../resources/programs/share-program.ts'
import { readMarks } from '../resources/read-marks.ts'
import { readSeal } from '../resources/seal-commands.ts'
import { everySpan } from '../spec/scope.ts'
import { indexNames, type NamedSpan } from '../spec/span-names.ts'
import { liveSpans } from './live-spans.ts'
import type { PlanView } from './plan-view.ts'

/**
 * What is live, by the marks of every owner, as if a file said just that: nothing is to be changed, and nothing waits. It stands in
 * for a plan view where there is no file that can be planned.
 *
 * @param names what spans are called, as far as that is known.
 */
export function viewLive(host: HostIndex, names = indexNames([])): PlanView {
  const scope = { name: null, spans: everySpan }
  const spans = liveSpans({ scope, names }, host).map((name) => ({ name, bridge: names.bridgeOf(name) }))
  const owners = [...new Set(spans.map(({ bridge }) => ownerOf(bridge, host)))]
  const nothing: DesiredSpans = {
    owner: owners[0] ?? 'default',
    scope,
    names,
    spans: [],
    known: spans.map(({ bridge }) => bridge),
    receivers: [],
    also: new Set<number>(),
    goingDown: new Set<string>(),
    subnetSeed: ''
  }
  const bare = indexDesired(nothing)
  const live = mirror.observe({ desired: bare, marks: readMarks(bare, host), host })
  const desired = indexDesired({ ...nothing, spans: spans.map((span) => liveSpan(span, live, host)) })
  const plan = { spans: desired.spans, changes: [], waiting: [], warnings: [] }
  return { host, filters: new Map(), desired, marks: readMarks(desired, host), plan }
}

function ownerOf(bridge: string, host: HostIndex): string {
  const [network] = host.networksOfSpan(bridge)
  return markOf(host, host.linkOf(bridge))?.owner ?? network?.labels[label.name] ?? ''
}

function liveSpan({ name, bridge }: NamedSpan, live: readonly Mirror[], host: HostIndex): DesiredSpan {
  const link = host.linkOf(bridge)
  const owner = ownerOf(bridge, host)
  const [network] = host.networksOfSpan(bridge)
  // An endpoint that spanplan has made bears the owner's name: the container is, or was, a sensor of the file.
  const sensors = (network === undefined ? [] : host.endpointsOn(network.name))
    .filter(({ endpoint }) => endpoint.driverOptions[label.name] !== undefined)
    .map(({ container }) => ({ container, interfaceName: null, stats: null, item: container.name, origin: nowhere }))
  return {
    name,
    bridge,
    owner,
    description: null,
    origin: nowhere,
    mtu: link?.mtu ?? 0,
    wantedMtu: link?.mtu ?? 0,
    network: network === undefined ? null : { name: network.name, subnet: null, origin: nowhere },
    wire: link?.offloads.gso?.active === false,
    // The bridge of a sealed span has the filter, too. A port without it may be new.
    sealed: [bridge, ...host.portsOf(bridge).map((port) => port.name)].some((one) => readSeal(host, one) === 'sealed'),
    tunnels: [],
    isUnread: false,
    untouched: [],
    mirrors: findPoints(live, { name, bridge }),
    feedsBridge: live.some(({ spans, target }) => spans.includes(name) && target === bridge),
    sensors,
    feeds: findFeeds(live, { name, bridge }),
    outputs: liveOutputs(host, bridge).map((link) => ({
      isPort: link.master === bridge,
      device: link.name,
      name: outputName(host, link),
      item: link.name,
      origin: nowhere
    }))
  }
}

/** The hooks that the live mirrors of a span copy from, each once. */
function findPoints(live: readonly Mirror[], { name, bridge }: NamedSpan): CopyPoint[] {
  const points = live.flatMap(({ spans, target, feed, point }) =>
    spans.includes(name) && (target === bridge || feed !== null) ? [point] : []
  )
  return [...new Map(points.map((point) => [hookKey(placeOf(point)), point])).values()]
}

/** What the live mirrors of a span feed, each once. */
function findFeeds(live: readonly Mirror[], { name, bridge }: NamedSpan): DesiredFeed[] {
  const fed = live.flatMap(({ spans, feed, target, program }) => {
    if (feed === null || !spans.includes(name)) return []
    const share = readShare(program)
    // A tunnel may get all that the filters of the sources let through.
    const isWhole = share === null && (feed.kind === 'tunnel' || program === everyFrame)
    const part = isWhole ? null : { expression: null, program: null, share, balance: null }
    return [{ ...feed, target, absence: null, part, item: feed.name, origin: nowhere }]
  })
  return [...new Map(fed.map((one) => [mirrorName(bridge, one), one])).values()]
}

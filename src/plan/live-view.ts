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
import { liveSpans } from './live-spans.ts'
import type { PlanView } from './plan-view.ts'

/**
 * What is live, by the marks of every owner, as if a file said just that: nothing is to be changed, and nothing waits. It stands in
 * for a plan view where there is no file that can be planned.
 */
export function viewLive(host: HostIndex): PlanView {
  const scope = { name: null, spans: everySpan }
  const names = liveSpans({ scope }, host)
  const owners = [...new Set(names.map((name) => ownerOf(name, host)))]
  const nothing: DesiredSpans = {
    owner: owners[0] ?? 'default',
    scope,
    spans: [],
    known: names,
    receivers: [],
    also: new Set<number>(),
    goingDown: new Set<string>(),
    subnetSeed: ''
  }
  const bare = indexDesired(nothing)
  const live = mirror.observe({ desired: bare, marks: readMarks(bare, host), host })
  const desired = indexDesired({ ...nothing, spans: names.map((name) => liveSpan(name, live, host)) })
  const plan = { spans: desired.spans, changes: [], waiting: [], warnings: [] }
  return { host, filters: new Map(), desired, marks: readMarks(desired, host), plan }
}

function ownerOf(name: string, host: HostIndex): string {
  const [network] = host.networksOfSpan(name)
  return markOf(host, host.linkOf(name))?.owner ?? network?.labels[label.name] ?? ''
}

function liveSpan(name: string, live: readonly Mirror[], host: HostIndex): DesiredSpan {
  const bridge = host.linkOf(name)
  const owner = ownerOf(name, host)
  const [network] = host.networksOfSpan(name)
  // An endpoint that spanplan has made bears the owner's name: the container is, or was, a sensor of the file.
  const sensors = (network === undefined ? [] : host.endpointsOn(network.name))
    .filter(({ endpoint }) => endpoint.driverOptions[label.name] !== undefined)
    .map(({ container }) => ({ container, interfaceName: null, stats: null, item: container.name, origin: nowhere }))
  return {
    name,
    owner,
    description: null,
    origin: nowhere,
    mtu: bridge?.mtu ?? 0,
    wantedMtu: bridge?.mtu ?? 0,
    network: network === undefined ? null : { name: network.name, subnet: null, origin: nowhere },
    wire: bridge?.offloads.gso?.active === false,
    // The bridge of a sealed span has the filter, too. A port without it may be new.
    sealed: [name, ...host.portsOf(name).map((port) => port.name)].some((one) => readSeal(host, one) === 'sealed'),
    tunnels: [],
    isUnread: false,
    untouched: [],
    mirrors: findPoints(live, name),
    feedsBridge: live.some(({ spans, target }) => spans.includes(name) && target === name),
    sensors,
    feeds: findFeeds(live, name),
    outputs: liveOutputs(host, name).map((link) => ({
      isPort: link.master === name,
      device: link.name,
      name: outputName(host, link),
      item: link.name,
      origin: nowhere
    }))
  }
}

/** The hooks that the live mirrors of a span copy from, each once. */
function findPoints(live: readonly Mirror[], span: string): CopyPoint[] {
  const points = live.flatMap(({ spans, target, feed, point }) =>
    spans.includes(span) && (target === span || feed !== null) ? [point] : []
  )
  return [...new Map(points.map((point) => [hookKey(placeOf(point)), point])).values()]
}

/** What the live mirrors of a span feed, each once. */
function findFeeds(live: readonly Mirror[], span: string): DesiredFeed[] {
  const fed = live.flatMap(({ spans, feed, target, program }) => {
    if (feed === null || !spans.includes(span)) return []
    const share = readShare(program)
    // A tunnel may get all that the filters of the sources let through.
    const isWhole = share === null && (feed.kind === 'tunnel' || program === everyFrame)
    const part = isWhole ? null : { expression: null, program: null, share, balance: null }
    return [{ ...feed, target, absence: null, part, item: feed.name, origin: nowhere }]
  })
  return [...new Map(fed.map((one) => [mirrorName(span, one), one])).values()]
}

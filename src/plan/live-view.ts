import { nowhere } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import { type DesiredSpan, type DesiredSpans, indexDesired } from '../resources/desired-state.ts'
import { type Mirror, mirror } from '../resources/kinds/mirror.ts'
import { outputName } from '../resources/outputs/output-port.ts'
import { markOf } from '../resources/ownership.ts'
import { readPortMark } from '../resources/port-role.ts'
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
    .map(({ container }) => ({ container, interfaceName: null, item: container.name, origin: nowhere }))
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
    mirrors: live.flatMap(({ spans, target, point }) => (spans.includes(name) && target === name ? [point] : [])),
    sensors,
    balances: [],
    outputs: host
      .portsOf(name)
      .filter((port) => readPortMark(host, port)?.wasPort === false)
      .map((port) => ({ device: port.name, name: outputName(host, port), item: port.name, origin: nowhere }))
  }
}

import { indexLinks } from '../host/host-index.ts'
import type { ReadRequest } from '../host/read-request.ts'
import type { Filter, IpLink, Remote } from '../host/snapshot.ts'
import { limitModule, type OptionalModule } from '../host/tunnels/kernel-modules.ts'
import { ringedLinks, routedLinks, routedTunnels } from '../resources/interface-use.ts'
import { mayBeTunnel, readTunnelMark } from '../resources/marks.ts'
import { outputKindOf } from '../resources/outputs/registry.ts'
import { ownsNetwork } from '../resources/ownership.ts'
import { dedicatedInterfaces, ringedInterfaces } from '../resources/sources/find-interface.ts'
import { hostKindOf } from '../resources/sources/registry.ts'
import type { GoingDown } from '../run-dir/going-down.ts'
import { filtersOf } from '../spec/filter/filters-of.ts'
import { copiedOf } from '../spec/outputs/left-out-packets.ts'
import { everySpan, namesOf, type Scope, type SpanSelector } from '../spec/scope.ts'
import { indexNames, type NamedSpan, type SpanNames } from '../spec/span-names.ts'
import type { Spec } from '../spec/spec.ts'

/** What a command brings the host to: the spans of a file, or none. */
export interface Target {
  /** For a destroy, a spec without spans. */
  readonly spec: Spec
  /** All that is in scope is removed. */
  readonly isDestroy: boolean
  /** Live spans in scope that the spec does not have are removed. */
  readonly scope: Scope
  /** Further spans that a mirror without a target may belong to. */
  readonly known: readonly NamedSpan[]
  /** What the spans of the spec are called, and those that are known. */
  readonly names: SpanNames
  /** Foreign things that can be adopted are adopted. */
  readonly adopt: boolean
  /**
   * Of these spans, what disconnects running sensors is done: a Docker network is recreated, a sensor is connected again. Else it
   * waits: what runs without a person deafens nobody.
   */
  readonly recreate: SpanSelector
  /** A missing interface, or a Docker that does not answer, is a wait; else it is an error. */
  readonly patient: boolean
  readonly deferDocker: boolean
  /** What hooks have recorded. Which of these interfaces are still going down depends on the host. */
  readonly goingDown: readonly GoingDown[]
  /** Milliseconds to wait for tcpdump; null: as long as it takes. */
  readonly filterPatience: number | null
  /** Chooses the subnets of new networks: a plan is random only by what it is made from. */
  readonly subnetSeed: string
  /** What is left alone for a while. */
  readonly resting: Resting
}

/** The target of a spec, without anything that may be waived: the rest says what is. */
export function makeTarget(
  spec: Spec,
  rest: Partial<Target> & Pick<Target, 'scope' | 'deferDocker' | 'subnetSeed'>
): Target {
  const { known = [] } = rest
  const names = indexNames([...spec.spans, ...known])
  const usual = { isDestroy: false, known, names, adopt: false, recreate: everySpan, patient: false, goingDown: [] }
  return { spec, ...usual, filterPatience: null, resting: nothingRests, ...rest }
}

/** The target without any span of an owner: null is every owner. */
export function makeDestroyTarget(owner: string | null, rest: Partial<Target> & Pick<Target, 'deferDocker'>): Target {
  const { formerly = [] } = rest.scope ?? {}
  const spec = { name: owner ?? 'default', formerly, files: [], digest: '', interfaces: [], spans: [] }
  return makeTarget(spec, { isDestroy: true, scope: { name: owner, spans: everySpan }, subnetSeed: '', ...rest })
}

/** The pcap expressions of these spans. */
export function expressionsOf(spec: Spec): string[] {
  const all = spec.spans.flatMap((span) => [
    ...span.sources.flatMap((source) => copiedOf(source, span, spec) ?? []),
    ...filtersOf(span).flatMap(({ filter }) => filter?.expression ?? [])
  ])
  return [...new Set(all)]
}

/** The hosts that these spans send their frames to. */
export function remotesOf({ spans }: Pick<Spec, 'spans'>): Remote[] {
  return spans.flatMap(({ outputs }) => outputs.flatMap((one) => outputKindOf(one).remotes(one)))
}

/** Whether a source of a file says who may send to it. */
function choosesSenders({ spans }: Spec): boolean {
  return spans.some(({ sources }) => sources.some(({ from }) => from.length > 0))
}

/** The module that limits need. Where a policer is, the kernel has it. */
export function modulesOfLimits({ spans }: Spec, filters: readonly Filter[]): readonly OptionalModule[] {
  const isLimited = spans.some(({ sources }) => sources.some(({ limit }) => limit !== null))
  return isLimited && !filters.some(({ mirror }) => mirror?.limit !== undefined) ? [limitModule] : []
}

/** Whether a link has one of these names, altnames or permanent MAC addresses. */
function isNamed(names: readonly string[]): (link: IpLink) => boolean {
  const all = new Set(names)
  return ({ name, altnames, permanentMac }) => [name, ...altnames, permanentMac].some((one) => all.has(one))
}

/** Whether the alias of a link says that one of these names has made the link for a tunnel. */
function isTunnelOf(names: readonly string[], { alias, tunnel }: IpLink): boolean {
  const owner = tunnel === undefined ? null : readTunnelMark(alias, tunnel)
  return owner !== null && names.includes(owner)
}

/** What has to be read of the host to plan for a target. */
export function readRequestOf(target: Target): ReadRequest {
  const { spans } = target.spec
  const bridges = new Set(spans.map(({ bridge }) => bridge))
  const needs = spans.flatMap(({ sources }) => sources.map((source) => hostKindOf(source).needs(source, target.spec)))
  const sourced = needs.flatMap(({ containers = [] }) => containers)
  const sent = spans.flatMap((span) => span.outputs)
  const sending = sent.map((one) => {
    const kind = outputKindOf(one)
    return { devices: kind.devices(one, target.spec), modules: kind.modules(one) }
  })
  const outputs = sending.flatMap(({ devices }) => devices)
  const devices = [...needs.flatMap((one) => one.devices ?? []), ...outputs]
  const isNeeded = isNamed(devices)
  // The link of a tunnel keeps the name that it was made with, whatever the file is called since.
  const isDevice = (link: IpLink) => isNeeded(link) || isTunnelOf(namesOf(target.spec), link)
  const written = [
    ...needs.flatMap(({ tunnels = [] }) => tunnels),
    ...sent.flatMap((one) => ('tunnel' in one ? one.tunnel : []))
  ]
  const sourceNetworks = new Set(needs.flatMap((one) => one.networks ?? []))
  // What leads to a container is a source where containers are. Of all others there may be thousands.
  const isOurs = (link: IpLink) =>
    isDevice(link) ||
    bridges.has(link.name) ||
    bridges.has(link.master ?? '') ||
    (sourced.length + sourceNetworks.size > 0 && link.foreignPeer) ||
    (sourceNetworks.size > 0 && (link.bridge !== null || link.master !== null))
  const networks = new Set(spans.flatMap(({ network }) => network?.name ?? []))
  return {
    offloaded: (links) => links.filter(isOurs).map(({ name }) => name),
    programmed: (links) => links.filter(isOurs).map(({ name }) => name),
    routed: (links, filters) => {
      const marked = routedLinks(links, filters, (name) => bridges.has(name))
      const dedicated = dedicatedInterfaces(target.spec, indexLinks(links))
      const tunnels = routedTunnels(links, namesOf(target.spec), written)
      return [
        ...new Set([...marked, ...dedicated, ...tunnels, ...links.filter(isNamed(outputs)).map(({ name }) => name)])
      ]
    },
    ringed: (links, filters) => [
      ...new Set([...ringedLinks(links, filters), ...ringedInterfaces(target.spec, indexLinks(links))])
    ],
    remotes: remotesOf(target.spec),
    networks,
    sourceNetworks,
    bridges,
    removable: (network) => !networks.has(network.name) && ownsNetwork(target, network),
    containers: [...spans.flatMap(({ sensors }) => sensors), ...sourced],
    tables: true,
    senders: (links) =>
      target.isDestroy || choosesSenders(target.spec) || links.some((link) => mayBeTunnel(link, namesOf(target.spec))),
    modules: (links, filters) => {
      if (target.isDestroy) return []
      const there = new Set(links.map(({ name }) => name))
      const missing = [...needs, ...sending].filter(({ devices = [] }) => !devices.some((name) => there.has(name)))
      return [...new Set([...missing.flatMap(({ modules = [] }) => modules), ...modulesOfLimits(target.spec, filters)])]
    },
    deferDocker: target.deferDocker
  }
}

/** What a watch leaves alone for a while. What keeps sensors from sending, or the host from receiving, is never left alone. */
export interface Resting {
  /** Things that somebody undoes again and again: the instance of each, by its address. */
  readonly things: ReadonlyMap<string, string>
  /** Spans that fail. */
  readonly spans: ReadonlySet<string>
}

/** Nothing is left alone. */
export const nothingRests: Resting = { things: new Map(), spans: new Set() }

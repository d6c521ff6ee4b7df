import { diagnosticOf } from '../errors.ts'
import { sharesNetwork } from '../host/docker/container-match.ts'
import { dockerBridge, label } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { CompiledFilters } from '../host/parsers/pcap.ts'
import type { Link, TcFilter, TcHook } from '../host/snapshot.ts'
import { liveOutputs } from '../resources/feeds/feeds.ts'
import { placeOf } from '../resources/foreign/filter-words.ts'
import { findMismatches } from '../resources/kinds/network.ts'
import { readSample } from '../resources/programs/sample-program.ts'
import { checkInterface } from '../resources/sources/check-interface.ts'
import { hostHooks } from '../resources/sources/host-source-kind.ts'
import { sendsPackets } from '../spec/outputs/left-out-packets.ts'
import { directionKeys } from '../spec/values/direction.ts'
import { parseSubnet } from '../spec/values/subnet.ts'
import type { AnyFilter, Copy, DiscoveredSpan, Discovery } from './discovery.ts'
import { type HookSource, nameDockerSources } from './docker-sources.ts'
import { filterToPcap, joinParts, type PcapPart } from './filter-to-pcap.ts'
import { chooseName, type OwnedSpan, type Owner, ownerOf } from './owners.ts'
import { discoverParts, type FeedCopy, findFeeds, readLimit, readProgram } from './receivers.ts'
import { problemOf } from './refusal.ts'
import { findLeftOut, findSent } from './tunnels.ts'

/** The names of the bridges that mirrors of this host feed, and of those whose frames they copy, or whose ports'. */
export function discoverBridges(host: HostIndex): string[] {
  const copies = findCopies(host)
  const targets = new Set([
    ...copies.map(({ action }) => action.target),
    ...findFeeds(copies, host).map(({ bridge }) => bridge)
  ])
  const isBridge = (name: string) => host.linkOf(name)?.kind === 'bridge'
  const fed = [...targets].filter(isBridge)
  if (fed.length === 0) return []
  const devices = copies.flatMap(({ filter: { device } }) => [device, host.linkOf(device)?.master ?? device])
  return [...new Set([...fed, ...devices.filter(isBridge)])]
}

/**
 * Discovers the spans that the mirrors of a host make.
 *
 * @param name whose spans are wanted; null: those of the first name that there is, and those that have none.
 * @param filters what {@link findAllLeftOut} gives, compiled.
 */
export function discoverSpans(host: HostIndex, name: string | null, filters: CompiledFilters): Discovery {
  const all = findCopies(host)
  const feeds = findFeeds(all, host)
  const fed = new Set(feeds.map(({ action }) => action))
  const copies = all.filter(({ action }) => !fed.has(action))
  const remarks = unreachedRemarks(host)
  const found: OwnedSpan[] = []
  const targets = [...copies.map(({ action }) => action.target), ...feeds.map((feed) => feed.bridge)]
  for (const target of new Set(targets)) {
    const bridge = host.linkOf(target)
    const problem = bridge?.kind === 'bridge' ? problemOf(target) : noBridgeReason(target, bridge)
    if (bridge === undefined || problem !== null) {
      const places = copies.flatMap(({ filter, action }) => (action.target === target ? filterPlace(filter) : []))
      remarks.push(...[...new Set(places)].map((place) => `${place}: copies to ${target}: ${problem}`))
      continue
    }
    const ownFeeds = feeds.filter((feed) => feed.bridge === target)
    const own = [...copies.filter(({ action }) => action.target === target), ...ownFeeds]
    const owner = ownerOf(bridge, own, host, name)
    const span = discoverSpan(bridge, copies, ownFeeds, host, leftOutProgram(owner, host, filters))
    if (span.sources.length > 0) found.push({ span, owner })
    else remarks.push(...span.remarks.map((remark) => `span ${target}: ${remark}`))
  }
  const chosen = chooseName(found, name)
  return { ...chosen, remarks: [...remarks, ...chosen.remarks] }
}

/** The program of a mirror that leaves out what tunnels send, and nothing else; a text: why it is not known; null: there is none. */
type LeftOut = { readonly program: string } | string | null

function leftOutProgram(owner: Owner, host: HostIndex, filters: CompiledFilters): LeftOut {
  const expression = typeof owner === 'string' ? findLeftOut(host, owner) : null
  if (expression === null) return null
  const compiled = filters.get(expression)
  if (compiled?.state === 'compiled') return compiled
  return compiled?.state === 'unavailable' ? diagnosticOf(compiled.error).message : 'tcpdump has not compiled that'
}

function findCopies(host: HostIndex): Copy[] {
  const hooked = host.filters.map((filter) => ({ filter, tcHook: filter.tcHook }))
  // A classful qdisc classifies the frames that the device sends.
  const sorted = host.classFilters.map((filter) => ({ filter, tcHook: 'egress' as const }))
  return [...hooked, ...sorted]
    .filter(({ filter }) => !filter.directAction)
    .flatMap(({ filter, tcHook }) => {
      const end = filter.copies.findIndex(({ control }) => control !== 'pipe')
      const made = end === -1 ? filter.copies : filter.copies.slice(0, end + 1)
      return made.map((action) => ({ filter, tcHook, action }))
    })
}

/** tc-bpf(8): with direct-action, the program's return value decides, and the filter's actions are never run. */
function unreachedRemarks(host: HostIndex): string[] {
  return [...host.filters, ...host.classFilters]
    .filter(({ directAction, copies }) => directAction && copies.length > 0)
    .map((filter) => `${filterPlace(filter)}: its mirror never copies, because the filter is "direct-action"`)
}

function noBridgeReason(target: string, link: Link | undefined): string {
  if (target === '*' || link === undefined) return 'that interface is gone'
  return `it is not a bridge but ${link.kind === null ? 'a physical interface' : `an interface of the kind ${link.kind}`}, which a span cannot be`
}

function discoverSpan(
  bridge: Link,
  copies: readonly Copy[],
  feeds: readonly FeedCopy[],
  host: HostIndex,
  leftOut: LeftOut
): DiscoveredSpan {
  const outputs = liveOutputs(host, bridge.name)
  const sends = outputs.flatMap((port) => findSent(host, port) ?? []).some(sendsPackets)
  const { network, sensors, remarks: networkRemarks } = discoverNetwork(bridge.name, host)
  const remarks: string[] = []
  const hooks: HookSource[] = []
  let largest = 0
  const own = copies.filter(({ action }) => action.target === bridge.name)
  for (const device of new Set([...own, ...feeds].map(({ filter }) => filter.device))) {
    const link = host.linkOf(device)
    const problem = link
      ? (checkInterface(link, false)?.message ?? problemOf(bridge.name, { sources: [{ interface: device }] }))
      : 'that interface is gone'
    if (link === undefined || problem !== null) {
      remarks.push(`${device}: ${problem}`)
      continue
    }
    hooks.push(...hooksOf(device, bridge.name, copies, feeds, host, sends ? leftOut : null))
    largest = Math.max(largest, link.mtu)
  }
  const sources = nameDockerSources(hooks, host, (name) => problemOf(bridge.name, { sources: [name] }) === null)
  remarks.push(...networkRemarks)
  const left = outputs.flatMap(({ name }) => {
    const problem = problemOf(bridge.name, { outputs: [{ interface: name }] })
    return problem === null ? [] : [{ name, problem }]
  })
  remarks.push(...left.map(({ name, problem }) => `the output ${name} is left out: ${problem}`))
  const differs = bridge.mtu !== largest && bridge.mtu >= 68 && bridge.mtu <= 65535
  if (differs && bridge.mtu < largest)
    remarks.push(`its mtu is smaller than a source's (${largest}): larger frames are lost. "mtu: auto" avoids that.`)
  const known = knownPrograms(sends ? leftOut : null)
  const absent = feeds.length === 0 ? [] : sensors.filter((name) => isLeftOut(name, network?.name, feeds, host))
  const parts = discoverParts(feeds, own, absent, known)
  const isMember = (kind: 'sensor' | 'output', name: string) =>
    parts.balances.some(({ members }) => members.some((one) => one.kind === kind && one.name === name))
  const alone = (kind: 'sensor' | 'output', names: readonly string[]) =>
    names
      .filter((name) => !isMember(kind, name))
      .map((name) => ({ name, remarks: parts.remarks.get(`${kind} ${name}`) ?? [] }))
  const kept = outputs.flatMap(({ name }) => (left.some((one) => one.name === name) ? [] : name))
  return {
    ...{ name: bridge.name, network, sources, remarks },
    sensors: alone('sensor', sensors),
    outputs: alone('output', kept),
    balances: parts.balances,
    mtu: differs ? bridge.mtu : null
  }
}

/** Whether a container on the network of a span gets nothing now: the bridge hands it nothing, and no mirror does. */
function isLeftOut(name: string, network: string | undefined, feeds: readonly FeedCopy[], host: HostIndex): boolean {
  if (feeds.some(({ receiver }) => receiver?.kind === 'sensor' && receiver.name === name)) return false
  const endpoint = host.containerOf(name)?.endpoints.find((one) => one.network === network)
  const link = endpoint && host.vethTo(endpoint)
  return link === undefined || link.port?.flooding === false
}

/** One for each tc hook that is mirrored. */
function hooksOf(
  device: string,
  target: string,
  copies: readonly Copy[],
  feeds: readonly FeedCopy[],
  host: HostIndex,
  leftOut: LeftOut
): HookSource[] {
  return directionKeys.both.flatMap((direction): HookSource[] => {
    const tcHook = hostHooks[direction]
    const onHook = copies.filter((copy) => copy.filter.device === device && copy.tcHook === tcHook)
    const intoBridge = onHook.filter(({ action }) => action.target === target)
    const own = intoBridge.length > 0 ? intoBridge : findWidest(feeds, device, tcHook, leftOut)
    if (own.length === 0) return []
    const parts: PcapPart[] = []
    const problems: string[] = []
    const [sample = null] = own.map(({ filter }) => readSample(filter.program ?? ''))
    for (const { filter } of own) {
      const isReceivers = intoBridge.length === 0 && haveFiltersOfTheirOwn(feeds, device, tcHook, leftOut)
      const part = isReceivers ? everyPart : expressFilter(filter, host, leftOut)
      if (typeof part === 'string') problems.push(`${filterPlace(filter)}: ${part}.`)
      else parts.push(part)
    }
    const isEvery = parts.some(({ text }) => text === '')
    const filter = isEvery || problems.length > 0 ? null : joinParts(parts)
    if (filter === null && !isEvery) {
      if (problems.length === 0) problems.push('its filters look for frames with and without a VLAN tag.')
      if (typeof leftOut === 'string')
        problems.push(`whether it leaves out what the outputs send, and no more, is not known: ${leftOut}.`)
      problems.push('THIS COPIES EVERY FRAME: put your expression here, as "filter: …".')
    }
    const remarks = [...problems, ...remarksOf(own, onHook)]
    const limits = new Set(own.map(readLimit))
    const [limit] = limits.size === 1 ? limits : []
    return [
      {
        ...{ name: { interface: device }, direction, directions: [direction], filter, sample, remarks },
        limit: typeof limit === 'number' ? limit : null
      }
    ]
  })
}

/** Of mirrors that each feed one receiver, the one that says most of the source: one that has no filter, if there is any. */
function findWidest(feeds: readonly FeedCopy[], device: string, tcHook: TcHook, leftOut: LeftOut): FeedCopy[] {
  const onHook = feeds.filter((feed) => feed.filter.device === device && feed.tcHook === tcHook)
  const known = knownPrograms(leftOut)
  const isWide = ({ filter }: FeedCopy) => readProgram(filter.program ?? '', known).filter === null
  return [onHook.find(isWide) ?? onHook].flat().slice(0, 1)
}

/** Whether the receivers that mirrors at a hook feed have other filters than each other: then none of them is the source's. */
function haveFiltersOfTheirOwn(feeds: readonly FeedCopy[], device: string, tcHook: TcHook, leftOut: LeftOut): boolean {
  const onHook = feeds.filter((feed) => feed.filter.device === device && feed.tcHook === tcHook)
  const known = knownPrograms(leftOut)
  return new Set(onHook.map(({ filter }) => readProgram(filter.program ?? '', known).filter)).size > 1
}

const knownPrograms = (leftOut: LeftOut) => (leftOut === null || typeof leftOut === 'string' ? [] : [leftOut.program])

const everyPart: PcapPart = { text: '', tag: 'any', reach: 0 }

/** A filter on another chain, or in a class, gets only what other filters send there: its own match is not all. */
function expressFilter(filter: AnyFilter, host: HostIndex, leftOut: LeftOut): PcapPart | string {
  if (filter.chain !== 0) return `it sees only frames that are sent on to chain ${filter.chain}`
  const inner =
    'parent' in filter &&
    host.qdiscs.some((one) => one.device === filter.device && one.handle === filter.parent && !one.root)
  if (inner) return 'it sees only frames that are sorted into its class'
  // With these outputs, a source without a filter gets the same.
  const isBpf = filter.selects.kind === 'bpf' && !filter.directAction && filter.program !== null
  const isEvery = isBpf && readProgram(filter.program ?? '', knownPrograms(leftOut)).filter === null
  return isEvery ? everyPart : filterToPcap(filter)
}

/** Remarks on frames that several filters match, and on what the filters do besides copying. */
function remarksOf(own: readonly Copy[], onHook: readonly Copy[]): string[] {
  const filters = [...new Set(own.map(({ filter }) => filter))]
  const copiesTwice =
    filters.length < own.length || filters.slice(0, -1).some(({ copies }) => copies.at(-1)?.control === 'continue')
  const others = onHook.filter((copy) => !own.includes(copy))
  const hiding = filters.flatMap((filter) =>
    others.filter((other) => endsBefore(other.filter, filter)).map((other) => other.filter.pref)
  )
  const remarks: string[] = []
  if (copiesTwice)
    remarks.push('a frame that several of its mirrors matched was copied several times; spanplan copies it once.')
  if (hiding.length > 0) {
    const prefs = [...new Set(hiding)].join(', ')
    remarks.push(`what earlier filters took (preference ${prefs}) did not reach it; with spanplan, it does.`)
  }
  if (own[0]?.tcHook === 'egress' && filters.some(looksBehindTags))
    remarks.push(
      'tc looks behind a VLAN tag that is already in a frame when the host sends it; the expression does not.'
    )
  for (const filter of filters) {
    const place = filterPlace(filter)
    if (filter.others) remarks.push(`${place}: it does more than copy, which spanplan does not.`)
    if (!('parent' in filter)) continue
    remarks.push(`${place}: spanplan copies on clsact instead, and leaves the root qdisc alone.`)
    if (filter.classId !== null)
      remarks.push(`${place}: it also sorts frames into class ${filter.classId}, which they still need.`)
  }
  return remarks
}

/** Whether tc looks behind a VLAN tag that is still in the frame. pcap counts from the frame's first byte. */
function looksBehindTags({ protocol, selects }: TcFilter): boolean {
  if (selects.kind === 'u32') return protocol === 'all' && selects.keys.some(({ mask }) => mask !== 0)
  return selects.kind === 'flower' && ('vlan_id' in selects.keys || 'vlan_ethtype' in selects.keys)
}

/** Whether a frame that `one` matches never gets to `other`. Only "continue" passes a frame on to the next filter. */
function endsBefore(one: AnyFilter, other: AnyFilter): boolean {
  const isFirst = chainOf(one) === chainOf(other) && one.pref < other.pref
  return isFirst && one.copies.at(-1)?.control !== 'continue'
}

const chainOf = (filter: AnyFilter) => `${placeOf(filter)} ${filter.chain}`

function discoverNetwork(
  bridge: string,
  host: HostIndex
): Pick<DiscoveredSpan, 'network' | 'remarks'> & { readonly sensors: readonly string[] } {
  const network = host.networks.find((one) => dockerBridge(one) === bridge)
  const problem = network && problemOf(bridge, { network: network.name })
  if (network === undefined || problem) {
    return { network: null, sensors: [], remarks: problem ? [`the Docker network on it is left out: ${problem}`] : [] }
  }
  const subnet = network.pools.map((pool) => pool.subnet).find((one) => !('problem' in parseSubnet(one))) ?? null
  const on = host.containers.filter(({ endpoints }) => endpoints.some((one) => one.network === network.name))
  const sensors: string[] = []
  const objections = network.labels[label.name] === undefined ? findMismatches(network, bridge) : []
  const remarks = objections.map(
    (reason) => `--adopt cannot take over the Docker network ${network.name}: ${reason}. Recreate it, or take it out.`
  )
  for (const { name, networkMode } of on) {
    const reason = sharesNetwork(networkMode)
      ? `network_mode: ${networkMode}`
      : problemOf(bridge, { network: network.name, sensors: [name] })
    if (reason === null) sensors.push(name)
    else remarks.push(`the container ${name} cannot be a sensor: ${reason}`)
  }
  return { network: { name: network.name, subnet }, sensors: sensors.sort(), remarks }
}

function filterPlace(filter: AnyFilter): string {
  return `${filter.device} ${placeOf(filter)}, ${filter.kind} filter at preference ${filter.pref}`
}

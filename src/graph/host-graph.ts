import { isAbout } from '../codes/meanings.ts'
import type { ItemId } from '../errors.ts'
import { groupsOf, type HostIndex } from '../host/host-index.ts'
import type { Link } from '../host/snapshot.ts'
import { localTime } from '../local-time.ts'
import type { PlannedChange } from '../plan/plan.ts'
import type { PlanView } from '../plan/plan-view.ts'
import { oneLine } from '../printable.ts'
import type { CopyPoint, DesiredSpan, FeedId } from '../resources/desired-state.ts'
import { writeParts } from '../resources/feeds/part-words.ts'
import type { Wait } from '../resources/kind.ts'
import { isTunnel } from '../resources/kinds/tunnel.ts'
import { isMirror } from '../resources/mirrors/mirror-resource.ts'
import { writeFrames } from '../resources/mirrors/mirror-words.ts'
import type { KindName } from '../resources/registry.ts'
import { writeSourceName } from '../resources/sources/host-source-kind.ts'
import type { SensorSpec } from '../spec/items/sensor-item.ts'
import type { SourceSpec } from '../spec/items/source-item.ts'
import type { SpanSpec } from '../spec/items/span-item.ts'
import { endOf } from '../spec/sources/registry.ts'
import type { Spec } from '../spec/spec.ts'
import { writeDirection } from '../spec/values/direction.ts'
import type { FlowReport, Hop } from '../status/counters/flow-report.ts'
import type { Report } from '../status/report.ts'
import type { SensorHealth } from '../status/sensor-health.ts'
import {
  drawMirror,
  drawOutput,
  drawPart,
  drawSensor,
  drawSource,
  drawSpan,
  type End,
  type Graph,
  type GraphSource,
  type GraphSpan,
  type Part,
  type Remark,
  writeWanted
} from './graph.ts'

/** What the graph of a host is made of: the file, the plan, and the status at the time of the plan. */
export interface HostInput {
  readonly spec: Spec
  /** The spans of the file that are shown. */
  readonly spans: readonly SpanSpec[]
  readonly view: PlanView
  readonly report: Report
}

/** The part of a span that something is said of. */
type Side = 'source' | 'mirror' | 'receiver' | 'span'

/** Something to say, and what tells the part that it is said of. */
interface Finding {
  /** A change is put together with others of its action; a remark stands alone. */
  readonly about: Remark | PlannedChange
  /** null: any side. */
  readonly side: Side | null
  readonly device?: string | undefined
  readonly container?: string | undefined
  readonly item?: ItemId | undefined
}

/** A source or a receiver on the host, and how findings about it are recognised. */
interface Place<P extends Part> {
  readonly part: P
  readonly devices?: readonly string[]
  readonly container?: string | undefined
  readonly item?: ItemId
}

/** What is at the two ends of a span. */
interface Ends {
  readonly sources: readonly Place<GraphSource>[]
  readonly receivers: readonly Place<End>[]
}

/** What each action says of the host as it is. */
const words: Readonly<Record<PlannedChange['action'], string>> = {
  create: 'missing',
  update: 'differs',
  replace: 'has to be recreated',
  remove: 'not in the file',
  adopt: 'foreign'
}

/** The side of a span that a kind of resource is on. All others are of the span itself. */
const sides: Readonly<Partial<Record<KindName, Side>>> = {
  interface: 'source',
  tunnel: 'source',
  qdisc: 'source',
  mirror: 'mirror',
  sensor: 'receiver',
  port: 'receiver',
  output: 'receiver'
}

/** What is not what its kind is called: the interface and the container themselves stay. */
const names: Readonly<Partial<Record<KindName, string>>> = {
  interface: 'interface settings',
  sensor: 'connection'
}

/** What a report says of a span that changes say already, and sensors at their containers, or that one sample cannot tell. */
const isShownElsewhere = isAbout('changes', 'sensors', 'losses')

/** The graph of the spans on a host: what is live, what waits, and what is not as the file says. */
export function drawHost(input: HostInput): Graph {
  const { spec, spans, view, report } = input
  const listed = new Set(spec.spans.map(({ name }) => name))
  const others = view.plan.spans.filter(({ name }) => !listed.has(name))
  const lost = view.plan.changes.filter(({ span }) => span === null)
  return {
    fileOnly: false,
    spans: [
      ...spans.map((span) => drawListed(span, input)),
      ...others.map(({ name }) =>
        complete(name, { ...drawPart(name), description: null }, { sources: [], receivers: [] }, input)
      )
    ],
    remarks: [
      ...report.fileErrors.map(({ message }) => remark('broken', message)),
      ...(report.basis === 'watch'
        ? [remark('waits', 'the watch goes on with the last valid file, which is drawn')]
        : []),
      ...writeRemarks(
        [
          ...lost.map((change) => findChange(change, view.host)),
          ...report.unhealthy
            .filter((found) => !isShownElsewhere(found))
            .map(({ message }) => ({ about: remark('broken', message) }))
        ],
        view.host
      )
    ]
  }
}

/** The graph of the spans that are live, where there is no plan for a file. */
export function drawLive(view: PlanView, report: Report): Graph {
  const spans = view.desired.spans.map((span) => {
    const named = groupsOf(span.mirrors, ({ source }) => writeSourceName(source))
    const sources = [...named].map(([name, points]) => ({
      part: { ...nameDevice(name, view.host), mirror: drawPoints(points) },
      devices: points.map(({ device }) => device.name)
    }))
    const sensors = span.sensors.map(({ container: { name } }) => ({
      part: drawNamed('container', name, 'container', writeLive(span, 'sensor', name)),
      container: name
    }))
    const outputs = span.outputs.map(({ device, isPort }) => ({
      part: drawNamed('interface', device, 'output', writeLive(span, isPort ? 'output' : 'tunnel', device)),
      devices: [device]
    }))
    const listed = [...sensors, ...outputs]
    const receivers = [...listed, ...findOthers(span, view.host, listed)]
    return complete(span.name, drawSpan(span), { sources, receivers }, { view, report })
  })
  return {
    fileOnly: false,
    spans,
    remarks: [...report.fileErrors, ...report.unhealthy].map(({ message }) => remark('broken', message))
  }
}

/** What is at an end of a span on the host, by its name alone. */
function drawNamed(kind: End['kind'], name: string, detail?: string, gets: readonly string[] = []): End {
  return { ...drawPart(name, detail === undefined ? [] : [detail]), id: name, kind, gets: gets.map(oneLine) }
}

/** A device; of the host's end of a container's interface, the container. */
function nameDevice(device: string, host: HostIndex): End {
  const container = host.attachmentOf(host.linkOf(device))?.container.name
  return container === undefined ? drawNamed('interface', device) : drawNamed('container', container, `by ${device}`)
}

function drawPoints(points: readonly CopyPoint[]): Part {
  const filters = new Set(points.map((point) => writeFrames(point) ?? 'every frame'))
  return drawPart(points.map(({ direction }) => writeDirection(direction)).join(' + '), [...filters])
}

function drawListed(span: SpanSpec, input: HostInput): GraphSpan {
  const { spec, view } = input
  const desired = view.desired.spanOf(span.name)
  const sources = span.sources.flatMap((source) => findSources(spec, source, desired))
  const sensors = span.sensors.flatMap((sensor) => findSensors(sensor, span, desired, view))
  const outputs = span.outputs.map((output): Place<End> => {
    const found = desired?.outputs.find(({ item }) => item === output.id)
    const device = found?.device
    const gets = desired && found && writeLive(desired, found.isPort ? 'output' : 'tunnel', found.device)
    return {
      part: drawOutput(spec, output, gets ?? writeWanted(span, output), device),
      devices: device === undefined ? [] : [device],
      item: output.id
    }
  })
  const named = [...sensors, ...outputs]
  const receivers = [...named, ...findOthers(span, view.host, named)]
  return complete(span.name, drawSpan(desired ?? span), { sources, receivers }, input)
}

/** The sources that an item of the file is on this host; the item itself where there is none. */
function findSources(spec: Spec, source: SourceSpec, desired: DesiredSpan | undefined): Place<GraphSource>[] {
  const { id: item } = source
  const isDockers = ['container', 'network'].includes(endOf(source))
  // While Docker is unread, the device alone is known of a container: the file names it better.
  const nameOf = (point: CopyPoint) => {
    const name = writeSourceName(point.source)
    return isDockers && name === point.device.name ? undefined : name
  }
  const found = [...groupsOf(desired?.mirrors.filter((point) => point.item === item) ?? [], nameOf)]
  if (found.length === 0) {
    return [{ part: { ...drawSource(spec, source), mirror: drawMirror(source, source.directions) }, devices: [], item }]
  }
  return found.map(([name, points]) => {
    const directions = [...new Set(points.map(({ direction }) => direction))]
    return {
      part: { ...drawSource(spec, source, name), mirror: drawMirror(source, directions) },
      devices: points.map(({ device }) => device.name),
      item
    }
  })
}

/** The containers that an item of the file selects on this host; the item itself where it selects none and waits. */
function findSensors(
  sensor: SensorSpec,
  span: SpanSpec,
  desired: DesiredSpan | undefined,
  { host, plan }: PlanView
): Place<End>[] {
  const { id: item } = sensor
  const found = desired?.sensors.filter((one) => one.item === item) ?? []
  const isAwaited = plan.waiting.some((wait) => wait.span === span.name && wait.diagnostic.subject.item === item)
  // Where it neither waits nor selects a container, an earlier item selects the same container.
  if (found.length === 0 && desired !== undefined && !isAwaited) return []
  if (found.length === 0 || desired === undefined)
    return [{ part: drawSensor(sensor, writeWanted(span, sensor)), item }]
  return found.map(({ container }) => {
    const endpoint = container.endpoints.find(({ network }) => network === span.network?.name)
    const port = endpoint && host.vethTo(endpoint)
    const part = drawSensor(sensor, writeLive(desired, 'sensor', container.name), container.name)
    return { part, devices: port ? [port.name] : [], container: container.name, item }
  })
}

/** What a sensor or an output of this name gets now; nothing: every frame. */
function writeLive({ feeds }: DesiredSpan, kind: FeedId['kind'], name: string): string[] {
  const part = feeds.find((feed) => feed.kind === kind && feed.name === name)?.part ?? null
  return part === null ? [] : writeParts(part)
}

/** Who else gets the frames: containers on the network, and ports of the bridge that lead into no container. */
function findOthers(
  { bridge, network }: Pick<SpanSpec, 'bridge' | 'network'>,
  host: HostIndex,
  named: readonly Place<End>[]
): Place<End>[] {
  const endpoints = network === null ? [] : host.endpointsOn(network.name)
  const containers = endpoints
    .filter(({ container }) => container.running && !named.some((one) => one.container === container.name))
    .map(({ container, endpoint }) => {
      const port = host.vethTo(endpoint)
      return {
        part: drawNamed('container', container.name, 'not in the file'),
        devices: port ? [port.name] : [],
        container: container.name
      }
    })
  const isNamed = ({ name: device }: Link) => named.some(({ devices = [] }) => devices.includes(device))
  const isKnown = host.readings.docker === 'read' && endpoints.every(({ endpoint }) => endpoint.port !== 'unknown')
  const ports = isKnown
    ? host.portsOf(bridge).filter((link) => host.attachmentOf(link) === undefined && !isNamed(link))
    : []
  return [
    ...containers,
    ...ports.map((link) => ({
      part: drawNamed('interface', link.name, 'port, not in the file'),
      devices: [link.name]
    }))
  ]
}

function findingsOf(span: string, { view: { host, plan }, report }: Pick<HostInput, 'view' | 'report'>): Finding[] {
  const status = report.spans.find(({ name }) => name === span)
  const waiting = plan.waiting.filter((wait) => wait.span === span)
  const awaited = new Set(waiting.map(({ diagnostic }) => diagnostic.code))
  return [
    ...(status?.pausedUntil
      ? [{ about: remark('paused', `paused until ${localTime(status.pausedUntil)}`), side: 'span' } as const]
      : []),
    ...plan.changes
      .filter(({ before, after }) => (after ?? before)?.spans.includes(span))
      .map((change) => findChange(change, host)),
    ...waiting.map(({ diagnostic: { message, subject } }) => ({
      about: remark('waits', message),
      side: null,
      item: subject.item
    })),
    ...(status?.sensors ?? []).flatMap((sensor) => findSensor(sensor, waiting)),
    ...(status?.unhealthy ?? [])
      .filter((found) => !awaited.has(found.code) && !isShownElsewhere(found))
      .map(({ message, subject }) => ({ about: remark('broken', message), side: null, item: subject?.item }))
  ]
}

/** A wait says by itself that a container is missing. */
function findSensor({ sensor, state, diagnostic }: SensorHealth, waiting: readonly Wait[]): Finding[] {
  if (state === 'healthy' || waiting.some((wait) => wait.container === sensor)) return []
  const about =
    state === 'unhealthy'
      ? remark('broken', diagnostic?.message ?? state)
      : remark(
          'waits',
          state === 'starting' ? 'has just started, and is not listening yet' : 'whether it listens is not known'
        )
  return [{ about, side: 'receiver', container: sensor }]
}

function findChange(change: PlannedChange, host: HostIndex): Finding {
  const { kind, device, container, subject } = change
  const side = isOfOutput(change) ? 'receiver' : (sides[kind] ?? 'span')
  const behind = side === 'receiver' ? host.attachmentOf(host.linkOf(device))?.container.name : undefined
  return { about: change, side, device: device ?? undefined, container: container ?? behind, item: subject.item }
}

/** Whether a change is of the link of a tunnel that frames leave by. */
function isOfOutput({ before, after }: PlannedChange): boolean {
  const resource = after ?? before
  return resource !== null && isTunnel(resource) && resource.way === 'out'
}

/** Hands each finding to the part that it is about. What is only on the host gets parts of its own. */
function complete(
  name: string,
  span: Omit<GraphSpan, keyof Ends>,
  ends: Ends,
  input: Pick<HostInput, 'view' | 'report'>
): GraphSpan {
  const findings = findingsOf(name, input)
  const flow = input.report.spans.find((one) => one.name === name)?.flowReport
  const isStray = (finding: Finding) =>
    (finding.device ?? finding.container) !== undefined && findPlace(finding, ends) === undefined
  const sources = [
    ...ends.sources,
    ...addSources(
      findings.filter((one) => isAtSource(one) && isStray(one)),
      input.view.host
    )
  ]
  const strays = findings.filter((one) => one.side === 'receiver' && isStray(one))
  const receivers = [...ends.receivers, ...addReceivers(strays)]
  const placed = findings.map((finding) => ({ finding, place: findPlace(finding, { sources, receivers }) }))
  const remarksAt = (place: Place<Part> | undefined, isTaken: (finding: Finding) => boolean = () => true) =>
    writeRemarks(
      placed.flatMap((one) => (one.place === place && isTaken(one.finding) ? [one.finding] : [])),
      input.view.host
    )
  return {
    ...span,
    remarks: remarksAt(undefined),
    sources: sources.map((place) => ({
      ...place.part,
      remarks: remarksAt(place, ({ side }) => side !== 'mirror'),
      mirror: {
        ...place.part.mirror,
        remarks: remarksAt(place, ({ side }) => side === 'mirror'),
        rate: findRate(place, ['mirror'], flow)
      }
    })),
    receivers: receivers.map((place) => ({
      ...place.part,
      remarks: remarksAt(place),
      rate: findRate(place, ['sensor', 'output'], flow) ?? findRate(place, ['port'], flow)
    }))
  }
}

/** Frames a second at the hops of a place; null: they were not counted, or copies were. */
function findRate(
  { devices, container }: Place<Part>,
  kinds: readonly Hop['kind'][],
  flow: FlowReport | undefined
): number | null {
  const isHere = (hop: Hop) =>
    kinds.includes(hop.kind) &&
    (devices?.includes(hop.device) || (hop.kind === 'sensor' && hop.container === container))
  const hops = flow?.hops.filter(isHere) ?? []
  const frames = hops.flatMap((hop) => (hop.kind === 'mirror' && hop.countsCopies ? [] : (hop.frames ?? [])))
  if (flow === undefined || flow.seconds <= 0 || frames.length === 0) return null
  return frames.reduce((sum, count) => sum + count, 0) / flow.seconds
}

function isAtSource({ side }: Finding): boolean {
  return side === 'source' || side === 'mirror'
}

/** The place with the device or the container; else the only one that the item of the file is. undefined: it is the span's own. */
function findPlace(finding: Finding, { sources, receivers }: Ends): Place<Part> | undefined {
  const { side, device, container, item } = finding
  if (side === 'span') return undefined
  const places: readonly Place<Part>[] =
    side === 'receiver' ? receivers : isAtSource(finding) ? sources : [...sources, ...receivers]
  const same = places.filter((place) => item !== undefined && place.item === item)
  if (device === undefined && container === undefined) return same.length === 1 ? same[0] : undefined
  const isThere = (place: Place<Part>) =>
    (device !== undefined && place.devices?.includes(device)) ||
    (container !== undefined && place.container === container)
  return same.find(isThere) ?? places.find(isThere)
}

/** Interfaces that are copied from, and are not in the file any more. */
function addSources(findings: readonly Finding[], host: HostIndex): Place<GraphSource>[] {
  const names = new Set(findings.flatMap(({ device }) => device ?? []))
  return [...names].map((name) => {
    const mirrors = findings.filter(({ side, device }) => side === 'mirror' && device === name)
    const mirror = drawPart(mirrors.map(({ about }) => ('action' in about ? directionOf(about) : '')).join(' + '))
    return {
      part: { ...nameDevice(name, host), mirror },
      devices: [name]
    }
  })
}

/** Containers and ports that get the frames of a span that is not in the file any more. */
function addReceivers(findings: readonly Finding[]): Place<End>[] {
  const all = new Map(findings.map(({ device, container }) => [container ?? device ?? '', { device, container }]))
  return [...all].map(([name, { device, container }]) => ({
    part: drawNamed(container === undefined ? 'interface' : 'container', name),
    devices: device === undefined ? [] : [device],
    container
  }))
}

/** The remarks of one part: what an action is planned for is in one remark, and nothing is said twice. */
function writeRemarks(findings: readonly Pick<Finding, 'about'>[], host: HostIndex): Remark[] {
  const abouts = findings.map(({ about }) => about)
  const changes = abouts.flatMap((about) => ('action' in about ? [about] : []))
  const texts = new Map(abouts.flatMap((about) => ('action' in about ? [] : [[about.text, about] as const])))
  const remarks = [
    ...texts.values(),
    ...[...groupsOf(changes, ({ action }) => action)].map(([action, own]) =>
      remark('broken', `${words[action]}: ${[...new Set(own.map(nameChange))].join(', ')}`)
    )
  ]
  return remarks.map(({ standing, text }) => remark(standing, nameContainers(text, host)))
}

/** A text in which the container stands behind the host's end of its interface. */
function nameContainers(text: string, host: HostIndex): string {
  return text.replace(/[^\s,;:()]+/g, (word) => {
    const container = host.attachmentOf(host.linkOf(word))?.container.name
    return container === undefined ? word : `${word} (${container})`
  })
}

function nameChange(change: PlannedChange): string {
  const name = change.kind === 'mirror' ? `mirror ${directionOf(change)}` : (names[change.kind] ?? change.kind)
  // What a mark says is for the plan to show.
  const facts = change.facts
    .filter(({ changed }) => changed)
    .map(({ label, from, to }) => (label === 'mark' ? label : `${label}: ${from} → ${to}`))
  return facts.length === 0 ? name : `${name} (${facts.join(', ')})`
}

/** The direction of a mirror; empty: the change is of no mirror. */
function directionOf({ before, after }: PlannedChange): string {
  const resource = after ?? before
  return resource !== null && isMirror(resource) ? writeDirection(resource.point.direction) : ''
}

function remark(standing: Remark['standing'], text: string): Remark {
  return { standing, text: oneLine(text) }
}

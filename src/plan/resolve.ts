import type { Diagnostic, Origin } from '../errors.ts'
import { SpanplanError } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import { longestProgram } from '../host/parsers/pcap.ts'
import type { Program, Snapshot } from '../host/snapshot.ts'
import { everyFrame } from '../host/tc-syntax.ts'
import { writeAddress } from '../resources/kind.ts'
import {
  type CopyPoint,
  type DesiredSpan,
  type DesiredState,
  diagnostic,
  readMarks
} from '../resources/mark-inventory.ts'
import { readMark } from '../resources/marks.ts'
import {
  checkCard,
  findCard,
  isMatch,
  matchOf,
  suggestCard,
  warnOfHiding,
  warnOfMerging,
  warnOfPrograms
} from '../resources/sources/interface.ts'
import type { InterfaceMatch } from '../spec/interfaces.ts'
import { matchesSpan, type Scope } from '../spec/scope.ts'
import type { SourceSpec, SpanSpec, Spec, TcHook } from '../spec/spec.ts'
import { warnOfOthers } from './copy-warnings.ts'
import { breakLoops, type Loop } from './loops.ts'
import { findSharedNames, resolveSensors } from './resolve-sensors.ts'

/** The file's wishes, resolved on this host, with what has to wait and what is worth a warning. */
export interface Desired {
  readonly wanted: DesiredState
  readonly waiting: readonly Wait[]
  readonly warnings: readonly Diagnostic[]
  /** What of others' may be taken over is. */
  readonly adopt: boolean
}

/** A resource that cannot be made yet. */
export interface Wait {
  readonly kind: string
  readonly span: string
  readonly title: string
  readonly diagnostic: Diagnostic
}

/** What of a file is to be made true of the host, and how far. */
export interface ResolveTarget {
  readonly spec: Spec
  /** Of the spans in it, those that the file does not know go. */
  readonly scope: Scope
  /** What of others' may be taken over is. */
  readonly adopt: boolean
  /** A card or a Docker that is not there is waited for; else it stands in the way. */
  readonly patient: boolean
  /** The names of cards that are being taken down: they count as not there. */
  readonly goingDown: ReadonlySet<string>
}

/** Gathers while names are resolved, so that all that is wrong is said at once. */
export interface Findings {
  readonly errors: Diagnostic[]
  readonly waiting: Wait[]
  readonly warnings: Diagnostic[]
}

/**
 * Resolves the spans of a file that are in scope: devices, programs, containers.
 *
 * @throws SpanplanError with all that stands in the way: a card that is missing or is not Ethernet, a filter that does
 * not compile, a loop, a container that cannot be connected, Docker not there.
 */
export function resolveSpec(order: ResolveTarget, host: Snapshot): Desired {
  const { spec, scope, adopt, goingDown } = order
  const findings: Findings = { errors: [], waiting: [], warnings: [] }
  const specs = spec.spans.filter((span) => matchesSpan(scope.spans, span.name))
  const resolved = specs.map((span) => resolveSpan(order, span, host, findings))
  const { spans, loops } = breakLoops(resolved, host)
  if (order.patient) findings.waiting.push(...loops.flatMap(leaveOutLoop))
  findings.errors.push(
    ...(order.patient ? [] : [...needDocker(specs, host), ...loops.map((loop) => loop.diagnostic)]),
    ...findSharedNames(spans)
  )
  if (findings.errors.length > 0) throw new SpanplanError(sortByPlace(findings.errors, spec.files))
  const known = knownSpans(
    spec.spans.map(({ name }) => name),
    host
  )
  return {
    wanted: readMarks({ owner: spec.name, scope, spans, known, also: new Set(), goingDown }, host),
    ...findings,
    adopt
  }
}

/** A watch goes on without the source, and its mirror goes: a loop that somebody closes under it is a storm at once. */
function leaveOutLoop({ span, mirrors, diagnostic }: Loop): Wait[] {
  return mirrors.map(({ link, tcHook }) => ({
    ...{ kind: 'mirror', span, title: titleOf(link.name, tcHook, span) },
    diagnostic: { ...diagnostic, address: writeAddress(span, 'mirror', link.name, tcHook) }
  }))
}

function titleOf(device: string, tcHook: TcHook, span: string): string {
  return `${device} ${tcHook} → ${span}`
}

/** In the order of the files and their lines; what has no place comes last. */
function sortByPlace(diagnostics: readonly Diagnostic[], files: readonly string[]): Diagnostic[] {
  const rank = ({ origin }: Diagnostic): readonly number[] =>
    origin ? [files.indexOf(origin.file), origin.line, origin.column] : [files.length]
  return [...diagnostics].sort((a, b) => {
    const [x, y] = [rank(a), rank(b)]
    return x.map((value, index) => value - (y[index] ?? 0)).find((difference) => difference !== 0) ?? 0
  })
}

/** Wants nothing at all of what is in scope: what is there goes. */
export function resolveNothing(owner: string, host: Snapshot, scope: Scope, known: readonly string[]): Desired {
  const none = { spans: [], also: new Set<number>(), goingDown: new Set<string>() }
  const wanted = readMarks({ owner, scope, known: knownSpans(known, host), ...none }, host)
  return { wanted, waiting: [], warnings: [], adopt: false }
}

/** The names of spans that the file or the host knows. */
function knownSpans(names: readonly string[], host: Snapshot): string[] {
  const bridges = host.links.filter((link) => readMark(link) !== null).map((link) => link.name)
  const networks =
    host.docker.state === 'read' ? host.docker.networks.flatMap((network) => network.labels[label.span] ?? []) : []
  return [...new Set([...names, ...bridges, ...networks])]
}

function resolveSpan(order: ResolveTarget, span: SpanSpec, host: Snapshot, findings: Findings): DesiredSpan {
  const mirrors = span.sources.flatMap((source) => resolveSource(order, span, source, host, findings))
  findings.errors.push(...findTwice(span, mirrors))
  const largest = largestMtu(span, mirrors, host)
  if (span.mtu !== 'auto' && span.mtu < largest) {
    findings.warnings.push(
      diagnostic(
        'MTU_SMALL',
        `span ${span.name}: its mtu is ${span.mtu}, but a source's is ${largest}: larger frames do not reach the sensors`,
        'write "mtu: auto"',
        span.origin
      )
    )
  }
  const resolved: DesiredSpan = {
    name: span.name,
    description: span.description,
    mtu: span.mtu === 'auto' ? largest : span.mtu,
    wire: span.wire,
    sealed: span.sealed,
    mirrors,
    network: resolveNetwork(span, host, findings),
    hasNetwork: span.network !== null,
    sensors: resolveSensors(span, host, findings),
    origin: span.origin
  }
  findings.warnings.push(...warnOfOthers(resolved, host).map((found) => ({ ...found, origin: span.origin })))
  return resolved
}

/** Bytes: Ethernet's own (RFC 894), which most cards have. */
const ethernetMtu = 1500

/** Of a card that is not there, its bridge remembers the MTU: else it would be made anew each time that the card goes. */
function largestMtu({ name, sources }: SpanSpec, mirrors: readonly CopyPoint[], host: Snapshot): number {
  const present = mirrors.map((mirror) => mirror.link.mtu)
  const whole = sources.every(({ origin }) => mirrors.some((mirror) => mirror.origin === origin))
  const live = whole ? [] : host.links.filter((link) => link.name === name && link.kind === 'bridge')
  const known = [...present, ...live.map((link) => link.mtu)]
  return known.length > 0 ? Math.max(...known) : ethernetMtu
}

function resolveSource(
  { spec, patient, goingDown }: ResolveTarget,
  span: SpanSpec,
  source: SourceSpec,
  host: Snapshot,
  findings: Findings
): CopyPoint[] {
  const match = matchOf(spec, source.interface)
  const program = resolveFilter(span, source, host, findings)
  const card = findCard(match, host)
  const at = (found: Diagnostic): Diagnostic => ({ ...found, origin: source.origin })
  const hooks: readonly TcHook[] = source.direction === 'both' ? ['ingress', 'egress'] : [source.direction]
  const wait = (device: string, code: string, message: string, from: { origin?: Origin; hint?: string }) =>
    findings.waiting.push(
      ...hooks.map((tcHook) => ({
        ...{ kind: 'mirror', span: span.name, title: titleOf(device, tcHook, span.name) },
        diagnostic: {
          ...diagnostic(code, `waits for ${message}`, from.hint, from.origin),
          address: writeAddress(span.name, 'mirror', device, tcHook)
        }
      }))
    )
  if ('code' in card) {
    if (patient && card.code === 'INTERFACE_MISSING') {
      const hint = suggestCard(match, spec, host)
      wait(source.interface, card.code, `the interface ${describeMatch(match)}`, { ...source, ...(hint && { hint }) })
      return []
    }
    findings.errors.push(at({ ...card, message: `span ${span.name}: ${card.message}` }))
    return []
  }
  const dedicated = spec.interfaces.some((one) => one.dedicated && isMatch(one.match, card))
  if (goingDown.has(card.name)) {
    wait(card.name, 'INTERFACE_GOING_DOWN', `${card.name}, which is being taken down`, source)
    return []
  }
  const problem = checkCard(card, dedicated, host)
  if (problem) findings.errors.push(at(problem))
  if (dedicated) findings.warnings.push(...warnOfMerging(card).map(at))
  findings.warnings.push(
    ...hooks.flatMap((tcHook) => {
      const address = writeAddress(span.name, 'mirror', card.name, tcHook)
      const hidden = warnOfHiding(card, tcHook, host).map((found) => ({ ...found, address }))
      return [...hidden, ...warnOfPrograms(card, tcHook, host)].map(at)
    })
  )
  if (program === null) {
    const expression = source.filter?.expression ?? ''
    if (host.programs.get(expression)?.state === 'pending') {
      wait(card.name, 'FILTER_PENDING', `tcpdump, which is compiling "${expression}"`, { ...source.filter })
    } else {
      const message = `CAP_NET_RAW: "${expression}" has to be compiled for a live interface`
      wait(card.name, 'FILTER_FORBIDDEN', message, { hint: 'run as root', ...source.filter })
    }
  }
  return hooks.map((tcHook) => ({
    link: card,
    tcHook,
    expression: source.filter?.expression ?? null,
    program,
    dedicated,
    maxIdle: source.maxIdle,
    origin: source.origin
  }))
}

function describeMatch(match: InterfaceMatch): string {
  return 'name' in match ? match.name : `with the MAC address ${match.macaddress}`
}

const tooLarge = 'use wider networks, or split it over several spans'

function resolveFilter(span: SpanSpec, source: SourceSpec, host: Snapshot, findings: Findings): Program | null {
  if (source.filter === null) return everyFrame
  const { expression, origin } = source.filter
  const compiled = host.programs.get(expression)
  switch (compiled?.state) {
    case 'compiled': {
      const length = Number.parseInt(compiled.program, 10)
      if (length > longestProgram) {
        findings.errors.push(
          diagnostic(
            'FILTER_TOO_LARGE',
            `span ${span.name}: the filter compiles to ${length} instructions, and the kernel takes ${longestProgram} in one message`,
            tooLarge,
            origin
          )
        )
      }
      return compiled.program
    }
    case 'endless':
      findings.errors.push(
        diagnostic(
          'FILTER_TOO_LARGE',
          `span ${span.name}: tcpdump did not finish compiling the filter within ${compiled.limit} s, and was ended`,
          tooLarge,
          origin
        )
      )
      return null
    case 'forbidden':
    case 'pending':
      return null
    case 'invalid':
    case undefined:
      findings.errors.push(
        diagnostic(
          'FILTER_INVALID',
          `span ${span.name}: tcpdump does not understand the filter: ${compiled?.message ?? 'it was not asked'}`,
          'see pcap-filter(7)',
          origin
        )
      )
      return null
  }
}

/** What the file cannot tell: two names of one card. */
function findTwice(span: SpanSpec, mirrors: readonly CopyPoint[]): Diagnostic[] {
  return mirrors
    .filter((mirror, index) =>
      mirrors.slice(0, index).some((other) => other.link.index === mirror.link.index && other.tcHook === mirror.tcHook)
    )
    .map(({ link, tcHook, origin }) =>
      diagnostic(
        'SOURCE_TWICE',
        `span ${span.name}: the ${tcHook} of ${link.name} is mirrored twice: sensors would see each frame two times`,
        'take one of the two out',
        origin
      )
    )
}

function resolveNetwork(span: SpanSpec, host: Snapshot, findings: Findings): SpanSpec['network'] {
  if (span.network === null) return null
  if (host.docker.state === 'read') return span.network
  const { name, origin } = span.network
  findings.waiting.push({
    kind: 'network',
    span: span.name,
    title: name,
    diagnostic: {
      ...diagnostic('DOCKER_DEFERRED', 'waits for Docker', undefined, origin),
      address: writeAddress(span.name, 'network', name)
    }
  })
  return null
}

/** Docker that is away is no reason to wait silently: whoever wants to go on without it says so. */
function needDocker(spans: readonly SpanSpec[], host: Snapshot): Diagnostic[] {
  if (host.docker.state !== 'unreachable' || spans.every((span) => span.network === null)) return []
  return [host.docker.reason]
}

import { type Diagnostic, diagnostic } from '../../errors.ts'
import { groupBy, type HostIndex } from '../../host/host-index.ts'
import { hookKey, type Link } from '../../host/snapshot.ts'
import { type CopyPoint, type DesiredOutput, type DesiredSpan, placeOf } from '../../resources/desired-state.ts'
import type { Wait } from '../../resources/kind.ts'
import { type ResolvedOutput, waitForOutput } from '../../resources/outputs/host-output-kind.ts'
import { outputMtu } from '../../resources/outputs/output-port.ts'
import { outputKindOf } from '../../resources/outputs/registry.ts'
import { readPortMark } from '../../resources/port-role.ts'
import { type Context, joinResolved } from '../../resources/sources/host-source-kind.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { placeFrom } from '../../spec/repeats.ts'
import { type Feeding, type Hook, nextHooks } from '../loops.ts'

/** The outputs of a span that can be had, each alone. */
export function resolveOutputs(span: SpanSpec, context: Context) {
  const parts = span.outputs.map((output): ResolvedOutput => outputKindOf(output).resolve(output, span, context))
  return {
    ...joinResolved(parts),
    untouched: parts.flatMap(({ untouched = [] }) => untouched),
    tunnels: parts.flatMap(({ tunnels = [] }) => tunnels)
  }
}

/** Warns of outputs that do not send the largest frames of their span. */
export function warnOfOutputs({ name: span, mtu, outputs }: DesiredSpan, host: HostIndex): Diagnostic[] {
  return outputs.flatMap(({ isPort, device, name, below, item, origin }) => {
    const link = isPort ? host.linkOf(device) : undefined
    if (below !== undefined && mtu + below.added > below.mtu) {
      const leave = below.fragments ? `leave by ${name} in fragments` : `do not leave by ${name}`
      const message = `frames of ${span} with more than ${below.mtu - below.added} bytes ${leave}: with the ${below.added} bytes that it adds, they are larger than the mtu of ${below.mtu} on the way`
      const hint = `let that network take ${mtu + below.added} bytes, or write a smaller "mtu" for the span`
      const found = diagnostic(below.fragments ? 'OUTPUT_FRAGMENTS' : 'OUTPUT_MTU', message, hint, origin)
      return [{ ...found, subject: { span, kind: 'output', id: [device], item } }]
    }
    const most = link === undefined ? mtu : outputMtu(mtu, link, host)
    if (most >= mtu) return []
    const message = `${device} takes an mtu of ${most} at most, and that of the span ${span} is ${mtu}: larger frames do not leave by it`
    const found = diagnostic(
      'OUTPUT_MTU',
      message,
      'use another interface, or write a smaller "mtu" for the span',
      origin
    )
    return [{ ...found, subject: { span, kind: 'output', id: [device], item } }]
  })
}

/** An output that cannot be had beside the others. */
interface Refused {
  readonly diagnostic: Diagnostic
  readonly wait: Wait
}

/**
 * Leaves out of the spans the outputs that cannot be had together: an interface that is one already, or is a source; and one by which
 * the frames of a span would come back to it. Each is followed as {@link nextHooks} follows frames.
 *
 * @param others the live spans beside these, which stay as they are.
 */
export function refuseOutputs(spans: readonly DesiredSpan[], others: readonly Feeding[], host: HostIndex) {
  if (spans.every(({ outputs }) => outputs.length === 0)) return { spans, refused: [] }
  const refused: Refused[] = []
  const taken = new Map<string, DesiredOutput & { readonly span: string }>()
  const points = new Map(
    [...others, ...spans].flatMap(({ name: span, mirrors }) =>
      mirrors.map((point) => [point.device.name, { ...point, span }] as const)
    )
  )
  const feedsAt = groupBy(
    [...spans, ...others].flatMap(({ bridge: target, mirrors }) =>
      mirrors.map((point) => ({ key: hookKey(placeOf(point)), target }))
    ),
    ({ key }) => key
  )
  const ports = planPorts(host, others)
  const open = spans.map((span) => ({ ...span, outputs: [] as readonly DesiredOutput[] }))
  const find = (span: DesiredSpan, { device, name, below, origin }: DesiredOutput): Diagnostic | undefined => {
    const [earlier, source] = [taken.get(device), points.get(device)]
    const subject = `output ${device} of span ${span.name}`
    if (earlier !== undefined) {
      const message = `${subject} is already an output of span ${earlier.span} (${placeFrom(earlier.origin, origin)})`
      return diagnostic('OUTPUT_TWICE', message, 'an interface can carry the frames of one span: remove one', origin)
    }
    if (source !== undefined) {
      const isLive = others.some(({ name }) => name === source.span)
      const place = isLive ? 'which this run leaves as it is' : `(${placeFrom(source.origin, origin)})`
      const message = `${subject} is also a source, of span ${source.span}${isLive ? ', ' : ' '}${place}`
      return diagnostic('OUTPUT_SOURCE', message, 'use another interface for one of the two', origin)
    }
    const inside = findCopierOf(span, below?.inside ?? null, [...spans, ...others])
    if (inside !== null) {
      const message = `${subject}: what ${name} sends leaves inside packets of ${below?.inside}, which ${inside.device.name} ${inside.tcHook} may copy into the span again`
      const hint = `copy there only what comes in (direction: ingress), or send to a host that is reached without ${below?.inside}`
      return diagnostic('LOOP', message, hint, origin)
    }
    const way = findWayBack(span.bridge, device, (key) => feedsAt(key).map(({ target }) => target), ports.host)
    if (way === null) return undefined
    const message = `${subject} leads back into the span: ${way.join(' → ')}`
    return diagnostic('LOOP', message, 'use an interface that leads to no source of the span', origin)
  }
  for (const [at, span] of spans.entries()) {
    for (const one of span.outputs) {
      const found = find(span, one)
      if (found === undefined) {
        taken.set(one.device, { ...one, span: span.name })
        ports.attach(one, span.bridge)
        open[at] = { ...span, outputs: [...(open[at]?.outputs ?? []), one] }
      } else {
        refused.push({ diagnostic: found, wait: waitForOutput(span.name, one.name, { id: one.item, ...one }, found) })
      }
    }
  }
  return { spans: open, refused }
}

/**
 * A source of the span, also by way of other spans, that may copy what a link of this host carries inside packets of its own: what the host
 * sends by an interface, and what a container sends. null: there is none, or nothing is carried so.
 */
function findCopierOf(span: DesiredSpan, inside: string | null, all: readonly Feeding[]): CopyPoint | null {
  if (inside === null) return null
  const mirrorsOf = new Map(all.map(({ bridge, mirrors }) => [bridge, mirrors]))
  const feeding = new Set([span.bridge])
  for (const name of feeding) {
    for (const point of mirrorsOf.get(name) ?? []) {
      const { device, tcHook, serves } = point
      if (mirrorsOf.has(device.name)) feeding.add(device.name)
      else if (serves === null ? tcHook === 'egress' : tcHook === 'ingress') return point
    }
  }
  return null
}

/** The names of what the frames of a span pass from an output back to its bridge; null: they do not come back. */
function findWayBack(
  bridge: string,
  device: string,
  targetsAt: (key: string) => readonly string[],
  host: HostIndex
): readonly string[] | null {
  const start = host.linkOf(device)
  if (start === undefined) return null
  type Step = Hook & { readonly way: readonly string[] }
  const seen = new Set<string>()
  const queue: Step[] = [{ link: start, tcHook: 'egress', way: [bridge, device] }]
  const add = (link: Link, tcHook: Hook['tcHook'], way: readonly string[]) =>
    queue.push({ link, tcHook, way: way.at(-1) === link.name ? way : [...way, link.name] })
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    const key = hookKey({ device: at.link.name, tcHook: at.tcHook })
    if (seen.has(key)) continue
    seen.add(key)
    if (at.link.name === bridge) return at.way
    // Who is on the cable of a source may send back what leaves by it.
    const isSent = at.tcHook === 'egress' && at.link.bridge === null
    const sent = isSent ? targetsAt(hookKey({ device: at.link.name, tcHook: 'ingress' })) : []
    for (const target of [...targetsAt(key), ...sent]) {
      if (target === bridge) return [...at.way, bridge]
      const link = host.linkOf(target)
      const way = [...at.way, target]
      if (link !== undefined) for (const tcHook of ['egress', 'ingress'] as const) add(link, tcHook, way)
      // Also of a bridge that is not there yet.
      for (const port of host.membersOf(target)) add(port, 'egress', way)
      for (const tcHook of ['egress', 'ingress'] as const) {
        const next = targetsAt(hookKey({ device: target, tcHook }))
        if (link === undefined && next.includes(bridge)) return [...way, bridge]
      }
    }
    for (const { link, tcHook } of nextHooks(at, host)) add(link, tcHook, at.way)
  }
  return null
}

/** The ports of a host's bridges, with the outputs that a plan attaches. */
interface PlannedPorts {
  /** The host with what is attached so far. */
  readonly host: HostIndex
  attach(output: DesiredOutput, bridge: string): void
}

/**
 * The host without the outputs that it has, to which those of a plan are attached one by one.
 *
 * @param others the live spans beside, which keep theirs.
 */
function planPorts(host: HostIndex, others: readonly Feeding[]): PlannedPorts {
  const staying = new Set<string | null>(others.map(({ bridge }) => bridge))
  const leaves = (link: Link) => !staying.has(link.master) && readPortMark(host, link)?.wasPort === false
  const moved = new Map(
    host.links.flatMap((link) =>
      link.master !== null && leaves(link) ? [[link.index, { ...link, master: null as string | null }] as const] : []
    )
  )
  const attached = new Map<string | null, Link[]>()
  const find = <One extends Link | undefined>(link: One): One | Link => (link && moved.get(link.index)) ?? link
  return {
    host: {
      ...host,
      get links() {
        return host.links.map(find)
      },
      linkOf: (name) => find(host.linkOf(name)),
      linkAt: (index) => find(host.linkAt(index)),
      membersOf: (name) => [
        ...host.membersOf(name).filter(({ index }) => !moved.has(index)),
        ...(attached.get(name) ?? [])
      ],
      uppersOf: (link) => host.uppersOf(link).map(find)
    },
    attach({ isPort, device }, bridge) {
      const link = isPort ? host.linkOf(device) : undefined
      if (link === undefined) return
      const port = { ...link, master: bridge }
      moved.set(link.index, port)
      attached.set(bridge, [...(attached.get(bridge) ?? []), port])
    }
  }
}

/**
 * The host as it is with the outputs of these spans attached, and no other.
 *
 * @param others the live spans beside these, which keep theirs.
 */
export function withOutputs(
  host: HostIndex,
  spans: readonly Pick<DesiredSpan, 'bridge' | 'outputs'>[],
  others: readonly Feeding[]
): HostIndex {
  const ports = planPorts(host, others)
  for (const { bridge, outputs } of spans) for (const output of outputs) ports.attach(output, bridge)
  return ports.host
}

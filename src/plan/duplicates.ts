import { type Diagnostic, diagnostic } from '../errors.ts'
import { label } from '../host/docker/docker-names.ts'
import { groupsOf, type HostIndex } from '../host/host-index.ts'
import { hookKey, type Link, type TcHook } from '../host/snapshot.ts'
import { type CopyPoint, linkOf, placeOf } from '../resources/desired-state.ts'
import { memoized } from '../resources/kind.ts'
import { writeSourceName } from '../resources/sources/host-source-kind.ts'
import { readTokens } from '../spec/filter/tokens.ts'
import { writeDirection } from '../spec/values/direction.ts'
import { type Feeding, type Hook, lowerOf, masterOf, membersOf, peerOf, uppersOf } from './loops.ts'

/** Two hooks that one frame passes, one after the other; `bridge`: it is forwarded from port to port. */
interface Pair {
  readonly first: CopyPoint
  readonly second: CopyPoint
  readonly bridge: string | null
}

/**
 * Warns of two sources of one span that copy the same frame: where a port of a bridge sends it and another receives it, at an
 * interface and again at the VLAN, bond or bridge above. No copy is left out. The kernel tells which port a frame came from (u32's
 * `indev`, eBPF's `ingress_ifindex`; measured, Linux 6.18), and not whether it was copied there: what another's filter before that
 * port's mirror passes or redirects would be copied nowhere, nor would anything where that mirror is gone. A mark that says so
 * (`skb->tc_index`) would stay on the frame, and a container can forge it, as it can a source address.
 *
 * @returns one warning for each bridge whose ports are sources, and one for interfaces above or below others.
 */
export function warnOfDuplicates({ name, mirrors }: Pick<Feeding, 'name' | 'mirrors'>, host: HostIndex): Diagnostic[] {
  const points = new Map(mirrors.map((point) => [hookKey(placeOf(point)), point]))
  const forwardedAt = memoized((bridge: Link) => forwardedBy(bridge, points, host))
  const pairs = mirrors.flatMap((first) => findSecond(first, points, forwardedAt, host) ?? [])
  return [...groupsOf(pairs, ({ bridge }) => bridge).values()].map((group) => pairWarning(name, group, points, host))
}

type Points = ReadonlyMap<string, CopyPoint>

/** The next hook of the span that a frame passes after this one. */
function findSecond(
  first: CopyPoint,
  points: Points,
  forwardedAt: (bridge: Link) => readonly Forwarded[],
  host: HostIndex
): Pair | null {
  const link = linkOf(first.device)
  if (link === undefined) return null
  const passed = first.tcHook === 'ingress' ? climb(link, host) : descend([link], host).slice(1)
  for (const { link: next, tcHook } of passed) {
    const second = points.get(hookKey({ device: next.name, tcHook }))
    if (second !== undefined && selectSame(first, second)) return { first, second, bridge: null }
    const bridge = tcHook === 'ingress' && next.bridge !== null ? next.name : null
    if (bridge === null) continue
    const entered = [link, ...passed.map((hook) => hook.link)].find(({ master }) => master === bridge)
    const other = forwardedAt(next).find(({ point, port }) => isForwarded(entered, port) && selectSame(first, point))
    if (other !== undefined) return { first, second: other.point, bridge }
  }
  return null
}

/** The hooks that a frame passes on its way up from where it is received. */
function climb(from: Link, host: HostIndex): readonly Hook[] {
  const links = [from]
  for (const link of links) {
    for (const next of [...uppersOf(link, host), masterOf(link, host)]) {
      if (next !== undefined && !links.includes(next)) links.push(next)
    }
  }
  return links.slice(1).map((link) => ({ link, tcHook: 'ingress' }))
}

/** The hooks that a frame passes on its way down from where it is sent, and up from the other end of a cable. */
function descend(from: readonly Link[], host: HostIndex): readonly Hook[] {
  const links = new Set(from)
  const received: Hook[] = []
  for (const link of links) {
    for (const next of [lowerOf(link, host), ...membersOf(link, host)]) if (next !== undefined) links.add(next)
    const peer = peerOf(link, host)
    if (peer !== undefined) received.push({ link: peer, tcHook: 'ingress' }, ...climb(peer, host))
  }
  return [...[...links].map((link): Hook => ({ link, tcHook: 'egress' })), ...received]
}

/** A hook of the span that frames pass which a bridge forwards to one of its ports. */
interface Forwarded {
  readonly point: CopyPoint
  readonly port: Link
}

function forwardedBy(bridge: Link, points: Points, host: HostIndex): readonly Forwarded[] {
  return membersOf(bridge, host).flatMap((port) =>
    descend([port], host).flatMap(({ link, tcHook }) => {
      const point = points.get(hookKey({ device: link.name, tcHook }))
      return point === undefined ? [] : [{ point, port }]
    })
  )
}

/** A bridge sends no frame back to the port that it came from, and none from an isolated port to another. */
function isForwarded(from: Link | undefined, to: Link): boolean {
  return from !== to && !(from?.port?.isolated && to.port?.isolated)
}

/** Words of filters that match both ends of a conversation alike. */
const everyEnd: ReadonlySet<string> = new Set(
  'tcp udp sctp icmp icmp6 ip ip6 arp port portrange src dst and or not && || ! ( )'.split(' ')
)

/** Whether some frames certainly match both filters: those with addresses may be there to tell the two apart. */
function selectSame({ selection: one, device }: CopyPoint, { selection: other, device: beyond }: CopyPoint): boolean {
  if (one.everyFrame && other.everyFrame) return true
  if ([device, beyond].some((end) => linkOf(end)?.kind === 'vlan')) return false
  const filter = one.expression ?? other.expression
  if (filter === null || one.expression === other.expression) return filter !== null
  return (
    (one.everyFrame || other.everyFrame) &&
    readTokens(filter).every(({ kind, text }) => everyEnd.has(text) || (kind === 'value' && /^\d+$/.test(text)))
  )
}

function pairWarning(span: string, pairs: readonly [Pair, ...Pair[]], points: Points, host: HostIndex): Diagnostic {
  const [pair] = pairs
  const { first, second, bridge } = pair
  const [one, other] = [writeSourceName(first.source), writeSourceName(second.source)]
  const sources = new Set(pairs.flatMap((each) => [each.first.source.join('/'), each.second.source.join('/')]))
  const more = sources.size > 2 ? `; so are frames of ${sources.size - 2} more of its sources` : ''
  const way = bridge === null ? `that passes ${one} and ${other}` : wayBetween(pair, points)
  const isFiltered = !(first.selection.everyFrame && second.selection.everyFrame)
  const frame = `${way}${isFiltered ? `${bridge === null ? ' and' : ' that'} both filters match` : ''}`
  const message = `span ${span}: each frame ${frame} is copied twice, once at each of them${more}`
  const hint = bridge === null ? 'take one of the two out' : adviseOnBridge(bridge, first, points, host)
  return { ...diagnostic('COPIED_TWICE', message, hint, second.origin), subject: { span, kind: 'mirror', id: [] } }
}

/** How to have each frame once that a bridge forwards. The network of a span is no source: its frames are copies. */
function adviseOnBridge(bridge: string, { direction }: CopyPoint, points: Points, host: HostIndex): string {
  const network = host.networksOn(bridge).find(({ labels }) => labels[label.span] === undefined)
  const isSource = [...points.values()].some(({ source: [name] }) => name === network?.name)
  const whole = network === undefined || isSource ? '' : `"network: ${network.name}" instead of them, or `
  return `to have each once, write ${whole}"direction: ${writeDirection(direction)}" for all of them, which leaves out what others send them; or take all but one out`
}

function wayBetween({ first, second }: Pair, points: Points): string {
  const isCopied = (point: CopyPoint, tcHook: TcHook) => points.has(hookKey({ ...placeOf(point), tcHook }))
  const isBoth = isCopied(second, 'ingress') && isCopied(first, 'egress')
  const [one, other] = [writeSourceName(first.source), writeSourceName(second.source)]
  return isBoth ? `between ${one} and ${other}` : `from ${one} to ${other}`
}

import { dockerBridge } from '../host/docker/docker-names.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { Link, MirrorAction, Program } from '../host/snapshot.ts'
import { everyFrame } from '../host/tc-conventions.ts'
import { assignBuckets } from '../resources/feeds/assign-buckets.ts'
import { servedBridge } from '../resources/feeds/feeds.ts'
import { limitOf } from '../resources/kinds/mirror.ts'
import { parseProgram, printProgram } from '../resources/programs/instructions.ts'
import { joinPrograms } from '../resources/programs/join-programs.ts'
import { readSample, writeSample } from '../resources/programs/sample-program.ts'
import { bucketCount, findShare, type Share, writeShare } from '../resources/programs/share-program.ts'
import type { SampleSpec } from '../spec/items/share-keys.ts'
import type { Copy, DiscoveredBalance } from './discovery.ts'

/** A mirror that leads straight to one receiver of a span. */
export interface FeedCopy extends Copy {
  readonly bridge: string
  /** A container, or a link; null: only Docker knows, and was not read. */
  readonly receiver: { readonly kind: 'sensor' | 'output'; readonly name: string } | null
}

/** The mirrors that lead to a container on a bridge, or to what the frames of a span leave by. */
export function findFeeds(copies: readonly Copy[], host: HostIndex): FeedCopy[] {
  return copies.flatMap((copy) => {
    const link = host.linkOf(copy.action.target)
    const found = link === undefined ? null : (findOutput(link, host) ?? findSensor(link, host))
    return found === null ? [] : [{ ...copy, ...found }]
  })
}

function findOutput(link: Link, host: HostIndex): Pick<FeedCopy, 'bridge' | 'receiver'> | null {
  const bridge = servedBridge(host, link)
  return bridge === null ? null : { bridge, receiver: { kind: 'output', name: link.name } }
}

function findSensor(link: Link, host: HostIndex): Pick<FeedCopy, 'bridge' | 'receiver'> | null {
  if (host.docker.state !== 'read') {
    const isPort = host.linkOf(link.master)?.kind === 'bridge'
    return isPort && link.master !== null ? { bridge: link.master, receiver: null } : null
  }
  const { container, endpoint } = host.attachmentOf(link) ?? {}
  const network = host.networkOf(endpoint?.network ?? '')
  if (container === undefined || network === undefined || link.master === null) return null
  if (dockerBridge(network) !== link.master) return null
  return { bridge: link.master, receiver: { kind: 'sensor', name: container.name } }
}

/** What is known of a program that spanplan may have joined. */
interface ReadProgram {
  readonly sample: SampleSpec | null
  readonly share: Share | null
  /** What comes before the sample and the share, to be compared; null: nothing. */
  readonly filter: string | null
}

/**
 * Reads what a program says. A filter cannot be turned back into its expression.
 *
 * @param known programs of sources that take every frame, as what tunnels send is left out.
 */
export function readProgram(program: Program, known: readonly Program[]): ReadProgram {
  const [sample, share] = [readSample(program), readShareOf(program)]
  const tail = [...(sample === null ? [] : [writeSample(sample)]), ...(share === null ? [] : [writeShare(share)])]
  const isEvery = [everyFrame, ...known].some((source) => joinPrograms([source, ...tail]) === program)
  const instructions = parseProgram(program)
  const end = findShare(instructions)?.start ?? instructions.length
  return { sample, share, filter: isEvery ? null : printProgram(instructions.slice(0, end)) }
}

const readShareOf = (program: Program) => findShare(parseProgram(program))?.share ?? null

/** The limit of a source, as one of its mirrors tells: those that share its frames have it together. */
export function readLimit({ filter, action: { limit } }: Copy): MirrorAction['limit'] {
  const share = readShareOf(filter.program ?? '')
  if (typeof limit !== 'number' || share === null) return limit
  const whole = (limit * bucketCount) / share.buckets.size
  // Of all that would give this, the roundest.
  const digits = Array.from({ length: 15 }, (_, index) => index + 1)
  const rounded = digits.map((count) => Number(whole.toPrecision(count)))
  return rounded.find((one) => limitOf({ limit: one }, share) === limit) ?? Math.round(whole)
}

/** A receiver of a span, and what it gets. */
interface Receiver {
  readonly kind: 'sensor' | 'output'
  readonly name: string
  readonly share: Share | null
  /** It has a filter of its own. */
  readonly filter: string | null
}

/** What the receivers of a span get. */
export interface Parts {
  readonly balances: readonly DiscoveredBalance[]
  /** Remarks on receivers that are members of no balance, by kind and name. */
  readonly remarks: ReadonlyMap<string, readonly string[]>
}

const unknownFilter =
  'its filter cannot be turned back into an expression. THIS GIVES IT EVERY FRAME: put it here, as "filter: …".'

/**
 * The balances that the mirrors of a span make.
 *
 * @param feeds those of the span.
 * @param whole its mirrors into the bridge.
 * @param absent containers on the network that get nothing now, and may be members.
 * @param known as {@link readProgram} takes them.
 */
export function discoverParts(
  feeds: readonly FeedCopy[],
  whole: readonly Copy[],
  absent: readonly string[],
  known: readonly Program[]
): Parts {
  const receivers = readReceivers(feeds, whole, known)
  const groups: Receiver[][] = []
  for (const receiver of receivers) {
    if (receiver.share === null) continue
    const group = groups.find((one) => one.every((other) => belongTogether(other, receiver)))
    if (group === undefined) groups.push([receiver])
    else group.push(receiver)
  }
  // Where there are several, nobody knows of which they are.
  const missing = groups.length === 1 ? absent : []
  const alone: (readonly [string, readonly string[]])[] = receivers.flatMap(({ share, filter, kind, name }) =>
    share === null && filter !== null ? [[`${kind} ${name}`, [unknownFilter]] as const] : []
  )
  const lost: typeof alone = absent.flatMap((name) =>
    missing.includes(name)
      ? []
      : [
          [
            `sensor ${name}`,
            ['it gets nothing now. What it is to get is not known: THIS GIVES IT EVERY FRAME.']
          ] as const
        ]
  )
  return { balances: groups.map((group) => findMembers(group, missing)), remarks: new Map([...alone, ...lost]) }
}

function readReceivers(feeds: readonly FeedCopy[], whole: readonly Copy[], known: readonly Program[]): Receiver[] {
  const all = new Map<string, Receiver>()
  for (const feed of feeds) {
    if (feed.receiver === null) continue
    const { kind, name } = feed.receiver
    const isBeside = ({ filter, tcHook }: Copy) => filter.device === feed.filter.device && tcHook === feed.tcHook
    const sources = whole.filter(isBeside).flatMap(({ filter }) => filter.program ?? [])
    const read = (one: FeedCopy) => readProgram(one.filter.program ?? '', [...known, ...sources])
    // What all have is the source's filter.
    const isSources = sources.length === 0 && new Set(feeds.filter(isBeside).map((one) => read(one).filter)).size === 1
    const { share, filter: found } = read(feed)
    const filter = isSources ? null : found
    const before = all.get(`${kind} ${name}`)
    all.set(`${kind} ${name}`, { kind, name, share, filter: before?.filter ?? filter })
  }
  return [...all.values()]
}

/** Whether two may share one stream: no bucket, and no rest, is of both. */
function belongTogether(one: Receiver, other: Receiver): boolean {
  if (one.share === null || other.share === null || one.filter !== other.filter) return false
  const { hash, buckets, rest } = one.share
  if (hash !== other.share.hash || (rest && other.share.rest)) return false
  return [...other.share.buckets].every((bucket) => !buckets.has(bucket))
}

/** A balance: first the member that also gets what is not IP, last those that are gone. */
function findMembers(group: readonly Receiver[], missing: readonly string[]): DiscoveredBalance {
  const gone = missing.map((name) => ({ kind: 'sensor' as const, name }))
  const there = group.toSorted((one, other) => Number(other.share?.rest === true) - Number(one.share?.rest === true))
  const [first] = there
  const hash = first?.share?.hash ?? 'addresses'
  const members = [...there, ...gone]
  const wanted = assignBuckets(members.map(({ name }, index) => ({ name, alive: index < there.length })))
  const moves = there.some(({ share }, index) => !isSame(share?.buckets, wanted[index]))
  const remarks = [
    ...(first?.filter == null ? [] : [unknownFilter.replace('it every', 'them every')]),
    ...(moves ? ['the next apply gives some flows to other members than they have now.'] : [])
  ]
  return { hash, members, remarks }
}

function isSame(one: ReadonlySet<number> | undefined, other: ReadonlySet<number> | undefined): boolean {
  if (one === undefined || other === undefined || one.size !== other.size) return false
  return [...one].every((bucket) => other.has(bucket))
}

import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import { groupsOf, type HostIndex } from '../../host/host-index.ts'
import {
  isSenderTable,
  readSenders,
  removeSenderTable,
  senderTableName,
  writeSenderTable
} from '../../host/nftables/sender-table.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link, NftTable, TunnelEnd } from '../../host/snapshot.ts'
import { tunnelKindOf } from '../../host/tunnels/registry.ts'
import { matchesName } from '../../spec/scope.ts'
import { plainTunnel, type TunnelWay } from '../../spec/sources/tunnel-spec.ts'
import type { DesiredState, DesiredTunnel } from '../desired-state.ts'
import { findTunnelUsers } from '../foreign/bridge-users.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { deleteLink, type Kind, memoized, type ObservedState, type Resource, type Step } from '../kind.ts'
import {
  hashOf,
  isTunnelName,
  ownMark,
  readTableMark,
  readTunnelMark,
  sealHandle,
  tunnelName,
  writeTableMark,
  writeTunnelMark
} from '../marks.ts'
import { findBridge } from '../outputs/output-port.ts'
import { coversEverySpan, firstTunnelName, isInScope, markedBy, markOf, ownNames, tunnelOwner } from '../ownership.ts'
import { readPortMark } from '../port-role.ts'
import { readSeal, type Seal, sealCommands, sealField } from '../seal-commands.ts'
import {
  type InterfaceSetting,
  isWireSize,
  onOff,
  smallestIpv6Mtu,
  sourceSettings,
  switchWireSize
} from '../settings.ts'

/**
 * The link that a tunnel ends in. What comes out of the tunnel is a copy: it is mirrored, and then dropped, so that the host's own
 * network stack gets nothing of it. The link has no address, and sends nothing but what a mirror hands to it.
 */
export interface Tunnel extends Resource, TunnelEnd {
  readonly kind: 'tunnel'
  /** Whether its frames are copied into spans, or frames of a span leave by it. */
  readonly way: TunnelWay
  /** What its mirrors or its seal tell of that; null: neither tells anything, so it may be made for either. */
  readonly use: TunnelWay | null
  /** The alias of the link. */
  readonly mark: string
  readonly up: boolean
  readonly arp: boolean
  readonly ipv6: boolean
  /** The bridge or bond that somebody has made it a part of; null: none. */
  readonly master: string | null
  /** Who may send into it; none: anybody may; null: somebody has changed the table that says it. */
  readonly from: readonly string[] | null
  /** Missing: the link is there, or this plan makes it. */
  readonly isGone?: true
  readonly seal: Seal
  /** Bytes; null: it has what the kernel gives it. */
  readonly mtu: number | null
  /** What leaves by it is segmented, and has its checksums, as on a wire; null: it has what the kernel gives it. */
  readonly isWireSize: boolean | null
}

/** Whether a resource is the link of a tunnel. */
export function isTunnel(resource: Resource): resource is Tunnel {
  return resource.kind === 'tunnel'
}

/** The settings that are on once the link is made, as those of a device to copy from. */
export const plannedTunnel: ReadonlySet<InterfaceSetting> = new Set([
  'up',
  'gro',
  'host-receives',
  'host-sends',
  'clsact'
])

/** What a link has that is the end of no tunnel, or is gone. */
const noTunnel: TunnelEnd = { protocol: 'vxlan', ...plainTunnel, external: false, options: [] }

const anyOf = (value: string | null) => value ?? 'any'
const noneOf = (value: string | number | null) => String(value ?? 'none')

/** Senders in a plan's row: of hundreds, the first show which list it is. */
const mostSenders = 8

function writeUse(use: TunnelWay | null): string {
  return use === null ? 'none' : use === 'in' ? 'source' : 'output'
}

function writeSenders(from: Tunnel['from']): string {
  if (from === null) return 'a table unlike what this version writes'
  const more = from.length > mostSenders ? [`${from.length - mostSenders} more`] : []
  return [...from.slice(0, mostSenders), ...more].join(', ') || 'anybody'
}

/** How the links of tunnels are made, observed and removed. */
export const tunnel: Kind<Tunnel> = {
  kind: 'tunnel',
  fields: {
    identifier: { label: 'identifier', words: noneOf, immutable: true },
    remote: { label: 'remote', words: anyOf, immutable: true },
    local: { label: 'local', words: anyOf, immutable: true },
    group: { label: 'group', words: noneOf, immutable: true },
    interface: { label: 'interface', words: noneOf, immutable: true },
    type: { label: 'type', words: String, immutable: true },
    use: { label: 'use', words: writeUse, immutable: true },
    options: { label: 'options', words: (options) => options.join(', ') || 'none', immutable: true },
    mark: {
      label: 'mark',
      words: (mark, tunnel) => (mark !== '' && ownerOf(tunnel) !== null ? ownMark : mark || 'none')
    },
    up: sourceSettings.up,
    master: { label: 'master', words: noneOf },
    arp: sourceSettings.arp,
    ipv6: sourceSettings.ipv6,
    from: { label: 'senders', words: writeSenders, closes: true },
    mtu: { label: 'mtu', words: noneOf },
    isWireSize: { label: 'wire-size frames', words: (isWireSize) => onOff(isWireSize === true) },
    seal: sealField
  },
  desire: ({ desired, host }, live) => {
    const liveById = new Map(live.map((one) => [one.id, one]))
    return [...groupsOf(tunnelsOf(desired), ({ name }) => name).values()].map((uses) => {
      const tunnel = desireTunnel(desired, uses)
      const link = host.linkOf(tunnel.id)
      // What is on the bridge of a span is taken off it as an output, before any mirror changes.
      const isPort = tunnel.way === 'out' && link !== undefined && findBridge(desired, host, link) !== null
      const live = liveById.get(tunnel.id)
      const use = live?.use === null ? null : tunnel.way
      return { ...tunnel, ...keepSize(tunnel, live), ...keepMark(live), use, master: isPort ? link.master : null }
    })
  },
  observe: memoized((state) => {
    const { desired, host } = state
    const wanted = new Map(tunnelsOf(desired).map((one) => [one.name, one]))
    return [
      ...host.links.flatMap((link) => observeTunnel(state, wanted, link)),
      ...leftTables(desired, host).map((table) => observeLeft(table)),
      // The kernel makes no link with another's altname.
      ...tunnelsOf(desired)
        .filter(({ name }) => host.linkOf(name) === undefined && (host.findLink(name) ?? host.findOpaque(name)))
        .map((one): Tunnel => ({ ...desireTunnel(desired, [one]), spans: [], owner: 'foreign' }))
    ]
  }),
  rollbackTarget: rollbackTunnels,
  create: createTunnel,
  update: (before, after) => updateTunnel(before, after),
  remove: (before) => [
    ...(before.isGone ? [] : [deleteLink(`remove the tunnel ${before.id}`, before.id)]),
    ...(before.from?.length === 0 ? [] : setSenders({ ...before, from: [] }))
  ],
  summary: (tunnel) =>
    [
      ...tunnelKindOf(tunnel).facts(tunnel),
      ...(tunnel.from?.length === 0 ? [] : [`from ${writeSenders(tunnel.from)}`])
    ].join(', '),
  createNote: (tunnel) => {
    const isOpen = tunnel.way === 'in' && tunnel.from?.length === 0 && tunnel.remote === null
    const anybody = isOpen ? '; without "from", whoever reaches it feeds the sensors' : ''
    return `the host's firewall has to let ${tunnelKindOf(tunnel).letIn} ${tunnel.way}${anybody}`
  },
  device: ({ id }) => id,
  makesDevice: true,
  conflict: explainConflict,
  undone: explainUndone,
  blockers: ({ id }, now) => findTunnelUsers(id, now),
  conflictCosts: () => 'dependants'
}

/** A tunnel, and the span that has a source which ends in it, or whose frames leave by it. */
type Use = DesiredTunnel & { readonly span: string; readonly spanMtu: number }

function tunnelsOf({ spans }: DesiredState): Use[] {
  return spans.flatMap(({ name: span, mtu: spanMtu, tunnels }) => tunnels.map((one) => ({ ...one, span, spanMtu })))
}

/** Whose the tunnel is, as its mark says. */
function ownerOf(tunnel: Tunnel): string | null {
  return readTunnelMark(tunnel.mark, tunnel)
}

/** The link of the tunnel as its table names it, whatever somebody has called the link since. */
function firstNameOf(tunnel: Tunnel): string {
  return tunnel.isGone || isTunnelName(tunnel.id, tunnel) ? tunnel.id : tunnelName(ownerOf(tunnel) ?? '', tunnel)
}

function desireTunnel(desired: DesiredState, [first, ...more]: readonly [Use, ...Use[]]): Tunnel {
  const { owner } = desired
  const { name, span: _, spanMtu, ...tunnel } = first
  const isOut = tunnel.way === 'out'
  return {
    ...tunnel,
    kind: 'tunnel',
    id: name,
    spans: [...new Set([first, ...more].map(({ span }) => span))],
    owner: 'ours',
    ...markedBy(desired, owner),
    use: tunnel.way,
    external: false,
    options: [],
    mark: writeTunnelMark(owner, tunnel.protocol),
    up: true,
    master: null,
    arp: false,
    ipv6: false,
    mtu: isOut ? (tunnelKindOf(tunnel).sentMtu ?? Math.max(spanMtu, smallestIpv6Mtu)) : null,
    isWireSize: isOut ? true : null,
    seal: 'sealed'
  }
}

function observeTunnel(
  { desired, marks, host }: ObservedState,
  wanted: ReadonlyMap<string, DesiredTunnel>,
  link: Link
): Tunnel | [] {
  const names = ownNames(desired)
  const owner = tunnelOwner(host, link, ...names)
  const isOurs = owner !== null && matchesName(desired.scope, owner)
  if (!isOurs && !wanted.has(link.name)) return []
  const firstName = owner === null ? link.name : firstTunnelName(host, link, owner)
  const uses = host.filtersOf(link.name).flatMap((filter) => marks.mirrors.get(filter) ?? [])
  const feeds = host
    .filtersInto(link.name)
    .flatMap(({ filter }) => ('parent' in filter ? [] : (marks.mirrors.get(filter) ?? [])))
  const bridge = host.linkOf(link.master)
  const feeding = bridge === undefined ? undefined : markOf(host, bridge)?.owner
  // A span whose frames leave by it needs it, too: also one of an earlier version, of which it is a port.
  const ports = feeding === undefined || bridge === undefined ? [] : [isInScope(desired, feeding, bridge.name)]
  // What copies from it with another name has no say: that is in the way of a removal.
  const makers = new Set([...(owner === null ? [] : [owner]), ...(isOurs ? names : [])].map((one) => hashOf(one)))
  const own = [...uses, ...feeds].filter((use) => owner === null || makers.has(use.owner))
  const needs = [...own.map(({ inScope }) => inScope), ...ports]
  // Spans out of scope need it. Where none of its name copies from it, it may be of any: then it is of those that want it now.
  const isRemovable =
    needs.length > 0 ? needs.every((inScope) => inScope) : wanted.has(link.name) || coversEverySpan(desired)
  const { sendOptions = [], ...end } = link.tunnel ?? noTunnel
  const isServed = feeds.length > 0 || readPortMark(host, link)?.wasPort === false
  const use = isServed ? 'out' : uses.length > 0 ? 'in' : null
  const way = wanted.get(link.name)?.way ?? use ?? (ports.length > 0 ? 'out' : 'in')
  const isOut = way === 'out'
  return {
    ...end,
    options: isOut ? [...end.options, ...sendOptions] : end.options,
    kind: 'tunnel',
    id: link.name,
    way: use ?? way,
    use,
    spans: [
      ...new Set([
        ...[...uses, ...feeds].flatMap(({ bridge }) => bridge ?? []),
        ...(ports.length > 0 ? [link.master ?? ''] : [])
      ])
    ].map(desired.names.nameOf),
    owner: !isOurs ? 'foreign' : isRemovable ? 'ours' : 'shared',
    ...markedBy(desired, owner),
    mark: link.alias ?? '',
    up: link.up,
    master: link.master,
    arp: link.arp,
    ipv6: link.addresses.some(({ family }) => family === 'inet6') || (link.ipv6 && link.generatesAddress),
    from: observeSenders(desired, host, { link, owner, firstName }, wanted.get(link.name)?.from ?? []),
    mtu: link.mtu,
    isWireSize: isWireSize(link),
    seal: readSeal(host, link.name, firstName)
  }
}

/** Of a link that somebody has renamed, its seal tells whose it is, by the name in its mark: it gets another when it has its name back. */
function keepMark(live: Tunnel | undefined): Partial<Pick<Tunnel, 'mark' | 'markedBy'>> {
  const isKept =
    live !== undefined && live.owner !== 'foreign' && ownerOf(live) !== null && !isTunnelName(live.id, live)
  return isKept ? { mark: live.mark, ...(live.markedBy !== undefined && { markedBy: live.markedBy }) } : {}
}

/** What comes out of a tunnel is as large as it is: whatever the link has of that stays, and a link that is made has what the kernel gives it. */
function keepSize({ way }: Tunnel, live: Tunnel | undefined): Partial<Pick<Tunnel, 'mtu' | 'isWireSize'>> {
  return way === 'in' && live !== undefined ? { mtu: live.mtu, isWireSize: live.isWireSize } : {}
}

/**
 * Who may send into a tunnel, as its table says. A table without the owner's mark says nothing of that, and stays. One with the mark of a
 * former name does, until the link has that of the name now: then it is written again.
 *
 * @param firstName the name that the link was made with.
 * @param unread what they are taken for where nobody has read them, so that they stay.
 */
function observeSenders(
  desired: DesiredState,
  host: HostIndex,
  made: { readonly link: Link; readonly owner: string | null; readonly firstName: string },
  unread: readonly string[]
): Tunnel['from'] {
  const { owner, firstName: link } = made
  const { tunnel } = made.link
  if (host.senderTables?.state !== 'usable' || tunnel === undefined || tunnel.external) return unread
  const table = findTable(host, link)
  const marked = table && readTableMark(table)
  if (table === undefined || marked == null || owner === null) return []
  if (marked !== owner && !(matchesName(desired.scope, owner) && matchesName(desired.scope, marked))) return []
  const senders = readSenders(table)
  const mark = writeTableMark(owner === desired.owner ? owner : marked)
  const packets = tunnelKindOf(tunnel).packets(tunnel)
  return isSenderTable(table, { link, mark, packets, senders }) ? senders : null
}

/** The names of the links whose tables are left, where the links have gone and no span needs them. */
function leftTables(desired: DesiredState, host: HostIndex): string[] {
  const { senderTables, mayExist } = host
  if (senderTables?.state !== 'usable' || !coversEverySpan(desired)) return []
  const renamed = host.links.flatMap((link) => {
    const owner = tunnelOwner(host, link, '')
    return owner === null ? [] : [firstTunnelName(host, link, owner)]
  })
  const needed = new Set([...tunnelsOf(desired).map(({ name }) => name), ...renamed])
  return senderTables.tables.flatMap((table) => {
    const [, link] = /^spanplan_([a-z]+-[0-9a-f]{8})$/.exec(table.name) ?? []
    const owner = readTableMark(table)
    const isOurs = owner !== null && matchesName(desired.scope, owner)
    return link !== undefined && isOurs && !needed.has(link) && !mayExist(link) ? [link] : []
  })
}

function observeLeft(id: string): Tunnel {
  const settings = { up: false, master: null, arp: false, ipv6: false, mtu: null, isWireSize: null } as const
  const rest = { mark: '', use: null, ...settings, from: null, seal: 'none' } as const
  return { ...noTunnel, kind: 'tunnel', id, way: 'in', spans: [], owner: 'ours', ...rest, isGone: true }
}

/**
 * What a table says of senders that somebody has changed otherwise is given back: without any table, everybody may send. What somebody has
 * made of how the link sends is not: spanplan has no words for that.
 */
function rollbackTunnels(tunnels: readonly Tunnel[], { host }: ObservedState, now: ObservedState): Tunnel[] {
  const liveById = new Map(tunnel.observe(now).map((one) => [one.id, one]))
  return tunnels
    .filter(({ isGone }) => !isGone)
    .map((one) => {
      const table = findTable(host, firstNameOf(one))
      const live = liveById.get(one.id)
      const { options = one.options, use = one.use } = live ?? {}
      return {
        ...one,
        ...keepSize(one, live),
        options,
        use: one.use === null || use === null ? use : one.use,
        ...(one.from === null && table !== undefined && { from: readSenders(table) })
      }
    })
}

function findTable({ senderTables }: HostIndex, link: string): NftTable | undefined {
  if (senderTables?.state !== 'usable') return undefined
  return senderTables.tables.find(({ name }) => name === senderTableName(link))
}

/** A table that somebody has changed is not written as it was. */
function setSenders(tunnel: Tunnel): Step[] {
  const { id, from: senders } = tunnel
  if (senders === null) return []
  const link = firstNameOf(tunnel)
  const mark = writeTableMark(ownerOf(tunnel) ?? '')
  const packets = tunnelKindOf(tunnel).packets(tunnel)
  const argv = senders.length === 0 ? removeSenderTable(link) : writeSenderTable({ link, mark, packets, senders })
  return [{ summary: `choose the senders of the tunnel ${id}`, argv }]
}

function createTunnel(after: Tunnel): Step[] {
  const { id, protocol } = after
  const sends = after.way === 'out' && { mtu: 0, isWireSize: false }
  const made: Tunnel = { ...after, mark: '', up: false, arp: true, ipv6: true, from: [], ...sends, seal: 'none' }
  const words = tunnelKindOf(after).linkWords(after, after.way)
  return [
    step(after, 'create', ['ip', 'link', 'add', 'dev', id, 'type', protocol, ...words]),
    // Before it is up, and anybody can send into it.
    ...updateTunnel(made, after)
  ]
}

function updateTunnel(before: Tunnel, after: Tunnel): Step[] {
  const { id } = after
  const differs = (field: keyof Tunnel) => before[field] !== after[field]
  const settings = [
    ...(differs('mark') ? ['alias', after.mark] : []),
    ...(differs('ipv6') ? ['addrgenmode', after.ipv6 ? 'eui64' : 'none'] : []),
    ...(differs('arp') ? ['arp', onOff(after.arp)] : [])
  ]
  const flush = ['ip', '-6', 'addr', 'flush', 'dev', id] as const
  // The table bears the name, too, and gets it first: it says nothing against the link's.
  const movesTable = differs('mark') && before.from !== null && before.from.length > 0
  return [
    ...(isDeepStrictEqual(before.from, after.from) && !movesTable ? [] : setSenders(after)),
    ...(differs('master') && after.master === null
      ? [step(after, 'take off its master', ['ip', 'link', 'set', 'dev', id, 'nomaster'])]
      : []),
    ...(settings.length > 0 ? [step(after, 'set', ['ip', 'link', 'set', 'dev', id, ...settings])] : []),
    ...(differs('ipv6') && !after.ipv6 && before.up ? [step(after, 'clear', flush)] : []),
    // Below an MTU of 1280, there is no IPv6 to be set.
    ...(differs('mtu') && after.mtu !== null
      ? [step(after, 'set', ['ip', 'link', 'set', 'dev', id, 'mtu', String(after.mtu)])]
      : []),
    ...(differs('isWireSize') && after.isWireSize !== null
      ? [step(after, 'set', switchWireSize(id, after.isWireSize))]
      : []),
    // Before it is up, and gets frames.
    ...(differs('seal')
      ? sealCommands(id, before.seal, after.seal, { handle: sealHandle(firstNameOf(after)) }).map((argv) =>
          step(after, 'seal', argv)
        )
      : []),
    ...(differs('up')
      ? [step(after, after.up ? 'start' : 'stop', ['ip', 'link', 'set', 'dev', id, after.up ? 'up' : 'down'])]
      : [])
  ]
}

function step({ id }: Tunnel, verb: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `${verb} the tunnel ${id}`, argv }
}

/** What ip and older ones say where no module makes such links. */
const noSuchKind = /Unknown device type|Operation not supported/

/** What ip says where the kernel has such a link, and no reading shows it. */
const isElsewhere = /already exists|File exists/

/** A program may have the port, and the kernel may lack what the link needs: nothing but its mirrors depends on that. */
function explainUndone(tunnel: Tunnel, reason: string): Diagnostic {
  const kind = tunnelKindOf(tunnel)
  const way = tunnel.way === 'out' ? 'leaves by' : 'comes out of'
  const message = `nothing ${way} ${kind.name(tunnel, tunnel.way)} (${tunnel.id}): ${reason}`
  if (noSuchKind.test(reason)) {
    const load = `load what the kernel needs with: modprobe ${kind.modules.join(' ')}`
    return diagnostic('TUNNEL_FAILED', message, `${load}; then apply again; if there is none: spanplan doctor`)
  }
  if (isElsewhere.test(reason)) {
    const find = shellLine(['ip', '-all', 'netns', 'exec', 'ip', '-details', 'link', 'show', 'type', tunnel.protocol])
    const hint = `an interface that was made here is in another network namespace now: find it, and delete it there or take it back, with: ${find}`
    return diagnostic('TUNNEL_FAILED', message, hint)
  }
  const whose = kind.portCommand?.(tunnel)
  const port = whose === undefined ? '' : `whether a program has its port with: ${shellLine(whose)}; and `
  return diagnostic('TUNNEL_FAILED', message, `see ${port}what the host lacks with: spanplan doctor`)
}

function explainConflict({ id }: Tunnel, wanted: Tunnel, host: HostIndex): Diagnostic {
  const subject = `the ${wanted.way === 'in' ? 'source' : 'output'} ${tunnelKindOf(wanted).name(wanted, wanted.way)}`
  const opaque = host.findOpaque(id)
  if (opaque) return explainOpaque(opaque, `${subject} needs that name for its interface`)
  const link = host.findLink(id)
  if (link !== undefined && link.name !== id) {
    return diagnostic(
      'LINK_FOREIGN',
      `the interface ${link.name} has ${id} as another name (altname): ${subject} needs that name`,
      `take it off the interface: ${shellLine(['ip', 'link', 'property', 'del', 'dev', link.name, 'altname', id])}`
    )
  }
  return diagnostic(
    'LINK_FOREIGN',
    `an interface ${id} already exists, and spanplan did not create it: ${subject} needs that name`,
    `see what it is with: ${shellLine(['ip', '-details', 'link', 'show', 'dev', id])}; if nothing needs it: ${shellLine(['ip', 'link', 'del', 'dev', id])}`
  )
}

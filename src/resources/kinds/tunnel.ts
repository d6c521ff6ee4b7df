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
import { plainTunnel } from '../../spec/sources/tunnel-spec.ts'
import type { DesiredState, DesiredTunnel } from '../desired-state.ts'
import { findTunnelUsers } from '../foreign/bridge-users.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { deleteLink, type Kind, memoized, type ObservedState, type Resource, type Step } from '../kind.ts'
import { ownMark, readTableMark, readTunnelOwner, writeTableMark, writeTunnelMark } from '../marks.ts'
import { coversEverySpan, isInScope, markOf } from '../ownership.ts'
import { readSeal, type Seal, sealCommands, sealField } from '../seal-commands.ts'
import { type InterfaceSetting, onOff, sourceSettings } from '../settings.ts'

/**
 * The link that a tunnel ends in. What comes out of the tunnel is a copy: it is mirrored, and then dropped, so that the host's own
 * network stack gets nothing of it. The link has no address, and sends nothing.
 */
export interface Tunnel extends Resource, TunnelEnd {
  readonly kind: 'tunnel'
  /** Whether its frames are copied into spans, or frames of a span leave by it. */
  readonly way: DesiredTunnel['way']
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

function writeSenders(from: Tunnel['from']): string {
  if (from === null) return 'a table that somebody has changed'
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
    seal: sealField
  },
  desire: ({ desired }, live) => {
    const liveById = new Map(live.map((one) => [one.id, one]))
    return [...groupsOf(tunnelsOf(desired), ({ name }) => name).values()].map((uses) => {
      const tunnel = desireTunnel(desired, uses)
      // Of an output, that is the bridge of its span, which the kind of outputs puts it on.
      return tunnel.way === 'out' ? { ...tunnel, master: liveById.get(tunnel.id)?.master ?? null } : tunnel
    })
  },
  observe: memoized((state) => {
    const { desired, host } = state
    const wanted = new Map(tunnelsOf(desired).map((one) => [one.name, one]))
    return [
      ...host.links.flatMap((link) => observeTunnel(state, wanted, link)),
      ...leftTables(desired, host).map((table) => observeLeft(table)),
      ...tunnelsOf(desired)
        .filter(({ name }) => host.findOpaque(name) !== undefined)
        .map((one): Tunnel => ({ ...desireTunnel(desired, [{ ...one, span: '' }]), spans: [], owner: 'foreign' }))
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

/** A tunnel, and the span that has a source which ends in it. */
type Use = DesiredTunnel & { readonly span: string }

function tunnelsOf({ spans }: DesiredState): Use[] {
  return spans.flatMap(({ name: span, tunnels }) => tunnels.map((one) => ({ ...one, span })))
}

/** Whose the tunnel is, as its mark says. */
function ownerOf({ id: name, mark: alias, ...tunnel }: Tunnel): string | null {
  return readTunnelOwner({ name, alias, tunnel }, '')
}

function desireTunnel({ owner }: DesiredState, [first, ...more]: readonly [Use, ...Use[]]): Tunnel {
  const { name, span: _, ...tunnel } = first
  return {
    ...tunnel,
    kind: 'tunnel',
    id: name,
    spans: [...new Set([first, ...more].map(({ span }) => span))],
    owner: 'ours',
    external: false,
    options: [],
    mark: writeTunnelMark(owner, tunnel.protocol),
    up: true,
    master: null,
    arp: false,
    ipv6: false,
    seal: 'sealed'
  }
}

function observeTunnel(
  { desired, marks, host }: ObservedState,
  wanted: ReadonlyMap<string, DesiredTunnel>,
  link: Link
): Tunnel | [] {
  const { scope } = desired
  const owner = readTunnelOwner(link, scope.name ?? desired.owner)
  const isOurs = owner !== null && (scope.name === null || owner === scope.name)
  if (!isOurs && !wanted.has(link.name)) return []
  const uses = host.filtersOf(link.name).flatMap((filter) => marks.mirrors.get(filter) ?? [])
  const bridge = host.linkOf(link.master)
  const feeding = bridge === undefined ? undefined : markOf(host, bridge)?.owner
  // A span whose frames leave by it needs it, too.
  const ports = feeding === undefined || bridge === undefined ? [] : [isInScope(desired, feeding, bridge.name)]
  const needs = [...uses.map(({ inScope }) => inScope), ...ports]
  // Spans out of scope need it. Where no span copies from it, it may be of any: then it is of those that want it now.
  const isRemovable =
    needs.length > 0 ? needs.every((inScope) => inScope) : wanted.has(link.name) || coversEverySpan(desired)
  const { sendOptions = [], ...end } = link.tunnel ?? noTunnel
  const way = wanted.get(link.name)?.way ?? (ports.length > 0 ? 'out' : 'in')
  return {
    ...end,
    options: way === 'out' ? [...end.options, ...sendOptions] : end.options,
    kind: 'tunnel',
    id: link.name,
    way,
    spans: [...new Set([...uses.flatMap(({ span }) => span ?? []), ...(ports.length > 0 ? [link.master ?? ''] : [])])],
    owner: !isOurs ? 'foreign' : isRemovable ? 'ours' : 'shared',
    mark: link.alias ?? '',
    up: link.up,
    master: link.master,
    arp: link.arp,
    ipv6: link.addresses.some(({ family }) => family === 'inet6') || (link.ipv6 && link.generatesAddress),
    from: observeSenders(host, link, wanted.get(link.name)?.from ?? []),
    seal: readSeal(host, link.name)
  }
}

/** @param unread what they are taken for where nobody has read them, so that they stay. */
function observeSenders(host: HostIndex, { name, tunnel }: Link, unread: readonly string[]): Tunnel['from'] {
  if (host.senderTables?.state !== 'usable' || tunnel === undefined || tunnel.external) return unread
  const table = findTable(host, name)
  if (table === undefined) return []
  const senders = readSenders(table)
  const mark = writeTableMark(readTableMark(table) ?? '')
  const packets = tunnelKindOf(tunnel).packets(tunnel)
  return isSenderTable(table, { link: name, mark, packets, senders }) ? senders : null
}

/** The names of the links whose tables are left, where the links have gone and no span needs them. */
function leftTables(desired: DesiredState, { senderTables, mayExist }: HostIndex): string[] {
  if (senderTables?.state !== 'usable' || !coversEverySpan(desired)) return []
  const wanted = new Set(tunnelsOf(desired).map(({ name }) => name))
  return senderTables.tables.flatMap((table) => {
    const [, link] = /^spanplan_([a-z]+-[0-9a-f]{8})$/.exec(table.name) ?? []
    const owner = readTableMark(table)
    const isOurs = owner !== null && (desired.scope.name === null || owner === desired.scope.name)
    return link !== undefined && isOurs && !wanted.has(link) && !mayExist(link) ? [link] : []
  })
}

function observeLeft(id: string): Tunnel {
  const rest = { mark: '', up: false, master: null, arp: false, ipv6: false, from: null, seal: 'none' } as const
  return { ...noTunnel, kind: 'tunnel', id, way: 'in', spans: [], owner: 'ours', ...rest, isGone: true }
}

/** What a table says of senders that somebody has changed otherwise is given back: without any table, everybody may send. */
function rollbackTunnels(tunnels: readonly Tunnel[], { host }: ObservedState): Tunnel[] {
  return tunnels
    .filter(({ isGone }) => !isGone)
    .map((one) => {
      const table = findTable(host, one.id)
      return one.from === null && table !== undefined ? { ...one, from: readSenders(table) } : one
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
  const mark = writeTableMark(ownerOf(tunnel) ?? '')
  const packets = tunnelKindOf(tunnel).packets(tunnel)
  const argv = senders.length === 0 ? removeSenderTable(id) : writeSenderTable({ link: id, mark, packets, senders })
  return [{ summary: `choose the senders of the tunnel ${id}`, argv }]
}

function createTunnel(after: Tunnel): Step[] {
  const { id, protocol } = after
  const made: Tunnel = { ...after, mark: '', up: false, arp: true, ipv6: true, from: [], seal: 'none' }
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
  return [
    ...(isDeepStrictEqual(before.from, after.from) ? [] : setSenders(after)),
    ...(differs('master') && after.master === null
      ? [step(after, 'take off its master', ['ip', 'link', 'set', 'dev', id, 'nomaster'])]
      : []),
    ...(settings.length > 0 ? [step(after, 'set', ['ip', 'link', 'set', 'dev', id, ...settings])] : []),
    ...(differs('ipv6') && !after.ipv6 && before.up ? [step(after, 'clear', flush)] : []),
    // Before it is up, and gets frames.
    ...(differs('seal') ? sealCommands(id, before.seal, after.seal).map((argv) => step(after, 'seal', argv)) : []),
    ...(differs('up')
      ? [step(after, after.up ? 'start' : 'stop', ['ip', 'link', 'set', 'dev', id, after.up ? 'up' : 'down'])]
      : [])
  ]
}

function step({ id }: Tunnel, verb: string, argv: readonly [string, ...string[]]): Step {
  return { summary: `${verb} the tunnel ${id}`, argv }
}

/** A program may have the port, and the kernel may lack what the link needs: nothing but its mirrors depends on that. */
function explainUndone(tunnel: Tunnel, reason: string): Diagnostic {
  const kind = tunnelKindOf(tunnel)
  const whose = kind.portCommand?.(tunnel)
  const port = whose === undefined ? '' : `whether a program has its port with: ${shellLine(whose)}; and `
  return diagnostic(
    'TUNNEL_FAILED',
    `nothing ${tunnel.way === 'out' ? 'leaves by' : 'comes out of'} ${kind.name(tunnel, tunnel.way)} (${tunnel.id}): ${reason}`,
    `see ${port}what the host lacks with: spanplan doctor`
  )
}

function explainConflict({ id }: Tunnel, wanted: Tunnel, host: HostIndex): Diagnostic {
  const subject = `the ${wanted.way === 'in' ? 'source' : 'output'} ${tunnelKindOf(wanted).name(wanted, wanted.way)}`
  const opaque = host.findOpaque(id)
  if (opaque) return explainOpaque(opaque, `${subject} needs that name for its interface`)
  return diagnostic(
    'LINK_FOREIGN',
    `an interface ${id} already exists, and spanplan did not create it: ${subject} needs that name`,
    `see what it is with: ${shellLine(['ip', '-details', 'link', 'show', 'dev', id])}; if nothing needs it: ${shellLine(['ip', 'link', 'del', 'dev', id])}`
  )
}

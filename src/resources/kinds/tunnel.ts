import { type Diagnostic, diagnostic } from '../../errors.ts'
import { groupsOf, type HostIndex } from '../../host/host-index.ts'
import { option, shellLine } from '../../host/quote-command.ts'
import type { Link, Vxlan } from '../../host/snapshot.ts'
import { vxlanName } from '../../spec/sources/vxlan.ts'
import type { DesiredState, DesiredTunnel } from '../desired-state.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { deleteLink, type Kind, memoized, type ObservedState, type Resource, type Step } from '../kind.ts'
import { ownMark, readTunnelOwner, writeTunnelMark } from '../marks.ts'
import { coversEverySpan } from '../ownership.ts'
import { readSeal, type Seal, sealCommands, sealField } from '../seal-commands.ts'
import { type InterfaceSetting, onOff, sourceSettings } from '../settings.ts'

/**
 * The link that a tunnel ends in. What comes out of the tunnel is a copy: it is mirrored, and then dropped, so that the host's own
 * network stack gets nothing of it. The link has no address, and sends nothing.
 */
export interface Tunnel extends Resource, Omit<Vxlan, 'id'> {
  readonly kind: 'tunnel'
  readonly vni: number
  /** The alias of the link. */
  readonly mark: string
  readonly up: boolean
  readonly arp: boolean
  readonly ipv6: boolean
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

const anyOf = (value: string | null) => value ?? 'any'
const noneOf = (value: string | null) => value ?? 'none'

/** How the links of tunnels are made, observed and removed. */
export const tunnel: Kind<Tunnel> = {
  kind: 'tunnel',
  fields: {
    local: { label: 'local', words: anyOf, immutable: true },
    group: { label: 'group', words: noneOf, immutable: true },
    interface: { label: 'interface', words: noneOf, immutable: true },
    learning: { label: 'learning', words: onOff, immutable: true },
    mark: {
      label: 'mark',
      words: (mark, { id, vni, port }) => (isMark(mark, id, vni, port) ? ownMark : mark || 'none')
    },
    up: sourceSettings.up,
    arp: sourceSettings.arp,
    ipv6: sourceSettings.ipv6,
    seal: sealField
  },
  desire: ({ desired }) =>
    [...groupsOf(tunnelsOf(desired), ({ name }) => name).values()].map((uses) => desireTunnel(desired, uses)),
  observe: memoized((state) => {
    const { desired, host } = state
    const names = new Set(tunnelsOf(desired).map(({ name }) => name))
    return [
      ...host.links.flatMap((link) => observeTunnel(state, names, link)),
      ...tunnelsOf(desired)
        .filter(({ name }) => host.findOpaque(name) !== undefined)
        .map((one): Tunnel => ({ ...desireTunnel(desired, [{ ...one, span: '' }]), spans: [], owner: 'foreign' }))
    ]
  }),
  create: createTunnel,
  update: (before, after) => updateTunnel(before, after),
  remove: ({ id }) => [deleteLink(`remove the tunnel ${id}`, id)],
  summary: ({ vni, port, local, group, interface: joined }) =>
    [
      `vxlan ${vni}`,
      `UDP port ${port}`,
      ...(local === null ? [] : [`local ${local}`]),
      ...(group === null ? [] : [`group ${group} on ${joined}`])
    ].join(', '),
  createNote: () => "the host's firewall has to let that port in",
  device: ({ id }) => id,
  makesDevice: true,
  conflict: explainConflict,
  conflictCosts: () => 'dependants'
}

/** A tunnel, and the span that has a source which ends in it. */
type Use = DesiredTunnel & { readonly span: string }

function tunnelsOf({ spans }: DesiredState): Use[] {
  return spans.flatMap(({ name: span, tunnels }) => tunnels.map((one) => ({ ...one, span })))
}

function isMark(alias: string, name: string, id: number, port: number): boolean {
  const vxlan = { id, port, local: null, group: null, interface: null, learning: false }
  return alias !== '' && readTunnelOwner({ name, alias, vxlan }, '') !== null
}

function desireTunnel({ owner }: DesiredState, [first, ...more]: readonly [Use, ...Use[]]): Tunnel {
  const { name, id: vni, port, local, group, interface: joined, origin, item } = first
  return {
    kind: 'tunnel',
    id: name,
    spans: [...new Set([first, ...more].map(({ span }) => span))],
    owner: 'ours',
    origin,
    item,
    ...{ vni, port, local, group, interface: joined, learning: false },
    mark: writeTunnelMark(owner),
    up: true,
    arp: false,
    ipv6: false,
    seal: 'sealed'
  }
}

function observeTunnel({ desired, marks, host }: ObservedState, wanted: ReadonlySet<string>, link: Link): Tunnel | [] {
  const { scope } = desired
  const owner = readTunnelOwner(link, scope.name ?? desired.owner)
  const isOurs = owner !== null && (scope.name === null || owner === scope.name)
  if (!isOurs && !wanted.has(link.name)) return []
  const uses = host.filtersOf(link.name).flatMap((filter) => marks.mirrors.get(filter) ?? [])
  // Spans out of scope need it; where no span copies from it, it may be of any.
  const isRemovable = uses.length > 0 ? uses.every(({ inScope }) => inScope) : coversEverySpan(desired)
  const nothing = { id: 0, port: 0, local: null, group: null, interface: null, learning: false }
  const { id: vni, ...rest } = link.vxlan ?? nothing
  return {
    kind: 'tunnel',
    id: link.name,
    spans: [...new Set(uses.flatMap(({ span }) => span ?? []))],
    owner: !isOurs ? 'foreign' : isRemovable ? 'ours' : 'shared',
    vni,
    ...rest,
    mark: link.alias ?? '',
    up: link.up,
    arp: link.arp,
    ipv6: link.addresses.some(({ family }) => family === 'inet6') || (link.ipv6 && link.generatesAddress),
    seal: readSeal(host, link.name)
  }
}

function createTunnel(after: Tunnel): Step[] {
  const { id, vni, port, local, group, interface: joined } = after
  const made: Tunnel = { ...after, mark: '', up: false, arp: true, ipv6: true, seal: 'none' }
  const place = [...option('local', local), ...option('group', group), ...option('dev', joined)]
  return [
    step(after, 'create', [
      ...(['ip', 'link', 'add', 'dev', id, 'type', 'vxlan', 'id', String(vni)] as const),
      ...[...place, 'dstport', String(port), 'nolearning']
    ]),
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

function explainConflict({ id }: Tunnel, wanted: Tunnel, host: HostIndex): Diagnostic {
  const name = vxlanName({ id: wanted.vni, port: wanted.port }).join(' ')
  const opaque = host.findOpaque(id)
  if (opaque) return explainOpaque(opaque, `the source ${name} needs that name for its interface`)
  return diagnostic(
    'LINK_FOREIGN',
    `an interface ${id} already exists, and spanplan did not create it: the source ${name} needs that name`,
    `see what it is with: ${shellLine(['ip', '-details', 'link', 'show', 'dev', id])}; if nothing needs it: ${shellLine(['ip', 'link', 'del', 'dev', id])}`
  )
}

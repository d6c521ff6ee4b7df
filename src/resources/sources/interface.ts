import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { Link } from '../../host/snapshot.ts'
import { tunnelKindOf } from '../../host/tunnels/registry.ts'
import { writeStaysUp } from '../../run-dir/going-down.ts'
import type { InterfaceMatch } from '../../spec/interfaces.ts'
import type { SourceOf } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { suggestSlips } from '../../spec/schema/did-you-mean.ts'
import { everySpan, matchesSpan } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import type { Device } from '../desired-state.ts'
import { explainDevice } from '../foreign/device-origin.ts'
import { explainOpaque } from '../foreign/opaque-link.ts'
import { ownsBridge, tunnelOwner } from '../ownership.ts'
import {
  columnOf,
  dedicatedInterfaceSettings,
  everyInterfaceSettings,
  type InterfaceSetting,
  sourceSettings
} from '../settings.ts'
import { checkDedicated, checkInterface, closableSettings } from './check-interface.ts'
import { findCandidates, findInterface, isMatch, isMeant, matchOf } from './find-interface.ts'
import {
  type Context,
  type HostSourceKind,
  hostHooks,
  nothingResolved,
  type Resolved,
  type ResolvedSource,
  type SourceHook,
  waitForMirrors
} from './host-source-kind.ts'
import { findRenamedLink, sayRenamed } from './renamed-link.ts'

/** An interface of the host. Its directions are those that the host sees. */
export const interfaceSource: HostSourceKind<SourceOf<'interface'>> = {
  needs(source, spec) {
    const match = matchOf(spec, source.interface)
    return { devices: ['name' in match ? match.name : match.macaddress] }
  },
  isDevice: (source, name, spec, host) => isMeant(matchOf(spec, source.interface), name, host),
  // The mirrors on what is not understood stay, as it is with all that is there.
  recall: () => [],
  identify: () => null,
  resolve: (source, span, context) => resolveOpaque(source, span, context) ?? resolveInterface(source, span, context)
}

/** The interface of a source, if it is there, or may be, and its record is not understood: its mirrors are kept. */
function resolveOpaque(source: SourceOf<'interface'>, span: SpanSpec, context: Context): ResolvedSource | null {
  const { spec, host, patient } = context
  const match = matchOf(spec, source.interface)
  const isFound = !('code' in findInterface(match, host))
  const opaque = isFound ? undefined : 'name' in match ? host.findOpaque(match.name) : host.opaque[0]
  if (opaque === undefined) return null
  const isNamed = 'name' in match && (opaque.name === match.name || opaque.altnames.includes(match.name))
  const which = isNamed ? 'it is a source' : `it may be the source ${matchWords(match)}`
  const found = explainOpaque(opaque, `${which} of the span ${span.name}`)
  if (!patient) return { ...nothingResolved, errors: [{ ...found, origin: source.origin }], isUnread: true }
  return { ...nothingResolved, waits: waitForMirrors(span, source, [source.interface], found), isUnread: true }
}

function resolveInterface(source: SourceOf<'interface'>, span: SpanSpec, context: Context): Resolved<SourceHook> {
  const { spec, host, patient, goingDown, planned } = context
  const match = matchOf(spec, source.interface)
  const link = findSource(match, context)
  const { origin } = source
  const bridge = 'name' in match ? planned.get(match.name) : undefined
  if ('name' in match && bridge !== undefined) {
    const device = { name: match.name, planned: bridge }
    return { ...nothingResolved, items: hooksOf(source, device, everyInterfaceSettings, null) }
  }
  if ('code' in link) {
    const named = 'name' in match && link.code === 'INTERFACE_MISSING' ? match.name : null
    const renamed = named === null ? undefined : findRenamedLink(named, span, context)
    const back = named === null || renamed === undefined ? {} : { hint: sayRenamed(renamed, named) }
    if (!patient) {
      return {
        ...nothingResolved,
        errors: [{ ...link, ...back, message: `span ${span.name}: ${link.message}`, origin }]
      }
    }
    if (link.code !== 'INTERFACE_MISSING') {
      const candidates = findCandidates(match, host)
      const hooks = candidates.flatMap((one) =>
        hooksOf(source, { name: one.name, link: one }, settingsOf(one, spec, host).settings, { ...link, origin })
      )
      return { ...nothingResolved, items: hooks }
    }
    const hint = suggestInterface(match, spec, host)
    const missing = { ...diagnostic(link.code, `waits for the interface ${matchWords(match)}`, hint), ...back }
    if (renamed !== undefined) {
      // What is live on it stays.
      const device = { name: renamed.name, link: renamed }
      return { ...nothingResolved, items: hooksOf(source, device, [], { ...missing, origin }, source.interface) }
    }
    return { ...nothingResolved, waits: waitForMirrors(span, source, [source.interface], missing) }
  }
  const { name } = link
  if (goingDown.has(name)) {
    // Bare, apply finds ./spans.yaml; and /etc/spanplan only where there is no ./spans.yaml.
    const files = spec.files.length === 1 && spec.files[0] === 'spans.yaml' ? [] : spec.files
    const hint = writeStaysUp(shellLine(['spanplan', 'apply', ...files.flatMap((path) => ['-f', path])]))
    const going = diagnostic('INTERFACE_GOING_DOWN', `waits for ${name}, which is going down`, hint)
    return { ...nothingResolved, waits: waitForMirrors(span, source, [name], going) }
  }
  const { dedicated, settings, warnings } = settingsOf(link, spec, host)
  const found =
    checkInterface(link, dedicated) ??
    explainOwnTunnel(link, spec, host) ??
    (dedicated ? checkDedicated(link, spec, host) : undefined)
  const problem = found === undefined ? null : { ...found, origin }
  return {
    ...nothingResolved,
    items: hooksOf(source, { name, link }, settings, patient ? problem : null),
    errors: problem === null || patient ? [] : [problem],
    warnings: problem === null ? warnings.map((one) => ({ ...one, origin })) : []
  }
}

/**
 * The link of a source. The name of a span is that of its bridge, and means nothing else: no interface that has it as an altname, and
 * none of somebody else, but one that the plan of that span adopts, or is refused for.
 */
function findSource(match: InterfaceMatch, { spec, scope, host }: Context): Link | Diagnostic {
  const link = findInterface(match, host)
  if (!('name' in match) || spec.spans.every(({ name }) => name !== match.name)) return link
  if ('code' in link || link.name !== match.name) {
    const hint = `${match.name} is a span of the file: apply that too`
    return diagnostic('INTERFACE_MISSING', `there is no interface ${match.name} on this host`, hint)
  }
  const everyOne = { owner: spec.name, scope: { name: spec.name, spans: everySpan } }
  const isMeant = matchesSpan(scope.spans, link.name) || ownsBridge(everyOne, host, link)
  return isMeant ? link : explainDevice(host, link.name)
}

/** What a span manages on an interface, and warnings of what it cannot. */
function settingsOf(link: Link, spec: Spec, host: HostIndex) {
  const dedicated = spec.interfaces.some((one) => one.dedicated && isMatch(one.match, link, host))
  if (!dedicated) return { dedicated, settings: everyInterfaceSettings, warnings: [] }
  const { settings, warnings } = closableSettings(link, host)
  return {
    dedicated,
    settings: [...dedicatedInterfaceSettings, ...settings],
    warnings: [...warnOfMerging(link), ...warnings]
  }
}

/** An interface that this file's tunnel ends in goes with that source, and all that copies from the interface with it. */
function explainOwnTunnel(link: Link, { name }: Spec, host: HostIndex): Diagnostic | undefined {
  if (link.tunnel === undefined || tunnelOwner(host, link, '') !== name) return undefined
  const tunnel = tunnelKindOf(link.tunnel).name(link.tunnel)
  return diagnostic(
    'INTERFACE_OF_TUNNEL',
    `${link.name} is the interface that spanplan has made for ${tunnel}, and goes with that source`,
    `write the source here as it is there: ${tunnel}`
  )
}

function hooksOf(
  source: SourceOf<'interface'>,
  device: Device,
  settings: readonly InterfaceSetting[],
  problem: Diagnostic | null,
  name = device.name
): SourceHook[] {
  return source.directions.map((direction) => ({
    source: [name],
    serves: null,
    device,
    tcHook: hostHooks[direction],
    direction,
    settings,
    problem
  }))
}

function matchWords(match: InterfaceMatch): string {
  return 'name' in match ? match.name : `with the MAC address ${match.macaddress}`
}

/**
 * A hint for a missing interface, whose name may be a typing error: a similar name that the file has no source of yet;
 * undefined: there is none.
 */
function suggestInterface(match: InterfaceMatch, spec: Spec, host: HostIndex): string | undefined {
  if (!('name' in match)) return undefined
  const used = spec.spans.flatMap(({ sources }) =>
    sources.flatMap((source) => (source.kind === 'interface' ? [matchOf(spec, source.interface)] : []))
  )
  const links = host.links.filter((link) => link.type === 'ether' && !used.some((one) => isMatch(one, link, host)))
  // Names of interfaces are alike: ens256 is no slip for ens224, but another card, which may be of another network.
  const names = links.flatMap(({ name, altnames }) => [name, ...altnames])
  return suggestSlips(match.name, names)
}

/** Warns of an interface that merges frames, and whose driver cannot stop that: sensors do not see these frames as on the wire. */
function warnOfMerging(link: Link): Diagnostic[] {
  return columnOf(sourceSettings, 'offload')
    .filter(([name]) => link.offloads[name]?.active === true && link.offloads[name]?.fixed === true)
    .map(([name]) => diagnostic('OFFLOAD_FIXED', `${link.name}: its driver cannot switch ${name} off`))
}

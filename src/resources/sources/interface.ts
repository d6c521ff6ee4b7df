import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import type { Link } from '../../host/snapshot.ts'
import { tunnelKindOf } from '../../host/tunnels/registry.ts'
import type { InterfaceMatch } from '../../spec/interfaces.ts'
import type { SourceOf } from '../../spec/items/source-item.ts'
import type { SpanSpec } from '../../spec/items/span-item.ts'
import { everySpan, matchesSpan, namesOf, scopeOf } from '../../spec/scope.ts'
import type { Spec } from '../../spec/spec.ts'
import type { CopyPoint, Device } from '../desired-state.ts'
import { servedBridge } from '../feeds/feeds.ts'
import { explainDevice } from '../foreign/device-origin.ts'
import { isInScope, markOf, ownsBridge, tunnelOwner } from '../ownership.ts'
import { readPortMark } from '../port-role.ts'
import { largestOf, ringOf, warnOfFixedRing } from '../ring/ring-setting.ts'
import { columnOf, dedicatedInterfaceSettings, everyInterfaceSettings, sourceSettings } from '../settings.ts'
import { checkDedicated, checkInterface, closableSettings } from './check-interface.ts'
import {
  explainGoingDown,
  explainOpaqueMatch,
  findCandidates,
  findInterface,
  isMatch,
  isMeant,
  matchOf,
  nameIn,
  suggestInterface,
  writeMatchWords
} from './find-interface.ts'
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
    return { devices: [nameIn(matchOf(spec, source.interface))] }
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
  const found = explainOpaqueMatch(matchOf(spec, source.interface), host, 'a source', span.name)
  if (found === undefined) return null
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
    return { ...nothingResolved, items: hooksOf(source, device, { settings: everyInterfaceSettings }, null) }
  }
  if ('code' in link) {
    const named = 'name' in match && link.code === 'INTERFACE_MISSING' ? match.name : null
    const renamed = named === null ? undefined : findRenamedLink(named, span, context)
    const back =
      named === null || renamed === undefined ? explainSpan(named, spec) : { hint: sayRenamed(renamed, named) }
    if (!patient) {
      return {
        ...nothingResolved,
        errors: [{ ...link, ...back, message: `span ${span.name}: ${link.message}`, origin }]
      }
    }
    if (link.code !== 'INTERFACE_MISSING') {
      const candidates = findCandidates(match, host)
      const hooks = candidates.flatMap((one) =>
        hooksOf(source, { name: one.name, link: one }, settingsOf(one, spec, host), { ...link, origin })
      )
      return { ...nothingResolved, items: hooks }
    }
    const hint = suggestInterface(match, spec, host)
    const missing = { ...diagnostic(link.code, `waits for the interface ${writeMatchWords(match)}`, hint), ...back }
    if (renamed !== undefined) {
      // What is live on it stays.
      const device = { name: renamed.name, link: renamed }
      return {
        ...nothingResolved,
        items: hooksOf(source, device, { settings: [] }, { ...missing, origin }, source.interface)
      }
    }
    return { ...nothingResolved, waits: waitForMirrors(span, source, [source.interface], missing) }
  }
  const { name } = link
  if (goingDown.has(name)) {
    return { ...nothingResolved, waits: waitForMirrors(span, source, [name], explainGoingDown(name, spec)) }
  }
  const output = explainOutput(link, context)
  if (output === undefined && (readPortMark(host, link)?.wasPort === false || servedBridge(host, link) !== null)) {
    const message = 'waits until it is no output any more: it is given back first'
    const waits = waitForMirrors(
      span,
      source,
      [name],
      diagnostic('OUTPUT_COPIED', message, 'the same apply makes the mirror then')
    )
    return { ...nothingResolved, waits }
  }
  const { dedicated, isRinged, warnings, ...wanted } = settingsOf(link, spec, host)
  const found =
    checkInterface(link, dedicated || isRinged) ??
    explainOwnTunnel(link, spec, host) ??
    output ??
    (dedicated ? checkDedicated(link, spec, host) : undefined)
  const problem = found === undefined ? null : { ...found, origin }
  return {
    ...nothingResolved,
    items: hooksOf(source, { name, link }, wanted, patient ? problem : null),
    errors: problem === null || patient ? [] : [problem],
    warnings: problem === null ? warnings.map((one) => ({ ...one, origin })) : []
  }
}

/**
 * The link of a source. The name of a span's bridge means nothing else: no interface that has it as an altname, and
 * none of somebody else, but one that the plan of that span adopts, or is refused for.
 */
function findSource(match: InterfaceMatch, { spec, scope, names, host }: Context): Link | Diagnostic {
  const link = findInterface(match, host)
  const span = 'name' in match ? spec.spans.find(({ bridge }) => bridge === match.name) : undefined
  if (!('name' in match) || span === undefined) return link
  if ('code' in link || link.name !== match.name) {
    const hint = `it is the bridge of the span ${span.name}: apply that too`
    return diagnostic('INTERFACE_MISSING', `there is no interface ${match.name} on this host`, hint)
  }
  const everyOne = { owner: spec.name, scope: scopeOf(spec, everySpan), names }
  const isMeant = matchesSpan(scope.spans, span.name) || ownsBridge(everyOne, host, link)
  return isMeant ? link : explainDevice(host, link.name)
}

/** What to write where somebody has written the name of a span for that of its bridge. */
function explainSpan(name: string | null, { spans }: Spec): { readonly hint?: string } {
  const span = spans.find((one) => one.name === name && one.bridge !== name)
  return span === undefined
    ? {}
    : { hint: `${name} is a span; to copy what is on its bridge: "interface: ${span.bridge}"` }
}

/** What a span manages on an interface, and warnings of what it cannot. */
function settingsOf(link: Link, spec: Spec, host: HostIndex) {
  const entries = spec.interfaces.filter((one) => isMatch(one.match, link, host))
  const dedicated = entries.some((one) => one.dedicated)
  const isRinged = entries.some((one) => one.ring !== null)
  const size = isRinged ? ringOf(link) : null
  const ringWarnings = isRinged ? warnOfFixedRing(link) : []
  const common = { dedicated, isRinged, ...(size !== null && { ring: largestOf(size) }) }
  if (!dedicated) return { ...common, settings: everyInterfaceSettings, warnings: ringWarnings }
  const { settings, warnings } = closableSettings(link, host)
  return {
    ...common,
    settings: [...dedicatedInterfaceSettings, ...settings],
    warnings: [...warnOfMerging(link), ...ringWarnings, ...warnings]
  }
}

/** An interface that this file's tunnel ends in goes with that source, and all that copies from the interface with it. */
function explainOwnTunnel(link: Link, spec: Spec, host: HostIndex): Diagnostic | undefined {
  const owner = link.tunnel === undefined ? null : tunnelOwner(host, link)
  if (link.tunnel === undefined || owner === null || !namesOf(spec).includes(owner)) return undefined
  const tunnel = tunnelKindOf(link.tunnel).name(link.tunnel, 'in')
  return diagnostic(
    'INTERFACE_OF_TUNNEL',
    `${link.name} is the interface that spanplan has made for ${tunnel}, and goes with that source`,
    `write the source here as it is there: ${tunnel}`
  )
}

/** What the tool at an output sends goes nowhere, and what leaves by it comes from sources: of a span that this run leaves as it is. */
function explainOutput(link: Link, { scope, names, host }: Context): Diagnostic | undefined {
  const { name } = link
  const bridge = servedBridge(host, link)
  const owner = markOf(host, host.linkOf(bridge))?.owner
  if (bridge === null || owner === undefined || isInScope({ scope, names }, owner, bridge)) return undefined
  const message = `${name} is an output of span ${names.nameOf(bridge)}, which this run leaves as it is`
  return diagnostic('OUTPUT_SOURCE', message, 'use another interface for one of the two')
}

function hooksOf(
  source: SourceOf<'interface'>,
  device: Device,
  { settings, ring }: Pick<CopyPoint, 'settings' | 'ring'>,
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
    ...(ring !== undefined && { ring }),
    problem
  }))
}

/** Warns of an interface that merges frames, and whose driver cannot stop that: sensors do not see these frames as on the wire. */
function warnOfMerging(link: Link): Diagnostic[] {
  return columnOf(sourceSettings, 'offload')
    .filter(([name]) => link.offloads[name]?.active === true && link.offloads[name]?.fixed === true)
    .map(([name]) => diagnostic('OFFLOAD_FIXED', `${link.name}: its driver cannot switch ${name} off`))
}

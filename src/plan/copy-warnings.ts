import type { Code } from '../codes/explained-codes.ts'
import { type Diagnostic, diagnostic } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { Filter, Link, TcHook } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-conventions.ts'
import { type CopyPoint, type DesiredSpan, linkOf } from '../resources/desired-state.ts'
import { fedLinks } from '../resources/feeds/feeds.ts'
import { filterWords } from '../resources/foreign/filter-words.ts'
import { isTransparent } from '../resources/seal-commands.ts'
import { mirrorSubject } from '../resources/sources/host-source-kind.ts'
import type { Feeding } from './loops.ts'

/** Warns of foreign filters and programs on the bridge and its ports: they may keep copies from sensors, or bypass the seal. */
export function warnOfOthers({ name, bridge, sealed, outputs }: DesiredSpan, host: HostIndex): Diagnostic[] {
  const own = host.linkOf(bridge)
  const links = [...(own?.bridge ? [own] : []), ...host.portsOf(bridge), ...fedLinks(host, bridge)]
  return [...new Set(links)].flatMap((link) => {
    const [kind, id] = link.name === bridge ? ['bridge', []] : ['port', [link.name]]
    const subject = { span: name, kind, id }
    const isOutput = outputs.some(({ device }) => device === link.name)
    const lost = isOutput
      ? 'what it drops or redirects does not leave'
      : 'sensors do not get what it drops or redirects'
    // Copies pass the egress filters of the bridge and of each port.
    const filter = host.filtersAt(link.name, 'egress').find(isOpaque)
    const programs = warnOfPrograms(link, host, {
      ...(sealed && { ingress: 'before the filter that seals it: what it lets in or redirects is not dropped' }),
      egress: isOutput
        ? `on the way out: ${lost}`
        : 'on the way to the sensors: they do not get what it drops or redirects'
    })
    const what = filter && `a filter at preference ${filter.pref}: ${filterWords(filter)}`
    const hidden = filter ? [warnOfFilter('COPIES_HIDDEN', filter, `${what}; ${lost}`)] : []
    return [...hidden, ...programs].map((found) => ({ ...found, subject }))
  })
}

/** Warns of what may keep frames from a mirror. */
export function warnOfSource(span: string, point: CopyPoint, host: HostIndex): Diagnostic[] {
  const { tcHook, origin } = point
  const link = linkOf(point.device)
  if (link === undefined) return []
  const subject = mirrorSubject(span, point)
  // Where a filter of a lower preference ends classification, the mirrors do not see the frame.
  const before = host.filtersAt(link.name, tcHook).filter((filter) => filter.pref < mirrorPref && isOpaque(filter))
  const programs = warnOfPrograms(link, host, {
    [tcHook]: 'before the mirrors: they do not see what it drops or redirects'
  })
  const alarms = [...warnOfHiddenMirrors(before), ...(tcHook === 'ingress' ? warnOfGenericProgram(link) : [])]
  return [...alarms.map((found) => ({ ...found, subject })), ...programs].map((found) => ({ ...found, origin }))
}

/**
 * For a program of generic XDP, the kernel puts a frame into a new buffer, which has no length of the Ethernet header; mirred then
 * copies what comes behind that header. So it is with each frame without a VLAN tag (measured with Linux 6.12 and 6.18).
 */
function warnOfGenericProgram({ name, xdp }: Link): Diagnostic[] {
  if (xdp === null || xdp.isNative || xdp.id === 0) return []
  const message = `${name} has the xdp program ${xdp.id} in generic mode: what ${name} receives may reach the sensors without its Ethernet header`
  const hint = `attach that program in native mode (xdpdrv), or take it off: ${shellLine(['ip', 'link', 'set', 'dev', name, 'xdpgeneric', 'off'])}`
  return [diagnostic('PROGRAM_BEFORE', message, hint)]
}

/** One warning, however many there are: a switch in software (Open vSwitch with tc) has hundreds. */
function warnOfHiddenMirrors([first, ...more]: readonly Filter[]): Diagnostic[] {
  if (first === undefined) return []
  const what = `a ${first.kind} filter at preference ${first.pref}`
  const rest = `, and ${more.length} more ${more.length === 1 ? 'filter' : 'filters'} before the mirrors`
  const [all, one] = more.length === 0 ? [what, 'that'] : [`${what}${rest}`, 'one of them']
  return [warnOfFilter('MIRROR_HIDDEN', first, `${all}: where ${one} ends classification, the mirrors see nothing`)]
}

/** So many mirrors in a row copy a frame: MIRRED_NEST_LIMIT of net/sched/act_mirred.c. */
const deepestChain = 4

/**
 * Warns of spans that miss frames, since too many spans copy from each other in a row: the fifth mirror copies nothing, and drops the
 * frame itself, which the fourth span misses too (measured with Linux 6.18). A mirror is in a row with those before it at the egress of
 * a bridge alone.
 *
 * @param others the live spans beside these, which stay as they are.
 */
export function warnOfChains(spans: readonly DesiredSpan[], others: readonly Feeding[]): Diagnostic[] {
  const all = [...spans, ...others]
  const sourcesOf = ({ mirrors }: Feeding) =>
    mirrors.flatMap(({ device, tcHook }) => (tcHook === 'egress' ? device.name : []))
  const fedBy = (names: ReadonlySet<string>) => all.filter((span) => sourcesOf(span).some((name) => names.has(name)))
  let last = new Set(all.map(({ bridge }) => bridge))
  for (let before = 1; before < deepestChain; before++) last = new Set(fedBy(last).map(({ bridge }) => bridge))
  const beyond = fedBy(last)
  const missing = new Set(beyond.flatMap((span) => [span.bridge, ...sourcesOf(span).filter((name) => last.has(name))]))
  return spans.flatMap(({ name, bridge, origin }) => {
    if (!missing.has(bridge)) return []
    const message = `span ${name} misses frames: more than ${deepestChain} spans in a row copy from each other, and the kernel drops what would be copied once more`
    const subject = { span: name, kind: 'bridge', id: [] }
    return [{ ...diagnostic('CHAIN_DEEP', message, 'copy from the first interface of the row', origin), subject }]
  })
}

/**
 * Warns of sources that are bridges of sealed spans, and copy only what such a bridge receives, which is nothing: copies enter the
 * bridge where the host sends through it, and leave it by its ports.
 */
export function warnOfEmptySources(spans: readonly DesiredSpan[]): Diagnostic[] {
  const bridges = new Set(spans.flatMap(({ bridge, sealed }) => (sealed ? bridge : [])))
  return spans.flatMap(({ name: span, mirrors }) => {
    const full = new Set(mirrors.flatMap(({ tcHook, item }) => (tcHook === 'egress' ? item : [])))
    return mirrors.flatMap((point) => {
      if (!bridges.has(point.device.name) || full.has(point.item)) return []
      const message = `span ${span}: ingress of ${point.device.name} copies nothing: that is the bridge of a span, whose frames are all egress`
      const hint = 'take "direction" out, or write "direction: egress"'
      const subject = mirrorSubject(span, point)
      return [{ ...diagnostic('CHAIN_INGRESS', message, hint, point.origin), subject }]
    })
  })
}

/** Warns of sources that are bridges which get no frames, because all receivers of that span are fed by mirrors of their own. */
export function warnOfUnfedSources(spans: readonly DesiredSpan[]): Diagnostic[] {
  const unfed = new Set(spans.flatMap(({ bridge, feedsBridge }) => (feedsBridge ? [] : bridge)))
  return spans.flatMap(({ name: span, mirrors }) => {
    const fromUnfed = mirrors.filter(({ device }) => unfed.has(device.name))
    // Once for both directions of a source.
    return [...new Map(fromUnfed.map((point) => [point.item, point])).values()].map((point) => {
      const { name } = point.device
      const message = `span ${span}: no frame comes to the bridge ${name}: all who get frames of that span get a part, and have it from its sources`
      const hint = `copy from the sources of ${name}, or have a sensor of ${name} get all`
      return { ...diagnostic('CHAIN_UNFED', message, hint, point.origin), subject: mirrorSubject(span, point) }
    })
  })
}

/** Whether a filter may drop or redirect a frame, or end its classification. */
function isOpaque(filter: Filter): boolean {
  return filter.chain === 0 && !isTransparent(filter)
}

function warnOfFilter(code: Code, { device, tcHook }: Filter, what: string): Diagnostic {
  const hint = `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', device, tcHook])}`
  return diagnostic(code, `${device} ${tcHook} has ${what}`, hint)
}

/** @param meaning where the programs of a hook are, and what that means; a hook without one does not matter. */
function warnOfPrograms(link: Link, host: HostIndex, meaning: Partial<Record<TcHook, string>>): Diagnostic[] {
  return host.programsBefore(link).flatMap(({ layer, tcHook, name, id }) => {
    const program = `the ${layer} program ${name === '' ? id : `${name} (${id})`}`
    const message = `${link.name} ${tcHook} has ${program} ${meaning[tcHook]}`
    const hint = `look at it with: ${shellLine(['bpftool', 'prog', 'show', 'id', String(id)])}`
    return meaning[tcHook] === undefined ? [] : [diagnostic('PROGRAM_BEFORE', message, hint)]
  })
}

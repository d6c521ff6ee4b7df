import { type Diagnostic, diagnostic } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import { shellLine } from '../host/quote-command.ts'
import type { AttachedProgram, Link } from '../host/snapshot.ts'
import { mirrorPref } from '../host/tc-syntax.ts'
import type { CopyPoint, DesiredSpan } from '../resources/desired-state.ts'
import { describeFilter } from '../resources/foreign/describe-filter.ts'
import { writeAddress } from '../resources/kind.ts'
import { isTransparent } from '../resources/seal.ts'
import type { TcHook } from '../spec/spec.ts'

/** Warns of foreign filters and programs on the bridge and its ports: they may keep copies from sensors, or bypass the seal. */
export function warnOfOthers({ name, sealed }: DesiredSpan, host: HostIndex): Diagnostic[] {
  const bridge = host.linkOf(name)
  return [...(bridge?.bridge ? [bridge] : []), ...host.portsOf(name)].flatMap((link) => {
    const address = writeAddress(name, ...(link.name === name ? ['bridge'] : ['port', link.name]))
    return [...warnOfFilters(link, host), ...warnOfPortPrograms(link, sealed, host)].map((found) => ({
      ...found,
      address
    }))
  })
}

/** Copies pass the egress filters of the bridge and of each port. */
function warnOfFilters(link: Link, host: HostIndex): Diagnostic[] {
  const filter = host.filtersAt(link.name, 'egress').find((one) => one.chain === 0 && !isTransparent(one))
  if (filter === undefined) return []
  return [
    diagnostic(
      'COPIES_HIDDEN',
      `${link.name} egress has a filter at preference ${filter.pref}: ${describeFilter(filter)}; sensors do not get what it drops or redirects`,
      `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', link.name, 'egress'])}`
    )
  ]
}

function warnOfPortPrograms(link: Link, sealed: boolean, host: HostIndex): Diagnostic[] {
  const consequence: Record<AttachedProgram['tcHook'], string> = {
    ingress: 'before the filter that seals it: what it lets in or redirects is not dropped',
    egress: 'on the way to the sensors: they do not get what it drops or redirects'
  }
  return host
    .programsBefore(link)
    .filter(({ tcHook }) => sealed || tcHook === 'egress')
    .map(({ layer, tcHook, name, id }) =>
      diagnostic(
        'PROGRAM_BEFORE',
        `${link.name} ${tcHook} has the ${layer} program ${name === '' ? id : `${name} (${id})`} ${consequence[tcHook]}`,
        `look at it with: ${shellLine(['bpftool', 'prog', 'show', 'id', String(id)])}`
      )
    )
}

/** Warns of what may keep frames from a mirror. */
export function warnOfSource(
  span: string,
  { source, device: { link }, tcHook, direction, origin }: CopyPoint,
  host: HostIndex
): Diagnostic[] {
  if (link === null) return []
  const address = writeAddress(span, 'mirror', ...source, direction)
  const hidden = warnOfHiding(link, tcHook, host).map((found) => ({ ...found, address }))
  return [...hidden, ...warnOfPrograms(link, tcHook, host)].map((found) => ({ ...found, origin }))
}

/** Where a filter of a lower preference ends classification, the mirrors do not see the frame. */
function warnOfHiding(link: Link, tcHook: TcHook, host: HostIndex): Diagnostic[] {
  const before = host
    .filtersAt(link.name, tcHook)
    .find((filter) => filter.chain === 0 && filter.pref < mirrorPref && !isTransparent(filter))
  if (before === undefined) return []
  return [
    diagnostic(
      'MIRROR_HIDDEN',
      `${link.name} ${tcHook} has a ${before.kind} filter at preference ${before.pref}: where that ends classification, the mirrors see nothing`,
      `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', link.name, tcHook])}`
    )
  ]
}

/** What an eBPF program before the filters drops or redirects, the mirrors do not see. */
function warnOfPrograms(link: Link, tcHook: TcHook, host: HostIndex): Diagnostic[] {
  return host
    .programsBefore(link)
    .filter((program) => program.tcHook === tcHook)
    .map(({ layer, name, id }) =>
      diagnostic(
        'PROGRAM_BEFORE',
        `${link.name} ${tcHook} has the ${layer} program ${name === '' ? id : `${name} (${id})`} before the mirrors: they do not see what it drops or redirects`,
        `look at it with: ${shellLine(['bpftool', 'prog', 'show', 'id', String(id)])}`
      )
    )
}

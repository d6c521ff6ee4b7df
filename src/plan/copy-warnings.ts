import type { Diagnostic } from '../errors.ts'
import { shellLine } from '../host/quote-command.ts'
import type { AttachedProgram, Link, Snapshot } from '../host/snapshot.ts'
import { describeFilter } from '../resources/foreign/describe-filter.ts'
import { writeAddress } from '../resources/kind.ts'
import { type DesiredSpan, diagnostic } from '../resources/mark-inventory.ts'
import { isTransparent } from '../resources/seal.ts'

/** What others have put on the bridge and its ports, and copies or what sensors send may meet there. */
export function warnOfOthers({ name, sealed }: DesiredSpan, host: Snapshot): Diagnostic[] {
  const bridge = host.links.filter((link) => link.name === name && link.bridge !== null)
  const ports = host.links.filter((link) => link.master === name && link.port !== null)
  return [...bridge, ...ports].flatMap((link) => {
    const address = writeAddress(name, ...(link.name === name ? ['bridge'] : ['port', link.name]))
    return [...warnOfFilters(link, host), ...warnOfPrograms(link, sealed, host)].map((found) => ({ ...found, address }))
  })
}

/** Copies leave the bridge, and each port, by way of what is at their egress. */
function warnOfFilters(link: Link, host: Snapshot): Diagnostic[] {
  const filter = host.filters.find(
    (one) => one.device === link.name && one.tcHook === 'egress' && one.chain === 0 && !isTransparent(one)
  )
  if (filter === undefined) return []
  return [
    diagnostic(
      'COPIES_HIDDEN',
      `${link.name} egress has a filter at preference ${filter.pref}: ${describeFilter(filter)}; sensors do not get what it drops or redirects`,
      `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', link.name, 'egress'])}`
    )
  ]
}

function warnOfPrograms(link: Link, sealed: boolean, host: Snapshot): Diagnostic[] {
  const consequence: Record<AttachedProgram['tcHook'], string> = {
    ingress: 'before the filter that seals it: what it lets in or redirects is not dropped',
    egress: 'on the way to the sensors: they do not get what it drops or redirects'
  }
  return host.attached
    .filter((program) => program.link === link.index && (sealed || program.tcHook === 'egress'))
    .map(({ layer, tcHook, name, id }) =>
      diagnostic(
        'PROGRAM_BEFORE',
        `${link.name} ${tcHook} has the ${layer} program ${name === '' ? id : `${name} (${id})`} ${consequence[tcHook]}`,
        `look at it with: ${shellLine(['bpftool', 'prog', 'show', 'id', String(id)])}`
      )
    )
}

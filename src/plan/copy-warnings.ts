import type { Notice } from '../errors.ts'
import { shellLine } from '../host/quote.ts'
import type { AttachedProgram, Link, Snapshot } from '../host/snapshot.ts'
import { describeFilter } from '../resources/foreign/describe-filter.ts'
import { writeAddress } from '../resources/kind.ts'
import { notice, type WantedSpan } from '../resources/mark-inventory.ts'
import { isTransparent } from '../resources/seal.ts'

/** What others have put on the bridge and its ports, and copies or what sensors send may meet there. */
export function warnOfOthers({ name, sealed }: WantedSpan, host: Snapshot): Notice[] {
  const bridge = host.links.filter((link) => link.name === name && link.bridge !== null)
  const ports = host.links.filter((link) => link.master === name && link.port !== null)
  return [...bridge, ...ports].flatMap((link) => {
    const address = writeAddress(name, ...(link.name === name ? ['bridge'] : ['port', link.name]))
    return [...warnOfFilters(link, host), ...warnOfPrograms(link, sealed, host)].map((found) => ({ ...found, address }))
  })
}

/** Copies leave the bridge, and each port, by way of what is at their egress. */
function warnOfFilters(link: Link, host: Snapshot): Notice[] {
  const filter = host.filters.find(
    (one) => one.device === link.name && one.hook === 'egress' && one.chain === 0 && !isTransparent(one)
  )
  if (filter === undefined) return []
  return [
    notice(
      'COPIES_HIDDEN',
      `${link.name} egress has a filter at preference ${filter.pref}: ${describeFilter(filter)}; sensors do not get what it drops or redirects`,
      `look at it with: ${shellLine(['tc', 'filter', 'show', 'dev', link.name, 'egress'])}`
    )
  ]
}

function warnOfPrograms(link: Link, sealed: boolean, host: Snapshot): Notice[] {
  const consequence: Record<AttachedProgram['hook'], string> = {
    ingress: 'before the filter that seals it: what it lets in or redirects is not dropped',
    egress: 'on the way to the sensors: they do not get what it drops or redirects'
  }
  return host.attached
    .filter((program) => program.link === link.index && (sealed || program.hook === 'egress'))
    .map(({ layer, hook, name, id }) =>
      notice(
        'PROGRAM_BEFORE',
        `${link.name} ${hook} has the ${layer} program ${name === '' ? id : `${name} (${id})`} ${consequence[hook]}`,
        `look at it with: ${shellLine(['bpftool', 'prog', 'show', 'id', String(id)])}`
      )
    )
}

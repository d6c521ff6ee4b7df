import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { OpaqueLink } from '../../host/snapshot.ts'
import type { DesiredSpans } from '../desired-state.ts'
import { readAlias } from '../marks.ts'
import { isInScope } from '../ownership.ts'

/** What an interface whose record is not understood is in the way of. */
export function explainOpaque({ name, index }: OpaqueLink, meaning: string): Diagnostic {
  const which = name === null ? (index === null ? 'an interface' : `the interface with the index ${index}`) : name
  const device = name === null ? [] : ['dev', name]
  const command = shellLine(['ip', '-details', '-json', 'link', 'show', ...device])
  return diagnostic(
    'LINK_OPAQUE',
    `what ip prints of ${which} is not understood, so it is left as it is: ${meaning}`,
    `report it with the output of: ${command}; and ip -Version`
  )
}

/**
 * Warns of the interfaces that belong to spans, and whose records are not understood. One that a span of the file needs for its
 * bridge or its mirrors is an error, or a wait.
 */
export function warnOfOpaque(desired: DesiredSpans, host: HostIndex): Diagnostic[] {
  return host.opaque.flatMap((link) => {
    const { name, alias, master } = link
    if (master !== null && desired.known.includes(master)) {
      const found = explainOpaque(link, `it is a port of ${master}, and may be open: what it sends may not be dropped`)
      return [
        { ...found, subject: { span: desired.names.nameOf(master), kind: 'port', id: [name ?? String(link.index)] } }
      ]
    }
    const isOurs = name !== null && isInScope(desired, readAlias(alias ?? '')?.owner, name)
    const isDesired = desired.spans.some(({ bridge }) => bridge === name)
    return isOurs && !isDesired
      ? [explainOpaque(link, `it is the bridge of the span ${desired.names.nameOf(name)}`)]
      : []
  })
}

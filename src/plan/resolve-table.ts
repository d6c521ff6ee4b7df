import { type Diagnostic, diagnostic } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import { type Wait, writeAddress } from '../resources/kind.ts'
import { tableName } from '../resources/marks.ts'
import type { SpanSpec } from '../spec/spec.ts'

/** What waits and what is worth a warning where the table that closes ports cannot be had, or cannot be looked at. */
export function resolveTable(
  owner: string,
  spans: readonly SpanSpec[],
  { nftables }: HostIndex
): { readonly waits: readonly Wait[]; readonly warnings: readonly Diagnostic[] } {
  const [first] = spans.filter(({ sealed }) => sealed)
  if (first === undefined || nftables === null || nftables.state === 'usable') return { waits: [], warnings: [] }
  const { reason, state } = nftables
  if (state === 'unusable') return { waits: [], warnings: [warnOfWindow(reason)] }
  const title = tableName(owner)
  const message = `is not checked: ${reason.message}`
  const address = writeAddress(first.name, 'table', title)
  const found = { ...diagnostic('TABLE_UNREAD', message, reason.hint, first.origin), address }
  return { waits: [{ kind: 'table', span: first.name, title, diagnostic: found }], warnings: [] }
}

function warnOfWindow({ message, hint }: Diagnostic): Diagnostic {
  return diagnostic(
    'SEAL_LATE',
    `a container that joins a sealed span can send to the host and to the other sensors until spanplan has looked: with a watch, for about a tenth of a second; else until the next apply. The reason: ${message}`,
    hint
  )
}

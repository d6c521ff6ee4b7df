import { type Diagnostic, diagnostic } from '../errors.ts'
import type { HostIndex } from '../host/host-index.ts'
import type { DesiredState } from '../resources/desired-state.ts'
import { type Wait, writeAddress } from '../resources/kind.ts'
import { tableName } from '../resources/marks.ts'
import type { SpanSpec } from '../spec/spec.ts'

/** What waits where the table that closes ports of sealed spans cannot be looked at. */
export function resolveTable(owner: string, spans: readonly SpanSpec[], { nftables }: HostIndex): Wait[] {
  const [first] = spans.filter(({ sealed }) => sealed)
  if (first === undefined || nftables?.state !== 'unread') return []
  const title = tableName(owner)
  const { message, hint } = nftables.reason
  const found = diagnostic('TABLE_UNREAD', `is not checked: ${message}`, hint, first.origin)
  const address = writeAddress(first.name, 'table', title)
  return [{ kind: 'table', span: first.name, title, diagnostic: { ...found, address } }]
}

/** Warns where the host cannot have such a table: there, a port is open until spanplan has looked. */
export function warnOfLateSeal({ spans }: DesiredState, { nftables }: HostIndex): Diagnostic[] {
  if (nftables?.state !== 'unusable' || !spans.some(({ sealed }) => sealed)) return []
  const { message, hint } = nftables.reason
  return [
    diagnostic(
      'SEAL_LATE',
      `a container that joins a sealed span can send to the host and to the other sensors until spanplan has sealed its port: with a watch for about a tenth of a second, without one until the next apply. The reason: ${message}`,
      hint
    )
  ]
}

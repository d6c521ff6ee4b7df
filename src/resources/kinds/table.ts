import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, diagnostic } from '../../errors.ts'
import type { HostIndex } from '../../host/host-index.ts'
import { bridgeSet, removeTable, type SealTable, tableObjects, writeTable } from '../../host/nftables/seal-table.ts'
import { shellLine } from '../../host/quote-command.ts'
import type { NftTable } from '../../host/snapshot.ts'
import { matchesName, matchesSpan } from '../../spec/scope.ts'
import { listFew } from '../../text-lines.ts'
import type { DesiredState } from '../desired-state.ts'
import type { Kind, ObservedState, Resource, Step } from '../kind.ts'
import { ownMark, readTableMark, tableName, writeTableMark } from '../marks.ts'
import { isInScope, markedBy } from '../ownership.ts'

/**
 * The table of nftables that drops what the ports of an owner's sealed spans send. A port that Docker adds is closed by it
 * before spanplan has seen the port. The seal on each port is the second line: it stays when somebody flushes nftables.
 */
export interface Table extends Resource, SealTable {
  readonly kind: 'table'
  /** All that is in the table, the bridges aside, is as spanplan writes it. */
  readonly isIntact: boolean
}

/** How the tables are desired, observed, written and removed. */
export const table: Kind<Table> = {
  kind: 'table',
  fields: {
    mark: { label: 'mark', words: () => ownMark },
    bridges: { label: 'closes', words: (bridges) => listBridges(bridges) },
    isIntact: { label: 'rules', words: (isIntact) => (isIntact ? 'as spanplan writes them' : 'changed') }
  },
  desire: desireTables,
  observe: ({ desired, host: { tables } }) => tables.flatMap((one) => observeTable(desired, one)),
  evidence: () => ['nftables'],
  title: ({ name }) => name,
  create: (after) => writeSteps(null, after),
  update: (before, after) => writeSteps(before, joinBridges(before, after)),
  // A bridge is let go when it forwards no link-local groups any more, or is gone: its ports may not be sealed yet.
  finish: (before, after) => writeSteps(joinBridges(before, after), after),
  remove: ({ name }) => [{ summary: `remove the table ${name}`, argv: removeTable(name) }],
  closes: true,
  summary: ({ bridges }) => `closes the ports of ${listBridges(bridges)} from their first frame on`,
  conflict: ({ name }) => explainConflict(name)
}

/** Where the kernel cannot have the tables, none is desired. */
function desireTables({ desired, host }: ObservedState, live: readonly Table[]): Table[] {
  if (host.nftables === null || host.nftables.state === 'unusable') return []
  const former = findFormer(desired, live)
  const owners = new Set([desired.owner, ...host.tables.flatMap((one) => readTableMark(one) ?? [])])
  return [...owners].flatMap((owner): Table[] => {
    const mark = writeTableMark(owner)
    const others = live
      .filter((one) => one.mark === mark)
      .flatMap(({ bridges }) => bridges.filter((bridge) => !isInScope(desired, owner, bridge)))
    const own = owner === desired.owner ? desired.spans.filter(({ sealed }) => sealed).map(({ bridge }) => bridge) : []
    const bridges = sortNames([...own, ...others])
    const name = tableName(owner)
    const spans = (own.length > 0 ? own : bridges).map(desired.names.nameOf)
    if (bridges.length === 0) return []
    const id = owner === desired.owner ? (former?.id ?? name) : name
    const made = { kind: 'table', id, name, mark, spans, owner: 'ours', bridges, isIntact: true } as const
    return [{ ...made, ...markedBy(desired, owner) }]
  })
}

/** The table of a former name that becomes the owner's: there is none of the owner's yet, and it closes no bridge out of scope. */
function findFormer(desired: DesiredState, live: readonly Table[]): Table | undefined {
  const { scope } = desired
  const names = scope.formerly ?? []
  if (live.some(({ name }) => name === tableName(desired.owner))) return undefined
  return live.find(
    ({ name, owner, bridges }) =>
      owner === 'ours' &&
      names.some((one) => name === tableName(one)) &&
      bridges.every((bridge) => matchesSpan(scope.spans, bridge))
  )
}

/** Whether nothing of others has the place of the owner's table. */
export function isTableFree(desired: DesiredState, { tables }: HostIndex): boolean {
  return tables.every((one) => isOurs(desired, one) || one.name !== tableName(desired.owner))
}

function isOurs({ scope }: DesiredState, live: NftTable): boolean {
  const owner = readTableMark(live)
  return owner !== null && matchesName(scope, owner)
}

function observeTable(desired: DesiredState, live: NftTable): Table | [] {
  const { name, objects } = live
  const owner = readTableMark(live)
  const ours = isOurs(desired, live)
  if (!ours && name !== tableName(desired.owner)) return []
  const bridges = sortNames(objects.flatMap(elementsOf))
  const inScope = bridges.filter((bridge) => owner !== null && isInScope(desired, owner, bridge))
  const written = { name, mark: owner === null ? '' : writeTableMark(owner), bridges }
  const expected = tableObjects(written)
  const sorted = objects.map(withSortedElements)
  return {
    kind: 'table',
    id: name,
    ...written,
    spans: (inScope.length > 0 ? inScope : bridges).map(desired.names.nameOf),
    owner: ours ? 'ours' : 'foreign',
    ...markedBy(desired, owner),
    isIntact:
      sorted.length === expected.length &&
      expected.every((one) => sorted.some((other) => isDeepStrictEqual(one, other)))
  }
}

/** The bridges in an object of a table; none in what is not the set of bridges. */
function elementsOf(object: NftTable['objects'][number]): string[] {
  const { name, elem } = object.set ?? {}
  return name === bridgeSet && Array.isArray(elem) ? elem.filter((one) => typeof one === 'string') : []
}

/** The kernel lists a set in an order of its own. */
function withSortedElements(object: NftTable['objects'][number]): object {
  return object.set ? { set: { ...object.set, elem: sortNames(elementsOf(object)) } } : object
}

function sortNames(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}

/** The names that a row of a plan has room for. */
const mostNames = 4

function listBridges(bridges: readonly string[]): string {
  return listFew(bridges, mostNames) || 'nothing'
}

function explainConflict(name: string): Diagnostic {
  const show = shellLine(['nft', 'list', 'table', 'bridge', name])
  return diagnostic(
    'TABLE_FOREIGN',
    `an nftables table ${name} already exists, and spanplan did not create it`,
    `see what it does with: ${show}; if nothing needs it: ${shellLine(['nft', 'delete', 'table', 'bridge', name])}`
  )
}

/** Warns where the host cannot have such a table: there, a port is open until spanplan has looked. */
export function warnOfLateSeal({ spans }: DesiredState, { nftables }: HostIndex): Diagnostic[] {
  if (nftables?.state !== 'unusable' || !spans.some(({ sealed }) => sealed)) return []
  const { message, hint } = nftables.reason
  return [diagnostic('SEAL_LATE', `a new sensor can send at first: ${message}`, hint)]
}

function joinBridges(before: Table, after: Table): Table {
  return { ...after, bridges: sortNames([...before.bridges, ...after.bridges]) }
}

function writeSteps(before: Table | null, { name, mark, bridges, isIntact }: Table): Step[] {
  if (before?.isIntact === isIntact && before.name === name && isDeepStrictEqual(before.bridges, bridges)) return []
  const argv = writeTable({ name, mark, bridges }, ...(before === null ? [] : [before.name]))
  return [{ summary: `write the table ${name}`, argv }]
}

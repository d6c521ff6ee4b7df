import { isDeepStrictEqual } from 'node:util'
import { diagnosticOf } from '../../errors.ts'
import { commandFailed } from '../exec.ts'
import { parseTables } from '../parsers/nft.ts'
import { parseToolJson } from '../parsers/tool-json.ts'
import { parseOutput, type ReadCommand, readCommands, readOutput } from '../read-commands.ts'
import type { Nftables } from '../snapshot.ts'
import { drop } from './seal-table.ts'
import { countRefused, normalizeObjects, senderTableName } from './sender-table.ts'

/** What a table of senders has dropped since it was made. */
export interface RefusedPackets {
  /** The link that the tunnel ends in. */
  readonly device: string
  readonly packets: number
}

/** What nft says to a user who lacks CAP_NET_ADMIN. */
const forbidden = 'Operation not permitted'

/** What nft begins with where a command fails. `nft -i` ends with 0 all the same. */
const refused = /^Error: /m

const lacksRight: Nftables = {
  state: 'unread',
  reason: { code: 'TABLE_UNREAD', message: 'reading nftables needs CAP_NET_ADMIN' }
}

/** Reads the tables in which a port's bridge is matched. */
export async function readNftables(): Promise<Nftables> {
  const read = await readTables(support === null ? readCommands.tablesAndSupport : readCommands.tables)
  if (read.state !== 'usable' || support) return read
  const isWritten = read.tables.some(({ objects }) => objects.some(({ rule }) => isDeepStrictEqual(rule?.expr, drop)))
  return isWritten ? read : unsupported
}

/** Reads the tables of senders. */
export async function readSenderTables(): Promise<Nftables> {
  const read = await readTables(readCommands.senderTables)
  return read.state === 'usable' ? { ...read, tables: read.tables.map(normalizeObjects) } : read
}

/** Reads how many packets the tables of some links have dropped. A table that cannot be read has none here. */
export async function readRefusals(links: readonly string[]): Promise<RefusedPackets[]> {
  if (links.length === 0) return []
  const read = await readTables(readCommands.senderTables)
  const tables = read.state === 'usable' ? read.tables : []
  return links.flatMap((device) =>
    tables.flatMap((table) =>
      table.name === senderTableName(device) ? [{ device, packets: countRefused(table) }] : []
    )
  )
}

/** Reads spanplan's tables of a family. Nothing depends on them so much that a failure would be one of the whole reading. */
async function readTables(command: ReadCommand): Promise<Nftables> {
  try {
    const output = await readOutput(command)
    if (output.stderr.includes(forbidden)) return lacksRight
    // What failed beside a list is the check.
    if (output.stdout === '') throw commandFailed(command.argv, output)
    if (command === readCommands.tablesAndSupport) support = !refused.test(output.stderr)
    return { state: 'usable', tables: parseOutput('nft', () => parseTables(parseToolJson(output.stdout))) }
  } catch (error) {
    return explainFailure(error)
  }
}

function explainFailure(error: unknown): Nftables {
  const reason = diagnosticOf(error)
  return { state: reason.code === 'PROGRAM_MISSING' ? 'unusable' : 'unread', reason }
}

/** What the kernel says, which is the same as long as this process runs. null: it was not asked. A table of ours that is there shows it, too. */
let support: boolean | null = null

/** Where the kernel cannot have the tables. */
export const unsupported: Nftables = {
  state: 'unusable',
  reason: {
    code: 'TABLE_UNSUPPORTED',
    message: 'the kernel lacks NFT_BRIDGE_META'
  }
}

import type { Argv } from '../exec.ts'

/** A table of nftables that drops what the ports of some bridges send, from each port's first frame on. */
export interface SealTable {
  readonly name: string
  /** The name of a chain that holds nothing: nft 1.0.6 leaves out the comment of a table, and `nft flush table` those of rules. */
  readonly mark: string
  /** The names of the bridges. They need not exist. */
  readonly bridges: readonly string[]
}

/** The only family whose chains see frames between the ports of a bridge. */
const family = 'bridge'

/** The name of the set of bridges. */
export const bridgeSet = 'spans'

/** NF_BR_PRI_NAT_DST_BRIDGED in linux/netfilter_bridge.h: before each chain that filters. */
const priority = -300

/** What a port sends passes `prerouting`; what is for the host and skips that, as frames to link-local groups do, passes `input`. */
const chains = ['prerouting', 'input'] as const

/** `ibrname` is the bridge of the port that a frame came from: NFT_BRIDGE_META in the kernel's configuration. */
export const drop = [
  { match: { op: '==', left: { meta: { key: 'ibrname' } }, right: `@${bridgeSet}` } },
  { drop: null }
]

/** All that is in the table, as `nft -json list ruleset` prints it, without handles: libnftables-json(5). */
export function tableObjects({ name, mark, bridges }: SealTable): object[] {
  const place = { family, table: name }
  return [
    { table: { family, name } },
    { chain: { ...place, name: mark } },
    { set: { ...place, name: bridgeSet, type: 'ifname', elem: bridges } },
    ...chains.map((hook) => ({
      chain: { ...place, name: hook, type: 'filter', hook, prio: priority, policy: 'accept' }
    })),
    ...chains.map((chain) => ({ rule: { ...place, chain, expr: drop } }))
  ]
}

/**
 * The command that creates or recreates the table, in one transaction: no frame passes in between.
 *
 * @param replaced the names of tables in whose place it comes. They may be gone.
 */
export function writeTable(table: SealTable, ...replaced: readonly string[]): Argv {
  return transaction([...[...new Set([...replaced, table.name])].flatMap(removal), ...additions(table)])
}

/** The command that removes a table, which may be gone. */
export function removeTable(name: string): Argv {
  return transaction(removal(name))
}

/**
 * A line for `nft -c -i`, which reads no JSON: its error shows that the kernel cannot have such a table. All of it is checked in one
 * transaction.
 */
export const checkLine: string = [
  `add table ${family} spanplan`,
  `add chain ${family} spanplan spanplan`,
  `add set ${family} spanplan ${bridgeSet} { type ifname; elements = { "span0" }; }`,
  ...chains.map(
    (hook) => `add chain ${family} spanplan ${hook} { type filter hook ${hook} priority ${priority}; policy accept; }`
  ),
  ...chains.map((chain) => `add rule ${family} spanplan ${chain} meta ibrname @${bridgeSet} drop`)
].join('; ')

function additions(table: SealTable): object[] {
  return tableObjects(table).map((add) => ({ add }))
}

/** What is added exists, so that the deletion does not fail. */
function removal(name: string): object[] {
  const table = { family, name }
  return [{ add: { table } }, { delete: { table } }]
}

/** The command that does all of this, or nothing. */
export function transaction(commands: readonly object[]): Argv {
  return ['nft', '-j', JSON.stringify({ nftables: commands })]
}

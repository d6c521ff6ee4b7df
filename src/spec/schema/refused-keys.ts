import type { Code } from '../../codes/explained-codes.ts'
import type { Level } from './suggestions.ts'

/** A key that people look for, and that a file cannot have. */
interface RefusedKey {
  readonly names: readonly string[]
  /** The kinds of mapping that cannot have it; null: none can. */
  readonly levels: readonly Level[] | null
  readonly code: Code
  /** What helps. */
  readonly hint: string
}

/** What tc's mirred copies is whole, and what could cut it is not there. */
const cutInTool =
  'tc copies whole frames (mirred), and the kernel cuts no copy without a program of its own (eBPF): have the tool cut what it keeps, as "tcpdump -s" does, or "snaplen" under "pcap" in suricata.yaml'

const refused: readonly RefusedKey[] = [
  { names: ['snaplen', 'snap_len', 'truncate'], levels: null, code: 'KEY_UNSUPPORTED', hint: cutInTool },
  {
    names: ['weight', 'weights'],
    levels: ['sensor', 'member', 'output', 'source', 'span'],
    code: 'KEY_UNSUPPORTED',
    hint: 'the members of a balance get equal shares'
  },
  {
    names: ['filter'],
    levels: ['member'],
    code: 'KEY_UNKNOWN',
    hint: 'write it beside "balance": the members share what it chooses'
  },
  {
    names: ['hash'],
    levels: ['member'],
    code: 'KEY_UNKNOWN',
    hint: 'write it beside "balance": it is the same for all members'
  },
  {
    names: ['balance'],
    levels: ['member'],
    code: 'KEY_UNKNOWN',
    hint: 'a balance has no other one in it: write the members of both into one list'
  },
  {
    names: ['flows'],
    levels: ['sample'],
    code: 'KEY_UNKNOWN',
    hint: 'write the fraction alone, as in sample: 1/10: it takes whole flows'
  }
]

/** Why a mapping cannot have a key that it is known for; undefined: the key is any other. */
export function findRefused(key: string, level: Level | undefined): RefusedKey | undefined {
  return refused.find(
    ({ names, levels }) =>
      names.includes(key.toLowerCase()) && level !== undefined && (levels === null || levels.includes(level))
  )
}

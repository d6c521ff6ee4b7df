import type { Origin } from '../../errors.ts'
import { countBytes, noControls, text } from '../schema/rules.ts'
import { findTree, type Tree, type Written } from '../yaml/tree.ts'
import { itemKeys } from './item-key.ts'

/** A pcap-filter(7) expression. */
export interface FilterSpec {
  readonly expression: string
  readonly origin: Origin
  /** For the places within the expression. */
  readonly written: Written
}

const longestFilter = 64 * 1024

/**
 * `filter`, which means the same wherever it is: of a source, a sensor, a balance or an output. It is read from the tree of its item.
 *
 * @param which frames it chooses.
 * @param without what there is without it.
 */
export const filterKey = (which: string, without: string) =>
  itemKeys<{ readonly tree: Tree }>()({
    key: 'filter',
    schema: text('text: a pcap-filter(7) expression', [
      { broken: (value) => value.trim() === '', message: 'must not be empty', hint: `remove the key ${without}` },
      {
        broken: (value) => countBytes(value) > longestFilter,
        message: `must have at most ${longestFilter / 1024} KiB`
      },
      noControls
    ])
      .meta({
        description: `${which}: a pcap-filter(7) expression, as for tcpdump. Default: every frame`,
        examples: ['not port 22', 'vlan 10 and tcp'],
        minLength: 1
      })
      .optional(),
    read: (expression, { tree }): FilterSpec | null => {
      const found = findTree(tree, ['filter'])
      if (expression === undefined || found?.kind !== 'scalar') return null
      return { expression: expression.trim(), origin: found.at, written: found.written }
    },
    print: (found) => found?.expression
  })

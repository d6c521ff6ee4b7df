import type * as z from 'zod'
import { printKeys, readKeys, shapeOf } from '../items/item-key.ts'
import { mapping } from '../schema/rules.ts'
import type { SourceSyntax } from './source-syntax.ts'
import {
  greEnds,
  greName,
  plainTunnel,
  summarizeTunnel,
  type TunnelSource,
  type TunnelSpec,
  type TunnelWay,
  tunnelKey,
  wholeNumber
} from './tunnel-spec.ts'

/** A key has 32 bits (RFC 2890). */
const largestKey = 2 ** 32 - 1

/** `key` of a source or an output. */
export const greKey = (description: string) =>
  tunnelKey('key', wholeNumber(0, largestKey).optional().describe(description))

const keys = {
  ...greEnds,
  identifier: greKey('The key that the sender writes. Default: packets without a key')
}

/** `gretap` of a source. */
export const gretapMapping = mapping(shapeOf(keys))

/** What a tunnel of GRE with Ethernet in it is called. */
export const gretapName = (tunnel: TunnelSpec, way: TunnelWay) => greName(tunnel, 'key', way)

export const gretapSource = {
  end: 'tunnel',
  keys: {
    gretap: gretapMapping
      .describe(
        'Ethernet over GRE that ends on this host: the frames that others mirror into it. spanplan makes its interface'
      )
      .optional()
  },
  load: ({ gretap }): TunnelSource<'gretap'> | undefined =>
    gretap && { kind: 'gretap', tunnel: { protocol: 'gretap', ...plainTunnel, ...readKeys(keys, gretap, undefined) } },
  // The schema takes what its keys print.
  print: ({ tunnel }) => ({ gretap: gretapMapping.parse(printKeys(keys, tunnel)) }),
  summary: ({ tunnel }) =>
    summarizeTunnel(tunnel, gretapName(tunnel, 'in'), { sharedBy: 'two addresses and a key', apart: 'two keys' })
} satisfies SourceSyntax<{ gretap?: z.output<typeof gretapMapping> | undefined }, TunnelSource<'gretap'>>

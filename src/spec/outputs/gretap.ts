import type * as z from 'zod'
import { printKeys, readKeys, shapeOf } from '../items/item-key.ts'
import { mapping } from '../schema/rules.ts'
import { greKey, gretapName } from '../sources/gretap.ts'
import { plainTunnel } from '../sources/tunnel-spec.ts'
import { greEnds, grePackets, takesPackets } from './gre.ts'
import type { OutputSyntax } from './output-syntax.ts'
import { summarizeSent, type TunnelOutput } from './tunnel-output.ts'

const keys = { ...greEnds, identifier: greKey('The key that is written into each packet. Default: none') }

/** `gretap` of an output. */
export const gretapOutputMapping = mapping(shapeOf(keys))

export const gretapOutput = {
  keys: {
    gretap: gretapOutputMapping
      .describe(
        'Ethernet over GRE to another host, which gets the frames of the span by it. spanplan makes its interface'
      )
      .optional()
  },
  load: ({ gretap }): TunnelOutput<'gretap'> | undefined =>
    gretap && { kind: 'gretap', tunnel: { protocol: 'gretap', ...plainTunnel, ...readKeys(keys, gretap, undefined) } },
  // The schema takes what its keys print.
  print: ({ tunnel }) => ({ gretap: gretapOutputMapping.parse(printKeys(keys, tunnel)) }),
  summary: ({ tunnel }) => summarizeSent(gretapName(tunnel, 'out'), 'key'),
  packets: ({ tunnel }) => grePackets(tunnel),
  takesPackets: ({ tunnel }, other) => takesPackets(tunnel, other)
} satisfies OutputSyntax<{ gretap?: z.output<typeof gretapOutputMapping> | undefined }, TunnelOutput<'gretap'>>

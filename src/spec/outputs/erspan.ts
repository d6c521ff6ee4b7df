import type * as z from 'zod'
import { printKeys, readKeys, shapeOf } from '../items/item-key.ts'
import { mapping } from '../schema/rules.ts'
import { checkSession, erspanKeys, erspanName } from '../sources/erspan.ts'
import { plainTunnel } from '../sources/tunnel-spec.ts'
import { greEnds, grePackets, takesPackets } from './gre.ts'
import type { OutputSyntax } from './output-syntax.ts'
import { summarizeSent, type TunnelOutput } from './tunnel-output.ts'

const keys = {
  ...greEnds,
  ...erspanKeys(
    'The session (ERSPAN ID) that is written into each packet; needed but for type 1',
    'The type of ERSPAN that is sent: 1 has no session'
  )
}

/** `erspan` of an output. */
export const erspanOutputMapping = mapping(shapeOf(keys)).check(checkSession)

export const erspanOutput = {
  keys: {
    erspan: erspanOutputMapping
      .describe(
        'A session of ERSPAN to another host, which gets the frames of the span by it. spanplan makes its interface'
      )
      .optional()
  },
  load: ({ erspan }): TunnelOutput<'erspan'> | undefined =>
    erspan && { kind: 'erspan', tunnel: { protocol: 'erspan', ...plainTunnel, ...readKeys(keys, erspan, undefined) } },
  // The schema takes what its keys print.
  print: ({ tunnel }) => ({ erspan: erspanOutputMapping.parse(printKeys(keys, tunnel)) }),
  summary: ({ tunnel }) => summarizeSent(erspanName(tunnel, 'out'), 'session'),
  packets: ({ tunnel }) => grePackets(tunnel),
  takesPackets: ({ tunnel }, other) => takesPackets(tunnel, other)
} satisfies OutputSyntax<{ erspan?: z.output<typeof erspanOutputMapping> | undefined }, TunnelOutput<'erspan'>>

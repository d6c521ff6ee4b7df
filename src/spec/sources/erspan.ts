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

/** A session has 10 bits (draft-foschiano-erspan-03). */
const largestSession = 2 ** 10 - 1
/** What most switches send. */
const usualType = 2

/** The keys of a source or an output which say what its packets are. */
export const erspanKeys = (session: string, type: string) => ({
  identifier: tunnelKey('session', wholeNumber(0, largestSession).optional().describe(session)),
  type: tunnelKey('type', wholeNumber(1, 3).default(usualType).describe(type))
})

/** Finds a session where the type has none, and a type without the session that it needs. */
export const checkSession: z.core.CheckFn<{ session?: number | undefined; type: number }> = ({ value, issues }) => {
  const { session, type } = value
  if (type === 1 && session !== undefined) {
    const params = { hint: 'take "session" out, or write another "type"' }
    issues.push({
      code: 'custom',
      input: session,
      path: ['session'],
      message: 'does not go with type 1, whose packets have none',
      params
    })
  }
  if (type !== 1 && session === undefined) {
    const params = { hint: 'write the ERSPAN ID; only packets of type 1 have none' }
    issues.push({ code: 'custom', input: value, path: [], message: 'needs "session"', params })
  }
}

const keys = {
  ...greEnds,
  ...erspanKeys(
    'The session (ERSPAN ID) of the switch; needed but for type 1',
    'The type of ERSPAN that the switch sends: 1 has no session'
  )
}

/** `erspan` of a source. */
export const erspanMapping = mapping(shapeOf(keys)).check(checkSession)

/** What a session of ERSPAN is called. */
export const erspanName = (tunnel: TunnelSpec, way: TunnelWay) => greName(tunnel, 'session', way)

export const erspanSource = {
  end: 'tunnel',
  keys: {
    erspan: erspanMapping
      .describe(
        'A session of ERSPAN that ends on this host: the frames that a switch mirrors. spanplan makes its interface'
      )
      .optional()
  },
  load: ({ erspan }): TunnelSource<'erspan'> | undefined =>
    erspan && { kind: 'erspan', tunnel: { protocol: 'erspan', ...plainTunnel, ...readKeys(keys, erspan, undefined) } },
  // The schema takes what its keys print.
  print: ({ tunnel }) => ({ erspan: erspanMapping.parse(printKeys(keys, tunnel)) }),
  summary: ({ tunnel }) =>
    summarizeTunnel(tunnel, erspanName(tunnel, 'in'), {
      sharedBy: 'two addresses and a session',
      apart: 'two sessions'
    })
} satisfies SourceSyntax<{ erspan?: z.output<typeof erspanMapping> | undefined }, TunnelSource<'erspan'>>

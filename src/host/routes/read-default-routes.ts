import * as z from 'zod'
import { parseRecords } from '../parsers/records.ts'
import { runJsonBatch } from '../read-commands.ts'

const routeOutput = z.object({
  dev: z.string().optional(),
  nexthops: z.array(z.object({ dev: z.string().optional() })).default([])
})

/**
 * Reads the devices of the host's default routes, in the main table, by two processes. A kernel without IPv6 has none of these.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN.
 */
export async function readDefaultRoutes(): Promise<ReadonlySet<string>> {
  const read = (flag: string) => runJsonBatch(['ip', flag, '-json'], [['route', 'show', 'default']])
  const documents = (await Promise.all([read('-4'), read('-6')])).flat()
  const routes = documents.flatMap((document) => parseRecords(routeOutput, document))
  return new Set(
    routes.flatMap(({ dev, nexthops }) => [dev, ...nexthops.map((hop) => hop.dev)]).filter((name) => name !== undefined)
  )
}

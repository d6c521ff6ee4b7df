import * as z from 'zod'
import { parseRecords } from '../parsers/records.ts'
import {
  allRoutesCommand,
  nextHopsCommand,
  parseNextHops,
  parseRoutes,
  routesCommand,
  splitRoutes
} from '../parsers/routes.ts'
import { parseOutput, runJsonBatch } from '../read-commands.ts'
import type { Route } from '../snapshot.ts'

/** Devices for which ip selects the routes: for more, all routes are read at once. */
const mostSelections = 4

/**
 * Reads the routes through devices. A kernel without IPv6, or without next-hop objects, refuses the commands for these, which give nothing then.
 *
 * @throws SpanplanError PROGRAM_MISSING, PROGRAM_HANGS, OUTPUT_UNKNOWN.
 */
export async function readRoutes(devices: readonly string[]): Promise<Route[]> {
  if (devices.length === 0) return []
  const isSelected = devices.length <= mostSelections
  const read = (flag: string) =>
    runJsonBatch(['ip', flag, '-json'], isSelected ? devices.map(routesCommand) : [allRoutesCommand])
  const [objects, inet, inet6] = await Promise.all([
    runJsonBatch(['ip', '-json'], [nextHopsCommand]),
    read('-4'),
    read('-6')
  ])
  return parseOutput('ip', () => {
    const nextHops = parseNextHops(objects[0])
    const parse = (family: Route['family'], documents: readonly unknown[]) => {
      const byDevice = isSelected ? null : splitRoutes(documents[0], nextHops)
      return devices.flatMap((device, index) =>
        parseRoutes(device, family, (byDevice === null ? documents[index] : byDevice.get(device)) ?? [], nextHops)
      )
    }
    return [...parse('inet', inet), ...parse('inet6', inet6)]
  })
}

const ruleOutput = z.object({ iif: z.string().optional(), oif: z.string().optional() })
const proxyOutput = z.object({ dev: z.string() })

/**
 * Finds out of these devices those that the host's routing uses: by a route, a next-hop object, a rule of the policy, or a neighbour
 * for which the host answers. All of them, where that cannot be read.
 */
export async function findRouted(devices: readonly string[]): Promise<ReadonlySet<string>> {
  if (devices.length === 0) return new Set()
  const others = [
    ['rule', 'show'],
    ['neigh', 'show', 'proxy']
  ]
  try {
    const [routes, objects, ...rest] = await Promise.all([
      readRoutes(devices),
      runJsonBatch(['ip', '-json'], [nextHopsCommand]),
      ...['-4', '-6'].map((flag) => runJsonBatch(['ip', flag, '-json'], others))
    ])
    return parseOutput('ip', () => {
      const hops = [...parseNextHops(objects[0]).values()].flatMap((names) => names ?? [])
      const rules = rest.flatMap(([rules]) => parseRecords(ruleOutput, rules).flatMap(({ iif, oif }) => [iif, oif]))
      const proxies = rest.flatMap(([, proxies]) => parseRecords(proxyOutput, proxies).map(({ dev }) => dev))
      const used = new Set([...routes.map(({ device }) => device), ...hops, ...rules, ...proxies])
      return new Set(devices.filter((device) => used.has(device)))
    })
  } catch {
    return new Set(devices)
  }
}

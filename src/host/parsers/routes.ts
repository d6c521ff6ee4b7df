import * as z from 'zod'
import { option } from '../quote-command.ts'
import type { Route } from '../snapshot.ts'
import { parseRecords } from './records.ts'

/**
 * The command, for a batch of `ip -json -4` and `-6`, that reads the routes through a device in all tables. In a batch, ip itself selects
 * them (ip/ip.c of iproute2 6.15 asks the kernel for a strict dump only outside of one): with 100,000 routes, each command takes 60 ms for
 * IPv4 and 100 ms for IPv6. Of routes by a next-hop object, it selects all.
 */
export const routesCommand = (device: string): readonly string[] => [...allRoutesCommand, 'dev', device]

/** The command that reads all routes. With 100,000 routes, it gives 14 MB to parse, and for many devices it is faster. */
export const allRoutesCommand: readonly string[] = ['route', 'show', 'table', 'all']

/** The command, for `ip -json`, that reads the next-hop objects of both families. */
export const nextHopsCommand: readonly string[] = ['nexthop', 'show']

const routeOutput = z.object({
  type: z.string().optional(),
  dst: z.string(),
  nhid: z.number().optional(),
  gateway: z.string().optional(),
  via: z.object({ family: z.string(), host: z.string() }).optional(),
  nexthops: z.array(z.unknown()).optional(),
  table: z.union([z.string(), z.number()]).transform(String).optional(),
  protocol: z.union([z.string(), z.number()]).optional(),
  metric: z.number().optional()
})

/** Routes by which nothing leaves: of IPv4, they have no device, and ip 6.15 lists them for each. */
const deadEnds: ReadonlySet<string | undefined> = new Set(['blackhole', 'unreachable', 'prohibit', 'throw'])

/** A route: null where it is not understood. */
const recordOutput = z.union([
  routeOutput.transform((route) => ({ nhid: route.nhid, protocol: route.protocol, route })),
  z
    .object({ nhid: z.number().optional().catch(undefined), protocol: z.unknown().optional() })
    .transform(({ nhid, protocol }) => ({ nhid, protocol, route: null }))
])

/** The devices of each next-hop object, by its number; null: the object is not understood. */
export type NextHops = ReadonlyMap<number, readonly string[] | null>

const nextHopOutput = z.union([
  z
    .object({ id: z.number(), dev: z.string().optional(), group: z.array(z.object({ id: z.number() })).optional() })
    .transform(({ id, dev, group }) => ({ id, group: group ?? null, devices: dev === undefined ? [] : [dev] })),
  z.object({ id: z.number() }).transform(({ id }) => ({ id, group: null, devices: null }))
])

/** Parses the output of {@link nextHopsCommand}. A group has no groups in it (ip-nexthop(8)). */
export function parseNextHops(document: unknown): NextHops {
  const objects = parseRecords(nextHopOutput, document)
  const devices = new Map(objects.map((one) => [one.id, one.devices]))
  const members = (group: readonly { readonly id: number }[]) => {
    const lists = group.map(({ id }) => devices.get(id) ?? null)
    return lists.includes(null) ? null : lists.flatMap((list) => list ?? [])
  }
  return new Map(objects.map(({ id, group, devices }) => [id, group === null ? devices : members(group)]))
}

/** What is not understood of a route names no device. */
const hopsOutput = z.looseObject({
  dev: z.string().optional().catch(undefined),
  nhid: z.number().optional().catch(undefined),
  nexthops: z
    .array(z.looseObject({ dev: z.string().optional() }).catch({}))
    .optional()
    .catch(undefined)
})

/**
 * Splits the output of {@link allRoutesCommand} into what {@link routesCommand} gives for each device. With the sysctl
 * net.ipv4.nexthop_compat_mode=0, a route by an object names no device.
 */
export function splitRoutes(document: unknown, nextHops: NextHops): ReadonlyMap<string, readonly unknown[]> {
  const byDevice = new Map<string, unknown[]>()
  for (const route of parseRecords(hopsOutput, document)) {
    const { dev, nhid, nexthops = [] } = route
    const named = nhid === undefined ? [dev, ...nexthops.map((hop) => hop.dev)] : (nextHops.get(nhid) ?? [])
    for (const device of new Set(named)) {
      if (device === undefined) continue
      const routes = byDevice.get(device)
      if (routes === undefined) byDevice.set(device, [route])
      else routes.push(route)
    }
  }
  return byDevice
}

/**
 * Parses the output of {@link routesCommand}. The routes that the kernel itself adds (protocol `kernel`) are left out: those of the
 * device's addresses, and those to fe80::/64 and ff00::/8 that each device with IPv6 has. So are those by a next-hop object of other
 * devices, and those that have no device.
 */
export function parseRoutes(device: string, family: Route['family'], document: unknown, nextHops: NextHops): Route[] {
  const ip = ['ip', ...(family === 'inet6' ? ['-6'] : [])]
  // Of an object that is not understood, no device is known: each may be.
  const mayUse = (nhid: number) => nextHops.get(nhid) === null || nextHops.get(nhid)?.includes(device)
  return parseRecords(recordOutput, document)
    .filter(({ protocol }) => protocol !== 'kernel')
    .filter(({ nhid, route }) => (nhid === undefined || mayUse(nhid)) && !deadEnds.has(route?.type))
    .map(({ route }) => {
      if (route !== null) return { device, family, ...writeRoute(device, ip, route) }
      // It is somebody's use of the interface, as far as anybody can tell.
      const text = 'one that spanplan does not understand'
      return { device, family, text, removal: [...ip, ...routesCommand(device)] }
    })
}

/**
 * With a next-hop object or a list of next hops, `ip route del` finds the route only if the command has no device. It never finds a
 * route if the command has a gateway of the other family.
 */
function writeRoute(device: string, ip: readonly string[], route: z.infer<typeof routeOutput>) {
  const { type, dst, nhid, gateway, via, nexthops, table, metric } = route
  const destination = [...(type === undefined ? [] : [type]), dst]
  const hop = nhid === undefined && nexthops === undefined ? ['dev', device] : option('nhid', nhid)
  const place = [...option('table', table), ...option('metric', metric)]
  const gateways = [...option('via', gateway), ...(via === undefined ? [] : ['via', via.family, via.host])]
  return {
    text: [...destination, ...(nhid === undefined ? gateways : []), ...hop, ...place].join(' '),
    removal: [...ip, 'route', 'del', ...destination, ...hop, ...place]
  }
}

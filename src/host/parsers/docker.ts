import * as z from 'zod'
import { opaqueDriver } from '../docker/docker-names.ts'
import type { Container, DockerNetwork, Endpoint } from '../snapshot.ts'
import { parseRecords, strings } from './records.ts'

const networkOutput = z.object({
  Id: z.string(),
  Name: z.string(),
  Driver: z.string(),
  Internal: z.boolean().default(false),
  EnableIPv6: z.boolean().default(false),
  Attachable: z.boolean().default(false),
  Options: strings,
  Labels: strings,
  IPAM: z
    .object({
      Config: z
        .array(
          z.object({
            Subnet: z.string().optional(),
            Gateway: z.string().optional(),
            IPRange: z.string().optional(),
            AuxiliaryAddresses: strings
          })
        )
        .nullish()
    })
    .nullish()
})

/** Go's time 0, by which Docker says that something has never happened, is of the year 1; null. */
const time = z
  .string()
  .catch('')
  .transform((text) => (Date.parse(text) > 0 ? text : null))

/** In nanoseconds; 0 stands for Docker's default. */
const healthCheck = z.object({
  Interval: z.number().default(0),
  Timeout: z.number().default(0),
  Retries: z.number().default(0),
  StartPeriod: z.number().default(0)
})

const containerOutput = z.object({
  Id: z.string(),
  Name: z.string(),
  State: z.object({
    Running: z.boolean(),
    Paused: z.boolean().catch(false),
    Restarting: z.boolean().default(false),
    ExitCode: z.number().catch(0),
    Health: z.object({ Status: z.string() }).nullish().catch(null),
    StartedAt: time,
    FinishedAt: time
  }),
  RestartCount: z.number().catch(0),
  Config: z.object({ Labels: strings, Healthcheck: healthCheck.nullish().catch(null) }),
  HostConfig: z.object({ NetworkMode: z.string().default('default') }),
  NetworkSettings: z.object({
    SandboxKey: z.string().default(''),
    Networks: z
      .record(
        z.string(),
        z.object({
          NetworkID: z.string().default(''),
          Aliases: z.array(z.string()).nullish(),
          DriverOpts: strings,
          IPAMConfig: z.object({ IPv4Address: z.string().optional() }).nullish()
        })
      )
      .nullish()
  })
})

/** What is still understood of a network whose description is not. */
const opaqueNetworkOutput = z
  .object({ Id: z.string(), Name: z.string(), Options: strings.catch({}) })
  .transform((network) => networkOutput.parse({ ...network, Driver: opaqueDriver }))

/** Parses Docker's list of networks, which has another order each time. One that is not understood is foreign. */
export function parseNetworks(document: unknown): DockerNetwork[] {
  const networks = parseRecords(z.union([networkOutput, opaqueNetworkOutput]), document)
  return sortByKey(networks, ({ Name, Id }) => `${Name} ${Id}`).map((network) => ({
    id: network.Id,
    name: network.Name,
    driver: network.Driver,
    internal: network.Internal,
    ipv6: network.EnableIPv6,
    attachable: network.Attachable,
    pools: (network.IPAM?.Config ?? []).flatMap(({ Subnet, Gateway, IPRange, AuxiliaryAddresses }) =>
      Subnet ? [{ subnet: Subnet, gateway: Gateway || null, range: IPRange || null, reserved: AuxiliaryAddresses }] : []
    ),
    options: network.Options,
    labels: network.Labels
  }))
}

/** In one order, whatever the order in which a tool lists them: what has no order is compared as a set. */
function sortByKey<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] {
  const keyed = items.map((item) => [keyOf(item), item] as const)
  return keyed.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0)).map(([, item]) => item)
}

/** What a container's health check may say. Docker says `none` of a container without one, Podman an empty text. */
const healthOutput = z.enum(['starting', 'healthy', 'unhealthy'])

/** So many restarts by Docker are a loop, unless the container has run for so many milliseconds since. */
const loop = { restarts: 2, settled: 60_000 } as const

/** Docker's defaults: https://docs.docker.com/reference/dockerfile/#healthcheck. In nanoseconds. */
const defaultCheck = { interval: 30e9, timeout: 30e9, retries: 3 } as const

/** Milliseconds after its start in which a container may be `starting`: a check that fails then makes it `unhealthy`. */
function longestStart(check: z.infer<typeof healthCheck> | null): number {
  const { Interval = 0, Timeout = 0, Retries = 0, StartPeriod = 0 } = check ?? {}
  const one = (Interval || defaultCheck.interval) + (Timeout || defaultCheck.timeout)
  return (StartPeriod + ((Retries || defaultCheck.retries) + 1) * one) / 1e6
}

/**
 * Parses Docker's description of one container, which does not tell the ports.
 *
 * @param now milliseconds since 1970, when Docker gave the description.
 * @param isNamespace whether a file is a network namespace: of a container that does not run, Docker may name the last one's.
 */
export function parseContainer(
  document: unknown,
  now: number,
  isNamespace: (file: string) => boolean = () => true
): Container {
  const inspected = containerOutput.parse(document)
  const { RestartCount: restarts, State, NetworkSettings: settings } = inspected
  const { Running: running, StartedAt: startedAt } = State
  const health = healthOutput.safeParse(State.Health?.Status).data
  const age = startedAt === null ? null : now - Date.parse(startedAt)
  const hasJustStarted = age !== null && age < loop.settled
  // With live-restore, Docker calls containers that run on `starting` when it has itself started again, until their next check.
  const isKnown = health !== 'starting' || age === null || age <= longestStart(inspected.Config.Healthcheck ?? null)
  return {
    id: inspected.Id,
    name: inspected.Name.replace(/^\//, ''),
    labels: inspected.Config.Labels,
    running,
    // Between two crashes, a container runs for a moment: it must not look well then.
    restarting: State.Restarting || (running && restarts >= loop.restarts && hasJustStarted),
    restarts,
    paused: State.Paused,
    startedAt,
    finishedAt: State.FinishedAt,
    exitStatus: State.ExitCode,
    networkMode: inspected.HostConfig.NetworkMode,
    sandbox: (running && settings.SandboxKey) || null,
    veths: null,
    // Of one that does not run, Docker has what its last check said.
    ...(running && health !== undefined && isKnown && { health }),
    ...((!running || State.Restarting) && !isNamespace(settings.SandboxKey) && { isUnplugged: true }),
    endpoints: sortByKey(Object.entries(settings.Networks ?? {}), ([network]) => network).map(
      ([network, endpoint]): Endpoint => ({
        network,
        networkId: endpoint.NetworkID,
        aliases: [...(endpoint.Aliases ?? [])].sort(),
        driverOptions: endpoint.DriverOpts,
        fixedAddress: endpoint.IPAMConfig?.IPv4Address ?? null,
        port: 'unknown'
      })
    )
  }
}

const listedOutput = z
  .object({
    Id: z.string(),
    Names: z.array(z.string()).nullish(),
    State: z.string().catch(''),
    Image: z.string().catch(''),
    Labels: strings,
    NetworkSettings: z
      .object({ Networks: z.record(z.string(), z.looseObject({ NetworkID: z.string().default('') })).nullish() })
      .nullish(),
    /** Podman's own list has the networks here. */
    Networks: z.array(z.string()).nullish()
  })
  .transform(({ Id: id, Names, State, Image: image, Labels: labels, NetworkSettings, Networks }) => {
    const names = (Names ?? []).map((name) => name.replace(/^\//, ''))
    return {
      id,
      // A name by a link has a slash.
      name: names.find((one) => !one.includes('/')) ?? id.slice(0, 12),
      details: {
        /** The container's own name, and the names that links give it. */
        names,
        labels,
        /** The name of its image, as somebody has called it. */
        image,
        running: State === 'running' || State === 'paused',
        /** The names of the networks that the container is on. */
        networks: Networks ?? Object.keys(NetworkSettings?.Networks ?? {})
      }
    }
  })

/** What is still understood of a container whose entry is not. */
const opaqueListedOutput = z
  .object({ Id: z.string() })
  .transform(({ Id: id }) => ({ id, name: id.slice(0, 12), details: null }))

/** A container in Docker's list. `details` is null where the entry could not be parsed. */
export type ListedContainer = Readonly<z.infer<typeof listedOutput> | z.infer<typeof opaqueListedOutput>>

/** Parses Docker's list of containers, or Podman's own, sorted by their names. */
export function parseContainerList(document: unknown): ListedContainer[] {
  const listed: ListedContainer[] = parseRecords(z.union([listedOutput, opaqueListedOutput]), document)
  return sortByKey(listed, ({ name, id }) => `${name} ${id}`)
}

import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { finished } from 'node:stream/promises'
import type Dockerode from 'dockerode'
import { type Diagnostic, SpanplanError } from '../errors.ts'
import { type Limits, limitCalls } from './docker-limits.ts'
import type { DockerCall } from './parsers/docker.ts'
import type { Pool } from './snapshot.ts'

/**
 * Of one call. Docker answers in less than 100 ms; connecting a container may have to wait for a slow disk. Its description of
 * 10,000 containers has some 30 MB.
 */
const ordinary: Limits = { milliseconds: 60_000, bytes: 128 * 1024 * 1024 }

/** A Docker daemon that answers. */
export interface Connection {
  readonly docker: Dockerode
  /** The newest version of its API that it speaks, such as `1.45`; empty if it does not say. */
  readonly api: string
}

/** A Docker daemon that answers, or why there is none. */
export type Daemon = Connection | { readonly reason: Diagnostic }

/** Finds the daemon where Docker's own client would (DOCKER_HOST, else its socket), and asks whether it is there. */
export async function findDaemon(limits = ordinary): Promise<Daemon> {
  const where = process.env.DOCKER_HOST || 'unix:///var/run/docker.sock'
  if (isRemote(where)) {
    return {
      reason: {
        code: 'DOCKER_REMOTE',
        message: `DOCKER_HOST is ${where}: spanplan builds bridges on this host, and needs this host's own Docker`,
        hint: 'unset DOCKER_HOST, or set it to unix:///var/run/docker.sock'
      }
    }
  }
  try {
    await knock(where)
    const { default: Docker } = await import('dockerode')
    const docker = limitCalls(new Docker({ timeout: 0 }), limits)
    return { docker, api: await ping(docker) }
  } catch (error) {
    return { reason: unreachable(where, error) }
  }
}

/** Asks whether it is there. Its answer's header tells the version of the API, which Docker's client for Node keeps to itself. */
function ping(docker: Dockerode): Promise<string> {
  const request = { path: '/_ping', method: 'GET', isStream: true, statusCodes: { 200: true, 500: 'server error' } }
  return new Promise((resolve, reject) => {
    docker.modem.dial(request, (error, response) => {
      if (!(response instanceof IncomingMessage)) return reject(error)
      resolve(String(response.headers['api-version'] ?? ''))
      // Its body is "OK", and told us nothing more.
      response.destroy()
    })
  })
}

/** What is told of a daemon's events. */
interface EventFollower {
  /** From now on none is missed. */
  readonly onStart: () => void
  /** There were some. What they were is not kept. */
  readonly onEvent: () => void
}

/** What happens to networks and containers that may concern a span; not what health checks do all the time. */
const events = {
  type: ['network', 'container'],
  event: ['create', 'connect', 'disconnect', 'destroy', 'rename', 'start', 'die', 'restart']
}

/**
 * Tells of each event from now on, until the daemon ends the connection, or `signal` does.
 *
 * @throws if the daemon refuses, or by `signal`.
 */
export async function followEvents(
  { docker }: Connection,
  follower: EventFollower,
  signal: AbortSignal
): Promise<void> {
  // It answers a moment before it begins to listen to itself.
  const since = Math.floor(Date.now() / 1000)
  const stream = await docker.getEvents({ since, filters: JSON.stringify(events), abortSignal: signal })
  stream.on('data', follower.onEvent)
  follower.onStart()
  await finished(stream)
}

/** Bridges are this host's, so a daemon beyond the loopback cannot use them. */
function isRemote(where: string): boolean {
  if (where.startsWith('unix:')) return false
  const host = /^(?:tcp|https?):\/\/(\[[^\]]*\]|[^:/]*)/.exec(where)?.[1]
  return host === undefined || !/^(localhost|127\.[\d.]+|\[::1\])?$/.test(host)
}

/** Fails if nobody listens at a socket: where there is no Docker, its client need not be loaded, which takes 15 ms. */
async function knock(where: string): Promise<void> {
  if (!where.startsWith('unix://')) return
  const socket = connect(where.slice('unix://'.length))
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}

/**
 * Carries out one request.
 *
 * @throws SpanplanError DOCKER_FAILED, with the daemon's own words.
 */
export async function callDocker(docker: Dockerode, call: DockerCall): Promise<void> {
  try {
    await send(docker, call)
  } catch (error) {
    throw dockerFailed(error)
  }
}

/** What the daemon said instead of an answer; an error that is ours already stays as it is. */
export function dockerFailed(error: unknown): SpanplanError {
  if (error instanceof SpanplanError) return error
  const message = `Docker refused: ${wordsOf(error)}`
  return new SpanplanError({ code: 'DOCKER_FAILED', message }, undefined, { cause: error })
}

async function send(docker: Dockerode, call: DockerCall): Promise<void> {
  switch (call.call) {
    case 'createNetwork':
      await docker.createNetwork({
        Name: call.network,
        Driver: call.driver,
        Internal: call.internal,
        EnableIPv6: call.ipv6,
        Attachable: call.attachable,
        IPAM: { Config: call.pools.map(poolRequest) },
        Options: { ...call.options },
        Labels: { ...call.labels }
      })
      return
    // What a run left that was killed says the same, and a note may be dropped by two.
    case 'createNote':
      return tolerating(409, docker.createNetwork({ Name: call.network, ConfigOnly: true, Labels: { ...call.labels } }))
    case 'dropNote':
      return tolerating(404, docker.getNetwork(call.network).remove())
    case 'removeNetwork':
      await docker.getNetwork(call.network).remove()
      return
    case 'connect':
      await docker.getNetwork(call.network).connect({
        Container: call.container,
        EndpointConfig: {
          DriverOpts: { ...call.options },
          ...(call.aliases.length > 0 && { Aliases: [...call.aliases] }),
          ...(call.address !== null && { IPAMConfig: { IPv4Address: call.address } })
        }
      })
      return
    case 'disconnect':
      await docker.getNetwork(call.network).disconnect({ Container: call.container, Force: true })
      return
  }
}

/** Docker answers with that status where a thing is there already, or not there any more. */
async function tolerating(status: 404 | 409, request: Promise<unknown>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!(error instanceof Error && 'statusCode' in error && error.statusCode === status)) throw error
  })
}

function poolRequest({ subnet, gateway, range, reserved }: Pool) {
  return {
    Subnet: subnet,
    ...(gateway !== null && { Gateway: gateway }),
    ...(range !== null && { IPRange: range }),
    ...(Object.keys(reserved).length > 0 && { AuxiliaryAddresses: reserved })
  }
}

/** The daemon's own message, without the client's preamble. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if ('json' in error && typeof error.json === 'object' && error.json !== null && 'message' in error.json) {
    return String(error.json.message)
  }
  return error.message
}

function unreachable(where: string, error: unknown): Diagnostic {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EACCES') {
    return {
      code: 'DOCKER_FORBIDDEN',
      message: `Docker's socket may not be used: permission denied (${where})`,
      hint: 'run as root, or join the group docker; or leave Docker out for now with --defer-docker'
    }
  }
  return {
    code: 'DOCKER_UNREACHABLE',
    message: `Docker is not reachable at ${where}: ${wordsOf(error)}`,
    hint: 'start it: systemctl start docker; or leave networks and sensors for a later run with --defer-docker'
  }
}

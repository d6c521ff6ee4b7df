import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { finished } from 'node:stream/promises'
import type Dockerode from 'dockerode'
import { type Diagnostic, SpanplanError } from '../../errors.ts'
import type { Pool } from '../snapshot.ts'
import { type CallLimits, limitCalls } from './call-limits.ts'
import type { DockerCall } from './docker-calls.ts'

/**
 * Limits of one call. Docker answers in less than 100 ms, but a slow disk may delay it when it connects a container. Its
 * description of 10,000 containers has some 30 MB.
 */
const defaultLimits: CallLimits = { milliseconds: 60_000, bytes: 128 * 1024 * 1024 }

/** A client of a Docker daemon that answers. */
export interface DockerClient {
  readonly docker: Dockerode
  /** The newest version of the API that the daemon supports, such as `1.45`; empty if the daemon does not say. */
  readonly api: string
}

/** A client, or the reason why there is none. */
export type DockerConnection = DockerClient | { readonly reason: Diagnostic }

/** Connects to the daemon that Docker's own client would use (DOCKER_HOST, else its socket). */
export async function connectDocker(limits = defaultLimits): Promise<DockerConnection> {
  const address = process.env.DOCKER_HOST || 'unix:///var/run/docker.sock'
  if (isRemote(address)) {
    return {
      reason: {
        code: 'DOCKER_REMOTE',
        message: `DOCKER_HOST is ${address}: spanplan builds bridges on this host, and needs this host's own Docker`,
        hint: 'unset DOCKER_HOST, or set it to unix:///var/run/docker.sock'
      }
    }
  }
  try {
    await probeSocket(address)
    const { default: Docker } = await import('dockerode')
    const docker = limitCalls(new Docker({ timeout: 0 }), limits)
    return { docker, api: await ping(docker) }
  } catch (error) {
    return { reason: describeUnreachable(address, error) }
  }
}

/** Pings the daemon. dockerode does not pass on the header of the answer, which has the version of the API. */
function ping(docker: Dockerode): Promise<string> {
  const request = { path: '/_ping', method: 'GET', isStream: true, statusCodes: { 200: true, 500: 'server error' } }
  return new Promise((resolve, reject) => {
    docker.modem.dial(request, (error, response) => {
      if (!(response instanceof IncomingMessage)) return reject(error)
      resolve(String(response.headers['api-version'] ?? ''))
      // The body is "OK", which is of no use.
      response.destroy()
    })
  })
}

/** Is called for a daemon's events. */
interface EventListener {
  /** The stream is open: no event is missed from now on. */
  readonly onStart: () => void
  /** One or more events have arrived; what they were is not kept. */
  readonly onEvent: () => void
}

/** The events of networks and containers that can change a plan. Health checks, which come all the time, are not among them. */
const events = {
  type: ['network', 'container'],
  event: ['create', 'connect', 'disconnect', 'destroy', 'rename', 'start', 'die', 'restart']
}

/**
 * Follows the daemon's events until the daemon ends the connection, or `signal` is aborted.
 *
 * @throws if the daemon refuses, or `signal` is aborted.
 */
export async function followEvents(
  { docker }: DockerClient,
  listener: EventListener,
  signal: AbortSignal
): Promise<void> {
  // Docker answers a moment before it subscribes to its own events.
  const since = Math.floor(Date.now() / 1000)
  const stream = await docker.getEvents({ since, filters: JSON.stringify(events), abortSignal: signal })
  stream.on('data', listener.onEvent)
  listener.onStart()
  await finished(stream)
}

/** A daemon on another host cannot use this host's bridges. */
function isRemote(address: string): boolean {
  if (address.startsWith('unix:')) return false
  const host = /^(?:tcp|https?):\/\/(\[[^\]]*\]|[^:/]*)/.exec(address)?.[1]
  return host === undefined || !/^(localhost|127\.[\d.]+|\[::1\])?$/.test(host)
}

/** Rejects if nothing listens on a socket. Loading dockerode takes 15 ms, which a host without Docker can do without. */
async function probeSocket(address: string): Promise<void> {
  if (!address.startsWith('unix://')) return
  const socket = connect(address.slice('unix://'.length))
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}

/**
 * Sends one request.
 *
 * @throws SpanplanError DOCKER_FAILED, with the daemon's message.
 */
export async function callDocker(docker: Dockerode, call: DockerCall): Promise<void> {
  try {
    await send(docker, call)
  } catch (error) {
    throw dockerFailed(error)
  }
}

/** Wraps an error of the client or the daemon as DOCKER_FAILED; a SpanplanError is returned as it is. */
export function dockerFailed(error: unknown): SpanplanError {
  if (error instanceof SpanplanError) return error
  const message = `Docker refused: ${messageOf(error)}`
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
        IPAM: { Config: call.pools.map(writePool) },
        Options: { ...call.options },
        Labels: { ...call.labels }
      })
      return
    // A run that was killed may have left the same note, and two runs may drop one note.
    case 'createNote':
      return ignoreStatus(
        409,
        docker.createNetwork({ Name: call.network, ConfigOnly: true, Labels: { ...call.labels } })
      )
    case 'dropNote':
      return ignoreStatus(404, docker.getNetwork(call.network).remove())
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

/** Docker answers 409 if something exists already, and 404 if it does not exist. */
async function ignoreStatus(status: 404 | 409, request: Promise<unknown>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!(error instanceof Error && 'statusCode' in error && error.statusCode === status)) throw error
  })
}

function writePool({ subnet, gateway, range, reserved }: Pool) {
  return {
    Subnet: subnet,
    ...(gateway !== null && { Gateway: gateway }),
    ...(range !== null && { IPRange: range }),
    ...(Object.keys(reserved).length > 0 && { AuxiliaryAddresses: reserved })
  }
}

/** The daemon's message, without the client's preamble. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if ('json' in error && typeof error.json === 'object' && error.json !== null && 'message' in error.json) {
    return String(error.json.message)
  }
  return error.message
}

function describeUnreachable(address: string, error: unknown): Diagnostic {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EACCES') {
    return {
      code: 'DOCKER_FORBIDDEN',
      message: `Docker's socket may not be used: permission denied (${address})`,
      hint: 'run as root, or join the group docker; or leave Docker out for now with --defer-docker'
    }
  }
  return {
    code: 'DOCKER_UNREACHABLE',
    message: `Docker is not reachable at ${address}: ${messageOf(error)}`,
    hint: 'start it: systemctl start docker; or leave networks and sensors for a later run with --defer-docker'
  }
}

import { once } from 'node:events'
import { connect } from 'node:net'
import { finished } from 'node:stream/promises'
import type Dockerode from 'dockerode'
import { type Diagnostic, diagnostic, messageOf, SpanplanError, systemCode } from '../../errors.ts'
import { shellLine } from '../quote-command.ts'
import { defaultLimits, limitCalls, openAnswer } from './call-limits.ts'
import { type DockerCall, sendCall } from './docker-calls.ts'
import { canPodmanHandOut } from './docker-names.ts'
import { removeLeftPort } from './left-port.ts'
import { callPodman, mendPlace } from './podman.ts'

/** A client of a Docker daemon that answers. */
export interface DockerClient {
  readonly docker: Dockerode
  /** The newest version of the API that the daemon supports, such as `1.45`; empty if the daemon does not say. */
  readonly api: string
  /** The version of Podman, where that answers in Docker's place; null: it is Docker. */
  readonly podman: string | null
}

/** A client, or the reason why there is none. */
export type DockerConnection = DockerClient | { readonly reason: Diagnostic }

/** Connects to the daemon that Docker's own client would use (DOCKER_HOST, else its socket). */
export async function connectDocker(limits = defaultLimits): Promise<DockerConnection> {
  const address = process.env.DOCKER_HOST || 'unix:///var/run/docker.sock'
  if (isRemote(address)) {
    const message = `DOCKER_HOST is ${address}: spanplan builds bridges on this host, and needs this host's own Docker`
    const hint = 'unset DOCKER_HOST, or set it to unix:///var/run/docker.sock'
    return { reason: diagnostic('DOCKER_REMOTE', message, hint) }
  }
  try {
    await probeSocket(address)
    const { default: Docker } = await import('dockerode')
    const docker = limitCalls(new Docker({ timeout: 0 }), limits)
    return { docker, ...(await ping(docker)) }
  } catch (error) {
    return { reason: explainUnreachable(address, error) }
  }
}

/** Pings the daemon. dockerode does not pass on the headers of the answer, which have the versions. */
async function ping({ modem }: Dockerode): Promise<Pick<DockerClient, 'api' | 'podman'>> {
  const request = { path: '/_ping', method: 'GET', isStream: true, statusCodes: { 200: true, 500: 'server error' } }
  const response = await openAnswer(modem.dial, request)
  // The body is "OK", which is of no use.
  response.destroy()
  const { 'api-version': api = '', 'libpod-api-version': podman } = response.headers
  return { api: String(api), podman: podman === undefined ? null : String(podman) }
}

/** Which of the daemon's events are wanted: the types of what they are about, and what happens to it. */
export interface WantedEvents {
  readonly type: readonly string[]
  readonly event: readonly string[]
}

/**
 * Follows the daemon's events until the daemon ends the connection, or `signal` is aborted.
 *
 * @param onStart is called once the stream is open: no event is missed from then on.
 * @param onEvent gets each event, a line of JSON.
 * @throws if the daemon refuses, or `signal` is aborted.
 */
export async function followEvents(
  { docker }: DockerClient,
  wanted: WantedEvents,
  { onStart, onEvent }: { readonly onStart: () => void; readonly onEvent: (line: string) => void },
  signal: AbortSignal
): Promise<void> {
  // Docker answers a moment before it subscribes to its own events.
  const since = Math.floor(Date.now() / 1000)
  const stream = await docker.getEvents({ since, filters: JSON.stringify(wanted), abortSignal: signal })
  stream.setEncoding('utf8')
  let rest = ''
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onEvent(line)
  })
  onStart()
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

/** The refusals that mean that a call has nothing left to do: two runs may make or drop the same note. */
const doneAlready: Readonly<Partial<Record<DockerCall['call'], number>>> = { createNote: 409, dropNote: 404 }

/** How often a place on a network is tried to be made or removed where Docker leaves it half-made. */
const mostAttempts = 4

/**
 * Sends one request. What Docker refuses, and has nothing left to do, is done. A container is disconnected once the kernel has its
 * interface no more.
 *
 * @throws SpanplanError DOCKER_FAILED, with the daemon's message; PORT_LEFT.
 */
export async function callDocker({ docker, podman }: DockerClient, call: DockerCall): Promise<void> {
  await (canPodmanHandOut(podman) ? sendToPodman : sendToDocker)(docker, call)
  await removePortOf(call)
}

/** Removes what a disconnected container has kept of its connection. */
async function removePortOf(call: DockerCall): Promise<void> {
  if (call.call === 'disconnect' && call.port !== null) await removeLeftPort(call.port, call.container)
}

async function sendToDocker(docker: Dockerode, call: DockerCall): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await sendCall(docker, call)
      return
    } catch (error) {
      const status = statusOf(error)
      if (status !== undefined && status === doneAlready[call.call]) return
      const isPlace = call.call === 'connect' || call.call === 'disconnect'
      const place = status !== undefined && isPlace ? await readPlace(docker, call) : null
      if (call.call === 'disconnect' && place === 'none') return
      if (place !== 'half' || !isPlace) throw dockerFailed(error)
      const obstacle = call.call === 'connect' ? error : await tryToConnect(docker, call)
      if (attempt === mostAttempts) throw connectionLeftHalfMade(call, obstacle ?? error)
    }
  }
}

/** The same, by Podman's own API. */
async function sendToPodman(docker: Dockerode, call: DockerCall): Promise<void> {
  try {
    await callPodman(docker, call)
  } catch (error) {
    const status = statusOf(error)
    if (status === undefined) throw dockerFailed(error)
    if (status === doneAlready[call.call] || (await mendPlace(docker, call))) return
    // Podman 5.8 fails where the container has renamed its interface, which would go on to hear the span.
    await removePortOf(call)
    throw podmanFailed(call, error)
  }
}

type PlaceCall = Extract<DockerCall, { readonly call: 'connect' | 'disconnect' }>

/**
 * What there is of a container's place on a network. `half`: Docker lists the network for the container, and has no interface for it.
 * Docker leaves that behind where it fails to connect a running container, as when an interface in it has the name already, or is
 * deleted at once (connectToNetwork() of its daemon). It refuses to disconnect such a place. `listed`: the container does not run, and
 * has no interfaces. null: it cannot be read.
 */
async function readPlace(
  docker: Dockerode,
  { network, container }: PlaceCall
): Promise<'connected' | 'half' | 'listed' | 'none' | null> {
  try {
    const [{ Id, State, NetworkSettings }, { Name, Containers }] = await Promise.all([
      docker.getContainer(container).inspect(),
      docker.getNetwork(network).inspect()
    ])
    if (Containers?.[Id] !== undefined) return 'connected'
    if (NetworkSettings.Networks[Name] === undefined) return 'none'
    return State.Running && !State.Restarting ? 'half' : 'listed'
  } catch {
    return null
  }
}

/** Podman makes no interface again, and forgets none, that is not as it has made it: a start makes all of them. */
function podmanFailed(call: DockerCall, error: unknown): SpanplanError {
  const refusal = diagnostic('DOCKER_FAILED', `Podman refused: ${messageOf(error)}`, adviseAfter(call))
  return new SpanplanError(refusal, undefined, { cause: error })
}

function adviseAfter(call: DockerCall): string | undefined {
  if ('container' in call)
    return `restart it, so that Podman makes its interfaces again: ${shellLine(['podman', 'restart', call.container])}`
  const argv = ['podman', 'ps', '--all', '--filter', `network=${call.network}`] as const
  return call.call === 'removeNetwork' ? `see what is on it: ${shellLine(argv)}` : undefined
}

/** Docker disconnects only what it has connected. null: it has. */
async function tryToConnect(docker: Dockerode, { network, container }: PlaceCall): Promise<unknown> {
  return docker
    .getNetwork(network)
    .connect({ Container: container })
    .then(
      () => null,
      (error: unknown) => error
    )
}

function connectionLeftHalfMade({ network, container }: PlaceCall, error: unknown): SpanplanError {
  const reason = messageOf(error)
  const message = `Docker lists ${container} on ${network}, and cannot make its interface: ${reason}`
  const hint = /no available .*addresses/.test(reason)
    ? "give the span's network a larger subnet, or stop a container that is on it; the next apply then connects it"
    : `apply again; if that fails too, restart it, so that Docker makes its interfaces again: ${shellLine(['docker', 'restart', container])}`
  return new SpanplanError(diagnostic('DOCKER_FAILED', message, hint), undefined, { cause: error })
}

/** The HTTP status with which the daemon refused: 404 if something does not exist, 409 if it exists already. */
export function statusOf(error: unknown): unknown {
  return error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
}

/** Wraps an error of the client or the daemon as DOCKER_FAILED; a SpanplanError is returned as it is. */
export function dockerFailed(error: unknown): SpanplanError {
  if (error instanceof SpanplanError) return error
  const refusal = diagnostic('DOCKER_FAILED', `Docker refused: ${messageOf(error)}`)
  return new SpanplanError(refusal, undefined, { cause: error })
}

function explainUnreachable(address: string, error: unknown): Diagnostic {
  // One that runs, and gives no answer in time, is not helped by a start.
  const help =
    error instanceof SpanplanError ? 'restart it: systemctl restart docker' : 'start it: systemctl start docker'
  return systemCode(error) === 'EACCES'
    ? diagnostic(
        'DOCKER_FORBIDDEN',
        `Docker's socket may not be used: permission denied (${address})`,
        'run it as root, with sudo, or join the group docker'
      )
    : diagnostic('DOCKER_UNREACHABLE', `Docker is not reachable at ${address}: ${messageOf(error)}`, help)
}

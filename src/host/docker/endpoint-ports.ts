import type { Veth, VethsBySandbox } from '../parsers/veths.ts'
import type { Container, DockerNetwork, Endpoint } from '../snapshot.ts'
import { dockerBridge } from './docker-names.ts'

/** Adds its ports to a container. A port is found by its bridge: each Docker network has one. */
export function addPorts(
  container: Container,
  networks: readonly DockerNetwork[],
  vethsBySandbox: VethsBySandbox
): Container {
  const veths = container.sandbox === null ? undefined : vethsBySandbox.get(container.sandbox)
  if (veths === undefined) return container
  const bridges = container.endpoints.map((endpoint) => bridgeOf(endpoint, networks))
  const ports = findPorts(bridges, new Set(networks.map(dockerBridge)), veths)
  return {
    ...container,
    veths: veths.map(({ inside, host }) => ({ inside, host })),
    endpoints: container.endpoints.map((endpoint, index) => ({ ...endpoint, port: ports[index] ?? 'unknown' }))
  }
}

function bridgeOf({ network, networkId }: Endpoint, networks: readonly DockerNetwork[]): string | null {
  const own = networks.find(({ id }) => id === networkId) ?? networks.find(({ name }) => name === network)
  return own === undefined ? null : dockerBridge(own)
}

/**
 * The port on each of a container's bridges. If exactly one bridge has no port, and exactly one veth pair is on no bridge, these
 * belong together. If there are more, nothing tells which belong together: the ports are absent, and Docker can make new ones.
 */
function findPorts(
  bridges: readonly (string | null)[],
  dockerBridges: ReadonlySet<string | null>,
  veths: readonly Veth[]
): Endpoint['port'][] {
  const on = (bridge: string | null) => veths.filter(({ master }) => master !== null && master === bridge)
  const withoutPort = bridges.filter((bridge) => bridge !== null && on(bridge).length === 0)
  const unbridged = veths.filter(({ master, hasAddress }) => master === null && !hasAddress)
  // Somebody has put it on another bridge, on purpose.
  const moved = veths.some(({ master }) => master !== null && !dockerBridges.has(master))
  const matched = withoutPort.length === 1 && unbridged.length === 1 ? unbridged : []
  return bridges.map((bridge) => {
    const [port, ...more] = on(bridge).length > 0 ? on(bridge) : matched
    if (bridge === null || more.length > 0 || (moved && withoutPort.includes(bridge))) return 'unknown'
    return port === undefined ? 'absent' : { inside: port.inside, host: port.host }
  })
}

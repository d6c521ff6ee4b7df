import { isAtLeast } from '../../versions.ts'
import type { Container, DockerNetwork, DockerState } from '../snapshot.ts'

/** Docker's names for what spanplan sets on a network (docs.docker.com, "Bridge network driver"). */
export const networkOption = {
  bridge: 'com.docker.network.bridge.name',
  noAddress: 'com.docker.network.bridge.inhibit_ipv4',
  mtu: 'com.docker.network.driver.mtu',
  /** Of Podman: it manages the network's bridge, and removes the bridge with the last container. No name of Docker's. */
  ownBridge: 'spanplan.podman_bridge',
  /** The interface below a network of the drivers macvlan and ipvlan. */
  parent: 'parent',
  /** On docker0's network, which a container is on unless it asks for another. */
  isDefault: 'com.docker.network.bridge.default_bridge'
} as const

/** The labels and endpoint options that mark what spanplan made. */
export const label = {
  name: 'spanplan.name',
  span: 'spanplan.span',
  bridge: 'spanplan.bridge',
  /** On an endpoint whose interface has a name that no file gives: spanplan has kept it. */
  kept: 'spanplan.interface',
  /** Holds an endpoint note. */
  note: 'spanplan.note'
} as const

/** The labels that Compose sets (pkg/api/labels.go of docker/compose). */
export const composeLabel = {
  project: 'com.docker.compose.project',
  service: 'com.docker.compose.service',
  network: 'com.docker.compose.network',
  number: 'com.docker.compose.container-number',
  /** `True` on a container of `docker compose run`. */
  oneoff: 'com.docker.compose.oneoff'
} as const

/** The endpoint option that names the interface in the container, and the first API version that has it: Docker 28's. */
export const interfaceOption = { key: 'com.docker.network.endpoint.ifname', api: '1.48' } as const

/**
 * The network option that says with how many ARP requests and neighbour advertisements Docker announces each new endpoint, and
 * the first API version that has it: Docker 28's, which sends three. Other sensors would get frames that were never on the wire.
 */
export const announcementsOption = { key: 'com.docker.network.advertise_addr_nmsgs', api: '1.48' } as const

/** What answers Docker's calls: the name of the program by which a person gives it commands. */
export type Engine = 'docker' | 'podman'

/**
 * The names of the host's ends: Docker's are `veth` and seven random digits (GenerateIfaceName() of its libnetwork); Podman's are
 * those that the kernel gives.
 */
const portName: Readonly<Record<Engine, RegExp>> = { docker: /^veth[0-9a-f]{7}$/, podman: /^veth\d+$/ }

/** Whether an engine may have given a port this name. */
export function isPortName(engine: Engine, name: string): boolean {
  return portName[engine].test(name)
}

/** The first version of Podman whose networks can hand out a span. Earlier ones were not tried. */
export const podmanWithSpans = '5.4'

/** Whether Podman's networks can hand out a span. One that is older is asked as Docker is. */
export function canPodmanHandOut(podman: string | null): boolean {
  return podman !== null && supportsApi(podman, podmanWithSpans)
}

/** Whether an interface can be given a name. Podman can with each version that hands out spans. */
export function canNameInterfaces({
  api,
  podman
}: Pick<Extract<DockerState, { state: 'read' }>, 'api' | 'podman'>): boolean {
  return podman !== undefined || supportsApi(api, interfaceOption.api)
}

/** Whether a daemon supports an API version. `api` is the newest version that the daemon supports. */
export function supportsApi(api: string, version: string): boolean {
  return isAtLeast(api, version)
}

/**
 * The reference to a network or container in a request and in a command: its name. It is the id where Docker allows a name that
 * its API would read as a path, its client as an option, or both as the id of another.
 */
export function referTo({ id, name }: Pick<DockerNetwork | Container, 'id' | 'name'>): string {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) && !/^[0-9a-f]{64}$/.test(name) ? name : id
}

/** The driver of a network whose description is not understood; no driver has this name. */
export const opaqueDriver = 'unknown'

/** The bridge that Docker uses or makes for a network; null for a network of another driver. */
export function dockerBridge({ driver, id, options }: DockerNetwork): string | null {
  if (driver === opaqueDriver) return options[networkOption.bridge] ?? null
  // libnetwork's own name for the bridge has the id's first 12 digits.
  return driver === 'bridge' ? (options[networkOption.bridge] ?? `br-${id.slice(0, 12)}`) : null
}

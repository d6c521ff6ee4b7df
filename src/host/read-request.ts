import type { ContainerSelector } from '../spec/values/container-selector.ts'
import type { DockerNetwork, Filter, IpLink, Link, Remote } from './snapshot.ts'
import type { OptionalModule } from './tunnels/kernel-modules.ts'

/** What a plan needs to know of the host, besides the links and their filters. */
export interface ReadRequest {
  /** Selects the interfaces, by name, whose offloads the plan depends on. Missing: all. */
  readonly offloaded?: (links: readonly IpLink[]) => readonly string[]
  /** Selects the interfaces, by name, whose eBPF programs the plan depends on. */
  readonly programmed: (links: readonly IpLink[]) => readonly string[]
  /** Selects the interfaces, by name, whose routes the plan depends on. Each of them costs a walk through all routes. */
  readonly routed: (links: readonly Link[], filters: readonly Filter[]) => readonly string[]
  /** Selects the interfaces, by name, whose receive rings the plan depends on. Each of them costs two processes. Missing: none. */
  readonly ringed?: (links: readonly Link[], filters: readonly Filter[]) => readonly string[]
  /** The hosts to which the plan needs the way. Missing: none. */
  readonly remotes?: readonly Remote[]
  /** The Docker networks and the bridges that the plan depends on, by name; they need not exist. */
  readonly networks: ReadonlySet<string>
  /** The Docker networks that are sources, by name: who is on them is read, so that a mirror is named after who sends. */
  readonly sourceNetworks: ReadonlySet<string>
  readonly bridges: ReadonlySet<string>
  /** Selects the Docker networks that the plan may remove. Who is on these is looked for among all containers that run. */
  readonly removable: (network: DockerNetwork) => boolean
  /** The containers that the plan depends on. */
  readonly containers: readonly ContainerSelector[]
  /** Whether the plan depends on nftables, and on whether ports can be silent. */
  readonly tables: boolean
  /** Whether the plan depends on who may send into tunnels. */
  readonly senders: (links: readonly Link[]) => boolean
  /** Selects the modules without which the plan cannot make its tunnels, or limit its mirrors. */
  readonly modules: (links: readonly Link[], filters: readonly Filter[]) => readonly OptionalModule[]
  /** Docker is left for a later run. */
  readonly deferDocker: boolean
}

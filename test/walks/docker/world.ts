/** The lab of all walks: what was done to it, what Docker has, and what of that is foreign. */
import type Docker from 'dockerode'
import { Spanplan } from '../../lab/commands/kept-process.ts'
import { createLab, type Lab } from '../../lab/lab.ts'
import { interfacesOf, until } from '../../lab/spans.ts'
import type { BridgeView } from '../foreign-view.ts'
import { words } from '../words.ts'
import {
  allSpans,
  type ContainerName,
  containerNames,
  type FileSpec,
  interfaces,
  type Name,
  otherNetwork,
  outputOf,
  type Role,
  spanName
} from './specs.ts'

/** Where a container is before it is connected: on Docker's network "none", or on the foreign one. */
export type Place = 'none' | 'other'

interface NameModel {
  /** As it was last applied. */
  spec: FileSpec | null
  /** Nothing has happened since the apply that its plan would have to answer. */
  clean: boolean
}

/** A container's endpoint on a network; the client's own type has fewer fields. */
interface Endpoint {
  readonly NetworkID: string
  readonly EndpointID: string
  readonly Aliases?: readonly string[] | null
  readonly DriverOpts?: Readonly<Record<string, string>> | null
  readonly IPAMConfig?: Readonly<Record<string, string>> | null
}

export interface LiveContainer {
  readonly handle: Docker.Container
  readonly name: string
  readonly role: string | undefined
  readonly running: boolean
  readonly paused: boolean
  readonly startedAt: string
  readonly mode: string
  readonly endpoints: ReadonlyMap<string, Endpoint>
}

interface LinkRow {
  readonly ifindex: number
  readonly ifname: string
  readonly master?: string
  readonly flags: readonly string[]
}

/** A port of a bridge that connects a container. */
interface Port {
  readonly name: string
  readonly bridge: string
  readonly carrier: boolean
  /** The container's end. */
  readonly inside: string
}

export interface LiveNetwork {
  readonly id: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, string>>
}

/** The label, and the option of an endpoint, that say whose it is. */
const mark = 'spanplan.name'

/** Docker's own, which cannot be removed. */
const predefined = ['bridge', 'host', 'none']

export class World {
  readonly lab: Lab
  /** The state before the first walk. */
  readonly first: string
  readonly names: Record<Name, NameModel>
  /** All that was done in this walk. */
  readonly log: string[] = []
  /** The adopted bridges, as they were before. */
  readonly adopted = new Map<string, BridgeView>()
  readonly #spanplan: Spanplan

  private constructor(lab: Lab, first: string) {
    this.lab = lab
    this.first = first
    this.names = freshNames()
    this.#spanplan = new Spanplan(lab)
  }

  static async create(): Promise<World> {
    const lab = await createLab({
      cables: [...interfaces, ...allSpans.map(outputOf)].map((card) => ({ card })),
      docker: true
    })
    return new World(lab, await lab.snapshotText())
  }

  /** Forgets the walk before. */
  start(): void {
    Object.assign(this.names, freshNames())
    this.adopted.clear()
    this.log.splice(0)
  }

  /** Runs a command, as a shell would read it that knows single quotes only. */
  run(line: string): Promise<string> {
    this.log.push(line)
    return this.lab.run(words(line))
  }

  /** Runs a command that there may be nothing to do it to. */
  async attempt(line: string): Promise<void> {
    await this.run(line).catch((error: Error) =>
      this.log.push(`# failed: ${error.message.trimEnd().split('\n').at(-1)}`)
    )
  }

  async spanplan(...args: string[]) {
    this.log.push(`spanplan ${args.join(' ')}`)
    return this.#spanplan.run(args)
  }

  async addContainer(name: ContainerName, role: Role | null, place: Place): Promise<void> {
    if ((await this.containers()).some((one) => one.name === name)) return
    if (place === 'other') await this.addOtherNetwork()
    this.log.push(`# container ${name}, role ${role}, on ${place}`)
    const mode = place === 'other' ? otherNetwork : 'none'
    await this.lab.startSensor(name, { NetworkMode: mode }, role === null ? {} : { role })
  }

  async addOtherNetwork(): Promise<void> {
    if ((await this.networks()).some(({ name }) => name === otherNetwork)) return
    await this.run(`docker network create --internal -o com.docker.network.bridge.name=other0 ${otherNetwork}`)
  }

  /** In the order of their names. */
  async containers(): Promise<LiveContainer[]> {
    const found = await this.lab.docker.listContainers({ all: true })
    const all = await Promise.all(
      found.map(async ({ Id }): Promise<LiveContainer> => {
        const handle = this.lab.docker.getContainer(Id)
        const { Name, State, Config, HostConfig, NetworkSettings } = await handle.inspect()
        const networks: Readonly<Record<string, Endpoint>> = NetworkSettings.Networks
        return {
          handle,
          name: Name.slice(1),
          role: Config.Labels.role,
          running: State.Running,
          paused: State.Paused,
          startedAt: State.StartedAt,
          mode: HostConfig.NetworkMode ?? '',
          endpoints: new Map(Object.entries(networks))
        }
      })
    )
    return all.sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  /** Less Docker's own. */
  async networks(): Promise<LiveNetwork[]> {
    const rows = await this.lab.docker.listNetworks()
    return rows
      .filter(({ Name }) => !predefined.includes(Name))
      .map(({ Id, Name, Labels, Options }) => ({ id: Id, name: Name, labels: Labels ?? {}, options: Options ?? {} }))
      .sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  /** All that Docker has of networks and endpoints. */
  async dockerState(): Promise<string> {
    const [networks, containers] = [await this.networks(), await this.containers()]
    const places = containers.flatMap(({ name, running, startedAt, endpoints }) => [
      `${name} ${running} ${startedAt}`,
      ...[...endpoints].map(([network, endpoint]) => `${name} on ${network} ${JSON.stringify(endpoint)}`)
    ])
    return [...networks.map((network) => JSON.stringify(network)), ...places.sort()].join('\n')
  }

  /**
   * What spanplan leaves alone: the containers themselves, the foreign networks with their endpoints, and the endpoints on
   * networks of spans that were made by hand.
   */
  async foreign(): Promise<{ readonly fixed: string; readonly visits: ReadonlyMap<string, string> }> {
    const [networks, containers] = [await this.networks(), await this.containers()]
    const theirs = networks.filter(({ labels }) => labels[mark] === undefined)
    const isTheirs = (network: string) => theirs.some(({ name }) => name === network)
    const fixed = containers.flatMap(({ name, running, startedAt, endpoints }) => [
      `${name} ${running} ${startedAt}`,
      ...[...endpoints].flatMap(([network, endpoint]) =>
        isTheirs(network) ? [`${name} on ${network} ${JSON.stringify(endpoint)}`] : []
      )
    ])
    const visits = containers.flatMap(({ name, endpoints }) =>
      [...endpoints].flatMap(([network, { Aliases, DriverOpts, IPAMConfig }]) =>
        isTheirs(network) || predefined.includes(network) || DriverOpts?.[mark] !== undefined
          ? []
          : [[`${name} on ${network}`, JSON.stringify({ Aliases, IPAMConfig })] as const]
      )
    )
    return {
      fixed: [...theirs.map((network) => JSON.stringify(network)), ...fixed.sort()].join('\n'),
      visits: new Map(visits)
    }
  }

  /** The ports of bridges that a running container's interfaces are, each with its interface. */
  async portsOf({ handle }: LiveContainer): Promise<readonly Port[]> {
    const links = await this.links()
    const interfaces = await interfacesOf(handle)
    return interfaces.flatMap(({ name, peer }) => {
      const link = links.find(({ ifindex }) => ifindex === peer)
      return link?.master === undefined
        ? []
        : [{ name: link.ifname, bridge: link.master, carrier: link.flags.includes('LOWER_UP'), inside: name }]
    })
  }

  async links(): Promise<readonly LinkRow[]> {
    return JSON.parse(await this.lab.run(['ip', '-j', 'link']))
  }

  async hasLink(device: string): Promise<boolean> {
    return (await this.links()).some(({ ifname }) => ifname === device)
  }

  /** A container sets its interface up or down. The kernel tells the port of its carrier in its own time. */
  async switchInterface({ name, handle }: LiveContainer, { name: port, inside, carrier }: Port): Promise<void> {
    const { State } = await handle.inspect()
    this.log.push(`# in ${name}: ip link set dev ${inside} ${carrier ? 'down' : 'up'}`)
    const namespace = `--net=/proc/${State.Pid}/ns/net`
    await this.lab.run(['nsenter', namespace, 'ip', 'link', 'set', 'dev', inside, carrier ? 'down' : 'up'])
    await until(`${port} has told of its carrier`, async () => {
      const [link]: { operstate: string }[] = JSON.parse(await this.lab.run(['ip', '-j', 'link', 'show', 'dev', port]))
      return (link?.operstate === 'UP') !== carrier
    })
  }

  /** The bridges of spans bear spanplan's mark: one that Docker has made again is known only with Docker. */
  async isMarked(): Promise<boolean> {
    const links: { ifname: string; ifalias?: string }[] = JSON.parse(await this.lab.run(['ip', '-j', 'link']))
    return links.every(({ ifname, ifalias = '' }) => !allSpans.includes(ifname) || ifalias.startsWith('spanplan:'))
  }

  /** What comes or goes in Docker may concern the spans of any name. */
  soil(): void {
    for (const model of Object.values(this.names)) model.clean = false
  }

  /** The spans of a name as it was last applied. */
  liveSpans(name: Name): string[] {
    return (this.names[name].spec?.spans ?? []).map((spec) => spanName(name, spec))
  }

  /** Removes the containers and the foreign network. */
  async clear(): Promise<void> {
    const containers = await this.lab.docker.listContainers({ all: true })
    await Promise.all(containers.map(({ Id }) => this.lab.docker.getContainer(Id).remove({ force: true })))
    for (const { name, labels } of await this.networks()) {
      if (labels[mark] === undefined) await this.run(`docker network rm ${name}`)
    }
    if (await this.hasLink('other0')) await this.run('ip link del dev other0')
  }
}

const freshNames = (): Record<Name, NameModel> => ({ a: { spec: null, clean: false }, b: { spec: null, clean: false } })

/** One of the containers that there are. */
export const pickContainer = (containers: readonly LiveContainer[], choice: number): LiveContainer | undefined =>
  containers[choice % containers.length]

/** A name that no container has. */
export const freeName = (containers: readonly LiveContainer[], choice: number): ContainerName | undefined => {
  const free = containerNames.filter((name) => !containers.some((one) => one.name === name))
  return free[choice % free.length]
}

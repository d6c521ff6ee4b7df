/**
 * The whole state that spanplan may touch, piece by piece. What Docker makes anew with other names (ids, MAC addresses,
 * host ends of interfaces) stands under the container that it belongs to, so that equal means equal.
 */

import type Docker from 'dockerode'
import { parseNote } from '../../../src/host/docker/endpoint-note.ts'
import type { Lab } from '../lab.ts'
import { interfacesOf } from '../spans.ts'

/** What each piece is like; a key is the name of the thing it belongs to, a colon, and what of it is described. */
export type State = ReadonlyMap<string, string>

interface Port {
  readonly device: string
  /** Whose host end it is, and of which bridge it is a port. */
  readonly name: string
}

interface Link {
  readonly ifindex: number
  readonly ifname: string
  readonly master?: string
}

/** Takes the lab's state, once its carriers have settled. */
export async function readState(lab: Lab): Promise<State> {
  const containers = await listContainers(lab)
  const text = await lab.snapshotText()
  const links: Link[] = JSON.parse(await lab.run(['ip', '-j', 'link']))
  const ports = await readPorts(lab, links)
  const pieces = new Map<string, string[]>()
  for (const { device, facet, words } of [...readSnapshot(text), ...(await readEntries(lab))]) {
    const port = ports.find((one) => one.device === device)
    if (port === undefined && /^veth[0-9a-f]{7}$/.test(device)) continue
    const key = `${port?.name ?? device}: ${facet}`
    pieces.set(key, [...(pieces.get(key) ?? []), port ? blank(words, port.device) : words])
  }
  // A port that is nobody's is a thing left behind.
  const strays = links.filter(
    ({ ifname }) => /^veth[0-9a-f]{7}$/.test(ifname) && !ports.some(({ device }) => device === ifname)
  )
  if (strays.length > 0) pieces.set('ports: of nobody', [String(strays.length)])
  const docker = [...(await readNetworks(lab)), ...(await Promise.all(containers.map(readContainer)))]
  return new Map([...[...pieces].map(([key, words]) => [key, words.sort().join('\n')] as const), ...docker])
}

async function readPorts(lab: Lab, links: readonly Link[]): Promise<Port[]> {
  const containers = await listContainers(lab)
  return (await Promise.all(containers.map((container) => portsOf(container, links)))).flat()
}

/** What else the things of a state are called: of a container on a bridge, the container and its port there. */
export async function readAliases(lab: Lab): Promise<(name: string) => string[]> {
  const ports = await readPorts(lab, JSON.parse(await lab.run(['ip', '-j', 'link'])))
  // A plan calls a note by what it notes.
  const notes = (await lab.docker.listNetworks()).flatMap(({ Name, Labels }) => {
    const place = parseNote(Labels ?? {})
    return place === null ? [] : [{ name: Name, title: `${place.container} → ${place.network}` }]
  })
  return (name) => [
    name.replace(/ on .*/, ''),
    ...ports.flatMap((port) => (port.name === name ? [port.device] : [])),
    ...notes.flatMap((note) => (note.name === name ? [note.title] : []))
  ]
}

/** A state as text: for a comparison that shows what differs. */
export function writeState(state: State): string {
  return [...state]
    .map(([key, words]) => `${key}\n${words.trim().replace(/^/gm, '  ')}\n`)
    .sort()
    .join('')
}

/** The things, by name, of which something differs. */
export function listDifferences(before: State, after: State): string[] {
  const keys = new Set([...before.keys(), ...after.keys()])
  const differing = [...keys].filter((key) => withoutPorts(before.get(key)) !== withoutPorts(after.get(key)))
  return [...new Set(differing.map((key) => key.slice(0, key.indexOf(':'))))].sort()
}

/** The state without what is about a device. */
export function without(state: State, device: string): State {
  return new Map([...state].filter(([key]) => !key.startsWith(`${device}: `)))
}

/** A bridge's carrier, and most of its features, are its ports' doing. */
function withoutPorts(words: string | undefined): string | undefined {
  if (words?.startsWith('Features for ')) {
    return words.match(/^(tx-checksumming|(tcp|generic)-segmentation|(generic|large)-receive|rx-gro-hw).*$/gm)?.join()
  }
  return words?.replace(/,?\b(NO-CARRIER|LOWER_UP)\b,?|state (UP|DOWN|LOWERLAYERDOWN|UNKNOWN)|linkdown /g, '')
}

interface Piece {
  readonly device: string
  readonly facet: string
  readonly words: string
}

/** Where the answer to a command is cut; elsewhere each line is a piece. */
const cuts: readonly (readonly [RegExp, RegExp])[] = [
  [/^ip (-d link|addr)$/, /^(?=N: )/m],
  [/^ethtool/, /^(?=Features for )/m]
]

/** Cuts the lab's text into what each device has to do with. */
function readSnapshot(text: string): Piece[] {
  return text
    .split(/^\$ /m)
    .filter((section) => section !== '' && !section.startsWith('docker'))
    .flatMap((section) => {
      const end = section.indexOf('\n')
      const command = section.slice(0, end)
      const facet = command.replace(/ dev \S+/, '')
      const asked = / dev (\S+)/.exec(command)?.[1]
      const [, cut = /\n/] = cuts.find(([pattern]) => pattern.test(command)) ?? []
      return section
        .slice(end + 1)
        .split(cut)
        .filter((words) => words.trim() !== '')
        .flatMap((words): Piece[] => {
          const device = asked ?? deviceOf(words)
          return device === undefined ? [] : [{ device, facet, words: withoutOrder(words.trim()) }]
        })
    })
}

/** A row of tc's list as it is wherever it stands in that. */
function withoutOrder(words: string): string {
  return words.replace(/^\[(?=\{)|(?<=\})\]$/g, '')
}

function deviceOf(words: string): string | undefined {
  const patterns = [/^N: ([^:@\s]+)/, /^Features for ([^:\s]+)/, /\/conf\/([^/]+)\//, /\bdev (\S+)/]
  return patterns.map((pattern) => pattern.exec(words)?.[1]).find((name) => name !== undefined)
}

/** The entries of bridges and ports for their own addresses. */
async function readEntries(lab: Lab): Promise<Piece[]> {
  const text = await lab.run(['bridge', 'fdb', 'show'])
  return text
    .split('\n')
    .filter((line) => line.includes('permanent') && !/^(33:33|01:00:5e)/.test(line))
    .flatMap((words) => {
      const device = deviceOf(words)
      return device === undefined ? [] : [{ device, facet: 'bridge fdb', words }]
    })
}

/** Without the names and numbers that Docker and the kernel choose; a first qdisc gives a device without a queue a length of one. */
function blank(words: string, device: string): string {
  return words
    .replaceAll(device, 'PORT')
    .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC')
    .replace(/(port_id|port_no|designated_port|designated_id|handle)( |":")[^\s"]+/g, '$1 N')
    .replace(/(group default) (qlen \d+)?/g, '$1')
    .replace(/\b8001\.[0-9a-f:.]+/g, 'ID')
}

async function portsOf(container: Docker.Container, links: readonly Link[]): Promise<Port[]> {
  const { State, Name } = await container.inspect()
  if (!State.Running) return []
  return (await interfacesOf(container)).flatMap(({ peer }) => {
    const link = links.find(({ ifindex }) => ifindex === peer)
    return link ? [{ device: link.ifname, name: `${Name.slice(1)} on ${link.master ?? 'no bridge'}` }] : []
  })
}

async function listContainers(lab: Lab): Promise<Docker.Container[]> {
  const list = await lab.docker.listContainers({ all: true })
  return list.map(({ Id }) => lab.docker.getContainer(Id))
}

async function readNetworks(lab: Lab): Promise<(readonly [string, string])[]> {
  const networks = await lab.docker.listNetworks()
  return networks.map(({ Name, Driver, Internal, EnableIPv6, Options, Labels, IPAM }) => [
    `${Name}: Docker network`,
    JSON.stringify({ Driver, Internal, EnableIPv6, Options: sorted(Options), Labels: sorted(Labels), IPAM }, null, 2)
  ])
}

/** The client's own type does not know the options. */
interface Endpoint {
  readonly Aliases?: readonly string[] | null
  readonly DriverOpts?: Readonly<Record<string, string>> | null
  readonly IPAMConfig?: unknown
  readonly IPAddress: string
}

async function readContainer(container: Docker.Container): Promise<readonly [string, string]> {
  const { Id, Name, State, HostConfig, NetworkSettings } = await container.inspect()
  const networks: Readonly<Record<string, Endpoint>> = NetworkSettings.Networks
  const endpoints = Object.entries(networks)
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([network, { Aliases, DriverOpts, IPAMConfig, IPAddress }]) => ({
      network,
      // Docker adds a short form of the container's id.
      aliases: (Aliases ?? []).filter((alias) => !Id.startsWith(alias)).sort(),
      options: sorted(DriverOpts),
      address: IPAMConfig ?? {},
      connected: IPAddress !== ''
    }))
  const { Running, StartedAt } = State
  const words = { Running, StartedAt, mode: HostConfig.NetworkMode, endpoints }
  return [`${Name.slice(1)}: container`, JSON.stringify(words, null, 2)]
}

function sorted(options: Readonly<{ [key: string]: unknown }> | null | undefined): unknown {
  return Object.fromEntries(Object.entries(options ?? {}).sort(([one], [other]) => one.localeCompare(other)))
}

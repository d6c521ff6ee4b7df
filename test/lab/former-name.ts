/** A file with all kinds of sources, of receivers and of marks, whose name changes while frames come. */
import type Docker from 'dockerode'
import { expect } from 'vitest'
import { flowExpression, numbersOf } from './frames/flow.ts'
import { BROADCAST, ether, ipv4Udp } from './frames/frames.ts'
import { createLab, type Lab } from './lab.ts'
import { runnersOf } from './restored.ts'
import { interfacesOf, listenBeside, writeSpans } from './spans.ts'

const spans = `
spans:
  span0:
    sources: [interface: ens192]
    sensors: [whole, {container: part, filter: udp}, {balance: [one, other]}]
    outputs: [interface: ens224, vxlan: {id: 50, port: 4790, remote: 10.50.0.1}]
  span1:
    sources: [{vxlan: {id: 42, local: 10.50.0.2}, from: [10.50.0.1]}, container: web]
    sensors: [zeek]
`

/** What stands before the spans, before and after the change. */
export const [before, after] = ['name: old', 'name: new\nformerly: old'] as const

/** The hashes of these names in the cookies of mirrors. */
const hashes: Readonly<Record<string, string>> = { '7d4ce542': 'old', '7d574188': 'new' }

/** What becomes of the frames of a source at one receiver. */
interface Fate {
  readonly name: string
  /** How many it has not got, and how many it has got more than once. */
  readonly lost: number
  readonly doubled: number
}

export interface RenamedLab {
  readonly lab: Lab
  readonly onHost: (command: string) => Promise<string>
  sensor(name: string): Docker.Container
  /** Writes the file, with these spans or with all kinds of them. */
  write(head: string, rest?: string): Promise<void>
  /** Writes the same into another file. */
  text(head: string): string
  /** Does something while 1,000 numbered datagrams a second come from each of three sources. */
  followFrames(doing: () => Promise<unknown>): Promise<{ readonly fewest: number; readonly fates: readonly Fate[] }>
  /** The names in the marks that the kernel has. */
  namesInKernel(): Promise<ReadonlySet<string>>
  /** What a change of the name leaves as it is: networks, endpoints, processes and links. */
  describeSensors(): Promise<object>
}

/** Each receiver has got each frame once. */
export function expectEachOnce({ fewest, fates }: Awaited<ReturnType<RenamedLab['followFrames']>>): void {
  expect(fewest).toBeGreaterThan(200)
  expect(fates).toEqual(fates.map(({ name }) => ({ name, lost: 0, doubled: 0 })))
}

export async function createRenamedLab(): Promise<RenamedLab> {
  const cables = ['ens192', 'ens224', 'ens256'].map((card) => ({ card, mtu: 1500 }))
  const lab = await createLab({ cables, docker: true })
  const { onHost, onSwitch } = runnersOf(() => lab)
  await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
  const sensors = new Map<string, Docker.Container>()
  for (const name of ['whole', 'part', 'one', 'other', 'zeek']) sensors.set(name, await lab.startListener(name))
  sensors.set('web', await lab.startListener('web', { NetworkMode: 'shop' }))
  await onSwitch('ip addr add 10.50.0.1/24 dev sw2')
  await onHost('ip addr add 10.50.0.2/24 dev ens256')
  await onSwitch('ip link add dev in0 type vxlan id 42 remote 10.50.0.2 local 10.50.0.1 dstport 4789 nolearning')
  await onSwitch('ip link add dev out0 type vxlan id 50 local 10.50.0.1 dstport 4790 nolearning')
  for (const device of ['in0', 'out0']) {
    await onSwitch(`ip link set dev ${device} addrgenmode none`)
    await onSwitch(`ip link set dev ${device} up`)
  }
  const sensor = (name: string) => sensors.get(name) ?? expect.unreachable()
  return {
    ...{ lab, onHost, sensor },
    write: (head, rest = spans) => writeSpans(lab, `${head}\n${rest}`),
    text: (head) => `version: 1\n${head}\n${spans}`,
    async followFrames(doing) {
      const hear = (name: string, network: number) =>
        listenBeside(lab, sensor(name), { ...only(network), span: name === 'zeek' ? 'span1' : 'span0' })
      const receivers = [
        { name: 'whole', captures: [hear('whole', 1)] },
        { name: 'part', captures: [hear('part', 1)] },
        { name: 'one and other', captures: [hear('one', 1), hear('other', 1)] },
        { name: 'the cable', captures: [lab.captureLink('sw1', only(1))] },
        { name: 'the other host', captures: [lab.captureLink('out0', only(1), 'switch')] },
        { name: 'zeek, of the tunnel', captures: [hear('zeek', 2)] },
        { name: 'zeek, of the container', captures: [hear('zeek', 3)] }
      ]
      for (const { captures } of receivers) await Promise.all(captures)
      const ends = [
        await lab.stream(numbered(1), 1000, 'sw0'),
        await lab.stream(numbered(2), 1000, 'in0', 'switch'),
        await lab.stream(numbered(3), 1000, await hostEndOf(sensor('web')), 'host')
      ]
      await doing()
      for (const end of ends) await end()
      const heard = await Promise.all(
        receivers.map(async ({ name, captures }) => {
          const parts = await Promise.all(captures.map(async (capture) => (await capture).stop()))
          expect(parts.map(({ dropped }) => dropped)).toEqual(parts.map(() => 0))
          return { name, numbers: parts.flatMap(({ frames }) => numbersOf(frames)) }
        })
      )
      const lastOf = (numbers: readonly number[]) => Math.max(-1, ...numbers)
      // The receivers of one source get the same, up to its last frame.
      const last = lastOf(heard[0]?.numbers ?? [])
      const fates = heard.map(({ name, numbers }) => {
        const different = new Set(numbers).size
        const sent = (name.startsWith('zeek') ? lastOf(numbers) : last) + 1
        return { name, lost: sent - different, doubled: numbers.length - different }
      })
      return { fewest: Math.min(...heard.map(({ numbers }) => numbers.length)), fates }
    },
    async namesInKernel() {
      const aliases = (await onHost('ip -d link')).match(/(?<=alias spanplan:)[^:]+/g) ?? []
      const tables = (await onHost('nft list ruleset')).match(/(?<=chain spanplan\.name\.)\S+/g) ?? []
      const filters =
        (await onHost('tc filter show dev ens192 ingress')).match(/(?<=cookie 7370616e\w{16})\w{8}/g) ?? []
      return new Set([...aliases, ...tables, ...filters.map((hash) => hashes[hash] ?? hash)])
    },
    async describeSensors() {
      const all = await Promise.all([...sensors.values()].map((one) => one.inspect()))
      const networks = ['span0', 'span1'].map(async (name) => (await lab.docker.getNetwork(name).inspect()).Id)
      return {
        networks: await Promise.all(networks),
        endpoints: all.map(({ State, NetworkSettings }) => ({
          pid: State.Pid,
          ids: Object.values(NetworkSettings.Networks).map(({ EndpointID }) => EndpointID)
        })),
        links: (await onHost('ip -br link')).split('\n').map((line) => line.split(' ')[0])
      }
    }
  }

  async function hostEndOf(container: Docker.Container): Promise<string> {
    const [own] = await interfacesOf(container)
    const links: { ifname: string; ifindex: number }[] = JSON.parse(await onHost('ip -j link'))
    return links.find(({ ifindex }) => ifindex === own?.peer)?.ifname ?? expect.unreachable()
  }
}

/** Numbered datagrams of many flows: more than are sent until all is done. */
function numbered(network: number): Buffer[] {
  return Array.from({ length: 150_000 }, (_, number) => {
    const data = Buffer.alloc(64)
    data.writeUInt32BE(number)
    const source = `10.${network}.${(number >> 8) & 255}.${number & 255}`
    const packet = ipv4Udp({ source, destination: '192.0.2.1', destinationPort: 6000, data })
    return ether(BROADCAST, '02:00:00:00:0a:01', packet)
  })
}

/** Listens for the datagrams of one network. */
const only = (network: number) =>
  ({
    expression: `${flowExpression} and src net 10.${network}.0.0/16`,
    direction: 'in',
    bulk: true,
    snaplen: 128
  }) as const

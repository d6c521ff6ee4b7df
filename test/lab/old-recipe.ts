/** How people have built a tap by hand: a bridge, mirrors on old qdiscs, and a Docker network with containers. */
import { readState, writeState } from './faults/state.ts'
import type { Lab } from './lab.ts'
import { expectRestored, until } from './spans.ts'

interface Endpoint {
  readonly Aliases?: readonly string[] | null
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null
}

export const composed = [
  '--label',
  'com.docker.compose.project=ids',
  '--label',
  'com.docker.compose.network=span'
] as const

/** The parts of it, what tells of them, and what takes all away: in the lab that there is by then. */
export function useRecipe(lab: () => Lab) {
  const ip = (...argv: string[]) => lab().run(['ip', ...argv])
  const tc = (...argv: string[]) => lab().run(['tc', ...argv])
  const docker = (...argv: string[]) => lab().run(['docker', ...argv])

  async function makeBridge(): Promise<void> {
    // With an address of its own: without, it takes that of its first port.
    const options = ['type', 'bridge', 'ageing_time', '0', 'stp_state', '0']
    await ip('link', 'add', 'span0', 'address', '02:00:00:00:00:77', ...options)
    await ip('link', 'set', 'dev', 'span0', 'alias', 'tap of the core switch', 'mtu', '1400')
    await ip('link', 'set', 'dev', 'span0', 'mtu', '1500', 'up')
  }

  /** Where scripts have a root qdisc to mirror what is sent. Most have prio, which not every kernel has. */
  async function makeRoot(kind: 'htb' | 'prio' = 'htb'): Promise<void> {
    await tc('qdisc', 'add', 'dev', 'ens192', 'root', 'handle', '1:', kind)
  }

  async function makeMirrors(kind: 'u32' | 'matchall' = 'u32'): Promise<void> {
    const everything = ['protocol', 'all', kind, ...(kind === 'u32' ? ['match', 'u32', '0', '0'] : [])]
    const intoSpan = ['action', 'mirred', 'egress', 'mirror', 'dev', 'span0']
    await tc('qdisc', 'add', 'dev', 'ens192', 'ingress')
    await tc('filter', 'add', 'dev', 'ens192', 'parent', 'ffff:', ...everything, ...intoSpan)
    await tc('filter', 'add', 'dev', 'ens192', 'parent', '1:', ...everything, ...intoSpan)
  }

  /** The kernel takes up to a second to settle the state of new ports; asked for one of them, it does so at once. */
  async function settle(): Promise<void> {
    await until('all is settled', async () => {
      const links: { ifname: string; operstate: string }[] = JSON.parse(await ip('-j', 'link'))
      const unknown = links.filter(({ ifname, operstate }) => ifname !== 'lo' && operstate === 'UNKNOWN')
      for (const { ifname } of unknown) await ip('link', 'show', 'dev', ifname)
      return unknown.length === 0 && !(await ip('-6', 'addr')).includes('tentative')
    })
  }

  async function makeNetwork(name: string, ...more: string[]): Promise<void> {
    const options = ['--driver', 'bridge', '--internal', '-o', 'com.docker.network.bridge.name=span0']
    await docker('network', 'create', ...options, ...more, name)
  }

  /** A network with all that people set, and containers with all that people give them, one of which is stopped. */
  async function makeRichNetwork(): Promise<void> {
    const prefix = ['-o', 'com.docker.network.container_iface_prefix=tap', '--attachable']
    await makeNetwork('span', '--subnet', '10.9.0.0/24', '--ip-range', '10.9.0.64/26', ...prefix, ...composed)
    await lab().startSensor('suricata', { NetworkMode: 'span' })
    for (const [name, Aliases, IPv4Address] of [
      ['zeek', ['ids', 'visitor'], '10.9.0.70'],
      ['arkime', ['archive'], '10.9.0.1']
    ] as const) {
      await lab().startSensor(name)
      await lab().docker.getNetwork('none').disconnect({ Container: name })
      const config = { Aliases: [...Aliases], IPAMConfig: { IPv4Address } }
      await lab().docker.getNetwork('span').connect({ Container: name, EndpointConfig: config })
    }
    await lab().docker.getContainer('arkime').stop()
  }

  /** All of it. */
  async function makeRecipe(): Promise<void> {
    await makeBridge()
    await makeRoot()
    await makeRichNetwork()
    await makeMirrors()
  }

  /** Of a bridge: but the kernel's own. */
  async function addressesOf(device: string): Promise<string[]> {
    const [link] = JSON.parse(await ip('-j', 'addr', 'show', 'dev', device))
    return link.addr_info.flatMap(({ family, local }: { family: string; local: string }) =>
      family === 'inet' ? [local] : []
    )
  }

  /** The client's own type says less. */
  async function endpointOf(name: string): Promise<Endpoint | undefined> {
    const { NetworkSettings } = await lab().docker.getContainer(name).inspect()
    const networks: Readonly<Record<string, Endpoint>> = NetworkSettings.Networks
    return networks.span
  }

  async function namesOfNetworks(): Promise<string[]> {
    return (await lab().docker.listNetworks()).map(({ Name }) => Name).sort()
  }

  /** The same without the kernel's own IPv6 addresses, which come with the first sensor, as a limit of its port does, and what the root qdisc counts. */
  async function describeBare(): Promise<string> {
    const text = await lab().snapshotText()
    return text
      .replace(/^.*(fe80::|ff00::|_lft|direct_packets_stat).*\n/gm, '')
      .replace(/tso_max_size \d+/g, 'tso_max_size N')
  }

  /** All that is there, but for what says the same in two ways, the addresses that ports make of their own, and that a qdisc gives a port a queue. */
  async function describeLab(): Promise<string> {
    const text = writeState(await readState(lab()))
    return text
      .replace(/"Options": null/g, '"Options": {}')
      .replace(/fe80::(?!ff:fe00:77)[0-9a-f:]+\b(?!\/64 dev)/g, 'fe80::N')
      .replace(/ qlen 1000| $/gm, '')
  }

  /** Takes all away, and what spanplan made of it; then the lab is as it was first. */
  async function clear(first: string): Promise<void> {
    await lab().spanplan(['destroy', '--all', '--yes'])
    const containers = await lab().docker.listContainers({ all: true })
    await Promise.all(containers.map(({ Id }) => lab().docker.getContainer(Id).remove({ force: true })))
    await docker('network', 'prune', '--force')
    await ip('link', 'del', 'dev', 'span0').catch(() => undefined)
    await ip('link', 'del', 'dev', 'other0').catch(() => undefined)
    await tc('qdisc', 'del', 'dev', 'ens192', 'root').catch(() => undefined)
    await tc('qdisc', 'del', 'dev', 'ens192', 'ingress').catch(() => undefined)
    await expectRestored(lab(), first)
  }

  return {
    ip,
    tc,
    docker,
    makeBridge,
    makeRoot,
    makeMirrors,
    settle,
    makeNetwork,
    makeRichNetwork,
    makeRecipe,
    addressesOf,
    endpointOf,
    namesOfNetworks,
    describeBare,
    describeLab,
    clear
  }
}

/** The file that takes it over. */
export const takeover = 'spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [suricata]}}'

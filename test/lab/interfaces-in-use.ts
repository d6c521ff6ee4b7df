/** A host whose cards are in use in various ways, and a file that has spans of all of them. */
import type Docker from 'dockerode'
import { expect } from 'vitest'
import { SENSOR_IMAGE } from './docker/sensor-images.ts'
import { createLab, type Lab } from './lab.ts'
import { expectRestored, networksOf, until } from './spans.ts'

/** Each card is what cards are before somebody mirrors them: */
const cards = [
  { card: 'ens192' }, // in use, as most are;
  { card: 'ens224' }, // down, waiting for its purpose;
  { card: 'ens256', mtu: 1500 }, // up, with the address that IPv6 gives itself;
  { card: 'ens161' } // promiscuous, and filtered by another tool.
]

export const everything = `
interfaces:
  ens224: {dedicated: true}
  ens256: {dedicated: true}
spans:
  span0:
    sources: [{interface: ens192, filter: not port 22}, {interface: ens161}]
    sensors: [suricata, zeek]
  span1:
    sources: [{interface: ens192, direction: ingress}, {interface: ens224}, {interface: ens256}]
    sensors: [suricata]
  span2:
    sources: [{interface: ens161, direction: egress}]
`

export interface UsedHost {
  readonly lab: Lab
  readonly suricata: Docker.Container
  readonly zeek: Docker.Container
  /** Before the first apply. */
  readonly before: string
  /** All is as it was before that. */
  expectNothingLeft(): Promise<void>
}

/** Makes the lab, with a container that runs, and one that does not. */
export async function openUsedHost(): Promise<UsedHost> {
  const lab = await createLab({ docker: true, cables: cards })
  const ip = (...argv: string[]) => lab.run(['ip', ...argv])
  await ip('link', 'set', 'dev', 'ens224', 'down')
  await ip('addr', 'add', '192.0.2.1/24', 'dev', 'ens192')
  await ip('link', 'set', 'dev', 'ens256', 'down')
  await ip('link', 'set', 'dev', 'ens256', 'addrgenmode', 'eui64')
  await ip('link', 'set', 'dev', 'ens256', 'up')
  await ip('link', 'set', 'dev', 'ens161', 'promisc', 'on')
  await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens161', 'clsact'])
  const passOn = ['pref', '20', 'bpf', 'da', 'bytecode', '1,6 0 0 4294967295'] as const
  await lab.run(['tc', 'filter', 'add', 'dev', 'ens161', 'ingress', ...passOn])
  const suricata = await lab.startSensor('suricata')
  await lab.docker.createNetwork({ Name: 'web', IPAM: { Config: [{ Subnet: '192.0.3.0/24' }] } })
  // It does not run, so it has no interface yet whose name would change.
  const zeek = await lab.docker.createContainer({
    name: 'zeek',
    Image: SENSOR_IMAGE,
    Cmd: ['/bin/true'],
    HostConfig: { NetworkMode: 'web' }
  })
  await until('ens256 has its address', async () =>
    (await ip('-6', 'route', 'show', 'table', 'local')).includes('fe80')
  )
  const before = await lab.snapshotText()
  const expectNothingLeft = async () => {
    await expectRestored(lab, before)
    expect(await networksOf(suricata)).toEqual(['none'])
    expect(await networksOf(zeek)).toEqual(['web'])
  }
  return { lab, suricata, zeek, before, expectNothingLeft }
}

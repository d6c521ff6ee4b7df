/** A host on which one apply has a bit of everything to do: to create, to change, to make anew, to remove, to give back. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type FaultyPrograms, installFaultyPrograms } from '../commands/faulty-programs.ts'
import { type FaultyDocker, startFaultyDocker } from '../docker/faulty-docker.ts'
import { createLab, type Lab, type Outcome } from '../lab.ts'
import { portOf, spanplan, until } from '../spans.ts'
import { readState, type State, without, writeState } from './state.ts'

const files = {
  'old.yaml': `
version: 1
name: rich
spans:
  span0:
    sources: [{interface: ens192, filter: not port 22}, {interface: ens224, direction: ingress}]
    network: {name: tap, subnet: 198.18.7.0/26}
    mtu: 1500
    sensors: [suricata, arkime]
  span1:
    sources: [{interface: ens192}]
    sensors: [suricata]
  span3:
    sources: [{interface: ens224}]
`,
  'new.yaml': `
version: 1
name: rich
interfaces:
  ens256: {dedicated: true}
spans:
  span0:
    sources: [{interface: ens192, filter: not port 443}, {interface: ens256}]
    network: {name: tap, subnet: 198.18.7.0/26}
    sensors: [suricata, zeek]
  span1:
    sources: [{interface: ens192, direction: ingress}]
    sensors: [suricata]
  span2:
    sources: [{interface: ens256}]
    network: extra
    sensors: [zeek]
`
} as const

/** The apply that has a bit of everything to do, in the state before. */
export const applyNew = ['apply', '--yes', '-f', 'new.yaml'] as const

export interface Scene {
  readonly lab: Lab
  readonly programs: FaultyPrograms
  readonly docker: FaultyDocker
  /** Before the first apply of all. */
  readonly first: State
  /** The old file applied, then a container connected by somebody else, and drift. */
  readonly before: State
  /** The state that it is known to be in. */
  at: 'first' | 'before' | null
  /** Leads from the first state to the one before. */
  prepare(): Promise<void>
  /** Takes all away. */
  destroy(): Promise<void>
  close(): Promise<void>
}

/** Makes a lab with its containers, in the state before. */
export async function openScene(): Promise<Scene> {
  const lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }, { card: 'ens256' }] })
  for (const [name, text] of Object.entries(files)) await writeFile(join(lab.files, name), text)
  await furnish(lab)
  const first = await readState(lab)
  const [programs, docker] = await Promise.all([installFaultyPrograms(lab), startFaultyDocker(lab)])
  await prepare(lab)
  const before = await readState(lab)
  return {
    lab,
    programs,
    docker,
    first,
    before,
    at: 'before',
    prepare: () => prepare(lab),
    async destroy() {
      await spanplan(lab, ['destroy', '--all', '--yes'])
    },
    async close() {
      await docker.close()
      await lab.close()
    }
  }
}

async function furnish(lab: Lab): Promise<void> {
  const shaper = ['tbf', 'rate', '1gbit', 'burst', '128k', 'limit', '1m'] as const
  await lab.run(['tc', 'qdisc', 'replace', 'dev', 'ens192', 'root', ...shaper])
  await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'clsact'])
  const passOn = ['pref', '20', 'bpf', 'da', 'bytecode', '1,6 0 0 4294967295'] as const
  await lab.run(['tc', 'filter', 'add', 'dev', 'ens192', 'ingress', ...passOn])
  await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'down'])
  await lab.run(['ethtool', '-K', 'ens256', 'gro', 'on'])
  await lab.docker.createNetwork({ Name: 'web', Internal: true, IPAM: { Config: [{ Subnet: '192.0.3.0/24' }] } })
  for (const name of ['suricata', 'zeek', 'arkime']) await lab.startSensor(name)
  await lab.startSensor('guest', { NetworkMode: 'web' })
  await until('all addresses are settled', async () => !(await lab.run(['ip', '-6', 'addr'])).includes('tentative'))
}

async function prepare(lab: Lab): Promise<void> {
  await spanplan(lab, ['apply', '-f', 'old.yaml'])
  await connectOther(lab)
  await drift(lab)
}

/** What somebody else has connected keeps its names and its address, whatever becomes of the network. */
async function connectOther(lab: Lab): Promise<void> {
  await lab.docker.getNetwork('tap').connect({
    Container: 'guest',
    EndpointConfig: { Aliases: ['visitor', 'ids'], IPAMConfig: { IPv4Address: '198.18.7.60' } }
  })
  const port = await portOf(lab, lab.docker.getContainer('guest'))
  // Its address, which the kernel takes a second to settle, would be in the way of comparing.
  await lab.run(['sysctl', '-q', '-w', `net/ipv6/conf/${port}/disable_ipv6=1`])
}

/** None takes away both marks of a card: what it was like would be forgotten. */
async function drift(lab: Lab): Promise<void> {
  const port = await portOf(lab, lab.docker.getContainer('suricata'), 'span1')
  await lab.run(['ip', 'link', 'set', 'dev', 'span0', 'type', 'bridge', 'ageing_time', '1000', 'mcast_snooping', '1'])
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
  await lab.run(['tc', 'qdisc', 'del', 'dev', 'span1', 'clsact'])
  await lab.run(['ethtool', '-K', 'span1', 'tx', 'on'])
  await lab.run(['tc', 'qdisc', 'del', 'dev', port, 'clsact'])
  await lab.run(['ip', 'link', 'set', 'dev', port, 'type', 'bridge_slave', 'isolated', 'off'])
}

interface Comparison {
  /** What the run before said. */
  readonly said?: Outcome
  /** A device that does not matter. */
  readonly gone?: string
}

/** Waits until the lab is in that state: addresses that the kernel gives back take it a second. */
export async function expectState(lab: Lab, state: State, { said, gone = '' }: Comparison = {}): Promise<void> {
  const wanted = writeState(without(state, gone))
  const read = async () => writeState(without(await readState(lab), gone))
  if ((await read()) === wanted) return
  await until('the lab is in that state', async () => (await read()) === wanted).catch(() => undefined)
  expect(await read(), said?.stderr).toBe(wanted)
}

/** The next apply of the new file finishes the job, and the one after that has nothing to do. */
export async function expectNextApplyConverges(lab: Lab): Promise<void> {
  await spanplan(lab, applyNew)
  await expectNewConverged(lab)
}

export async function expectNewConverged(lab: Lab): Promise<void> {
  const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode', '-f', 'new.yaml'])
  expect(stdout).toContain('No changes')
}

/** Takes all away: then the first state is there again, less what belongs to a thing that is gone. */
export async function expectDestroyed(scene: Scene, gone = ''): Promise<void> {
  await scene.destroy()
  await expectState(scene.lab, scene.first, { gone })
  if (gone === '') scene.at = 'first'
}

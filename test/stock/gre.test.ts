/** Mirrors that come over GRE, as only Debian's own kernel can take them: gretap, and the three types of ERSPAN. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keysOf } from '../../src/keys.ts'
import { everyKind } from '../lab/frames/every-kind.ts'
import { BROADCAST, ether, filler, ipv4Gre } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { restoreAfterEach } from '../lab/restored.ts'
import {
  expectConverged,
  expectFramesInAnyOrder,
  expectRefusal,
  listen,
  macOf,
  spanplan,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container

const stranger = '02:00:00:00:67:01'

/** Devices of the switch that send, by their names. 10.50.0.9 is another address of the switch. */
const senders = {
  plain: 'gretap local 10.50.0.1',
  other: 'gretap local 10.50.0.9',
  key7: 'gretap local 10.50.0.1 key 7',
  large: 'gretap local 10.50.0.1 key 268435461',
  one: 'erspan local 10.50.0.1 erspan_ver 0',
  two: 'erspan local 10.50.0.1 seq key 5 erspan_ver 1 erspan 9',
  two6: 'erspan local 10.50.0.1 seq key 6 erspan_ver 1 erspan 9',
  two9: 'erspan local 10.50.0.9 seq key 5 erspan_ver 1 erspan 9',
  three: 'erspan local 10.50.0.1 seq key 7 erspan_ver 2 erspan_dir egress erspan_hwid 3'
} as const

type Sender = keyof typeof senders

const everybody = keysOf(senders)

const on = (place: 'switch' | 'host', commands: string) => lab.run(['sh', '-ec', commands], { on: place })

/** Larger frames are sent in fragments. */
const addSender = (name: Sender) =>
  on(
    'switch',
    `ip link add dev ${name} type ${senders[name]} remote 10.50.0.2 nopmtudisc ignore-df
ip link set dev ${name} mtu 9000 addrgenmode none
ip link set dev ${name} up`
  )

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startListener('suricata')
  zeek = await lab.startListener('zeek')
  await on('switch', 'ip addr add 10.50.0.1/24 dev sw0; ip addr add 10.50.0.9/24 dev sw0')
  await on('host', 'ip addr add 10.50.0.2/24 dev ens192; ip addr add 10.50.0.3/24 dev ens192')
  // While an address is asked for, frames overtake each other.
  await on('switch', `ip neigh replace 10.50.0.2 lladdr ${await macOf(lab, 'ens192')} dev sw0`)
  for (const name of everybody) await addSender(name)
})
afterAll(() => lab?.close())

// With the module come gre0, gretap0 and erspan0, which stay.
restoreAfterEach(() => lab)

const write = (...sources: string[]) =>
  writeSpans(lab, `spans: {span0: {sources: [${sources.map((one) => `{${one}}`)}], sensors: [suricata, zeek]}}`)

/** The devices of the switch of which a sensor hears the frame that each of them sends. */
async function heardOf(names: readonly Sender[]): Promise<Sender[]> {
  const capture = await listen(lab, zeek, { expression: `ether src ${stranger}` })
  for (const [index, name] of names.entries()) {
    await lab.send([ether(BROADCAST, stranger, filler(100 + index))], name, 'switch')
  }
  const { frames } = await capture.stop({ seconds: 2 })
  return frames.flatMap(({ length }) => names[length - 100] ?? [])
}

test('each frame of each kind arrives once, byte for byte, and what is for no source does not', async () => {
  await write(
    'gretap: {local: 10.50.0.2}',
    'gretap: {local: 10.50.0.2, key: 7}',
    'erspan: {local: 10.50.0.2, type: 1}',
    'erspan: {local: 10.50.0.2, session: 5, remote: 10.50.0.1}',
    'erspan: {local: 10.50.0.2, session: 7, type: 3}'
  )
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  expect(stdout).toMatch(/gretap, local 10\.50\.0\.2, key 7; .* let GRE \(IP protocol 47\) in; /)
  expect(stdout).toMatch(/erspan type 2, local 10\.50\.0\.2, session 5, remote 10\.50\.0\.1;/)
  await expectConverged(lab)
  const [tunnel = ''] = /gretap-\w{8}/.exec(stdout) ?? []
  const frames = await everyKind(lab, { suricata, zeek }, stranger, tunnel)
  for (const sender of ['plain', 'key7', 'one', 'two', 'three'] as const) {
    const captures = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
    await lab.send(Object.values(frames), sender, 'switch')
    for (const capture of captures) await expectFramesInAnyOrder(capture, frames)
  }
  const heard = ['plain', 'other', 'key7', 'one', 'two', 'three']
  expect(await heardOf(everybody)).toEqual(heard)
  // A switch that starts again counts from 0.
  await on('switch', 'ip link del dev two')
  await addSender('two')
  expect(await heardOf(everybody)).toEqual(heard)
})

/** As a part of a header, at each place: the key 268435461, and of ERSPAN the version of type II and the session 5. */
const anyPlace = Buffer.from('10000005', 'hex')

/** How many of the packets that a sender sends, with all flags and each protocol, get into the tunnels that choose their senders. */
async function receivedOf(source: string): Promise<number[]> {
  const to = await macOf(lab, 'ens192')
  const data = Buffer.concat([...Array<Buffer>(8).fill(anyPlace), ether(BROADCAST, stranger, filler(60))])
  const packets = [0x6558, 0x88be, 0x22eb].flatMap((protocol) =>
    Array.from({ length: 256 }, (_, flags) =>
      ether(to, stranger, ipv4Gre({ source, destination: '10.50.0.2', flags: flags << 8, protocol, data }))
    )
  )
  const count = async () => {
    const links: {
      ifname: string
      linkinfo: { info_data: { ikey?: string } }
      stats64: { rx: { packets: number } }
    }[] = JSON.parse(
      await on('host', 'ip -d -s -j link show type gretap; ip -d -s -j link show type erspan').then(joinLists)
    )
    const find = (kind: string, key: string | undefined) =>
      links.find(({ ifname, linkinfo }) => ifname.startsWith(`${kind}-`) && linkinfo.info_data.ikey === key)
    return [
      find('gretap', undefined),
      find('gretap', '16.0.0.5'),
      find('erspan', '0.0.0.5'),
      find('erspan', undefined)
    ].map((link) => link?.stats64.rx.packets ?? Number.NaN)
  }
  const before = await count()
  await lab.send(packets)
  const after = await count()
  return after.map((packets, index) => packets - (before[index] ?? 0))
}

/** Two lists of JSON in one. */
const joinLists = (text: string) => text.trim().replace(/\]\s*\[/, ',')

test('senders are chosen, and those of other tunnels stay; what somebody undoes is mended', async () => {
  await write(
    'gretap: {local: 10.50.0.2}, from: [10.50.0.9]',
    `gretap: {local: 10.50.0.2, key: ${anyPlace.readUInt32BE(0)}}, from: [10.50.0.9]`,
    'erspan: {local: 10.50.0.2, session: 5}, from: [10.50.0.9]',
    'erspan: {local: 10.50.0.2, type: 1}, from: [10.50.0.9]',
    'gretap: {local: 10.50.0.2, key: 7}',
    'erspan: {local: 10.50.0.2, session: 6}'
  )
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const heard = ['other', 'key7', 'two6', 'two9']
  expect(await heardOf(everybody)).toEqual(heard)
  const tables = await on('host', 'nft list tables inet | while read -r _ _ name; do nft list table inet $name; done')
  expect([...tables.matchAll(/counter packets ([1-9]\d*) /g)].map(([, packets]) => packets)).toEqual([
    '1',
    '1',
    '1',
    '1'
  ])
  // Whatever its header is, no packet of a stranger gets in; of a chosen sender, each that the kernel takes.
  expect(await receivedOf('10.50.0.1')).toEqual([0, 0, 0, 0])
  expect(await receivedOf('10.50.0.9')).toEqual([32, 32, 96, 32])
  await on(
    'host',
    `nft flush ruleset
for name in $(ip -o link show type erspan | sed -n 's/.*\\(erspan-[0-9a-f]*\\)@.*/\\1/p'); do ip link del dev $name; done`
  )
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  expect(await heardOf(everybody)).toEqual(heard)
})

test('an interface of somebody for the same packets stays, and is named', async () => {
  await write('erspan: {local: 10.50.0.2, session: 5}')
  await on('host', 'ip link add dev theirs type erspan local 10.50.0.2 key 5 oseq erspan_ver 2')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain(
    'erspan 10.50.0.2 session 5 already ends in the interface theirs'
  )
  await on('host', 'ip link del dev theirs')
  // Bound to an interface, the kernel has both, and prefers that one.
  await on('host', 'ip link add dev theirs type erspan local 10.50.0.2 key 5 oseq erspan_ver 1 dev ens192')
  await on('host', 'ip link set dev theirs up')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('the kernel prefers that')
  await on('host', 'ip link del dev theirs')
})

test('of somebody, an interface for one sender and one for all the rest keep what no source gets', async () => {
  await on('host', 'ip link add dev one type gretap remote 10.50.0.1; ip link set dev one up')
  await on('host', 'ip link add dev rest type gretap external; ip link set dev rest up')
  await write('gretap: {local: 10.50.0.2}')
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stderr).toContain('what 10.50.0.1 sends comes out of the interface one')
  expect(stderr).toContain('takes its packets from the interface rest')
  expect(await heardOf(['plain', 'other', 'key7'])).toEqual(['other'])
  await write('gretap: {local: 10.50.0.2, remote: 10.50.0.1}')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('would take what comes out of the interface one')
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await on('host', 'ip link del dev one; ip link del dev rest')
})

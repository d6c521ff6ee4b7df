/** Mirrors that Open vSwitch sends through a tunnel to the host of the sensors, and spans that it gets through one: with Debian's own kernel, it switches in the kernel. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { everyKind, kindsFor } from '../lab/frames/every-kind.ts'
import { exchange, hashFlows, parseSegment, startEcho } from '../lab/frames/tcp.ts'
import { type Argv, createLab, type Lab } from '../lab/lab.ts'
import { sampled } from '../lab/sampled.ts'
import {
  awaitNftables,
  expectConverged,
  expectFramesInAnyOrder,
  listenBeside,
  spanplan,
  writeSpans
} from '../lab/spans.ts'
import { switchNamespace } from '../lab/sweep.ts'
import { type OpenVSwitch, startOpenVSwitch } from '../lab/system/open-vswitch.ts'

/** Tunnels: as Open vSwitch has them, and as spanplan has them: as sources, and some as outputs. */
const tunnels = {
  VXLAN: {
    port: 'type=vxlan options:key=42',
    span: 'vxlan: {id: 42, local: 10.50.0.2}',
    output: 'vxlan: {id: 42, remote: 10.50.0.1}'
  },
  gretap: {
    port: 'type=gre options:key=7',
    span: 'gretap: {local: 10.50.0.2, key: 7}',
    output: 'gretap: {remote: 10.50.0.1, key: 7}'
  },
  'ERSPAN type II': {
    port: 'type=erspan options:key=5 options:erspan_ver=1 options:erspan_idx=9',
    span: 'erspan: {local: 10.50.0.2, session: 5}',
    output: 'erspan: {remote: 10.50.0.1, session: 5}'
  },
  'ERSPAN type III': {
    port: 'type=erspan options:key=6 options:erspan_ver=2 options:erspan_dir=1 options:erspan_hwid=4',
    span: 'erspan: {local: 10.50.0.2, session: 6, type: 3}'
  }
} as const

/** A container on the switch. */
interface Guest {
  readonly container: Docker.Container
  readonly mac: string
  readonly ip: string
  /** Starts a command in its network. */
  readonly start: Lab['start']
}

let lab: Lab
let ovs: OpenVSwitch
let suricata: Docker.Container
let zeek: Docker.Container
let client: Guest
let server: Guest

/** A container of its own network, with a cable to a port of the switch. */
async function addGuest(name: string, number: number): Promise<Guest> {
  const container = await lab.startSensor(name)
  const { State } = await container.inspect()
  const inside = ['nsenter', `--net=/proc/${State.Pid}/ns/net`, '--'] as const
  const guest = { mac: `02:00:00:00:6${number}:01`, ip: `10.60.0.${number}` }
  const peer = `address ${guest.mac} mtu 9000 netns ${State.Pid}`
  await lab.run([
    'sh',
    '-ec',
    `ip link add name ${name} mtu 9000 type veth peer name net0 ${peer}
ip link set dev ${name} netns ${switchNamespace(lab.name)}`
  ])
  await lab.run(['sh', '-ec', `ip link set dev ${name} addrgenmode none; ip link set dev ${name} up`], { on: 'switch' })
  await lab.run([
    ...inside,
    'sh',
    '-ec',
    `ip addr add ${guest.ip}/24 dev net0
ip link set dev net0 addrgenmode none
ip link set dev net0 up
ip route replace 10.60.0.0/24 dev net0 mtu lock 1500`
  ])
  await ovs.vsctl('add-port', 'ovs0', name)
  const start: Lab['start'] = (argv: Argv, options) => lab.start([...inside, ...argv], options)
  return { container, ...guest, start }
}

/** With "df_default=false", what is too large for the network is sent in fragments. */
async function addTunnel({ port }: { readonly port: string }): Promise<void> {
  const options = ['options:remote_ip=10.50.0.2', 'options:df_default=false', ...port.split(' ')]
  await ovs.vsctl('add-port', 'ovs0', 'out', '--', 'set', 'interface', 'out', ...options)
  expect(await ovs.vsctl('get', 'interface', 'out', 'error')).toBe('[]')
}

const removeTunnel = () => ovs.vsctl('del-port', 'ovs0', 'out')

/** Everything that the switch sees goes to the tunnel, too. */
const mirrorAll = () =>
  ovs.vsctl(
    ...['--id=@out', 'get', 'port', 'out', '--', '--id=@m', 'create', 'mirror', 'name=all'],
    ...['select_all=true', 'output_port=@out', '--', 'set', 'bridge', 'ovs0', 'mirrors=@m']
  )

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'tap0' }], docker: true })
  suricata = await lab.startListener('suricata')
  zeek = await lab.startListener('zeek')
  await lab.run(['ip', 'addr', 'add', '10.50.0.1/24', 'dev', 'sw0'], { on: 'switch' })
  await lab.run(['ip', 'addr', 'add', '10.50.0.2/24', 'dev', 'ens192'])
  // The machine's own modules are not where spanplan would look for them.
  const load = `for kind in 'vxlan id 1 dstport 4789' 'gretap local 10.50.0.1 remote 10.50.0.2'; do
  ip link add dev load type $kind
  ip link del dev load
done`
  await lab.run(['sh', '-ec', load], { on: 'switch' })
  ovs = await startOpenVSwitch(lab, 'switch')
  await ovs.vsctl('add-br', 'ovs0')
  client = await addGuest('client', 1)
  server = await addGuest('server', 2)
  await startEcho(server)
})
afterAll(async () => {
  await ovs?.stop()
  await lab?.close()
})

test('a mirror of all brings each frame of both ends once, byte for byte, and all of a connection, through each kind of tunnel', async () => {
  const sources = Object.values(tunnels).map(({ span }) => `{${span}}`)
  await writeSpans(lab, `spans: {span0: {sources: [${sources.join(', ')}], sensors: [suricata, zeek]}}`)
  await awaitNftables(lab)
  const { stdout } = await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const [device = ''] = /\bvxlan-[0-9a-f]{8}/.exec(stdout) ?? []
  const sent = await Promise.all([client, server].map(({ mac }) => everyKind(lab, { suricata, zeek }, mac, device)))
  const [fromClient = {}, fromServer = {}] = sent
  const all = Object.fromEntries(
    [fromClient, fromServer].flatMap((frames, index) =>
      Object.entries(frames).map(([name, frame]) => [`${name} from ${index === 0 ? 'client' : 'server'}`, frame])
    )
  )
  for (const tunnel of sampled(Object.values(tunnels), 2)) {
    await addTunnel(tunnel)
    await mirrorAll()
    const captures = await Promise.all([suricata, zeek].map((sensor) => listenBeside(lab, sensor)))
    await lab.sendFrom(client.container, 'net0', Object.values(fromClient))
    await lab.sendFrom(server.container, 'net0', Object.values(fromServer))
    for (const capture of captures) await expectFramesInAnyOrder(capture, all)

    const capture = await listenBeside(lab, zeek, { expression: 'tcp', bulk: true })
    const { sent, received } = await exchange(client, server.ip, 100_000)
    const { frames, dropped } = await capture.stop()
    const segments = frames.flatMap((frame) => parseSegment(frame) ?? [])
    expect({ received, dropped }).toEqual({ received: sent, dropped: 0 })
    expect(segments.filter(({ isRight }) => !isRight)).toEqual([])
    expect(hashFlows(segments)).toEqual([sent, sent])
    expect(Math.max(...frames.map(({ length }) => length))).toBeLessThanOrEqual(1514)
    await ovs.vsctl('clear', 'bridge', 'ovs0', 'mirrors')
    await removeTunnel()
  }
})

test('it gets each frame of a span once, byte for byte', async () => {
  const frames = kindsFor('02:00:00:00:67:01', {})
  for (const tunnel of sampled([tunnels['ERSPAN type II'], tunnels.VXLAN], 2)) {
    await addTunnel(tunnel)
    // What comes out of the tunnel goes to the server, and nothing else does.
    await ovs.vsctl(
      ...['--id=@out', 'get', 'port', 'out', '--', '--id=@server', 'get', 'port', 'server', '--', '--id=@m'],
      ...['create', 'mirror', 'name=in', 'select_src_port=@out', 'output_port=@server', '--'],
      ...['set', 'bridge', 'ovs0', 'mirrors=@m']
    )
    await writeSpans(lab, `spans: {span0: {sources: [{interface: tap0}], outputs: [{${tunnel.output}}]}}`)
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    const capture = await lab.captureBeside(server.container, 'net0', { direction: 'in' })
    await lab.send(Object.values(frames), 'sw1', 'switch')
    await expectFramesInAnyOrder(capture, frames)
    await ovs.vsctl('clear', 'bridge', 'ovs0', 'mirrors')
    await removeTunnel()
  }
  await spanplan(lab, ['destroy', '--all', '--yes'])
})

/** An interface that is dedicated to capture: its frames reach sensors and the host's packet sockets, and nothing else of the host. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { everyKind } from '../lab/frames/every-kind.ts'
import {
  arp,
  BROADCAST,
  ether,
  ipv4Syn,
  ipv4Udp,
  ipv6Udp,
  neighbourSolicitation,
  qinq,
  vlan
} from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectFrames,
  expectRestored,
  listen,
  macOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

const MANAGEMENT = { ip: '192.0.2.1', ip6: '2001:db8:1::1' }
const STRANGER = { ip: '192.0.2.2', ip6: '2001:db8:1::2', mac: '02:00:00:00:0a:01' }
const [PORT, OPEN_PORT, BESIDE] = [5000, 5001, '203.0.113.9']
const DEDICATED = 'interfaces: {ens224: {dedicated: true}}\n'
const SPAN = 'span0: {sources: [{interface: ens224, direction: both}], sensors: [suricata, zeek]}'

let lab: Lab
let sensors: { readonly suricata: Docker.Container; readonly zeek: Docker.Container }
let before: string
/** What the host's sockets have received. */
let received = ''

const run = (commands: string) => lab.run(['sh', '-ec', commands])

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  sensors = { suricata: await lab.startSensor('suricata'), zeek: await lab.startSensor('zeek') }
  await run(`
    ip addr add ${MANAGEMENT.ip}/24 dev ens192
    ip addr add ${MANAGEMENT.ip6}/64 dev ens192 nodad
    ip neigh replace ${STRANGER.ip} lladdr ${STRANGER.mac} dev ens192
    nft add table inet guard
    nft add chain inet guard input '{ type filter hook input priority 0; }'
    nft add rule inet guard input iifname ens192 udp dport != ${OPEN_PORT} drop
    nft add rule inet guard input iifname ens192 meta l4proto tcp drop
  `)
  const program = `
    require('node:net').createServer().listen(${PORT}, '::', () => console.log('TCP listens'))
    for (const port of [${PORT}, ${OPEN_PORT}]) {
      const socket = require('node:dgram').createSocket('udp6')
      socket.on('message', (message) => console.log(String(message)))
      socket.bind(port, () => console.log(port + ' listens'))
    }
  `
  const running = lab.start([process.execPath, '-e', program])
  running.stdout?.on('data', (chunk: Buffer) => {
    received += chunk.toString()
  })
  await until('all listen', async () => (received.match(/listens/g) ?? []).length === 3)
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())

/** What a stranger on the mirrored wire would send to reach the host, by what each is. */
async function makeProbes(): Promise<Record<string, Buffer>> {
  const card = await macOf(lab, 'ens224')
  const to = { source: STRANGER.ip, destination: MANAGEMENT.ip, destinationPort: PORT }
  const udp = (name: string) => ipv4Udp({ ...to, data: Buffer.from(`${name}\n`) })
  const to6 = { source: STRANGER.ip6, destination: MANAGEMENT.ip6, destinationPort: PORT }
  const ask = arp({ operation: 'request', senderMac: STRANGER.mac, senderIp: STRANGER.ip, targetIp: MANAGEMENT.ip })
  const frame = (payload: Parameters<typeof ether>[2], destination = card) => ether(destination, STRANGER.mac, payload)
  return {
    TCP: frame(ipv4Syn(to)),
    UDP: frame(udp('UDP')),
    'UDP in a broadcast': frame(udp('UDP in a broadcast'), BROADCAST),
    'UDP with a priority tag': frame(vlan(0, udp('UDP with a priority tag'), 5)),
    'UDP in a VLAN': frame(vlan(10, udp('UDP in a VLAN'))),
    'UDP in QinQ': frame(qinq(100, 10, udp('UDP in QinQ'))),
    'UDP over IPv6': frame(ipv6Udp({ ...to6, data: Buffer.from('UDP over IPv6\n') })),
    ARP: frame(ask),
    'ARP in a broadcast': frame(ask, BROADCAST),
    ND: frame(neighbourSolicitation(STRANGER.mac, STRANGER.ip6, MANAGEMENT.ip6))
  }
}

/** To where a host says which groups it listens to, by itself, seconds after it has got an address (RFC 3810, 5.2.14): no answer. */
const REPORTS = '33:33:00:00:00:16'

/** Sends all probes on the mirrored wire. */
async function probe(): Promise<{ readonly delivered: readonly string[]; readonly answered: readonly string[] }> {
  const wires = await Promise.all(
    ['sw0', 'sw1'].map((port) =>
      lab.captureLink(port, {
        direction: 'in',
        expression: `not ether src ${STRANGER.mac} and not ether dst ${REPORTS}`
      })
    )
  )
  received = ''
  await lab.send(Object.values(await makeProbes()), 'sw1')
  // By the interface that is for it, a datagram still arrives: by then, so have all before.
  const last = { source: STRANGER.ip, destination: MANAGEMENT.ip, destinationPort: OPEN_PORT }
  await lab.send([
    ether(await macOf(lab, 'ens192'), STRANGER.mac, ipv4Udp({ ...last, data: Buffer.from('the last\n') }))
  ])
  await until('the last arrives', async () => received.includes('the last'))
  const answers = await Promise.all(wires.map((capture) => capture.stop()))
  return {
    delivered: received.split('\n').filter((line) => line !== '' && line !== 'the last'),
    answered: answers.flatMap(({ frames }) => frames.map((frame) => frame.toString('hex')))
  }
}

describe('of a dedicated interface', () => {
  beforeAll(async () => {
    await writeSpans(lab, `${DEDICATED}spans: {${SPAN}}`)
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
  })

  test('no frame reaches the host, or is answered, on any wire', async () => {
    expect(await probe()).toEqual({ delivered: [], answered: [] })
  })

  test("sensors, and a packet socket of the host's, get every kind of frame", async () => {
    const frames = { ...(await everyKind(lab, sensors, STRANGER.mac, 'ens224')), ...(await makeProbes()) }
    const inside = await Promise.all(Object.values(sensors).map((sensor) => listen(lab, sensor)))
    const own = await lab.captureLink('ens224', { direction: 'in' })
    await lab.send(Object.values(frames), 'sw1')
    for (const capture of [...inside, own]) await expectFrames(capture, frames)
  })

  test('what the host sends out of it is copied, and does not leave', async () => {
    const [wire, tap] = [await lab.captureLink('sw1', { direction: 'in' }), await listen(lab, sensors.zeek)]
    await run(`ip route add ${BESIDE} dev ens224 src ${MANAGEMENT.ip}`)
    const send = `require('node:dgram').createSocket('udp4').send('out', ${PORT}, '${BESIDE}', () => process.exit())`
    await lab.run([process.execPath, '-e', send])
    await run(`ip route del ${BESIDE} dev ens224`)
    const { frames } = await tap.stop({ count: 1 })
    expect(frames.map((frame) => frame.toString('latin1', frame.length - 3))).toEqual(['out'])
    expect((await wire.stop()).frames).toEqual([])
  })

  test('that two spans share, and one leaves, it stays closed', async () => {
    const second = 'span1: {sources: [{interface: ens224, direction: both}]}'
    await writeSpans(lab, `${DEDICATED}spans: {${SPAN}, ${second}}`)
    await spanplan(lab, ['apply'])
    await writeSpans(lab, `${DEDICATED}spans: {${second}}`)
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await probe()).toEqual({ delivered: [], answered: [] })
  })

  test('whose filters are all that is left, destroy opens it', async () => {
    await run('ip link del span1; tc filter del dev ens224 ingress pref 8; tc filter del dev ens224 egress pref 8')
    const { stdout } = await spanplan(lab, ['destroy', '--yes'])
    expect(stdout).toMatch(/ens224 +the host receives: no → yes, the host sends: no → yes/)
    expect(await run('tc filter show dev ens224 ingress; tc filter show dev ens224 egress')).toBe('')
  })
})

describe('beside others', () => {
  beforeAll(async () => {
    // What the lost marks knew, an administrator sets.
    await run('tc qdisc del dev ens224 clsact; ip link set dev ens224 promisc off arp on')
    await run('sysctl -q -w net.ipv6.conf.ens224.disable_ipv6=0')
  })

  test('with an interface on top, it stays open, and the plan says so; without it, it is closed', async () => {
    await run('ip link add name top0 link ens224 type macvlan')
    await writeSpans(lab, `${DEDICATED}spans: {${SPAN}}`)
    const { stdout, stderr } = await spanplan(lab, ['apply'])
    expect(stderr).toContain('ens224 is dedicated to capture, but stays open to the host: top0 gets its frames')
    expect(stdout).not.toContain('the host receives')
    await run('ip link del top0')
    const above = await lab.docker.createNetwork({ Name: 'above', Driver: 'macvlan', Options: { parent: 'ens224' } })
    expect((await spanplan(lab, ['plan', '--detailed-exitcode'])).stderr).toContain('the Docker network above gets its')
    await above.remove()
    expect((await spanplan(lab, ['plan', '--defer-docker'])).stdout).not.toContain('the host receives')
    expect((await spanplan(lab, ['apply'])).stdout).toContain('the host receives: yes → no, the host sends: yes → no')
    await expectConverged(lab)
  })

  test("a filter of somebody's in the same place stays: that hook is open, and the plan says so", async () => {
    const foreign = `filter add dev ens224 ingress protocol ip pref 65535 bpf da bytecode '1,6 0 0 0'`
    await spanplan(lab, ['destroy', '--yes'])
    await run(`tc qdisc add dev ens224 clsact; tc ${foreign}`)
    const { stdout, stderr } = await spanplan(lab, ['apply'])
    expect(stderr).toMatch(/ens224 is dedicated .* its ingress has a filter at preference 65535, which the one that/)
    expect(stdout).toMatch(/interface +ens224 .*the host sends: yes → no/)
    expect(stdout).not.toContain('the host receives')
    await spanplan(lab, ['destroy', '--yes'])
    expect(await run('tc filter show dev ens224 ingress')).toContain('protocol ip pref 65535')
    await run('tc qdisc del dev ens224 clsact')
  })

  test('a filter that lets frames in before ours is told', async () => {
    await run('tc qdisc add dev ens224 clsact')
    await run("tc filter add dev ens224 ingress protocol ip pref 20 bpf da bytecode '1,6 0 0 0'")
    const { stderr } = await spanplan(lab, ['apply'])
    expect(stderr).toMatch(/its ingress has a filter at preference 20: .*; what it lets in reaches the host/)
    await expectConverged(lab)
    await run('tc filter del dev ens224 ingress pref 20')
  })

  test('when it is no longer dedicated, the host receives again; destroy leaves nothing', async () => {
    await writeSpans(lab, `spans: {${SPAN}}`)
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    expect((await probe()).delivered).toEqual(expect.arrayContaining(['UDP', 'UDP in a broadcast']))
    await spanplan(lab, ['destroy', '--yes'])
    await run('tc qdisc del dev ens224 clsact')
    await expectRestored(lab, before)
  })
})

/** `spanplan probe` on a real kernel and a real Docker: who gets what is sent into a span, and why somebody does not. */
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { probeDocument } from '../../src/probe/output/probe-json.ts'
import { startCapture } from '../lab/commands/capture.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { runnersOf } from '../lab/restored.ts'
import { expectRefusal, findTap, interfacesOf, listen, portOf, spanplan, writeSpans } from '../lab/spans.ts'
import { findProcesses } from '../lab/sweep.ts'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container
let web: Docker.Container

const { onHost, onSwitch } = runnersOf(() => lab)

beforeAll(async () => {
  lab = await createLab({
    cables: [
      { card: 'ens192', mtu: 9000 },
      { card: 'ens224', mtu: 9000 }
    ],
    docker: true
  })
  await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
  suricata = await lab.startListener('suricata')
  zeek = await lab.startListener('zeek')
  web = await lab.startSensor('web', { NetworkMode: 'shop' })
})
afterAll(() => lab?.close())

beforeEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
})

const both = 'suricata, zeek'

/** Writes the file, and applies it. */
async function apply({ sources = 'interface: ens192', sensors = both, outputs = '' } = {}): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{${sources}}], sensors: [${sensors}], outputs: [${outputs}]}}`)
  await spanplan(lab, ['apply', '--yes'])
}

/** What a probe says as JSON; its exit status says the same. */
async function probe(...args: readonly string[]) {
  const { stdout, stderr, exitCode } = await lab.spanplan(['probe', '--json', ...args])
  const { spans, passed }: ReturnType<typeof probeDocument> = JSON.parse(stdout)
  expect(exitCode, stderr).toBe(passed ? 0 : 2)
  const [span] = spans
  if (span === undefined) throw new Error('no span')
  return { ...span, one: (name: string) => span.receivers.find((receiver) => receiver.name === name) }
}

type Receiver = Awaited<ReturnType<typeof probe>>['receivers'][number]

/** How a receiver is, and for each way what came of each size. */
const brief = (receiver: Receiver | undefined) =>
  receiver && [
    receiver.state,
    ...receiver.ways.map(
      ({ sent, frames }) => `${sent}: ${frames.map(({ size, state }) => `${size} ${state}`).join(', ')}`
    )
  ]

/** A filter of every frame at a hook, which comes first. */
const filterAt = (device: string, hook: string, ...action: readonly string[]) =>
  [
    ...(['tc', 'filter', 'add', 'dev', device, hook, 'pref', '1', 'protocol', 'all', 'bpf'] as const),
    ...[
      ...(action.length > 0 ? [] : ['da']),
      'bytecode',
      action.length > 0 ? '1,6 0 0 4294967295' : '1,6 0 0 2',
      ...action
    ]
  ] as const

/** Something drops all that leaves by a port (TC_ACT_SHOT). */
const dropAt = (port: string) => lab.run(filterAt(port, 'egress'))

const isPerl = (pid: number) => readFileSync(`/proc/${pid}/status`, 'utf8').startsWith('Name:\tperl\n')

const all = 'bridge: 60 received, 1514 received, 9014 received'

test('each port gets every size, and nothing on the host changes', async () => {
  await apply({ outputs: '{interface: ens224}' })
  const before = await lab.snapshotText()
  const [inside, outside] = await Promise.all([
    listen(lab, suricata, { expression: 'ether proto 0x88b5' }),
    lab.captureLink('sw1', { expression: 'ether proto 0x88b5' })
  ])
  const result = await probe()
  for (const name of ['suricata', 'zeek', 'ens224']) expect(brief(result.one(name))).toEqual(['received', all])
  expect(result.one('suricata')?.interface).toBe(await portOf(lab, suricata))
  const times = result.receivers.flatMap(({ ways }) => ways.flatMap(({ frames }) => frames))
  expect(times.every(({ microseconds, copies }) => microseconds !== null && copies === 1)).toBe(true)
  // What was seen at the port is what the sensor, and whoever is on the cable of an output, gets.
  for (const capture of [inside, outside]) {
    const { frames } = await capture.stop({ count: 3 })
    expect(frames.map(({ length }) => length)).toEqual([60, 1514, 9014])
    expect(new Set(frames.map((frame) => frame.subarray(0, 30).toString('hex'))).size).toBe(1)
    expect(frames[0]?.subarray(0, 14).toString('hex')).toBe('067370616e02067370616e0188b5')
  }
  expect(await lab.snapshotText()).toBe(before)
  expect(findProcesses(lab.name).filter(isPerl)).toEqual([])
  const { stdout } = await spanplan(lab, ['probe', 'span0'])
  expect(stdout).toMatch(/^span0: all 3 ports got every frame\.\n\nspan0\n {2}got {5}sensor {2}suricata \(veth/)
})

test('two probes differ: what one has seen, nobody can send in the next', async () => {
  await apply()
  const capture = await listen(lab, suricata, { expression: 'ether proto 0x88b5' })
  await probe()
  await probe()
  const { frames } = await capture.stop({ count: 6 })
  expect(new Set(frames.map((frame) => frame.subarray(14, 30).toString('hex'))).size).toBe(2)
})

describe('a port that does not get it', () => {
  test('of a smaller MTU: only what is larger', async () => {
    await apply()
    const port = await portOf(lab, zeek)
    await onHost(`ip link set dev ${port} mtu 1400`)
    const result = await probe()
    expect(brief(result.one('suricata'))).toEqual(['received', all])
    expect(brief(result.one('zeek'))).toEqual(['missed', 'bridge: 60 received, 1514 missed, 9014 missed'])
    expect(result.one('zeek')?.ways[0]?.problem).toMatchObject({
      code: 'PROBE_MISSED',
      message: `zeek (${port}) did not get the frames of 1514 and 9014 bytes, sent into span0: the MTU of ${port} is 1400`,
      hint: 'the span differs from the file by 1 change: spanplan plan'
    })
    const { stdout } = await spanplan(lab, ['probe'], 2)
    expect(stdout).toMatch(/^span0: 1 of 2 ports did not get every frame\.\n/)
    expect(stdout).toContain('missed  sensor  zeek')
  })

  test('of a smaller MTU in its container: it is told that frames were dropped there', async () => {
    await apply()
    const { name, port } = await findTap(lab, zeek)
    const { State } = await zeek.inspect()
    const setMtu = (mtu: number) => onHost(`nsenter --net=/proc/${State.Pid}/ns/net ip link set dev ${name} mtu ${mtu}`)
    await setMtu(1400)
    const result = await probe()
    expect(brief(result.one('zeek'))).toEqual(['received', all])
    expect(result.one('zeek')?.health).toMatchObject({
      code: 'FRAMES_LOST',
      message: `meanwhile 2 frames came to the other end of ${port}, and zeek dropped them there`
    })
    expect(result.one('suricata')?.health).toBe(null)
    await setMtu(9000)
    expect((await probe()).one('zeek')?.health).toBe(null)
  })

  test('where something drops frames as they leave', async () => {
    await apply()
    const port = await portOf(lab, zeek)
    await dropAt(port)
    const result = await probe()
    expect(brief(result.one('suricata'))).toEqual(['received', all])
    expect(brief(result.one('zeek'))).toEqual(['missed', 'bridge: 60 missed, 1514 missed, 9014 missed'])
    expect(result.one('zeek')?.ways[0]?.problem).toMatchObject({
      message: expect.stringContaining(`bytes, sent into span0: ${port} egress has a filter at preference 1`),
      hint: `look at it with: tc filter show dev ${port} egress`
    })
    await onHost(`tc filter del dev ${port} egress pref 1`)
    expect(brief((await probe()).one('zeek'))).toEqual(['received', all])
  })

  test('where something changes frames as they leave, or doubles them', async () => {
    await apply()
    const [changing, doubling] = await Promise.all([portOf(lab, zeek), portOf(lab, suricata)])
    const chain = `chain changing { type filter hook egress device ${changing} priority 0; @ll,320,8 set 0xee; }`
    await lab.run(['nft', `table netdev foreign { ${chain}; }`])
    await lab.run(filterAt('span0', 'egress', 'action', 'mirred', 'egress', 'mirror', 'dev', doubling))
    const result = await probe()
    expect(brief(result.one('zeek'))).toEqual(['missed', 'bridge: 60 changed, 1514 changed, 9014 changed'])
    expect(result.one('zeek')?.ways[0]?.problem?.message).toMatch(
      /^zeek .* got the frames of 60, 1514 and 9014 bytes changed, /
    )
    expect(result.one('suricata')?.ways[0]?.frames.map(({ copies }) => copies)).toEqual([2, 2, 2])
    expect((await spanplan(lab, ['probe'], 2)).stdout).toContain(' bytes, twice\n')
    await onHost('nft delete table netdev foreign')
    await onHost('tc filter del dev span0 egress pref 1')
  })

  test('where the bridge hands it nothing', async () => {
    await apply()
    await onHost(`bridge link set dev ${await portOf(lab, zeek)} flood off mcast_flood off bcast_flood off`)
    const result = await probe()
    expect(brief(result.one('zeek'))?.[0]).toBe('missed')
    expect(brief(result.one('suricata'))).toEqual(['received', all])
  })

  test('where its container has set its interface down', async () => {
    await apply()
    const { name } = await findTap(lab, zeek)
    const { State } = await zeek.inspect()
    await onHost(`nsenter --net=/proc/${State.Pid}/ns/net ip link set dev ${name} down`)
    const result = await probe()
    expect(result.one('zeek')).toMatchObject({ state: 'absent', reason: 'has no carrier' })
    expect(result.one('zeek')?.health?.code).toBe('SENSOR_INTERFACE')
    await onHost(`nsenter --net=/proc/${State.Pid}/ns/net ip link set dev ${name} up`)
  })
})

describe('a sensor that is not as it should be', () => {
  test('stopped, or not there: it has no port', async () => {
    await apply({ sensors: `${both}, snort` })
    await zeek.stop({ t: 0 })
    const result = await probe()
    expect(result.one('zeek')).toMatchObject({ state: 'absent', ways: [], health: { code: 'SENSOR_STOPPED' } })
    expect(result.one('snort')).toMatchObject({ state: 'absent', reason: 'has no port', interface: null })
    expect(brief(result.one('suricata'))).toEqual(['received', all])
    const { stdout } = await spanplan(lab, ['probe'], 2)
    expect(stdout).toMatch(/\n {2}absent {2}sensor {2}snort +has no port\n {10}! .*snort/)
    await zeek.start()
  })

  test('paused: its port gets the frames, and it is told that nobody reads them', async () => {
    await apply()
    await zeek.pause()
    const result = await probe()
    expect(brief(result.one('zeek'))).toEqual(['received', all])
    expect(result.one('zeek')?.health?.code).toBe('SENSOR_PAUSED')
    await zeek.unpause()
  })

  test('it sends everything back: what comes from it does not count, and reaches nobody', async () => {
    await apply()
    const { State } = await zeek.inspect()
    const { name, port } = await findTap(lab, zeek)
    const enter = ['nsenter', `--net=/proc/${State.Pid}/ns/net`, '--'] as const
    const back = ['action', 'mirred', 'egress', 'redirect', 'dev', name]
    await lab.run([...enter, ...filterAt(name, 'ingress', ...back)])
    expect((await probe()).receivers.map(brief)).toEqual([
      ['received', all],
      ['received', all]
    ])
    // Also where none comes to it by its port: then it has nothing that it could send back.
    await dropAt(port)
    expect(brief((await probe()).one('zeek'))?.[0]).toBe('missed')
    await lab.run([...enter, 'tc', 'filter', 'del', 'dev', name, 'ingress', 'pref', '1'])
  })
})

describe('who gets a part', () => {
  test('frames go straight to the port, and that is said', async () => {
    await apply({
      sensors: 'suricata, {container: zeek, filter: tcp port 80}',
      outputs: '{interface: ens224, filter: udp}'
    })
    const result = await probe()
    const straight = 'port: 60 received, 1514 received, 9014 received'
    expect(result.receivers.map(brief)).toEqual([
      ['received', all],
      ['received', straight],
      ['received', straight]
    ])
    const { stdout } = await spanplan(lab, ['probe'])
    expect(stdout).toContain('straight to its port: no filter was asked\n')
    const port = await portOf(lab, zeek)
    await dropAt(port)
    expect(brief((await probe()).one('zeek'))?.[0]).toBe('missed')
  })

  test('all of them: nothing is sent into the bridge', async () => {
    await apply({ sensors: '{balance: [suricata, zeek]}' })
    const capture = await listen(lab, suricata, { expression: 'ether proto 0x88b5' })
    expect((await probe()).receivers.map((one) => one.ways.map(({ sent }) => sent))).toEqual([['port'], ['port']])
    expect((await capture.stop({ count: 3 })).frames).toHaveLength(3)
    await zeek.pause()
    const result = await probe()
    expect(result.one('suricata')?.state).toBe('received')
    expect(result.one('zeek')?.state).not.toBe('missed')
    await zeek.unpause()
  })

  test('a tunnel: frames go into it', async () => {
    await onHost('ip address add 192.0.2.1/24 dev ens224')
    await onSwitch('ip address add 192.0.2.2/24 dev sw1')
    await apply({ outputs: '{vxlan: {id: 42, remote: 192.0.2.2}}' })
    const capture = await lab.captureLink('sw1', { expression: 'udp dst port 4789 and greater 100' })
    const [output] = (await probe()).receivers.filter(({ kind }) => kind === 'output')
    expect(brief(output)?.[0]).toBe('received')
    expect(output?.ways.map(({ sent }) => sent)).toEqual(['port'])
    expect((await capture.stop({ count: 2 })).frames.length).toBeGreaterThanOrEqual(2)
    await spanplan(lab, ['destroy', '--all', '--yes'])
    await onHost('ip address del 192.0.2.1/24 dev ens224')
    await onSwitch('ip address del 192.0.2.2/24 dev sw1')
  })
})

describe('through the mirror of a container', () => {
  const mirror = 'mirror: 60 received, 1514 received'

  test('what is sent to it comes to the sensors', async () => {
    await apply({ sources: 'container: web' })
    const [own] = await interfacesOf(web)
    const capture = await lab.capture(web, own?.name ?? '', { expression: 'ether proto 0x88b5' })
    const result = await probe()
    expect(brief(result.one('suricata'))).toEqual(['received', 'bridge: 60 received, 1514 received', mirror])
    expect(result.one('suricata')?.ways[1]).toMatchObject({ source: 'web (shop)' })
    // The container gets it too.
    expect((await capture.stop({ count: 2 })).frames.map(({ length }) => length)).toEqual([60, 1514])
  })

  test('a mirror that is gone is found, though the ports get what is sent into the bridge', async () => {
    await apply({ sources: 'container: web' })
    const [own] = await interfacesOf(web)
    const links: { ifindex: number; ifname: string }[] = JSON.parse(await onHost('ip -json link'))
    const device = links.find(({ ifindex }) => ifindex === own?.peer)?.ifname
    await onHost(`tc filter del dev ${device} egress`)
    const result = await probe()
    expect(brief(result.one('zeek'))).toEqual([
      'missed',
      'bridge: 60 received, 1514 received',
      'mirror: 60 missed, 1514 missed'
    ])
    expect(result.one('zeek')?.ways[1]?.problem?.message).toMatch(
      /^zeek .* any frame of 60 and 1514 bytes, sent to web \(shop\) and mirrored from there into span0$/
    )
  })

  test('filters are run on the frame: only who would get it is to have it', async () => {
    await apply({
      sources: "container: web, filter: 'not ip'",
      sensors: "{container: suricata, filter: 'ether proto 0x88b5'}, {container: zeek, filter: tcp}"
    })
    const result = await probe()
    const straight = 'port: 60 received, 1514 received'
    expect(brief(result.one('suricata'))).toEqual(['received', straight, mirror])
    expect(brief(result.one('zeek'))).toEqual(['received', straight])
  })

  test.each([
    ["filter: 'tcp port 80'", 'its filters take no such frame'],
    ['sample: 1/10', 'it takes a sample'],
    ['max_idle: 5m', 'it has a max_idle, and the frames would count as its own']
  ])('not where its frames may not tell: %s', async (field, reason) => {
    await apply({ sources: `container: web, ${field}` })
    const result = await probe()
    expect(result.unasked).toEqual([{ source: 'web (shop)', reason }])
    expect(result.passed).toBe(true)
    expect((await spanplan(lab, ['probe'])).stdout).toContain('not sent through the mirror of web')
  })
})

describe('where a probe shows nothing, that is said', () => {
  test('a span that is not on the host', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}')
    const refused = await expectRefusal(lab, ['probe', 'span0'])
    expect(refused).toMatch(
      /^error: span0 is in the file, but not on this host yet: .*\n {2}create it first: spanplan apply\n$/
    )
    const result = await probe()
    expect(result).toMatchObject({ passed: null, problem: { code: 'SPAN_NOT_LIVE' }, receivers: [] })
    expect((await spanplan(lab, ['probe'], 2)).stdout).toMatch(/^span0: nothing was sent\./)
  })

  test('a span that nobody knows', async () => {
    await apply()
    expect(await expectRefusal(lab, ['probe', 'span1'], 64)).toMatch(/^error: span1: neither the file nor this host/)
  })

  test('a span that is live, and not in this file', async () => {
    await apply()
    const file = join(lab.files, 'other.yaml')
    await writeFile(file, 'version: 1\nspans: {span9: {sources: [{interface: ens192}]}}\n')
    const refused = await expectRefusal(lab, ['probe', '-f', file, 'span0'], 64)
    expect(refused).toMatch(/^error: span0 is live on this host, but not in the file: /)
    await rm(file)
  })

  test.each([
    ['is invalid', 'spans: {span0: {sorces: []}}'],
    ['is not there', null]
  ])('where the file %s, nothing is sent to what is live', async (_, text) => {
    await apply()
    const file = join(lab.files, 'broken.yaml')
    if (text !== null) await writeFile(file, `version: 1\n${text}\n`)
    const capture = await lab.captureLink('span0', { expression: 'ether proto 0x88b5' })
    const { stdout, stderr } = await spanplan(lab, ['probe', '-f', file], 65)
    expect(stdout).toBe('')
    expect(stderr).toContain('error: ')
    expect((await capture.stop({ seconds: 0 })).frames).toEqual([])
    await rm(file, { force: true })
  })

  test('outputs that wait, and one that somebody has taken off the bridge', async () => {
    await apply({ outputs: '{interface: ens224}' })
    await onHost('ip link set dev ens224 nomaster')
    const detached = await probe()
    expect(detached.one('ens224')).toMatchObject({ state: 'absent', reason: 'is no port of the bridge' })
    await onHost('ip link set dev ens224 master span0')
    await apply({ outputs: '{vxlan: {id: 42, remote: 203.0.113.9}}' })
    const outputs = '{vxlan: {id: 42, remote: 203.0.113.9}}, {interface: ens999}'
    await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], sensors: [${both}], outputs: [${outputs}]}}`)
    const waiting = (await probe()).receivers.filter(({ kind }) => kind === 'output')
    expect(waiting.map(({ state, health }) => [state, health?.message])).toEqual([
      ['absent', expect.stringMatching(/ waits for a route to 203\.0\.113\.9$/)],
      ['absent', 'ens999 waits for the interface ens999']
    ])
    expect((await spanplan(lab, ['probe'], 2)).stdout).toMatch(
      /\n {2}absent {2}output {2}ens999 .*\n {10}! ens999 waits for/
    )
  })

  test('hints name the file', async () => {
    const file = join(lab.files, 'named.yaml')
    await writeFile(file, 'version: 1\nspans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}\n')
    const { stdout } = await spanplan(lab, ['probe', '-f', file], 2)
    expect(stdout).toContain(`create it first: spanplan apply -f ${file}\n`)
    await rm(file)
  })

  test('a span that is paused is probed as it is', async () => {
    await apply()
    await spanplan(lab, ['pause', 'span0', '--for', '1h'])
    const result = await probe()
    expect(result.paused_until).not.toBe(null)
    expect(brief(result.one('zeek'))).toEqual(['received', all])
    expect((await spanplan(lab, ['probe'])).stdout).toContain('the span is paused until')
    await spanplan(lab, ['resume'])
  })

  test('without Docker, ports are named by their interfaces', async () => {
    await apply()
    const env = { DOCKER_HOST: 'unix:///nowhere.sock' }
    const { stdout, exitCode } = await lab.spanplan(['probe', '--json'], { env })
    const { spans }: ReturnType<typeof probeDocument> = JSON.parse(stdout)
    const ports = spans[0]?.receivers.filter(({ kind }) => kind === 'port') ?? []
    expect(ports.map(brief)).toEqual([
      ['received', all],
      ['received', all]
    ])
    const sensors = spans[0]?.receivers.filter(({ kind }) => kind === 'sensor') ?? []
    expect(sensors.map(({ state, reason }) => [state, reason])).toEqual(
      Array.from({ length: 2 }, () => [
        'absent',
        expect.stringMatching(/^which port is its is not known: Docker is not reachable at unix:/)
      ])
    )
    expect(exitCode).toBe(2)
    expect((await spanplan(lab, ['probe'], 2, { env })).stderr).toMatch(/^warning: Docker is not reachable at /)
  })

  test('where nobody may run perl, it does not say that perl has to be installed', async () => {
    await apply()
    const hide = ['/usr/bin', '/bin'].map((place) => `mount --bind /dev/null ${place}/perl`).join('; ')
    const through = ['unshare', '--mount', 'sh', '-c', `${hide}; exec "$@"`, 'sh']
    const { stderr } = await spanplan(lab, ['probe'], 1, { through })
    expect(stderr).toMatch(
      /^error: the program perl cannot be run: permission denied\n {2}see who may run it: ls -lL "\$\(command -v perl\)"\n$/
    )
  })

  test('without the right to raw sockets', async () => {
    await apply()
    const through = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw', '--']
    const { stderr } = await spanplan(lab, ['probe'], 77, { through })
    expect(stderr).toContain('CAP_NET_RAW')
  })

  test('whoever sets PERL5OPT and PERL5LIB adds no code', async () => {
    await apply()
    const file = join(lab.files, 'Evil.pm')
    await writeFile(file, 'open my $f, ">", "/tmp/evil"; die "evil code runs";')
    const env = { PERL5OPT: '-MEvil', PERL5LIB: lab.files }
    await spanplan(lab, ['probe'], 0, { env })
  })
})

test('a container that another span copies from, with a max_idle there', async () => {
  const other = 'span1: {sources: [{container: web, max_idle: 5m}], sensors: [zeek]}'
  await writeSpans(lab, `spans: {span0: {sources: [{container: web}], sensors: [suricata]}, ${other}}`)
  await spanplan(lab, ['apply', '--yes'])
  const { unasked } = await probe('span0')
  expect(unasked).toEqual([{ source: 'web (shop)', reason: 'span1 copies from it too, and has a max_idle there' }])
  // A file that does not have the other one knows its mirrors alone.
  await writeSpans(lab, 'spans: {span0: {sources: [{container: web}], sensors: [suricata]}}')
  const reason = 'span1 copies from it too, which is not in this file'
  expect((await probe()).unasked).toEqual([{ source: 'web (shop)', reason }])
})

test('of more ports than one process looks at, each gets it once', async () => {
  await apply()
  const ports = Array.from({ length: 205 }, (_, index) => `more${index}`)
  const commands = ports.flatMap((name, index) => [
    `link add ${name} mtu 9000 type veth peer name peer${index} mtu 9000`,
    `link set dev peer${index} addrgenmode none up`,
    `link set dev ${name} addrgenmode none master span0 up`
  ])
  await lab.run(['ip', '-batch', '-'], { input: `${commands.join('\n')}\n` })
  const { receivers } = await probe()
  const more = receivers.filter(({ name }) => name.startsWith('more'))
  expect(more).toHaveLength(205)
  expect(new Set(more.map((one) => brief(one)?.join()))).toEqual(new Set([`received,${all}`]))
  expect(
    new Set(receivers.flatMap(({ ways }) => ways.flatMap(({ frames }) => frames.map(({ copies }) => copies))))
  ).toEqual(new Set([1]))
  await lab.run(['ip', '-batch', '-'], { input: ports.map((name) => `link del dev ${name}\n`).join('') })
})

test('a Docker network as a source: what is sent to a container comes as its mirrors have it', async () => {
  await apply({ sources: 'network: shop' })
  const result = await probe()
  expect(result.one('suricata')?.state).toBe('received')
  expect(result.one('zeek')?.state).toBe('received')
})

test('the frames of a capture that goes on meanwhile do not count, nor its port', async () => {
  await apply()
  await using capture = await startCapture(lab)
  expect((await probe()).receivers.map(({ name }) => name)).toEqual(['suricata', 'zeek'])
  expect(await capture.end('SIGINT')).toBe(0)
})

/** Sensors that share a span: each frame arrives at one of them, whatever becomes of the others. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCapture } from '../lab/commands/capture.ts'
import { betweenSamples } from '../lab/commands/status.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { arp, BROADCAST, ether, filler, ipv4Udp, ipv6Udp, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { restoreAfterEach, runnersOf } from '../lab/restored.ts'
import { expectConverged, findTap, portOf, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let zeek: Docker.Container
let members: readonly Docker.Container[]

const { onHost } = runnersOf(() => lab)

beforeAll(async () => {
  lab = await createLab({
    cables: [
      { card: 'ens192', mtu: 1500 },
      { card: 'ens224', mtu: 1500 }
    ],
    docker: true
  })
  zeek = await lab.startListener('zeek')
  members = await Promise.all([1, 2, 3, 4].map((number) => lab.startListener(`suri-${number}`)))
})
afterAll(() => lab?.close())

restoreAfterEach(() => lab)

const names = ['suri-1', 'suri-2', 'suri-3', 'suri-4']
const write = (sensors: string) =>
  writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [${sensors}]}}`)
const balanced = `{balance: [${names.join(', ')}]}`

const [one, other] = ['02:00:00:00:0b:01', '02:00:00:00:0b:02']

/** Both directions of flows between hosts of two networks, over IPv4, IPv6, and behind a tag. */
function makeFlows(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const [low, high] = [index % 250, Math.floor(index / 250)]
    const v4 = [`10.1.${high}.${low + 1}`, `192.0.2.${(index % 7) + 1}`] as const
    const v6 = [`2001:db8:1::${(index + 1).toString(16)}`, `2001:db8:2::${(index % 5) + 1}`] as const
    return [v4, v4.toReversed()]
      .flatMap(([source = '', destination = '']) => {
        const packet = ipv4Udp({ source, destination, destinationPort: 53, data: Buffer.alloc(20, index) })
        return [ether(other, one, packet), ether(other, one, vlan(7, packet))]
      })
      .concat(
        [v6, v6.toReversed()].map(([source = '', destination = '']) =>
          ether(other, one, ipv6Udp({ source, destination, destinationPort: 53, data: Buffer.alloc(20, index) }))
        )
      )
  }).flat()
}

const others = [
  ether(
    BROADCAST,
    one,
    arp({ operation: 'request', senderMac: one, senderIp: '10.1.0.1', targetMac: other, targetIp: '10.1.0.2' })
  ),
  ether(other, one, filler(100))
]

/** What each sensor hears of these frames. */
async function hear(sensors: readonly Docker.Container[], frames: readonly Buffer[]): Promise<string[][]> {
  const captures = await Promise.all(
    sensors.map(async (sensor) => lab.captureBeside(sensor, (await findTap(lab, sensor)).name, { direction: 'in' }))
  )
  await lab.send(frames)
  const countHeard = () => captures.reduce((sum, capture) => sum + capture.frames.length, 0)
  await until('they are heard', async () => countHeard() >= frames.length)
  const heard = await Promise.all(captures.map((capture) => capture.stop()))
  return heard.map((all) => all.frames.map((frame) => frame.toString('hex')))
}

test('each frame arrives at one of the four, both directions of a flow at the same; what is not IP at the first', async () => {
  await write(balanced)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const flows = makeFlows(100)
  const heard = await hear(members, [...flows, ...others])
  expect(heard.flat().sort()).toEqual([...flows, ...others].map((frame) => frame.toString('hex')).sort())
  for (const frame of others) expect(heard[0]).toContain(frame.toString('hex'))
  // Each flow is six frames: of IPv4 two without and two with a tag, and of IPv6 two.
  const memberOf = (frame: Buffer | undefined) => heard.findIndex((all) => all.includes(frame?.toString('hex') ?? ''))
  for (let index = 0; index < flows.length; index += 6) {
    const [there, tagged, back, taggedBack, six, sixBack] = flows.slice(index, index + 6).map(memberOf)
    expect([tagged, back, taggedBack]).toEqual([there, there, there])
    expect(sixBack).toBe(six)
  }
  for (const all of heard) expect(all.length).toBeGreaterThan(flows.length / 8)
  const { stdout } = await spanplan(lab, ['import'])
  await writeFile(join(lab.files, 'imported.yaml'), stdout)
  await spanplan(lab, ['plan', '-f', 'imported.yaml', '--detailed-exitcode'])
  expect((await spanplan(lab, ['status'])).stdout.match(/share 25 %/g)).toHaveLength(4)
  // What two hosts say to each other goes to one of the four.
  const pair = Array.from({ length: 2000 }, () => flows[0] ?? Buffer.alloc(60))
  const heavy = await betweenSamples(
    lab,
    (options) => lab.spanplan(['status', '--json'], options),
    () => lab.send(pair)
  )
  expect(heavy.stderr + heavy.stdout).toContain(
    'got 100 % of the frames, with a share of 25 %: one pair of hosts may be'
  )
})

test('each flag of flooding alone, set by hand at the port of a member, is seen and set back', async () => {
  await write(balanced)
  await spanplan(lab, ['apply', '--yes'])
  const port = await portOf(lab, members[0] ?? zeek)
  for (const flag of ['flood', 'mcast_flood', 'bcast_flood']) {
    await onHost(`bridge link set dev ${port} ${flag} on`)
    expect((await lab.spanplan(['plan'])).stdout).toContain('flooding: partly → off')
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await onHost(`bridge -d link show dev ${port}`)).toContain(` ${flag} off`)
  }
})

test('what all members got is what the mirrors copied', async () => {
  await write(balanced)
  await spanplan(lab, ['apply', '--yes'])
  const frames = makeFlows(50)
  const { stdout } = await betweenSamples(
    lab,
    (options) => lab.spanplan(['status', '--json'], options),
    () => lab.send(frames)
  )
  const hops: { readonly kind: string; readonly frames: number | null }[] = JSON.parse(stdout).spans[0].hops
  const count = (kind: string) => hops.reduce((sum, hop) => sum + (hop.kind === kind ? (hop.frames ?? 0) : 0), 0)
  expect([count('mirror'), count('port'), count('sensor')]).toEqual([frames.length, frames.length, frames.length])
})

test('wire: false has the ports of members hand on merged frames, and true cuts them again', async () => {
  const merges = async () => {
    const port = await portOf(lab, members[0] ?? zeek)
    return (await onHost(`ethtool -k ${port}`)).includes('generic-segmentation-offload: on')
  }
  for (const wire of [true, false, true]) {
    const span = `{sources: [{interface: ens192}], network: span, wire: ${wire}, sensors: [${balanced}]}`
    await writeSpans(lab, `spans: {span0: ${span}}`)
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    expect(await merges()).toBe(!wire)
  }
})

test('a capture says that it shows more than anybody gets, where all get a part', async () => {
  await write(balanced)
  await spanplan(lab, ['apply', '--yes'])
  await using capture = await startCapture(lab, ['--write', '-'])
  expect(capture.told).toMatch(/^span0: all who get frames get a part of them; this shows all that its sources copy\n/)
  expect(await capture.end('SIGINT')).toBe(0)
})

test('a capture has all of what tcpdump writes, where the mirrors for it take their time', async () => {
  await write(balanced)
  await spanplan(lab, ['apply', '--yes'])
  const { options } = await wrapPrograms(lab, { tc: 'case "$*" in *json*) ;; *) sleep 1 ;; esac' })
  await using capture = await startCapture(lab, ['--write', '-', '--count', '1'], options)
  const [frame] = makeFlows(1)
  await lab.send(frame === undefined ? [] : [frame])
  expect(await capture.end()).toBe(0)
  // The header of a pcap file (pcap-savefile(5)), that of a frame, and the frame.
  expect(capture.bytes.subarray(24 + 16)).toEqual(frame)
})

test('of several captures, the last one to end takes away what feeds the bridge for them', async () => {
  await write(balanced)
  await spanplan(lab, ['apply', '--yes'])
  await using first = await startCapture(lab, ['--write', '-'])
  await using second = await startCapture(lab, ['--write', '-'])
  expect(second.told).toMatch(/^span0: all who get frames get a part of them/)
  expect(await first.end('SIGINT')).toBe(0)
  expect(await onHost('tc filter show dev ens192 ingress')).toContain('Egress Mirror to device span0')
  expect(await second.end('SIGINT')).toBe(0)
  expect(await onHost('tc filter show dev ens192 ingress')).not.toContain('Egress Mirror to device span0')
  await expectConverged(lab)
})

test('a rollback says of a member that has ended meanwhile that nobody gets its frames', async () => {
  await write(balanced)
  await spanplan(lab, ['apply', '--yes'])
  await write(`{balance: [${names.join(', ')}], hash: ports}`)
  const { State } = (await members[3]?.inspect()) ?? {}
  const file = join(lab.files, 'suri-4.pid')
  await writeFile(file, `${State?.Pid}\n`)
  const kill = `[ -e ${file} ] && kill -9 "$(cat ${file})" && rm ${file}`
  const { options } = await wrapPrograms(lab, { tc: `case "$*" in *json*) ;; *) ${kill} ;; esac` })
  const { stderr } = await spanplan(lab, ['apply', '--yes', '--rollback-after', '2s'], 5, options)
  expect(stderr).toContain(
    'Everything was rolled back: the host is as it was before.\nsuri-4 has ended since: its frames go to nobody until the next apply: spanplan apply\n'
  )
  await members[3]?.start()
})

test('one that gets all, and one that gets a part by a filter of its own', async () => {
  await write('zeek, {container: suri-1, filter: udp port 53}')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const flows = makeFlows(3)
  const [all, part] = await hear([zeek, ...members.slice(0, 1)], [...flows, ...others])
  expect(all).toHaveLength(flows.length + others.length)
  // Where Docker cannot be asked, nothing of it changes, and nobody says that there is nothing.
  const env = { DOCKER_HOST: 'unix:///nonexistent.sock' }
  const { stdout } = await lab.spanplan(['status'], { env })
  expect(stdout).toMatch(/^host: NOT HEALTHY, Docker is not reachable/m)
  expect(stdout).toMatch(/^span0/m)
  const before = await onHost('tc filter show dev ens192 ingress')
  await lab.spanplan(['apply', '--yes', '--defer-docker'])
  expect(await onHost('tc filter show dev ens192 ingress')).toBe(before)
  // At a hook of tc, a tag is no part of the frame's bytes.
  expect(part).toEqual(flows.map((frame) => frame.toString('hex')))
})

test('an output with a filter of its own, and one that shares with a sensor', async () => {
  const writeOutput = (sensors: string, outputs: string) =>
    writeSpans(
      lab,
      `spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [${sensors}], outputs: [${outputs}]}}`
    )
  const flows = makeFlows(10)
  const hearAtSwitch = async (count: number) => {
    const capture = await lab.captureLink('sw1', { direction: 'in' }, 'switch')
    await lab.send([...flows, ...others])
    return (await capture.stop({ count })).frames.map((frame) => frame.toString('hex'))
  }
  await writeOutput('zeek', '{interface: ens224, filter: udp port 53 and ip6}')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const six = flows.filter((frame) => frame.readUInt16BE(12) === 0x86dd).map((frame) => frame.toString('hex'))
  expect(await hearAtSwitch(six.length)).toEqual(six)
  await writeOutput('{balance: [suri-1, {interface: ens224}]}', '')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  const inside = await lab.captureBeside(members[0] ?? zeek, (await findTap(lab, members[0] ?? zeek)).name, {
    direction: 'in'
  })
  const left = await hearAtSwitch(1)
  await until('all are heard', async () => inside.frames.length + left.length >= flows.length + others.length)
  const kept = (await inside.stop()).frames.map((frame) => frame.toString('hex'))
  expect([...kept, ...left].sort()).toEqual([...flows, ...others].map((frame) => frame.toString('hex')).sort())
})

test('of two containers with one number of Compose, each has a share; the watch rests where none runs', async () => {
  const labels = (number: number) => ({
    'com.docker.compose.project': 'ids',
    'com.docker.compose.service': 'snort',
    'com.docker.compose.oneoff': 'False',
    'com.docker.compose.container-number': String(number)
  })
  const snorts = await Promise.all(
    [1, 1, 2].map((number, index) => lab.startListener(`snort-${index}`, {}, labels(number)))
  )
  await write('{balance: [{compose: ids/snort}]}')
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await until(
    'three are fed',
    async () => (await onHost('tc filter show dev ens192 ingress')).split('mirred').length === 4
  )
  const flows = makeFlows(40)
  const heard = await hear(snorts, [...flows, ...others])
  expect(heard.flat().sort()).toEqual([...flows, ...others].map((frame) => frame.toString('hex')).sort())
  await Promise.all(snorts.map((container) => container.kill()))
  await until('nobody is fed', async () => !(await onHost('tc filter show dev ens192 ingress')).includes('mirred'))
  await watch.settle()
  await watch.stop()
  await Promise.all(snorts.map((container) => container.remove({ force: true })))
})

test('under a watch, the flows of one that ends, is paused or restarts go to the others, and come back', async () => {
  await write(balanced)
  await using watch = await startWatch(lab, ['--interval', '1h'])
  const isInSync = async () => (await lab.spanplan(['plan', '--detailed-exitcode'])).exitCode === 0
  await until('all is in sync', isInSync)
  const flows = makeFlows(40)
  const whole = [...flows, ...others].map((frame) => frame.toString('hex')).sort()
  const before = await hear(members, [...flows, ...others])
  const [first, ...rest] = members
  const isFed = async () => (await onHost('tc filter show dev ens192 ingress')).split('mirred').length - 1
  await first?.pause()
  await until('its mirror is gone', async () => (await isFed()) === 3)
  const [, ...meanwhile] = await hear(members, [...flows, ...others])
  expect(meanwhile.flat().sort()).toEqual(whole)
  for (const [index, all] of meanwhile.entries()) {
    // They keep what they had.
    for (const frame of before[index + 1] ?? []) expect(all).toContain(frame)
  }
  await first?.unpause()
  await until('it has its mirror again', async () => (await isFed()) === 4)
  expect(await hear(members, [...flows, ...others])).toEqual(before)
  await rest[0]?.restart({ t: 0 })
  await until('it is fed again', async () => {
    const port = await portOf(lab, rest[0] ?? zeek)
    return (await onHost('tc filter show dev ens192 ingress')).includes(port)
  })
  await until('all is in sync', isInSync)
  expect(await hear(members, [...flows, ...others])).toEqual(before)
  // A container that starts again and again is another thing each time, which nobody undoes.
  for (let times = 0; times < 6; times++) {
    await rest[0]?.restart({ t: 0 })
    await until('it is fed again', async () => (await isFed()) === 4)
  }
  await until('all is in sync', isInSync)
  expect(watch.told).not.toContain('keeps undoing')
  await watch.stop()
})

test('while Docker answers nobody, the flows of one whose interface has no carrier go to the others', async () => {
  await write(balanced)
  await using watch = await startWatch(lab, ['--interval', '1h'])
  await until('all is in sync', async () => (await lab.spanplan(['plan', '--detailed-exitcode'])).exitCode === 0)
  const [flows, [, , , last]] = [makeFlows(40), members]
  if (last === undefined) throw new Error('there are fewer than four')
  const { State } = await last.inspect()
  const { name: tap } = await findTap(lab, last)
  const setTap = (state: 'up' | 'down') =>
    lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', 'set', 'dev', tap, state])
  const showMirrors = () => onHost('tc filter show dev ens192 ingress')
  const mirrors = await showMirrors()
  const before = await hear(members, [...flows, ...others])
  await lab.silenceDocker(async () => {
    await setTap('down')
    await until('others take more', async () => (await showMirrors()) !== mirrors)
  })
  const meanwhile = await hear(members.slice(0, 3), [...flows, ...others])
  expect(meanwhile.flat().sort()).toEqual([...flows, ...others].map((frame) => frame.toString('hex')).sort())
  for (const [index, all] of meanwhile.entries()) expect(all).toEqual(expect.arrayContaining(before[index] ?? []))
  await setTap('up')
  await until('all is in sync', async () => (await lab.spanplan(['plan', '--detailed-exitcode'])).exitCode === 0)
  expect(await hear(members, [...flows, ...others])).toEqual(before)
  await watch.stop()
})

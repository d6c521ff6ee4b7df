/** `watch --probe-interval`: what it tells of ports that begin to miss frames, and what it leaves alone. */
import { existsSync } from 'node:fs'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { listenHere, scrape } from '../lab/metrics/scrape.ts'
import { runnersOf } from '../lab/restored.ts'
import { interfacesOf, portOf, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container
let web: Docker.Container
let port: string

const { onHost } = runnersOf(() => lab)

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
  suricata = await lab.startListener('suricata')
  web = await lab.startSensor('web', { NetworkMode: 'shop' })
})
afterAll(() => lab?.close())

beforeEach(async () => {
  await write('interface: ens192')
  await spanplan(lab, ['apply', '--yes'])
  port = await portOf(lab, suricata)
})
afterEach(() => spanplan(lab, ['destroy', '--all', '--yes']))

const write = (source: string) => writeSpans(lab, `spans: {span0: {sources: [{${source}}], sensors: [suricata]}}`)

const often = ['--probe-interval', '1s'] as const

/** Something drops all that leaves by the port of the sensor, until it is told to end. */
async function drop(): Promise<() => Promise<unknown>> {
  const at = ['dev', port, 'egress', 'pref', '1'] as const
  await lab.run(['tc', 'filter', 'add', ...at, 'protocol', 'all', 'bpf', 'da', 'bytecode', '1,6 0 0 2'])
  return () => lab.run(['tc', 'filter', 'del', ...at])
}

/** Waits until it has probed the span once more, and gives what it has found. */
async function nextProbe(watch: Watch) {
  const read = async () => (await watch.state()).probes
  const before = (await read())?.ports[0]?.at
  await until('the span is probed again', async () => ((await read())?.ports[0]?.at ?? before) !== before)
  return (await read())?.ports
}

const typesOf = ({ events }: Watch) => events.flatMap(({ type }) => (type.startsWith('probe_') ? type : []))

test('a port that begins to miss the frames, and gets them again, is an event each, and a metric', async () => {
  await using watch = await startWatch(lab, [...often, ...listenHere, '--json'])
  const labels = { span: 'span0', interface: port, sensor: 'suricata' }
  await until('it is probed', async () => (await scrape(lab)).value('probe_received', labels) === 1)
  const first = await scrape(lab)
  expect(first.value('probe_working')).toBe(1)
  expect(first.value('probe_delay_seconds', labels)).toBeGreaterThan(0)
  expect(first.value('probe_last_timestamp_seconds', { span: 'span0' })).toBeGreaterThan(0)
  expect(typesOf(watch)).toEqual([])
  const end = await drop()
  await until('it is told', async () => typesOf(watch).length > 0)
  await until('the metric says it', async () => (await scrape(lab)).value('probe_received', labels) === 0)
  await nextProbe(watch)
  await end()
  await until('it is told again', async () => typesOf(watch).length > 1)
  await nextProbe(watch)
  expect(typesOf(watch)).toEqual(['probe_missed', 'probe_received'])
  expect(watch.events.find(({ type }) => type === 'probe_missed')).toMatchObject({
    ...{ span: 'span0', kind: 'sensor', name: 'suricata', interface: port },
    diagnostic: {
      code: 'PROBE_MISSED',
      message: expect.stringContaining(`suricata (${port}) did not get any frame of `)
    }
  })
  const { stdout } = await spanplan(lab, ['events', 'span0'])
  expect(stdout).toMatch(/ probe +span0 +! suricata .* did not get any frame/)
  expect(stdout).toMatch(/ probe +span0 +suricata gets the frames of the probes again\n/)
})

test('without the option, it sends nothing, and has no such metric', async () => {
  await using watch = await startWatch(lab, [...listenHere])
  expect((await watch.state()).probes).toBe(undefined)
  expect((await scrape(lab)).text).not.toContain('spanplan_probe')
})

test('a container that is a source gets nothing', async () => {
  await write('container: web')
  const [own] = await interfacesOf(web)
  const capture = await lab.capture(web, own?.name ?? '', { expression: 'ether proto 0x88b5' })
  await using watch = await startWatch(lab, often)
  await nextProbe(watch)
  const ports = await nextProbe(watch)
  expect(ports).toMatchObject([{ name: 'suricata', problem: null }])
  expect((await capture.stop({ seconds: 0 })).frames).toEqual([])
})

test('a span that is paused is left alone', async () => {
  await using watch = await startWatch(lab, often)
  await nextProbe(watch)
  await spanplan(lab, ['pause', 'span0', '--for', '1h'])
  // One may be under way.
  await sleep(2000)
  const end = await drop()
  const capture = await lab.captureLink('span0', { expression: 'ether proto 0x88b5' })
  expect((await capture.stop({ seconds: 3 })).frames).toEqual([])
  expect(watch.told).not.toContain('did not get')
  // What was known of its ports is not true for ever.
  expect((await watch.state()).probes).toMatchObject({ ports: [], probed: [{ span: 'span0' }] })
  await end()
  await spanplan(lab, ['resume'])
  expect(await nextProbe(watch)).toMatchObject([{ name: 'suricata', problem: null }])
})

test('a span is left alone from whose bridge another one copies, with a max_idle', async () => {
  const other = (field: string) => `span1: {sources: [{interface: span0${field}}]}`
  const both = (field: string) =>
    writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}, ${other(field)}}`)
  await both(', max_idle: 5m')
  await spanplan(lab, ['apply', '--yes'])
  await using watch = await startWatch(lab, often)
  const capture = await lab.captureLink('span0', { expression: 'ether proto 0x88b5' })
  await until('a round is over', async () => ((await watch.state()).probes?.probed.length ?? 0) > 0)
  expect((await capture.stop({ seconds: 3 })).frames).toEqual([])
  expect((await watch.state()).probes?.probed.map(({ span }) => span)).toEqual(['span1'])
  await both('')
  expect(await nextProbe(watch)).toMatchObject([{ name: 'suricata', problem: null }])
})

test('an output that waits is a port that misses the frames', async () => {
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}], sensors: [suricata], outputs: [{interface: ens999}]}}'
  )
  await using watch = await startWatch(lab, [...often, ...listenHere])
  const labels = { span: 'span0', interface: 'ens999' }
  await until('it is probed', async () => (await scrape(lab)).value('probe_received', labels) === 0)
  expect(await nextProbe(watch)).toContainEqual(
    expect.objectContaining({
      kind: 'output',
      problem: expect.objectContaining({ message: 'ens999 waits for the interface ens999' })
    })
  )
})

test('a probe that hangs delays no repair', async () => {
  const [hangs, folder] = [join(lab.files, 'hangs'), join(lab.files, 'held')]
  // perl runs as nobody.
  await mkdir(folder)
  await chmod(folder, 0o777)
  const { options } = await wrapPrograms(lab, {
    perl: `[ ! -e ${hangs} ] || : >${folder}/one; while [ -e ${hangs} ]; do sleep 0.1; done`
  })
  await using watch = await startWatch(lab, often, options)
  await nextProbe(watch)
  const end = await drop()
  await writeFile(hangs, '')
  await until('a probe hangs', async () => existsSync(join(folder, 'one')))
  await onHost('tc filter del dev ens192 ingress')
  await watch.expectTold(/ mirror ens192 ingress → span0 .* repaired in /)
  await end()
  await rm(hangs)
  expect(await nextProbe(watch)).toMatchObject([{ problem: null }])
  await rm(folder, { recursive: true })
})

test('where no probe can be sent, one event says so, and one that it is over', async () => {
  const broken = join(lab.files, 'broken')
  const { options, calls } = await wrapPrograms(lab, { perl: `[ ! -e ${broken} ] || exit 3` })
  await writeFile(broken, '')
  await using watch = await startWatch(lab, [...often, '--json', ...listenHere], options)
  await until('it is told', async () => typesOf(watch).length > 0)
  expect((await scrape(lab)).value('probe_working')).toBe(0)
  const rounds = async () => (await calls()).filter((line) => line === '$ perl -e 1').length
  await until('more have failed', async () => (await rounds()) > 2)
  await rm(broken)
  await until('it is over', async () => typesOf(watch).includes('probe_works'))
  expect(typesOf(watch)).toEqual(['probe_failed', 'probe_works'])
})

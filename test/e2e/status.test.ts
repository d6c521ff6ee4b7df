/** What status calls healthy, and what not, on a host that changes. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ether, filler } from './frames.ts'
import { createLab, type Lab } from './lab.ts'
import { spanplan, until, writeSpans } from './spans.ts'

let lab: Lab
let suricata: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
})
afterAll(() => lab?.close())
beforeEach(async () => {
  await write({})
  await spanplan(lab, ['apply', '--yes'])
})

const write = ({ source = 'interface: ens192', sensors = 'suricata' }) =>
  writeSpans(lab, `spans: {span0: {sources: [{${source}}], sensors: [${sensors}]}}`)

/** The exit status, and the codes of all that is not healthy. */
async function look(): Promise<[exitCode: number, ...codes: string[]]> {
  const { stdout, exitCode } = await lab.spanplan(['status', '--json', '--for', '10ms'])
  const { healthy, spans, unhealthy } = JSON.parse(stdout)
  expect(healthy).toBe(exitCode === 0)
  const all: { code: string }[] = [...unhealthy, ...spans.flatMap((span: { unhealthy: unknown[] }) => span.unhealthy)]
  return [exitCode, ...all.map(({ code }) => code)]
}

/** The same as a person reads it. */
async function read(exitCode: number): Promise<string> {
  return (await spanplan(lab, ['status', '--for', '10ms'], exitCode)).stdout
}

/** Sends ten frames a second, until it is told to end. */
const startSending = () => lab.keepSending(ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', filler(200)))

test('all as the file says: healthy', async () => {
  expect(await look()).toEqual([0])
  const text = await read(0)
  expect(text).toMatch(/^span0: healthy, no frames yet\n\nspan0\n/)
  expect(text).toMatch(/\n\nNo watch runs\.\n$/)
})

describe('a source that has gone idle', () => {
  test('is unhealthy after the time that the file says, and healthy once frames come again', async () => {
    await write({ source: 'interface: ens192, max_idle: 3s' })
    const end = await startSending()
    await until('frames come', async () => (await look())[0] === 0)
    await end()
    await until('it is idle', async () => (await look())[0] === 2)
    expect(await look()).toEqual([2, 'SOURCE_IDLE'])
    const text = await read(2)
    expect(text).toMatch(/^span0: NOT HEALTHY, no frame has come from ens192 for [\dms]+ \(max_idle: 3s\)\./)
    expect(text).toMatch(/\n {2}! no frame has come from ens192 for [\dms]+ \(max_idle: 3s\)\n/)
    expect(text).toContain("    is the switch's mirror session still there?\n")
    const endAgain = await startSending()
    await until('frames come again', async () => (await look())[0] === 0)
    await endAgain()
  })

  test('also one that has never seen a frame, and whose filter takes none', async () => {
    await write({ source: 'interface: ens192, filter: port 9999, max_idle: 1s' })
    await spanplan(lab, ['apply', '--yes'])
    const end = await startSending()
    await until('it is idle', async () => (await look())[0] === 2)
    await end()
    expect(await look()).toEqual([2, 'SOURCE_IDLE'])
  })
})

describe('not healthy', () => {
  test('what differs from the file', async () => {
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    expect(await look()).toEqual([2, 'DRIFT'])
    const text = await read(2)
    expect(text).toMatch(/^span0: NOT HEALTHY, 1 change missing[^.]*\. Run: spanplan apply\n\n/)
    expect(text).toContain('\n  ~ interface ens192 (promiscuous: off → on)\n')
  })

  test('what the file does not have', async () => {
    await writeSpans(lab, 'spans: {}')
    expect(await look()).toEqual([2, 'DRIFT'])
    const text = await read(2)
    expect(text).toMatch(/^host: NOT HEALTHY, \d+ changes missing\. Run: spanplan apply\n\nhost\n {2}- bridge span0\n/)
  })

  test('a card that is missing, and a sensor', async () => {
    await write({ source: 'interface: ens192}, {interface: ens224', sensors: 'suricata, zeek' })
    expect(await look()).toEqual([2, 'INTERFACE_MISSING', 'INTERFACE_MISSING', 'SENSOR_MISSING'])
    expect(await read(2)).toContain('\n  ... sensor zeek → span0 waits for the container zeek\n')
  })

  test('a sensor that does not run', async () => {
    await suricata.stop()
    expect(await look()).toEqual([2, 'SENSOR_STOPPED'])
    await suricata.start()
  })
})

describe('no illness', () => {
  test('a pause, which is shown', async () => {
    await spanplan(lab, ['pause', 'span0', '--for', '30m'])
    expect(await read(0)).toMatch(/^span0: healthy, paused until \d\d:\d\d:\d\d, /)
    await spanplan(lab, ['resume', 'span0'])
    expect(await read(0)).toMatch(/^span0: healthy, (?!paused)/)
  })

  test('a span that nobody listens on yet, whatever is sent to it', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    await spanplan(lab, ['apply', '--yes'])
    const end = await startSending()
    const { stdout } = await spanplan(lab, ['status', '--for', '1s'], 0)
    await end()
    expect(stdout).toMatch(/\d lost: no sensor is connected; connect one, or list it in the file\n/)
  })
})

test('a broken file is an error, with its place', async () => {
  await writeSpans(lab, 'spans: {span0: nonsense}')
  const { stdout, stderr } = await spanplan(lab, ['status'], 65)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^spans\.yaml:2:16: error: /)
})

// Last: Docker forgets the sensor's interface, and does not always take it away later.
test('Docker that is away is not healthy, also where sensors go on', async () => {
  await lab.stopDocker({ live: true })
  expect(await look()).toEqual([2, 'DOCKER_UNREACHABLE'])
  expect(await read(2)).toMatch(/^host: NOT HEALTHY, .*\n(?: .*\n)*span0: healthy, /)
  await lab.startDocker()
  expect(await look()).toEqual([0])
})

/** What status calls healthy, and what not, on a host that changes; and what it shows where there is no file to compare with. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startListener('suricata')
  // Its grace ends while the other tests run.
  await lab.startSensor('idle')
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
    expect(text).toMatch(/^span0: NOT HEALTHY, 1 difference from the file[^.]*\.\s+Run: spanplan apply\n\n/)
    expect(text).toContain('\n  ~ interface ens192 (promiscuous: off → on)\n')
  })

  test('what the file does not have', async () => {
    await writeSpans(lab, 'spans: {}')
    expect(await look()).toEqual([2, 'DRIFT'])
    const text = await read(2)
    // Without --allow-empty, apply refuses that.
    expect(text.replace(/\s+/g, ' ')).toMatch(
      /^host: NOT HEALTHY, \d+ differences from the file\. spanplan apply is refused for now: the file has no spans; if you want that, apply it with --allow-empty, or: spanplan destroy --name default host - bridge span0 /
    )
  })

  test('a card that is missing, and a sensor', async () => {
    await write({ source: 'interface: ens192}, {interface: ens224', sensors: 'suricata, zeek' })
    expect(await look()).toEqual([2, 'INTERFACE_MISSING', 'SENSOR_MISSING'])
    expect(await read(2)).toContain('\n  ... sensor zeek → span0 waits for the container zeek\n')
  })

  test('a container whose name is misspelt, in plan, apply and status', async () => {
    await write({ source: 'interface: ens192', sensors: 'suricta' })
    const slip = 'waits for the container suricta (did you mean "suricata"?)'
    const inOneLine = (text: string) => text.replace(/\s+/g, ' ')
    expect(inOneLine(await read(2))).toContain(slip)
    for (const words of [['plan'], ['apply', '--yes']]) {
      expect(inOneLine((await lab.spanplan(words)).stdout)).toContain(slip)
    }
  })

  test('what an apply cannot repair comes first, and an apply that would be refused is not said', async () => {
    const two = 'span0: {sources: [{interface: ens192}], sensors: [suricata]}, span1: {sources: [{interface: ens224}]}'
    await writeSpans(lab, `spans: {${two}}`)
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    const text = await read(2)
    // The whole file cannot be applied: the interface of the other span is missing.
    expect(text).toMatch(/^span0: NOT HEALTHY, 1 difference from the file[^.]*\.\s+Run: spanplan apply --span span0\n/)
    expect(text).toMatch(
      /\nspan1: NOT HEALTHY, ens224\s+ingress\s+→\s+span1\s+and\s+ens224\s+egress\s+→\s+span1:\s+each\s+waits\s+for/
    )
    expect(text).not.toMatch(/Run: spanplan apply\n/)
    await spanplan(lab, ['apply', '--span', 'span0'])
    expect(await read(2)).toMatch(/^span1: NOT HEALTHY/)
  })
})

describe('a sensor that hears nothing', () => {
  test('stopped', async () => {
    await suricata.stop()
    expect(await look()).toEqual([2, 'SENSOR_STOPPED'])
    expect(await read(2)).toMatch(/^span0: NOT HEALTHY, the sensor suricata is not running: it ended/)
    await suricata.start()
  })

  test('paused: in the graph and in the doctor, too', async () => {
    await suricata.pause()
    await using _ = { [Symbol.asyncDispose]: () => suricata.unpause() }
    expect(await look()).toEqual([2, 'SENSOR_PAUSED'])
    expect(await read(2)).toMatch(/^span0: NOT HEALTHY, the sensor suricata is paused[,.][\s\S]* docker\s+unpause/)
    const { stdout: graph } = await spanplan(lab, ['graph'])
    expect(graph).toMatch(/suricata \(container\)\n +! the sensor suricata is paused\n\n1 span: 1 is broken/)
    const { stdout } = await spanplan(lab, ['doctor'], 2)
    expect(stdout).toMatch(
      /problem +sensors +span span0: the sensor suricata is paused\n +\$ docker unpause suricata\n/
    )
  })

  test('its interface is down', async () => {
    const { State } = await suricata.inspect()
    const inside = ['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', 'set', 'dev', 'eth0'] as const
    await lab.run([...inside, 'down'])
    expect(await look()).toEqual([2, 'SENSOR_INTERFACE'])
    await lab.run([...inside, 'up'])
    expect(await look()).toEqual([0])
  })

  test('it ends again and again: neither drift nor a missing right, whenever one looks', async () => {
    const restless = await lab.createSensor('restless', { RestartPolicy: { Name: 'always' } }, {}, ['sleep', '0.3'])
    await write({ sensors: 'suricata, restless' })
    await spanplan(lab, ['apply', '--yes'])
    await restless.start()
    await until('it restarts', async () => (await restless.inspect()).RestartCount >= 3)
    for (let turn = 0; turn < 8; turn++) {
      const { stdout, stderr } = await lab.spanplan(['status', '--for', '10ms'])
      expect(stdout).toMatch(/^span0: NOT HEALTHY, the sensor restless keeps restarting \(\d+ times/)
      expect(stdout).toContain('docker logs --tail 20 restless')
      expect(stderr).not.toMatch(/no right/)
      expect(await look()).toEqual([2, 'SENSOR_RESTARTING'])
    }
    await restless.remove({ force: true })
  })

  test('no process in it listens, once it has had its time to start', async () => {
    await write({ sensors: 'suricata, idle' })
    await spanplan(lab, ['apply', '--yes'])
    await until('its grace is over', async () => (await look())[0] === 2)
    expect(await look()).toEqual([2, 'SENSOR_DEAF'])
    expect(await read(2)).toMatch(/^span0: NOT HEALTHY, the sensor idle hears nothing: no process in it listens/)
    // Others have connected it: that is told, and the span is healthy.
    await write({})
    await spanplan(lab, ['apply', '--yes'])
    await lab.docker.getNetwork('none').disconnect({ Container: 'idle' })
    await lab.docker.getNetwork('span0').connect({ Container: 'idle' })
    await spanplan(lab, ['apply', '--yes'])
    expect(await look()).toEqual([0])
    expect(await read(0)).toMatch(/\n {2}\.\.\. the sensor idle hears nothing: .*\n.*\(not in the file\)\n/)
    await lab.docker.getNetwork('span0').disconnect({ Container: 'idle' })
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
    expect(stdout).toMatch(/\d lost: no sensor is connected, or none can take frames now; start\s+or connect one;/)
  })
})

describe('without a file that can be applied, what is live is shown, by its marks', () => {
  const errors: Record<string, [text: string, place: RegExp]> = {
    'a broken file': ['spans: {span0: nonsense}', /^file: NOT HEALTHY, spans\.yaml:2:16: span "span0" must be/],
    'a filter that is none': [
      'spans: {span0: {sources: [{interface: ens192, filter: "port 22 and and"}]}}',
      /^file: NOT HEALTHY, spans\.yaml:2:\d+: /
    ]
  }
  test.each(Object.entries(errors))('%s', async (_, [text, place]) => {
    await writeSpans(lab, text)
    const status = await spanplan(lab, ['status', '--for', '10ms'], 2)
    expect(status.stdout).toMatch(place)
    expect(status.stdout).toMatch(/is\s+shown, by its marks\.[^\n]*\n( {4}\S.*\n)?span0: healthy, /)
    expect(status.stdout).toMatch(/\n {2}sensor +suricata /)
    expect(status.stdout).not.toMatch(/spanplan apply/)
    expect(status.stderr).toMatch(/^spans\.yaml:2:\d+: error: /)
    const document = JSON.parse((await spanplan(lab, ['status', '--json', '--for', '10ms'], 2)).stdout)
    expect(document).toMatchObject({ healthy: false, file_errors: [{ origin: { line: 2 } }] })
    expect(document.spans).toMatchObject([{ name: 'span0', drift: false, sensors: [{ state: 'healthy' }] }])
    const graph = await spanplan(lab, ['graph'], 2)
    expect(graph.stdout).toMatch(
      /^span0 \(network span0, mtu \d+, sealed\)\n├─ from\n│ {2}└─ ens192: .*\n└─ to\n {3}└─ suricata/
    )
    const doctor = await spanplan(lab, ['doctor'], 2)
    expect(doctor.stdout).toMatch(/not known +spans +live, by their marks: span0/)
    for (const command of ['plan', 'validate']) await spanplan(lab, [command], 65)
  })

  test('a broken file under a watch, which goes on with the last valid one: that is what is shown', async () => {
    const source = 'sources: [{interface: ens192, filter: not port 22}], sensors: [suricata]'
    await writeSpans(lab, `spans: {span0: {description: Core, ${source}}}`)
    await using _ = await startWatch(lab)
    await writeSpans(lab, 'spans: {span0: nonsense}')
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms'], 2)
    expect(stdout).toMatch(
      /^file: NOT HEALTHY, spans\.yaml:2:16: .*The\s+watch\s+goes\s+on\s+with\s+the\s+last\s+valid\s+file/s
    )
    expect(stdout).toMatch(/\nspan0 · Core\n[\s\S]*not port 22/)
    const document = JSON.parse((await spanplan(lab, ['status', '--json', '--for', '10ms'], 2)).stdout)
    expect(document).toMatchObject({ healthy: false, basis: 'watch', spans: [{ name: 'span0', drift: false }] })
    const { stdout: graph } = await spanplan(lab, ['graph'], 2)
    expect(graph).toMatch(/not port 22[\s\S]*the watch goes on with the last valid file, which is drawn/)
    // Valid in itself, and refused all the same.
    await writeSpans(lab, 'spans: {}')
    await until('the watch has refused it', async () => {
      const { stdout: told } = await lab.spanplan(['status', '--for', '10ms'])
      return /^file: NOT HEALTHY, the file no longer has spans/.test(told)
    })
    expect((await spanplan(lab, ['status', '--for', '10ms'], 2)).stdout).toMatch(/\nspan0 · Core\n[\s\S]*not port 22/)
    await writeSpans(lab, `name: other\nspans: {span0: {${source}}}`)
    await until('the watch has refused the name', async () => {
      const { stdout: told } = await lab.spanplan(['status', '--for', '10ms'])
      return /^file: NOT HEALTHY, the name in the file is now other/.test(told) && told.includes('\nspan0 · Core\n')
    })
    await rm(join(lab.files, 'spans.yaml'))
    await until('it is told that the file is gone, and what goes on', async () => {
      const { stdout: told } = await lab.spanplan(['status', '--for', '10ms'])
      return /^file: NOT HEALTHY, .*The\s+watch\s+goes\s+on/s.test(told) && told.includes('\nspan0 · Core\n')
    })
    // Of another file, this watch says nothing.
    const other = JSON.parse((await lab.spanplan(['status', '-f', '/dev/null', '--json', '--for', '10ms'])).stdout)
    expect(other).toMatchObject({ basis: 'live' })
  })

  test('no file at all, and a sensor that is stopped', async () => {
    await suricata.stop()
    const { stdout, stderr } = await spanplan(lab, ['status', '--for', '10ms'], 2, { cwd: '/' })
    expect(stdout).toMatch(/^file: NOT HEALTHY, there is no spans\.yaml here, and no \/etc\/spanplan\. What\n/)
    expect(stdout).toMatch(/\nspan0: NOT HEALTHY, the sensor suricata is not running: /)
    expect(stderr).toContain('error: there is no spans.yaml here')
    await suricata.start()
  })

  test('something stands in the way of a plan', async () => {
    await lab.run(['ip', 'link', 'add', 'name', 'span1', 'type', 'bridge'])
    const two = 'span0: {sources: [{interface: ens192}], sensors: [suricata]}, span1: {sources: [{interface: ens192}]}'
    await writeSpans(lab, `spans: {${two}}`)
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms'], 2)
    expect(stdout).toMatch(/^file: NOT HEALTHY, .*span1/)
    expect(stdout).toMatch(/\nspan0: healthy, /)
    await lab.run(['ip', 'link', 'del', 'dev', 'span1'])
  })
})

// Last: Docker forgets the sensor's interface, and does not always take it away later.
test('Docker that is away is not healthy, also where sensors go on', async () => {
  await lab.stopDocker({ live: true })
  expect(await look()).toEqual([2, 'DOCKER_UNREACHABLE'])
  expect(await read(2)).toMatch(
    /^host: NOT HEALTHY, .*\n(?: .*\n)*span0: healthy as far as could be checked without Docker, /
  )
  await lab.startDocker()
  expect(await look()).toEqual([0])
})

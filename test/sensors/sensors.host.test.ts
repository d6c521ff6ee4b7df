import type Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { supportsApi } from '../../src/host/docker/docker-names.ts'
import { startFaultyDocker } from '../lab/docker/faulty-docker.ts'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectFrames,
  expectHeard,
  findTap,
  interfacesOf,
  listen,
  networksOf,
  portOf,
  spanplan,
  until,
  warningsIn,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  // In a container, Docker 28's first interface has the index of the host's first.
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }], docker: true })
})
afterAll(() => lab.close())

/** Less the alias that Docker before 25 gives each container: the start of its id. */
async function endpointOf(name: string, network = 'span') {
  const { Id, NetworkSettings } = await lab.docker.getContainer(name).inspect()
  const endpoint = NetworkSettings.Networks[network]
  const isGiven = (alias: string) => !Id.startsWith(alias)
  return endpoint && { ...endpoint, Aliases: endpoint.Aliases?.filter(isGiven) }
}

async function applySpan(options: string): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], ${options}}}`)
  await spanplan(lab, ['apply', '--yes'])
}

test('a listed sensor that somebody else connected keeps its alias and address when the network is made anew', async () => {
  await applySpan('network: {name: span, subnet: 198.18.9.0/26}')
  const zeek = await lab.startSensor('zeek')
  await lab.docker.getNetwork('none').disconnect({ Container: 'zeek' })
  const EndpointConfig = { Aliases: ['ids'], IPAMConfig: { IPv4Address: '198.18.9.40' } }
  await lab.docker.getNetwork('span').connect({ Container: 'zeek', EndpointConfig })
  await applySpan('network: {name: span, subnet: 198.18.9.0/26}, sensors: [zeek], mtu: 9001')
  await expectConverged(lab)
  expect(await endpointOf('zeek')).toMatchObject({ Aliases: ['ids'], IPAddress: '198.18.9.40' })
  await expectHeard(lab, [zeek])
  // Who connected it goes on to have the say: off the list, it stays.
  await applySpan('network: {name: span, subnet: 198.18.9.0/26}, mtu: 9001')
  expect(await endpointOf('zeek')).toBeDefined()
})

test('a container of others that cannot be connected again is told, and is where it was', async () => {
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}], network: {name: span, subnet: 198.18.10.0/26}}}'
  )
  const { stderr } = await spanplan(lab, ['apply', '--yes'], 5)
  expect(stderr).toContain('could not connect zeek to span')
  expect(await endpointOf('zeek')).toMatchObject({ Aliases: ['ids'], IPAddress: '198.18.9.40' })
  await lab.docker.getContainer('zeek').remove({ force: true })
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
})

test('a container whose own network is gone costs itself alone', async () => {
  await lab.docker.createNetwork({ Name: 'lost', IPAM: { Config: [{ Subnet: '198.18.11.0/26' }] } })
  const zeek = await lab.startSensor('zeek', { NetworkMode: 'lost' })
  await lab.docker.getNetwork('lost').disconnect({ Container: 'zeek' })
  await lab.docker.getNetwork('lost').remove()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sensors: [zeek]}}')
  const { stderr } = await spanplan(lab, ['apply', '--yes'], 4)
  expect(stderr).toMatch(/zeek was created on the network lost, which is gone.*Everything else was done/)
  expect((await spanplan(lab, ['plan', '--detailed-exitcode'])).stdout).toContain('No changes; 1 waits')
  await zeek.remove({ force: true })
})

test('a sensor that ends as soon as it starts waits, and keeps no other from being connected', async () => {
  const loop = await lab.docker.createContainer({
    name: 'loop',
    Image: 'spanplan-sensor',
    Cmd: ['/bin/false'],
    HostConfig: { NetworkMode: 'none', RestartPolicy: { Name: 'always' } }
  })
  await loop.start()
  await until('it restarts', async () => (await loop.inspect()).State.Restarting)
  const suricata = await lab.startSensor('suricata')
  await writeSpans(
    lab,
    'spans: {span0: {sources: [{interface: ens192}], network: {name: span, subnet: 198.18.10.0/26}, sensors: [loop, suricata]}}'
  )
  await until('it is seen to restart', async () => {
    const { stdout } = await spanplan(lab, ['plan'])
    return stdout.includes('waits for the container loop, which keeps restarting')
  })
  await loop.remove({ force: true })
  await spanplan(lab, ['apply', '--yes'])
  await expectHeard(lab, [suricata])
})

test('a sensor with NET_ADMIN cannot have a card of the host’s put on the bridge', async () => {
  const suricata = lab.docker.getContainer('suricata')
  const { name } = await findTap(lab, suricata, 'span0')
  const port = await portOf(lab, suricata)
  const { State } = await suricata.inspect()
  const inside = (...argv: string[]) => lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...argv])
  const [card] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', 'ens224']))
  const mac = (await endpointOf('suricata'))?.MacAddress ?? ''
  await inside('ip', 'link', 'add', 'base', 'index', String(card.ifindex + 1000), 'type', 'bridge')
  await inside('ip', 'link', 'add', 'link', 'base', 'name', '0macvlan', 'address', mac, 'type', 'macvlan')
  await expectConverged(lab)
  await inside('ip', 'link', 'del', 'dev', '0macvlan')
  await inside('ip', 'link', 'del', 'dev', 'base')
  await inside('ip', 'link', 'add', 'base', 'index', String(card.ifindex), 'type', 'bridge')
  await inside('ip', 'link', 'add', 'link', 'base', 'name', '0macvlan', 'address', mac, 'type', 'macvlan')
  await spanplan(lab, ['apply', '--yes'])
  for (const dev of ['ens192', 'ens224']) {
    const [after] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', dev]))
    expect(after.master).toBeUndefined()
  }
  expect(await portOf(lab, suricata)).toBe(port)
  expect(name).not.toBe('0macvlan')
})

/** Gives its interface on the span another name, and puts something of the old name in its place, as the container itself can. */
async function renameTap(sensor: Docker.Container): Promise<void> {
  const { State } = await sensor.inspect()
  const { name } = await findTap(lab, sensor)
  const inside = (...argv: string[]) => lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', 'link', ...argv])
  await inside('set', 'dev', name, 'down', 'name', 'mine')
  await inside('set', 'dev', 'mine', 'up')
  await inside('add', 'name', name, 'type', 'bridge')
}

test('a sensor that has renamed its interface loses it all the same: off the file, recreated, and with the span', async () => {
  const renamer = await lab.startSensor('renamer', { CapAdd: ['NET_ADMIN'] })
  const both = 'network: span, sensors: [suricata, renamer]'
  const ports = async () => JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'master', 'span0'])).length
  await applySpan(both)
  await renameTap(renamer)
  await applySpan('network: span, sensors: [suricata]')
  expect(await ports()).toBe(1)
  expect((await interfacesOf(renamer)).map(({ name }) => name)).not.toContain('mine')

  await applySpan(both)
  await renameTap(renamer)
  await applySpan(`${both}, mtu: 8000`)
  expect(await ports()).toBe(2)
  expect((await interfacesOf(renamer)).map(({ name }) => name)).not.toContain('mine')
  await expectConverged(lab)
  await expectHeard(lab, [lab.docker.getContainer('suricata'), renamer])

  await renameTap(renamer)
  await spanplan(lab, ['destroy', '--yes'])
  expect((await interfacesOf(renamer)).map(({ name }) => name)).not.toContain('mine')
  await renamer.remove({ force: true })
  await applySpan('network: span, sensors: [suricata]')
})

const ids = { role: 'ids' }
const byLabel = 'network: span, sensors: [{label: role=ids}]'

async function removeSensors(): Promise<void> {
  const containers = await lab.docker.listContainers({ all: true })
  await Promise.all(containers.map(({ Id }) => lab.docker.getContainer(Id).remove({ force: true })))
}

/** Their ports are sealed, so that nothing is left to do, and they hear what comes. */
async function expectSensors(...sensors: readonly Docker.Container[]): Promise<void> {
  await expectConverged(lab)
  await expectHeard(lab, sensors)
}

test('a sensor with a part of its own that has a second port on the bridge gets no more by either, and it is told', async () => {
  const sensor = await lab.startSensor('several')
  await applySpan('sensors: [{container: several, filter: ether broadcast}]')
  const { name, port } = await findTap(lab, sensor)
  const { State } = await sensor.inspect()
  const far = ['peer', 'name', 'evil0', 'netns', `${State.Pid}`]
  await lab.run(['ip', 'link', 'add', 'hx', 'master', 'span0', 'type', 'veth', ...far])
  const inside = (...argv: string[]) => lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...argv])
  await inside('ip', 'link', 'set', 'dev', 'evil0', 'up')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  for (const device of [port, 'hx']) {
    expect(await lab.run(['bridge', 'link', 'show', 'dev', device])).toContain('state disabled')
  }
  const captures = await Promise.all(
    [name, 'evil0'].map((device) => lab.captureBeside(sensor, device, { direction: 'in' }))
  )
  await lab.send([ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', filler(100))])
  for (const capture of captures) await expectFrames(capture, {})
  const { stdout } = await lab.spanplan(['status'])
  expect(stdout.replace(/\s+/g, ' ')).toMatch(
    /span0: NOT HEALTHY, the sensor several gets nothing: it has several ports on the span's bridge/
  )
  await lab.run(['ip', 'link', 'del', 'dev', 'hx'])
  await spanplan(lab, ['apply', '--yes'])
  const capture = await listen(lab, sensor)
  const heard = { broadcast: ether(BROADCAST, '02:00:00:00:0a:01', filler(100)) }
  await lab.send([heard.broadcast])
  await expectFrames(capture, heard)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await sensor.remove({ force: true })
})

test('a port whose name no batch can carry is read as it is, and so sealed once', async () => {
  const sensor = await lab.startSensor('odd')
  await applySpan('sensors: [odd]')
  const { State } = await sensor.inspect()
  const names = ['#c', 'a\\\\', `q'"`]
  for (const [index, name] of names.entries()) {
    const far = ['peer', 'name', `odd${index}`, 'netns', `${State.Pid}`]
    await lab.run(['ip', 'link', 'add', name, 'master', 'span0', 'type', 'veth', ...far])
  }
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  for (const name of names) {
    expect(await lab.run(['tc', 'filter', 'show', 'dev', name, 'ingress'])).toContain("bytecode '1,6 0 0 2'")
  }
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await sensor.remove({ force: true })
})

test('where the network has no address left, the others are connected, the rest is told, and comes as soon as one is free', async () => {
  await applySpan('network: {name: few, subnet: 198.18.7.0/29}, sensors: [{label: role=few}]')
  const sensors: Docker.Container[] = []
  for (let index = 0; index < 7; index++) sensors.push(await lab.startSensor(`few-${index}`, {}, { role: 'few' }))
  const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'], 4)
  expect(stdout).toContain('Applied and verified: 5 created; 2 failed.')
  expect(stderr).toMatch(/Docker lists few-\d on few, and cannot make its interface: no available IPv4 addresses/)
  expect(stderr).toContain("give the span's network a larger subnet")
  expect((await lab.spanplan(['status'])).stdout).toContain('span0: NOT HEALTHY, ')
  await Promise.all(sensors.slice(0, 2).map((one) => one.remove({ force: true })))
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await expectHeard(lab, sensors.slice(2))
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await Promise.all(sensors.slice(2).map((one) => one.remove({ force: true })))
})

describe('sensors that come and go', () => {
  beforeEach(removeSensors)

  test('one that starts is announced to no other, as Docker 28 would', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [zeek]}}')
    const zeek = await lab.startSensor('zeek')
    await spanplan(lab, ['apply', '--yes'])
    const capture = await listen(lab, zeek, { expression: 'arp' })
    // Its port is not sealed yet. Docker would send the last of three a bit more than two seconds after its start.
    await lab.startSensor('suricata', { NetworkMode: 'span' })
    expect((await capture.stop({ seconds: 3 })).frames).toEqual([])
  })

  test('by label: those that run are connected, and stay so when they stop', async () => {
    const zeek = await lab.startSensor('zeek', {}, ids)
    const suricata = await lab.startSensor('suricata', {}, { ...ids, other: 'x' })
    const made = await lab.createSensor('made', {}, ids)
    const web = await lab.startSensor('web', {}, { role: 'web' })
    await applySpan(byLabel)
    await expectSensors(zeek, suricata)
    expect([await networksOf(made), await networksOf(web)]).toEqual([['none'], ['none']])
    await zeek.kill()
    await until('it has stopped', async () => !(await zeek.inspect()).State.Running)
    await expectConverged(lab)
    expect(await networksOf(zeek)).toEqual(['span'])
    await Promise.all([zeek.start(), made.start()])
    const { stdout } = await spanplan(lab, ['apply'])
    expect(stdout).toContain('+   sensor     made → span')
    await expectSensors(zeek, suricata, made)
    await applySpan('network: span, sensors: [{label: other=x}]')
    expect([await networksOf(zeek), await networksOf(made)]).toEqual([['none'], ['none']])
    await expectSensors(suricata)
  })

  test('by Compose service: one that is made anew as Compose does it is a sensor again', async () => {
    const compose = (oneoff: string) => ({
      'com.docker.compose.project': 'shop',
      'com.docker.compose.service': 'ids',
      'com.docker.compose.oneoff': oneoff
    })
    const old = await lab.startSensor('shop-ids-1', {}, compose('False'))
    const oneoff = await lab.startSensor('shop-ids-run-1', {}, compose('True'))
    await applySpan('network: span, sensors: [{compose: shop/ids}]')
    await expectSensors(old)
    expect(await networksOf(oneoff)).toEqual(['none'])
    // Made beside the old one under another name, which it keeps until that has gone.
    const fresh = await lab.createSensor('0f1e2d3c4b5a_shop-ids-1', {}, compose('False'))
    await expectConverged(lab)
    await old.kill()
    await expectConverged(lab)
    await old.remove()
    const { stdout } = await spanplan(lab, ['plan'])
    expect(stdout).toContain('waits for a running container of the service ids of the Compose project shop')
    await fresh.rename({ name: 'shop-ids-1' })
    await fresh.start()
    await spanplan(lab, ['apply'])
    await expectSensors(fresh)
  })

  test('one that is made anew under another name while it is being connected is left, and the new one connected', async () => {
    await applySpan(byLabel)
    const zeek = await lab.startSensor('zeek', {}, ids)
    const docker = await startFaultyDocker(lab)
    try {
      let fresh = zeek
      // After a note, and taking it off "none".
      docker.prepare({ request: 3, how: 'hold before' }, async () => {
        await zeek.remove({ force: true })
        fresh = await lab.startSensor('zeek-2', {}, ids)
      })
      await spanplan(lab, ['apply'], 0, { env: docker.env })
      expect(docker.requests[2]).toMatch(/span\/connect .*"zeek"/)
      await expectSensors(fresh)
      expect((await lab.docker.listNetworks()).map(({ Name }) => Name).sort()).toEqual(['host', 'none', 'span'])
    } finally {
      await docker.close()
    }
  })

  test('a plan asks Docker for each sensor once, whatever else there is', async () => {
    await lab.startSensor('zeek', {}, ids)
    const docker = await startFaultyDocker(lab)
    const requestsOfPlan = async (spans: number) => {
      const others = Array.from({ length: spans - 1 }, (_, n) => `tap${n}: {sources: [{interface: ens192}]}`)
      await writeSpans(lab, `spans: {${[`span0: {sources: [{interface: ens192}], ${byLabel}}`, ...others].join(', ')}}`)
      await spanplan(lab, ['apply', '--yes'])
      const requests: string[] = []
      docker.tamper((url, body) => {
        requests.push(url.replace(/^\/v[\d.]+/, '').replace(/[0-9a-f]{64}/, 'ID'))
        return body
      })
      await spanplan(lab, ['plan'], 0, { env: docker.env })
      return requests.sort()
    }
    try {
      const one = await requestsOfPlan(1)
      expect(one.filter((url) => url.includes('ID'))).toEqual(['/containers/ID/json'])
      expect(one.length).toBeLessThanOrEqual(4)
      for (const name of ['web', 'db', 'cache']) await lab.startSensor(name)
      expect(await requestsOfPlan(15)).toEqual(one)
    } finally {
      await docker.close()
    }
  })

  test('two spans may have one sensor, which two items choose', async () => {
    const zeek = await lab.startSensor('zeek', {}, ids)
    await writeSpans(
      lab,
      `spans:
  span0: {sources: [{interface: ens192, direction: ingress}], network: span, sensors: [zeek, {label: role=ids}]}
  span1: {sources: [{interface: ens192, direction: egress}], sensors: [{label: role=ids}]}`
    )
    await spanplan(lab, ['apply', '--yes'])
    await expectSensors(zeek)
    expect(await networksOf(zeek)).toEqual(['span', 'span1'])
  })

  test('a network gets another name, and its sensors go with it', async () => {
    const zeek = await lab.startSensor('zeek', {}, ids)
    await applySpan('network: span, sensors: [zeek]')
    await applySpan('network: renamed, sensors: [zeek]')
    expect(await networksOf(zeek)).toEqual(['renamed'])
    await expectSensors(zeek)
    await applySpan('network: span')
    expect(await networksOf(zeek)).toEqual(['none'])
  })

  test('an interface is called as the file says, where Docker can', async () => {
    const { ApiVersion } = await lab.docker.version()
    const zeek = await lab.startSensor('zeek', {}, ids)
    await applySpan(byLabel)
    await writeSpans(
      lab,
      'spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [{label: role=ids, interface_name: tap0}]}}'
    )
    const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'])
    if (supportsApi(ApiVersion, '1.48')) {
      expect(stdout).toContain('interface: as Docker names it → tap0')
      expect((await interfacesOf(zeek)).map(({ name }) => name)).toEqual(['tap0'])
    } else {
      expect(stdout).toContain('No changes')
      expect(stderr).toContain(`interface_name needs Docker 28 (API 1.48), and this one has API ${ApiVersion}`)
    }
    await expectSensors(zeek)
  })
})

describe('apply --wait', () => {
  beforeEach(removeSensors)

  /** Until it waits, it has applied what could be. */
  function startWaiting(...args: readonly string[]) {
    const run = lab.startSpanplan(['apply', '--yes', '--wait', '10m', ...args])
    let printed = ''
    run.stdout?.on('data', (data: Buffer) => {
      printed += data.toString()
    })
    return { run, waits: () => until('it waits', async () => printed.includes('Waiting until')) }
  }

  test('connects and seals what comes, one after the other', async () => {
    await writeSpans(
      lab,
      'spans: {span0: {sources: [{interface: ens192}], network: span, sensors: [zeek, {label: role=ids}]}}'
    )
    const { run, waits } = startWaiting('--detailed-exitcode')
    await waits()
    const suricata = await lab.startSensor('suricata', {}, ids)
    await until('it is connected', async () => (await networksOf(suricata)).includes('span'))
    // As Compose does, which attaches what it starts: only its port is left to do.
    const zeek = await lab.startSensor('zeek', { NetworkMode: 'span' })
    const { stdout, stderr, exitCode } = await run
    expect(stdout).toMatch(/Waiting until [\d:]+ for zeek → span, label role=ids → span\n/)
    expect([stdout.split('\n').at(-2), warningsIn(stderr), exitCode]).toEqual(['All sensors are connected.', '', 2])
    await expectSensors(zeek, suricata)
  })

  test('says what is missing when time is up', async () => {
    await applySpan(byLabel)
    const { stdout } = await spanplan(lab, ['apply', '--wait', '300ms'])
    expect(stdout).toContain('Still missing: label role=ids → span\n')
    await spanplan(lab, ['apply', '--wait', '1ms', '--detailed-exitcode'], 6)
    const { stdout: json } = await spanplan(lab, ['apply', '--wait', '1ms', '--json'])
    const events: { type: string; waiting?: unknown }[] = json
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const missing = [
      expect.objectContaining({ code: 'SENSOR_MISSING', address: 'span0/sensor/span/label%20role%3Dids' })
    ]
    expect(events.map(({ type }) => type)).toEqual(['version', 'plan', 'summary', 'wait', 'wait_over'])
    expect(events.slice(-2)).toMatchObject([{ waiting: missing }, { waiting: missing }])
    const zeek = await lab.startSensor('zeek', {}, ids)
    const { stdout: done } = await spanplan(lab, ['apply', '--wait', '10m'])
    expect(done).not.toContain('Waiting')
    await expectSensors(zeek)
  })

  test('a signal ends the waiting, and what was applied stays; meanwhile others may apply', async () => {
    await applySpan('network: other')
    await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], ${byLabel}}}`)
    const { run, waits } = startWaiting()
    await waits()
    await spanplan(lab, ['apply'])
    run.kill('SIGINT')
    const { exitCode, stderr } = await run
    expect(exitCode).toBe(130)
    expect(stderr).toContain('interrupted while it waited for sensors: what was applied stays')
    await expectConverged(lab)
  })

  test('has no use for a saved plan, nor together with --rollback-after or --defer-docker', async () => {
    for (const args of [['plan.json'], ['--rollback-after', '1m'], ['--defer-docker']]) {
      await spanplan(lab, ['apply', '--wait', '1s', ...args], 64)
    }
  })
})

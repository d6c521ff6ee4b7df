/** A sensor that destroys what it is given costs itself alone: the span's other sensors stay sealed, and its sources mirrored. */
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectHeard, interfacesOf, networksOf, portOf, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let web: Docker.Container
let evil: Docker.Container
let good: Docker.Container

const spans = 'spans: {span0: {sources: [{container: web}, {interface: ens192}], network: span, sensors: [evil, good]}}'

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192', mtu: 1500 }] })
  await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '198.18.3.0/26' }] } })
  ;[web, evil, good] = await Promise.all([
    lab.startSensor('web', { NetworkMode: 'shop' }),
    lab.startSensor('evil'),
    lab.startSensor('good')
  ])
  await writeSpans(lab, spans)
})
afterAll(() => lab.close())

/** What a container with CAP_NET_ADMIN can do to each of its interfaces, again and again. `$1`: a process in another namespace. */
const attacks = {
  'deletes its interface': 'ip link del dev $one',
  'renames its interface, sets it down, and adds it to a bridge of its own':
    'ip link add own type bridge; ip link set dev $one down; ip link set dev $one name x$RANDOM master own',
  'moves its interface to another namespace': 'ip link set dev $one netns $1'
} as const

/** Runs an attack in a sensor until the function that it gives is called. */
async function attack(container: Docker.Container, commands: string): Promise<() => Promise<void>> {
  const { State } = await container.inspect()
  const elsewhere = lab.start(['unshare', '--net', 'sleep', 'infinity'])
  const loop = `while :; do for one in $(ip -o link show type veth | sed 's/^[0-9]*: //; s/@.*//'); do ${commands}; done; done`
  const argv = ['bash', '-c', loop, 'bash', String(elsewhere.pid)] as const
  const attacking = lab.start(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...argv])
  return async () => {
    for (const one of [attacking, elsewhere]) {
      one.kill('SIGKILL')
      await one.catch(() => undefined)
    }
  }
}

const filtersOf = async (device: string): Promise<string> =>
  (
    await Promise.all(['ingress', 'egress'].map((hook) => lab.run(['tc', 'filter', 'show', 'dev', device, hook])))
  ).join()

/** Whether what web sends and receives is copied, and no frame of the good sensor's goes on. */
async function isWatched(): Promise<boolean> {
  const links: { ifindex: number; ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link']))
  const [inside] = await interfacesOf(web)
  const host = links.find(({ ifindex }) => ifindex === inside?.peer)?.ifname ?? 'none'
  const port = await portOf(lab, good)
  const [mirrors, seal, bridge] = await Promise.all([
    filtersOf(host),
    filtersOf(port),
    lab.run(['bridge', '-d', 'link', 'show', 'dev', port])
  ])
  const copied = mirrors.match(/Mirror to device span0/g) ?? []
  return copied.length === 2 && seal.includes('direct-action') && bridge.includes('isolated on')
}

describe.each(Object.entries(attacks))('a sensor that %s', (_, commands) => {
  beforeEach(async () => {
    await evil.restart()
    await spanplan(lab, ['apply', '--yes'])
  })

  test('costs no other thing when the span is applied', async () => {
    const stop = await attack(evil, commands)
    try {
      for (const restarted of [[web], [good, web]]) {
        for (const one of restarted) await one.restart()
        const { exitCode, stderr } = await lab.spanplan(['apply', '--yes'])
        expect([0, 4], stderr).toContain(exitCode)
        expect(/evil.*Everything else was done/.test(stderr), stderr).toBe(exitCode === 4)
        expect(await isWatched(), stderr).toBe(true)
      }
    } finally {
      await stop()
    }
    await expectHeard(lab, [good])
  })
})

describe('a sensor in which the name of its next interface is taken', () => {
  /** Docker fails to connect it then, and goes on listing what it has not made. */
  async function leaveHalf(): Promise<{ free(): Promise<unknown> }> {
    await evil.restart()
    await spanplan(lab, ['apply', '--yes'])
    const { State } = await evil.inspect()
    const ip = (lines: readonly string[]) =>
      lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ip', '-batch', '-'], { input: lines.join('\n') })
    const names = Array.from({ length: 40 }, (_, index) => `eth${index}`)
    const gone = (await interfacesOf(evil)).map(({ name }) => `link del dev ${name}`)
    await ip([...gone, ...names.map((name) => `link add name ${name} type bridge`)])
    await spanplan(lab, ['apply', '--yes'], 4)
    expect(await networksOf(evil)).toEqual(['span'])
    const { Containers = {} } = await lab.docker.getNetwork('span').inspect()
    expect(Containers).not.toHaveProperty(evil.id)
    // Docker renames what it took for its own.
    return { free: async () => ip((await interfacesOf(evil)).map(({ name }) => `link del dev ${name}`)) }
  }

  test('is connected by the next apply that can', async () => {
    const { free } = await leaveHalf()
    const { stderr } = await spanplan(lab, ['apply', '--yes'], 4)
    expect(stderr).toContain('could not disconnect evil from span: Docker lists evil on span, and cannot make its')
    expect(stderr).toContain('docker restart evil')
    expect(await isWatched(), stderr).toBe(true)
    await free()
    await spanplan(lab, ['apply', '--yes'])
    await expectHeard(lab, [evil, good])
  })

  test.each([
    ['destroy', spans],
    ['apply', 'spans: {other: {sources: [{interface: ens192}]}}']
  ])('is taken off by a %s that removes the network, and can be started again', async (command, file) => {
    const { free } = await leaveHalf()
    await writeSpans(lab, file)
    // Docker cannot make its interface, and so cannot take it off: the network stays for it.
    const { stderr } = await spanplan(lab, [command, '--yes'], 5)
    expect(stderr).toContain('docker restart evil')
    await free()
    const { stdout } = await spanplan(lab, [command, '--yes'])
    expect(stdout).toMatch(/ - +sensor +evil → span/)
    expect(await networksOf(evil)).toEqual(['none'])
    await evil.restart()
    await spanplan(lab, ['destroy', '--yes'])
    await writeSpans(lab, spans)
  })

  test('is connected after the restart that the apply advises', async () => {
    await leaveHalf()
    await evil.restart()
    await spanplan(lab, ['apply', '--yes'])
    await expectHeard(lab, [evil, good])
  })
})

/** What would change if a running sensor were connected again, or its network recreated. */
const placeOf = async (container: Docker.Container) => {
  const { Id, Options } = await lab.docker.getNetwork('span').inspect()
  return { network: Id, mtu: Options?.['com.docker.network.driver.mtu'], interfaces: await interfacesOf(container) }
}

describe('a source whose MTU grows', () => {
  const setMtu = (mtu: number) => lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'mtu', String(mtu)])
  const waits = /network +span +waits for spanplan apply, because that disconnects evil and good for a moment/

  test('has no network recreated by a watch, a timer or a hook, until a person applies', async () => {
    await spanplan(lab, ['apply', '--yes'])
    const before = await placeOf(good)
    {
      await using watch = await startWatch(lab)
      await setMtu(9000)
      await watch.expectTold(waits)
      await web.restart()
      await until('all else is in sync', isWatched)
      await watch.settle()
      const { stdout } = await spanplan(lab, ['status', '--for', '10ms', '--json'], 2)
      expect(stdout).toMatch(/"code": ?"RECREATE_DEFERRED"/)
      expect(stdout).toContain('run: spanplan apply')
    }
    await spanplan(lab, ['apply', '--yes', '--no-recreate', '--detailed-exitcode'])
    await spanplan(lab, ['hook', '--strict', '-f', 'spans.yaml', '--interface', 'ens192', '--phase', 'up'])
    expect(await placeOf(good)).toEqual(before)
    const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/-\/\+ network +span +mtu: 1500 → 9000/)
    const [old, fresh] = [before.interfaces[0]?.name, (await interfacesOf(good))[0]?.name]
    expect(stderr.includes(`good has lost its interface ${old} on span, and has ${fresh} now`), stderr).toBe(
      old !== fresh
    )
    expect(stderr.includes('docker restart good')).toBe(old !== fresh)
    await expectHeard(lab, [good])
  })

  test('never shrinks it again under running sensors, whoever applies; a number in the file does', async () => {
    const before = await placeOf(good)
    await setMtu(1500)
    await spanplan(lab, ['apply', '--yes', '--detailed-exitcode'])
    {
      await using watch = await startWatch(lab)
      await watch.settle()
    }
    expect(await placeOf(good)).toEqual(before)
    await writeSpans(lab, spans.replace('network: span', 'network: span, mtu: 1600'))
    const ending = await lab.docker.createContainer({
      name: 'ending',
      Image: 'spanplan-sensor',
      Cmd: ['tcpdump', '-i', 'eth0', '-w', '/dev/null', '-Z', 'root'],
      HostConfig: { NetworkMode: 'span' }
    })
    await ending.start()
    const { stdout } = await spanplan(lab, ['apply', '--yes', '--json'])
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events).toContainEqual(expect.objectContaining({ type: 'restart', hint: 'start it: docker start ending' }))
    await ending.remove({ force: true })
    await writeSpans(lab, spans.replace('network: span', 'network: span, mtu: 1700'))
    {
      await using watch = await startWatch(lab, ['--recreate'])
      await watch.settle()
    }
    expect((await placeOf(good)).mtu).toBe('1700')
    await writeSpans(lab, spans)
  })
})

describe('with a watch', () => {
  test('a sensor that deletes its interface is tried less and less often, and the rest is kept in sync', async () => {
    await evil.restart()
    await using watch = await startWatch(lab)
    const stop = await attack(evil, attacks['deletes its interface'])
    try {
      for (const restarted of [web, good, web]) {
        await restarted.restart()
        await until('all else is in sync', isWatched)
      }
      await watch.expectTold(/evil → span was connected, and its interface is gone again.*Everything else was done/)
      const { degraded } = await watch.state()
      expect(degraded).toMatchObject([
        { diagnostic: { subject: { span: 'span0', kind: 'sensor', id: ['span', 'evil'] } } }
      ])
      const told = watch.told.length
      for (let sample = 0; sample < 20; sample++) {
        expect(await isWatched(), watch.told.slice(told)).toBe(true)
      }
    } finally {
      await stop()
    }
    await expectHeard(lab, [good])
  })
})

describe('what cannot be had as it is costs itself alone', () => {
  const cannot =
    /sensor on-host → span cannot be connected: the container on-host has no network of its own \(network_mode: host\)/

  /** Whether the watched span is complete, but for what cannot be had. */
  const expectRest = async () => {
    for (const one of [web, good]) await one.restart()
    await until('all else is in sync', isWatched)
  }

  beforeAll(() => lab.startSensor('on-host', { NetworkMode: 'host' }))
  afterAll(async () => {
    await lab.docker.getContainer('on-host').remove({ force: true })
    await writeSpans(lab, spans)
  })

  test('a named sensor, when the span is applied', async () => {
    await spanplan(lab, ['destroy', '--all', '--yes'])
    await writeSpans(lab, spans.replace('[evil', '[on-host, evil'))
    for (let round = 0; round < 2; round++) {
      const { stderr } = await spanplan(lab, ['apply', '--yes'], 4)
      expect(stderr).toMatch(new RegExp(`${cannot.source}\\. Everything else was done`))
      expect(stderr).toContain('recreate it without network_mode')
      expect(await isWatched()).toBe(true)
    }
    expect((await spanplan(lab, ['plan', '--detailed-exitcode'])).stdout).toContain('No changes; 1 waits')
    const { stdout } = await spanplan(lab, ['status', '--for', '10ms', '--json'], 2)
    expect(stdout).toContain('SENSOR_NETWORK_MODE')
    await expectHeard(lab, [good])
  })

  test('a named sensor and a source, in a watch and a hook', async () => {
    await lab.run(['ip', 'tuntap', 'add', 'dev', 'tun0', 'mode', 'tun'])
    try {
      await writeSpans(lab, spans.replace('[evil', '[on-host, evil').replace('ens192}', 'ens192}, {interface: tun0}'))
      {
        await using watch = await startWatch(lab)
        await watch.expectTold(/on-host → span cannot be connected/)
        await watch.expectTold(/tun0 egress → span0: tun0 is not Ethernet/)
        await expectRest()
        const { stdout } = await spanplan(lab, ['status', '--for', '10ms', '--json'], 2)
        expect(stdout).toContain('INTERFACE_NOT_ETHERNET')
      }
      await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens192', 'clsact'])
      const hook = ['hook', '--strict', '-f', 'spans.yaml', '--interface', 'ens192', '--phase', 'up']
      const { stderr } = await spanplan(lab, hook, 4)
      expect(stderr).toMatch(/tun0 is not Ethernet.*Everything else was done/)
      expect((await filtersOf('ens192')).match(/Mirror to device span0/g)).toHaveLength(2)
    } finally {
      await lab.run(['ip', 'link', 'del', 'dev', 'tun0'])
    }
  })
})

const addFilter = (pref: number, words: string) => (device: string) =>
  `tc filter add dev ${device} ingress protocol all pref ${pref} handle 0x77 bpf ${words}`

/**
 * What somebody puts in the way of the mirrors of ens192, or of the seal of evil's port, by the code of the message; and how many
 * mirrors that leaves there.
 */
const obstacles: Readonly<Record<string, { readonly put: (device: string) => string; readonly left: number }>> = {
  QDISC_FOREIGN: {
    put: (device) => `tc qdisc del dev ${device} clsact; tc qdisc add dev ${device} ingress`,
    left: 0
  },
  FILTER_FOREIGN: {
    put: (device) =>
      `tc filter del dev ${device} ingress pref 8; ${addFilter(8, "da bytecode '1,6 0 0 4294967295'")(device)}`,
    left: 1
  },
  MIRROR_TWICE: {
    put: addFilter(49, "bytecode '1,6 0 0 4294967295' action mirred egress mirror dev span0"),
    left: 3
  },
  SEAL_BLOCKED: { put: addFilter(3, "da bytecode '1,6 0 0 0'"), left: 0 }
}

describe('what somebody puts in the way costs one thing', () => {
  beforeAll(async () => {
    await evil.restart()
    await spanplan(lab, ['apply', '--yes'])
  })
  afterEach(async () => {
    // Also after a test that failed.
    for (const place of ['ens192', await portOf(lab, evil)]) {
      for (const qdisc of ['ingress', 'clsact']) {
        await lab.run(['tc', 'qdisc', 'del', 'dev', place, qdisc]).catch(() => '')
      }
    }
    await spanplan(lab, ['apply', '--yes'])
  })

  test.each(Object.entries(obstacles))(
    'in a watch, which tells it once, until it is gone: %s',
    async (code, obstacle) => {
      const place = code === 'SEAL_BLOCKED' ? await portOf(lab, evil) : 'ens192'
      await using watch = await startWatch(lab, ['--json'])
      const told = (type: string) =>
        watch.events.filter((event) => event.type === type && JSON.stringify(event.wait).includes(code))
      await watch.settle()
      // Else the watch may be faster than the second command.
      watch.signal('SIGSTOP')
      await lab.run(['bash', '-c', obstacle.put(place)])
      watch.signal('SIGCONT')
      await until('it is told', async () => told('wait').length > 0)
      for (const restarted of [web, good]) await restarted.restart()
      await until('all else is in sync', isWatched)
      await watch.settle()
      expect(told('wait')).toHaveLength(1)
      expect((await watch.state()).degraded).toEqual([])
      expect((await filtersOf(place)).match(/Mirror to device span0/g) ?? []).toHaveLength(obstacle.left)
      const { stdout } = await spanplan(lab, ['status', '--for', '10ms', '--json'], 2)
      const [{ waiting }] = JSON.parse(stdout).spans
      expect(waiting).toEqual([expect.objectContaining({ code, hint: expect.stringContaining(`show dev ${place}`) })])
      await lab.run(['tc', 'qdisc', 'del', 'dev', place, code === 'QDISC_FOREIGN' ? 'ingress' : 'clsact'])
      await until('it waits no longer', async () => told('wait_over').length > 0)
      await watch.settle()
      await spanplan(lab, ['plan', '--detailed-exitcode'])
      await expectHeard(lab, [good, evil])
    }
  )

  test('in a hook; a plan and an apply end with it, and change nothing', async () => {
    await lab.run(['bash', '-c', `${obstacles.QDISC_FOREIGN?.put('ens192')}`])
    await lab.run(['tc', 'qdisc', 'del', 'dev', await portOf(lab, good), 'clsact'])
    for (const command of [['plan'], ['apply', '--yes']]) {
      expect((await spanplan(lab, command, 1)).stderr).toContain('ens192 has an ingress qdisc, which excludes')
    }
    expect(await isWatched()).toBe(false)
    const hook = ['hook', '--strict', '-f', 'spans.yaml', '--interface', 'ens192', '--phase', 'up']
    const { stderr } = await spanplan(lab, hook, 4)
    expect(stderr).toMatch(/span span0: ens192 has an ingress qdisc.*Everything else was done/)
    expect(await isWatched()).toBe(true)
  })
})

/** What a container shows of itself, and does in its own network namespace, steers nobody outside. */
import { once } from 'node:events'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { type FaultyDocker, startFaultyDocker } from '../lab/docker/faulty-docker.ts'
import { type Argv, createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import {
  expectConverged,
  expectHeard,
  findTap,
  interfacesOf,
  networksOf,
  portOf,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
})
afterAll(() => lab?.close())

async function restore(): Promise<void> {
  const containers = await lab.docker.listContainers({ all: true })
  await Promise.all(containers.map(({ Id }) => lab.docker.getContainer(Id).remove({ force: true })))
  await spanplan(lab, ['destroy', '--all', '--yes'])
}

/** All that spanplan may take of time and memory here: ten times what it needs. */
const bounded: SpanplanOptions = {
  through: ['timeout', '--signal=KILL', '120', 'prlimit', `--data=${1024 ** 3}`]
}

async function applySensors(...names: readonly string[]): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], sensors: [${names.join(', ')}]}}`)
  await spanplan(lab, ['apply', '--yes'])
}

/** The containers that are told to be behind the ports, and what listens there: null where it is not known. */
async function readSensors(options: SpanplanOptions = bounded): Promise<{ container: string; sockets: unknown }[]> {
  // Whether they are healthy: one in which nothing listens is not, once it has run for a while.
  const { stdout } = await lab.spanplan(['status', '--json', '--for', '10ms'], options)
  const [span]: { hops: { kind: string; container: string; sockets: unknown }[] }[] = JSON.parse(stdout).spans
  const hops = span?.hops.filter(({ kind }) => kind === 'sensor') ?? []
  return hops
    .map(({ container, sockets }) => ({ container, sockets }))
    .sort((a, b) => (a.container < b.container ? -1 : 1))
}

/** Runs a command in the network namespace of a container, as one that may do anything there could. */
async function runInside(container: Docker.Container, ...argv: Argv): Promise<string> {
  const { State } = await container.inspect()
  return lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...argv])
}

describe('a sensor with the rights that Docker gives to all, in a tree of its own making', () => {
  let evil: Docker.Container

  afterEach(restore)
  beforeEach(async () => {
    const chroot = 'mkdir -p /tree/bin && cp /bin/busybox /tree/bin/sleep && exec chroot /tree /bin/sleep 100000000'
    evil = await lab.docker.createContainer({
      name: 'evil',
      Image: 'spanplan-sensor',
      Cmd: ['/bin/sh', '-c', chroot],
      StopSignal: 'SIGKILL',
      HostConfig: { NetworkMode: 'none' }
    })
    await evil.start()
    await applySensors('evil')
  })

  /** What its first process has for an interface's files. */
  async function show(files: Readonly<Record<'address' | 'ifindex' | 'iflink', string>>): Promise<void> {
    const folder = '/tree/sys/class/net/eth9'
    const commands = Object.entries(files).map(([name, command]) => `${command.replace('FILE', `${folder}/${name}`)}`)
    const script = [`mkdir -p ${folder}`, ...commands].join(' && ')
    const { exitCode, stderr } = await lab.exec(evil, ['/bin/sh', '-c', script])
    expect([exitCode, stderr]).toEqual([0, ''])
  }

  const write = (text: string | number) => `echo ${text} >FILE`
  const traps = { 'a pipe that nobody writes to': 'mkfifo FILE', 'a link to /dev/zero': 'ln -s /dev/zero FILE' }

  test.each(Object.entries(traps))('cannot stop or fill a plan or a status: %s', async (_, trap) => {
    await show({ address: trap, ifindex: trap, iflink: trap })
    await expectConverged(lab, bounded)
    expect(await readSensors()).toEqual([{ container: 'evil', sockets: [] }])
  })

  test("cannot stop a status at its interface's number", async () => {
    const { name, mac, port } = await findTap(lab, evil)
    const [link] = JSON.parse(await runInside(evil, 'ip', '-json', 'link', 'show', 'dev', name))
    const [other] = JSON.parse(await lab.run(['ip', '-json', 'link', 'show', 'dev', port]))
    await show({ address: write(mac), ifindex: write(link.ifindex), iflink: write(other.ifindex) })
    const { stdout } = await lab.spanplan(['status', '--for', '10ms'], bounded)
    expect(stdout).toMatch(/sensor +evil/)
    const replace = 'rm /tree/sys/class/net/eth9/ifindex && mkfifo /tree/sys/class/net/eth9/ifindex'
    expect(await lab.exec(evil, ['/bin/sh', '-c', replace])).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await readSensors()).toEqual([{ container: 'evil', sockets: [] }])
  })

  test("cannot have another workload's interface put on the bridge", async () => {
    await lab.run([
      'ip',
      'link',
      'add',
      'victim',
      'up',
      'type',
      'veth',
      'peer',
      'name',
      'inner',
      'netns',
      `${lab.name}-sw`
    ])
    try {
      const { mac } = await findTap(lab, evil)
      const read = async () => JSON.parse(await lab.run(['ip', '-json', 'link', 'show', 'dev', 'victim']))[0]
      const { ifindex, link_index } = await read()
      await show({ address: write(mac), ifindex: write(link_index), iflink: write(ifindex) })
      const { stdout } = await spanplan(lab, ['apply'], 0, bounded)
      expect(await read()).not.toHaveProperty('master')
      expect(await lab.run(['tc', 'filter', 'show', 'dev', 'victim', 'ingress'])).toBe('')
      expect(stdout).toContain('No changes')
    } finally {
      await lab.run(['ip', 'link', 'del', 'dev', 'victim'])
    }
  })
})

describe('a container that may do anything in its own network namespace', () => {
  let zeek: Docker.Container

  afterEach(restore)
  beforeEach(async () => {
    zeek = await lab.startSensor('zeek', { CapAdd: ['NET_ADMIN'] })
    await applySensors('zeek')
  })

  async function listen(): Promise<void> {
    const { name } = await findTap(lab, zeek)
    // Without a ring, so that the kernel tells what it loses.
    const exec = await zeek.exec({ Cmd: ['/usr/bin/tcpdump', '-Z', 'root', '-i', name, '-w', '/dev/null'] })
    await exec.start({ Detach: true })
    await until('it listens', async () => (await runInside(zeek, 'ss', '--packet', '--no-header')).includes(name))
  }

  test('is a sensor, whatever it calls its interfaces', async () => {
    const { name } = await findTap(lab, zeek)
    const [{ ifindex }] = JSON.parse(await runInside(zeek, 'ip', '-json', 'link', 'show', 'dev', name))
    const hostile = '\u001b[31m$(id)'
    await runInside(zeek, 'ip', 'link', 'set', 'dev', name, 'down')
    await runInside(zeek, 'ip', 'link', 'set', 'dev', name, 'name', hostile)
    await runInside(zeek, 'ip', 'link', 'set', 'dev', hostile, 'up')
    await listen()
    // As an index is written.
    for (const decoy of [String(ifindex), `0x${ifindex.toString(16)}`, '0', `if${ifindex}`, '--help']) {
      await runInside(zeek, 'ip', 'link', 'add', 'name', decoy, 'type', 'bridge')
    }
    await expectConverged(lab, bounded)
    const sockets = [{ interface: hostile, hears: 'every', drops: null }]
    expect(await readSensors()).toEqual([{ container: 'zeek', sockets }])
    const { stdout } = await lab.spanplan(['status', '--for', '10ms'], bounded)
    expect(stdout).not.toContain('\u001b')
    await expectHeard(lab, [zeek])
  })

  test('is not known to lose frames, where it has more sockets than anybody needs', async () => {
    // AF_PACKET, SOCK_RAW, and ETH_P_ALL in network order.
    const many = 'socket($s[$_], 17, 3, 768) or die for 1..4000; $| = 1; print "all"; sleep 600'
    const { State } = await zeek.inspect()
    const enter = ['nsenter', `--net=/proc/${State.Pid}/ns/net`] as const
    const flood = lab.start([...enter, 'prlimit', '--nofile=5000', findProgram('perl'), '-e', many])
    try {
      await once(flood.stdout, 'data')
      const { stdout, stderr } = await lab.spanplan(['status', '--for', '10ms'], bounded)
      expect(stderr).toBe('')
      expect(stdout).toMatch(/^span0: healthy, /)
      expect(stdout).toContain('has more sockets than spanplan reads: what they lose is not known')
    } finally {
      flood.kill('SIGKILL')
    }
  })

  test('has its interface back where it has moved that elsewhere, and what it makes for itself is nobody’s port', async () => {
    const { name, port } = await findTap(lab, zeek)
    const { State } = await zeek.inspect()
    const nested = lab.start(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'unshare', '--net', 'sleep', 'infinity'])
    try {
      await until('it has a namespace in its own', async () => {
        const own = await lab.run(['readlink', `/proc/${State.Pid}/ns/net`])
        return (await lab.run(['readlink', `/proc/${nested.pid}/ns/net`])) !== own
      })
      const peer = ['peer', 'name', 'inner', 'netns', String(nested.pid)]
      await runInside(zeek, 'ip', 'link', 'add', 'name', 'outer', 'type', 'veth', ...peer)
      await expectConverged(lab, bounded)
      await runInside(zeek, 'ip', 'link', 'set', 'dev', name, 'netns', String(nested.pid))
      const { stdout } = await spanplan(lab, ['apply', '--yes'], 0, bounded)
      expect(stdout).toContain('interface present: no → yes')
      await expectConverged(lab, bounded)
      expect((await findTap(lab, zeek)).port).not.toBe(port)
      // It would go on to hear the span by that one, and after a destroy send to the host.
      expect(await lab.run(['ip', 'link'])).not.toContain(port)
      expect((await interfacesOf(zeek)).map((one) => one.name)).toContain('outer')
      await expectHeard(lab, [zeek])
    } finally {
      nested.kill('SIGKILL')
    }
  })

  /** Moves its interface to the host, as whoever has a number for that namespace can. */
  async function moveToHost(): Promise<string> {
    const { name, port } = await findTap(lab, zeek)
    await runInside(zeek, 'ip', 'link', 'set', 'dev', name, 'netns', lab.name, 'name', 'evil0')
    await lab.run(['ip', 'link', 'set', 'dev', 'evil0', 'up'])
    return port
  }

  async function expectSealed(port: string): Promise<void> {
    expect(await lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])).toContain('direct-action')
    expect(await lab.run(['bridge', '-d', 'link', 'show', 'dev', port])).toContain('isolated on')
  }

  test('opens no port where it has moved its interface to the host: that port goes, and it gets another', async () => {
    const port = await moveToHost()
    const { stdout } = await spanplan(lab, ['plan'], 0, bounded)
    expect(stdout).toMatch(new RegExp(` - +port +${port} → span0 +removed: `))
    expect(stdout).not.toContain('sealed: yes → no')
    const { stderr } = await spanplan(lab, ['apply', '--yes', '--defer-docker'], 0, bounded)
    expect(stderr).toContain(`the port ${port} of span span0 leads to evil0 on this host`)
    await expectSealed(port)
    await using watch = await startWatch(lab)
    await watch.settle()
    expect(watch.told).not.toContain('yes → no')
    await expectConverged(lab, bounded)
    const links = await lab.run(['ip', 'link'])
    for (const gone of [port, 'evil0']) expect(links).not.toContain(`${gone}@`)
    await expectHeard(lab, [zeek])
  })

  test.each([
    ['the span is destroyed', 'destroy', null],
    ['it is taken off the file', 'apply', 'spans: {span0: {sources: [{interface: ens192}], network: span0}}']
  ])('leaves nothing on the host where it has moved its interface there, and %s', async (_, command, file) => {
    await moveToHost()
    if (file !== null) await writeSpans(lab, file)
    await spanplan(lab, [command, '--yes'], 0, bounded)
    expect(await lab.run(['ip', 'link'])).not.toContain('evil0@')
  })

  test.each([
    ['one that is no sensor', ['zeek'], false],
    ['another sensor of the span, of whose ports nothing tells which is its own', ['zeek', 'other'], true]
  ])('opens no port where it has moved its interface to another container: %s', async (_, sensors, stays) => {
    const other = await lab.startSensor('other')
    await applySensors(...sensors)
    const { name, port } = await findTap(lab, zeek)
    const { State } = await other.inspect()
    await runInside(zeek, 'ip', 'link', 'set', 'dev', name, 'netns', String(State.Pid), 'name', 'evil0')
    const { stdout } = await spanplan(lab, ['plan'], 0, bounded)
    expect(stdout).not.toContain('yes → no')
    await expectSealed(port)
    await spanplan(lab, ['apply', '--yes'], 0, bounded)
    if (stays) await expectSealed(port)
    else expect(await lab.run(['ip', 'link'])).not.toContain(`${port}@`)
  })
})

test('containers that share one network namespace are one sensor', async () => {
  const zeek = await lab.startSensor('zeek')
  await applySensors('zeek')
  const { name } = await findTap(lab, zeek)
  const other = await lab.startSensor('other', { NetworkMode: `container:${zeek.id}` })
  const exec = await other.exec({ Cmd: ['/usr/bin/tcpdump', '-Z', 'root', '-i', name, '-w', '/dev/null'] })
  await exec.start({ Detach: true })
  await until('it listens', async () => (await runInside(zeek, 'ss', '--packet', '--no-header')).includes(name))
  await expectConverged(lab)
  expect(await networksOf(other)).toEqual([])
  expect(await readSensors()).toEqual([
    { container: 'zeek', sockets: [{ interface: name, hears: 'every', drops: null }] }
  ])
  await restore()
})

describe('what Docker says of a container', () => {
  let zeek: Docker.Container
  let key: string
  let docker: FaultyDocker | undefined

  beforeAll(async () => {
    zeek = await lab.startSensor('zeek')
    await lab.startSensor('other')
    await applySensors('zeek')
    key = (await zeek.inspect()).NetworkSettings.SandboxKey
    await mkdir(place())
  })
  afterAll(restore)
  afterEach(() => docker?.close())

  interface Inspection {
    readonly State: { Pid: number }
    readonly NetworkSettings: { SandboxKey: string }
  }

  /** Docker, as if it said something else of the container. */
  async function telling(change: (said: Inspection) => unknown): Promise<SpanplanOptions> {
    docker = await startFaultyDocker(lab)
    docker.tamper((url, text) => {
      if (!url.includes(`/containers/${zeek.id}/json`)) return text
      const said: Inspection = JSON.parse(text)
      change(said)
      return JSON.stringify(said)
    })
    return { ...bounded, env: docker.env }
  }

  test("is no process's number, which may be another's by now", async () => {
    const { State } = await lab.docker.getContainer('other').inspect()
    const options = await telling((said) => {
      said.State.Pid = State.Pid
    })
    await expectConverged(lab, options)
    expect(await readSensors(options)).toEqual([{ container: 'zeek', sockets: [] }])
  })

  test('is asked again where the kernel contradicts it, as while a container restarts', async () => {
    // As a namespace without an interface of the span, which the kernel has a number for.
    const network = await lab.docker.createNetwork({ Name: 'shop', IPAM: { Config: [{ Subnet: '198.18.3.0/26' }] } })
    const bridged = await lab.startSensor('bridged', { NetworkMode: 'shop' })
    const { NetworkSettings } = await bridged.inspect()
    let asked = 0
    const options = await telling((said) => {
      if (asked++ === 0) said.NetworkSettings.SandboxKey = NetworkSettings.SandboxKey
    })
    await expectConverged(lab, options)
    expect(asked).toBe(2)
    await bridged.remove({ force: true })
    await network.remove()
  })

  /** A folder of the test's, called as Docker calls its own. */
  const place = () => join(lab.files, 'netns')

  const lures: Readonly<Record<string, () => Promise<string>>> = {
    'a link': async () => {
      await symlink(key, join(place(), 'link'))
      return join(place(), 'link')
    },
    'in a folder that is a link': async () => {
      await mkdir(join(lab.files, 'linked'))
      await symlink(dirname(key), join(lab.files, 'linked/netns'))
      return join(lab.files, 'linked/netns', basename(key))
    },
    'in a folder of everybody’s': async () => {
      await chmod(dirname(key), 0o777)
      return key
    },
    'no namespace': async () => {
      await writeFile(join(place(), 'file'), '')
      return join(place(), 'file')
    },
    'a pipe that nobody writes to': async () => {
      await lab.run(['mkfifo', join(place(), 'pipe')])
      return join(place(), 'pipe')
    },
    'not to be seen from here': async () => '/run/nowhere/netns/0123456789ab'
  }

  test.each(Object.entries(lures))('is not believed where the file of its namespace is %s', async (_, lure) => {
    const wrong = await lure()
    try {
      const options = await telling((said) => {
        said.NetworkSettings.SandboxKey = wrong
      })
      await expectConverged(lab, options)
      const { stdout, stderr } = await lab.spanplan(['status', '--for', '10ms'], options)
      expect(stderr).toMatch(/(no right to see|it is not known) which ports belong to zeek/)
      expect(stdout).not.toMatch(/^ {2}sensor +zeek/m)
    } finally {
      await chmod(dirname(key), 0o755)
    }
  })
})

describe("an administrator's own veth that leads to a sensor, with a route through it and no address", () => {
  let zeek: Docker.Container

  const ip = (...argv: readonly string[]) => lab.run(['ip', ...argv])

  beforeEach(async () => {
    zeek = await lab.startSensor('zeek')
    await ip('addr', 'add', '192.0.2.77/32', 'dev', 'lo')
    await applySensors('zeek')
  })
  afterEach(async () => {
    await ip('addr', 'del', '192.0.2.77/32', 'dev', 'lo')
    await restore()
  })

  async function addVeth(name: string): Promise<void> {
    const { State } = await zeek.inspect()
    await ip('link', 'add', name, 'up', 'type', 'veth', 'peer', 'name', 'adm0', 'netns', `${State.Pid}`)
    await runInside(zeek, 'ip', 'addr', 'add', '198.51.100.2/32', 'dev', 'adm0')
    await runInside(zeek, 'ip', 'link', 'set', 'dev', 'adm0', 'up')
    await runInside(zeek, 'ip', 'route', 'add', '192.0.2.77', 'dev', 'adm0')
  }

  /** Pings through it while this is done, and until one more answer is there: what is sent last may end unanswered. */
  async function expectNoLoss(work: () => Promise<void>): Promise<void> {
    const ping = lab.start(['busybox', 'ping', '-i', '0.1', '198.51.100.2'])
    const answer = () => new Promise((resolve) => ping.stdout.once('data', resolve))
    await answer()
    await work()
    await answer()
    ping.kill('SIGINT')
    const { stdout } = await ping.catch((error) => error)
    expect(stdout).not.toContain('DUP!')
    // A signal that comes while it writes has it write that line again.
    const answered = [...new Set([...stdout.matchAll(/seq=(\d+)/g)].map(([, number]) => Number(number)))]
    expect(answered).toEqual(answered.map((_, index) => index))
  }

  /** Its own port goes; it gets another one. */
  async function losePort(repair: () => Promise<unknown>, lose = (port: string) => ip('link', 'del', 'dev', port)) {
    const port = await portOf(lab, zeek)
    await lose(port)
    await repair()
    await until('it has another port', async () => (await portOf(lab, zeek)) !== port)
  }

  test.each([
    ['a name of its own', 'vethadmin', ['route', 'add', '198.51.100.2', 'dev']],
    ['a name like those of Docker', 'veth0a1b2c3', ['route', 'add', '198.51.100.2', 'table', '77', 'dev']]
  ])('is not put on the bridge in the place of the one that is gone: with %s', async (_, name, route) => {
    const expectUntouched = async () => {
      const [link] = JSON.parse(await ip('-json', 'link', 'show', 'dev', name))
      expect(link).not.toHaveProperty('master')
      expect(await lab.run(['tc', 'filter', 'show', 'dev', name, 'ingress'])).toBe('')
    }
    await ip('rule', 'add', 'to', '198.51.100.2', 'lookup', '77')
    try {
      await addVeth(name)
      await ip(...route, name)
      await expectNoLoss(async () => {
        await losePort(() => spanplan(lab, ['apply', '--yes']))
        await expectHeard(lab, [zeek])
        await using watch = await startWatch(lab)
        await losePort(() => watch.settle())
        const disconnect = () => lab.docker.getNetwork('span0').disconnect({ Container: 'zeek', Force: true })
        await losePort(() => watch.settle(), disconnect)
        await expectUntouched()
      })
      // Its own namespace goes with the container, and the veth with that: the kernel destroys a namespace in its own time.
      await zeek.restart()
      await until('the veth is gone', async () => {
        const links: { ifname: string }[] = JSON.parse(await ip('-json', 'link', 'show'))
        return links.every(({ ifname }) => ifname !== name)
      })
      await addVeth(name)
      await ip(...route, name)
      await expectNoLoss(async () => {
        await spanplan(lab, ['apply', '--yes'])
        await losePort(() => spanplan(lab, ['apply', '--yes']))
      })
      await expectUntouched()
    } finally {
      await ip('rule', 'del', 'to', '198.51.100.2', 'lookup', '77')
    }
  })
})

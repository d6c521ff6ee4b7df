import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rawOnly } from './docker/sensor-images.ts'
import {
  ALL_HOSTS_GROUP,
  arp,
  BROADCAST,
  ether,
  filler,
  igmpQuery,
  ipv4Udp,
  ipv6Udp,
  LLDP_GROUP,
  lldp,
  mpls,
  qinq,
  STP_GROUP,
  stp,
  vlan
} from './frames/frames.ts'
import { createLab, type Lab } from './lab.ts'

const SOURCE = '02:00:00:00:0a:01'
const UNKNOWN = '02:00:00:00:0a:02'
const udp = { source: '192.0.2.1', destination: '192.0.2.2', data: Buffer.from('hello') }

const frames = [
  ether(UNKNOWN, SOURCE, filler(60)),
  ether(
    BROADCAST,
    SOURCE,
    arp({ operation: 'request', senderMac: SOURCE, senderIp: '192.0.2.1', targetIp: '192.0.2.2' })
  ),
  ether(UNKNOWN, SOURCE, ipv4Udp(udp)),
  ether(UNKNOWN, SOURCE, ipv6Udp({ ...udp, source: '2001:db8::1', destination: '2001:db8::2' })),
  ether(ALL_HOSTS_GROUP, SOURCE, igmpQuery('192.0.2.1')),
  ether(LLDP_GROUP, SOURCE, lldp(SOURCE, '1')),
  ether(STP_GROUP, SOURCE, stp(SOURCE)),
  ether(UNKNOWN, SOURCE, vlan(10, ipv4Udp(udp), 5)),
  ether(UNKNOWN, SOURCE, qinq(100, 10, ipv4Udp(udp))),
  ether(UNKNOWN, SOURCE, mpls([16, 17], ipv4Udp(udp).bytes)),
  ether(UNKNOWN, SOURCE, filler(1514)),
  ether(UNKNOWN, SOURCE, filler(9014))
]

/** What a lab could leave on the machine, less what names another lab: other tests run at the same time. */
async function inventory() {
  const find = (...argv: string[]) => execa('find', argv, { lines: true, reject: false })
  const [files, cgroups] = await Promise.all([
    find('/etc', '/opt', '/run', '/var/lib', '/tmp', '/root', '-xdev', '-maxdepth', '3'),
    find('/sys/fs/cgroup', '-maxdepth', '2', '-type', 'd')
  ])
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  return {
    namespaces: ours(await readdir('/run/netns')),
    mounts: ours(mounts.split('\n')),
    cgroups: ours(cgroups.stdout),
    files: ours(files.stdout),
    links: await readdir('/sys/class/net')
  }
}

const anyLab = /spanplan-\d+-/
const foreignLab = new RegExp(`spanplan-(?!${process.pid}-)\\d+-`)

/** Of these lines, those that a lab of this process, or its Docker, could be the reason for. */
function ours(lines: readonly string[]): string[] {
  return (
    lines
      .filter((line) => /spanplan|docker|containerd|moby|runc|\bcni\b|\bnri\b/.test(line))
      .filter((line) => !foreignLab.test(line) && !line.startsWith('/run/containerd'))
      // There, others have folders of their own.
      .filter((line) => !line.startsWith('/tmp/') || anyLab.test(line))
      .sort()
  )
}

async function processesNaming(word: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  const named = pids.map(async (pid) => {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
    const [command, environment] = await Promise.all([read('cmdline'), read('environ')])
    return `${command}\0${environment}`.includes(word) && Number(pid) !== process.pid ? [command] : []
  })
  return (await Promise.all(named)).flat()
}

async function traces(lab: string): Promise<string[]> {
  const all = await inventory()
  return [
    ...Object.values(all)
      .flat()
      .filter((line) => line.includes(lab)),
    ...(await processesNaming(lab))
  ]
}

describe('the cable', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224', mtu: 1500 }] })
  })
  afterAll(() => lab?.close())

  test.each([
    ['sw0', 'ens192'],
    ['ens192', 'sw0']
  ])('carries every frame from %s to %s, byte for byte and in order', async (from, to) => {
    const capture = await lab.captureLink(to)
    await lab.send(frames, from)
    const { frames: seen, dropped } = await capture.stop({ count: frames.length })
    expect(seen).toEqual(frames)
    expect(dropped).toBe(0)
  })

  test('carries a burst without loss', async () => {
    const burst = Array.from({ length: 5000 }, (_, index) => ether(UNKNOWN, SOURCE, filler(200, index)))
    const capture = await lab.captureLink('ens192', { bulk: true })
    await lab.send(burst)
    const { frames: seen, dropped } = await capture.stop({ count: burst.length })
    expect(dropped).toBe(0)
    // In one piece: to compare thousands takes vitest seconds.
    expect(Buffer.concat(seen).equals(Buffer.concat(burst))).toBe(true)
  })

  test('is quiet by itself, and leaves the card as it is while it is listened to', async () => {
    const before = await lab.run(['ip', '-d', 'link', 'show', 'dev', 'ens192'])
    const capture = await lab.captureLink('ens192')
    expect(await lab.run(['ip', '-d', 'link', 'show', 'dev', 'ens192'])).toBe(before)
    expect(await capture.stop({ seconds: 2 })).toEqual({ frames: [], dropped: 0 })
  })

  test('passes the tc hooks of both ways', async () => {
    await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens224', 'clsact'])
    const mirror = ['bpf', 'bytecode', '1,6 0 0 262144', 'action', 'mirred', 'egress', 'mirror', 'dev', 'ens192']
    for (const hook of ['ingress', 'egress']) await lab.run(['tc', 'filter', 'add', 'dev', 'ens224', hook, ...mirror])
    const capture = await lab.captureLink('sw0', { direction: 'in' })
    await lab.send(frames.slice(0, 4), 'ens224')
    await lab.send(frames.slice(4, 8), 'sw1')
    expect((await capture.stop({ count: 8 })).frames).toEqual(frames.slice(0, 8))
  })

  test('says when a frame does not fit', async () => {
    await expect(lab.send([ether(UNKNOWN, SOURCE, filler(1600))], 'ens224')).rejects.toThrow('sent 0 of 1 frames')
  })

  test('a command that fails says why', async () => {
    await expect(lab.run(['ip', 'link', 'show', 'dev', 'none'])).rejects.toThrow('Device "none" does not exist')
    expect(await lab.run(['cat'], { input: 'words' })).toBe('words')
  })

  test('two snapshots are the same, and a change shows', async () => {
    const before = await lab.snapshotText()
    expect(await lab.snapshotText()).toBe(before)
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'on'])
    expect(await lab.snapshotText()).not.toBe(before)
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    await lab.run(['ip', 'link', 'add', 'name', 'span0', 'type', 'bridge'])
    await lab.run(['ip', 'link', 'del', 'dev', 'span0'])
    expect(await lab.snapshotText()).toBe(before)
  })
})

describe('Docker in the lab', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await createLab({ docker: true })
  })
  afterAll(() => lab?.close())

  test('a sensor with no right but NET_RAW hears what is sent into its network', async () => {
    const network = await lab.docker.createNetwork({
      Name: 'net0',
      Driver: 'bridge',
      Internal: true,
      IPAM: { Config: [{ Subnet: '192.0.2.0/24' }] },
      Options: { 'com.docker.network.bridge.name': 'span0', 'com.docker.network.driver.mtu': '9000' }
    })
    const sensor = await lab.startSensor('sensor', { NetworkMode: 'net0', ...rawOnly() })
    await lab.run(['ip', 'link', 'set', 'dev', 'span0', 'type', 'bridge', 'ageing_time', '0', 'mcast_snooping', '0'])
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'master', 'span0'])
    const capture = await lab.capture(sensor, 'eth0', { expression: `ether src ${SOURCE}` })
    await lab.send(frames.filter((frame) => !frame.toString('hex').startsWith('0180c2')))
    const { frames: seen, dropped } = await capture.stop({ count: frames.length - 2 })
    expect(dropped).toBe(0)
    expect(seen).toEqual(frames.filter((frame) => !frame.toString('hex').startsWith('0180c2')))
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'nomaster'])
    await sensor.remove({ force: true })
    await network.remove()
  })

  test("the settings that the machine hands down are the kernel's own, also in a container", async () => {
    const read = ['grep', '-H', '', ...['all', 'default'].map((scope) => `/proc/sys/net/ipv4/conf/${scope}/rp_filter`)]
    const expected = read
      .slice(-2)
      .map((path) => `${path}:0`)
      .join('\n')
    const sensor = await lab.startSensor('sensor')
    expect((await lab.exec(sensor, ['grep', ...read.slice(1)])).stdout).toBe(`${expected}\n`)
    for (const on of ['host', 'switch'] as const)
      expect(await lab.run(['grep', ...read.slice(1)], { on })).toBe(expected)
    await sensor.remove({ force: true })
  })

  test('commands run in a container', async () => {
    const sensor = await lab.startSensor('other')
    expect(await lab.exec(sensor, ['sh', '-c', 'echo out; echo err >&2; exit 3'])).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exitCode: 3
    })
    await sensor.remove({ force: true })
  })

  test('a container survives a live restart of dockerd, and no other', async () => {
    const sensor = await lab.startSensor('survivor')
    const { State: before } = await sensor.inspect()
    await lab.restartDocker({ live: true })
    expect((await sensor.inspect()).State.Pid).toBe(before.Pid)
    await lab.restartDocker()
    expect((await sensor.inspect()).State.Running).toBe(false)
    await sensor.remove({ force: true })
  })

  test('a container on the network of the host is on the network of the lab', async () => {
    const sensor = await lab.startSensor('on-host', { NetworkMode: 'host' })
    const { State } = await sensor.inspect()
    const inside = await lab.run(['readlink', '/proc/self/ns/net'])
    expect(await readlink(`/proc/${State.Pid}/ns/net`)).toBe(inside)
    await sensor.remove({ force: true })
  })
})

describe('the end of a lab', () => {
  test('nothing is left', async () => {
    const before = await inventory()
    const lab = await createLab({ docker: true })
    await lab.startSensor('sensor')
    await lab.startSensor('restarting', { RestartPolicy: { Name: 'always' } })
    await lab.captureLink('ens192')
    const ended = lab.start(['sleep', '1000']).catch(({ signal }: { signal?: string }) => signal)
    const { stdout: addresses } = await execa('find', [`/tmp/${lab.name}`, '-name', 'address'], { lines: true })
    const sockets = addresses.map((file) => readFileSync(file, 'utf8').replace('unix://', ''))
    expect(sockets.map((socket) => existsSync(socket))).toEqual([true, true])
    expect(await traces(lab.name)).not.toEqual([])
    await lab.close()
    expect(await ended).toBe('SIGKILL')
    expect(sockets.map((socket) => existsSync(socket))).toEqual([false, false])
    expect(await traces(lab.name)).toEqual([])
    expect(await inventory()).toEqual(before)
    await lab.close()
  })

  test.each([
    ['a cable', { cables: [{ card: 'ens192' }, { card: 'ens192' }] }, 'File exists'],
    ['dockerd', { docker: true, dockerdOptions: ['--no-such-option'] }, 'unknown flag: --no-such-option']
  ])('nothing is left when %s fails', async (_, options, message) => {
    const before = await inventory()
    await expect(createLab(options)).rejects.toThrow(message)
    expect(await inventory()).toEqual(before)
    expect(await processesNaming(`spanplan-${process.pid}-`)).toEqual([])
  })
})

describe('the end of the process that owns a lab', () => {
  let owner: string

  beforeAll(async () => {
    owner = join(process.cwd(), 'node_modules/.cache', `lab-owner-${process.pid}.mjs`)
    const program = `
      import { createLab } from './test/lab/lab.ts'
      const lab = await createLab({ docker: true })
      await lab.startSensor('sensor')
      console.log(lab.name)
      process.stdin.once('data', (word) => {
        if (String(word) === 'throw') throw new Error('thrown')
        process.exit()
      })
    `
    await build({
      stdin: { contents: program, resolveDir: process.cwd(), loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      outfile: owner
    })
  })
  afterAll(async () => {
    await rm(owner, { force: true })
  })

  async function startOwner() {
    // A signal is answered in its own time, however busy the machine is.
    const options = { reject: false, buffer: false, stderr: 'ignore', forceKillAfterDelay: false } as const
    const child = execa(process.execPath, [owner], options)
    const failed = once(child.stdout, 'end').then(() => {
      throw new Error('the owner of the lab ended too early')
    })
    failed.catch(() => undefined)
    const [name] = await Promise.race([once(child.stdout, 'data'), failed])
    return { child, name: String(name).trim() }
  }

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s takes the lab along', async (signal) => {
    const { child, name } = await startOwner()
    expect(await traces(name)).not.toEqual([])
    child.kill(signal)
    expect((await child).signal).toBe(signal)
    expect(await traces(name)).toEqual([])
  })

  test.each(['exit', 'throw'])('so does its own end: %s', async (word) => {
    const { child, name } = await startOwner()
    child.stdin.write(word)
    expect((await child).exitCode).toBe(word === 'exit' ? 0 : 1)
    expect(await traces(name)).toEqual([])
  })

  test('what kill -9 leaves, the next lab sweeps', async () => {
    const { child, name } = await startOwner()
    child.kill('SIGKILL')
    await child
    const next = await createLab()
    expect(await traces(name)).toEqual([])
    await next.close()
  })
})

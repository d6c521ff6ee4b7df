/** What tells a watch to look again. What it does then: test/watch/triggers.long.test.ts. */
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { projectRoot } from '../lab/programs.ts'
import { until } from '../lab/spans.ts'

let lab: Lab
let program: string

/** Prints why it is woken, and ends when its stdin does. */
const script = `
import { followHost } from './src/watch/triggers/host-events.ts'
const stop = new AbortController()
process.stdin.resume().once('end', () => stop.abort())
followHost((trigger) => console.log(trigger), { onFail() {}, onListen() {} }, () => ['10.99.0.1'], stop.signal)`

beforeAll(async () => {
  lab = await createLab({ docker: true })
  program = join(lab.files, 'events.cjs')
  await build({
    stdin: { contents: script, resolveDir: projectRoot },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile: program,
    external: ['dockerode'],
    // Required, where an import would know nothing of NODE_PATH.
    supported: { 'dynamic-import': false }
  })
})
afterAll(() => lab?.close())

/** Follows the lab's host, from when it has begun to listen to all. */
async function startEvents() {
  const nodePath = `NODE_PATH=${resolve(projectRoot, 'node_modules')}`
  const process = lab.start(['env', nodePath, globalThis.process.execPath, program])
  const counts: Record<string, number> = { link: 0, filter: 0, docker: 0 }
  createInterface(process.stdout).on('line', (trigger) => {
    counts[trigger] = (counts[trigger] ?? 0) + 1
  })
  const countOf = (trigger: string) => counts[trigger] ?? 0
  await until('it listens', async () => Object.values(counts).every((count) => count > 0))
  return {
    process,
    countOf,
    /** That is told of as this, sooner or later. */
    expectWake: async (trigger: string, what: string, action: () => Promise<unknown>) => {
      const before = countOf(trigger)
      await action()
      await until(`${what} is told`, async () => countOf(trigger) > before)
    },
    [Symbol.asyncDispose]: async () => {
      process.stdin.end()
      await process
    }
  }
}

/** The programs that print what changes, as process ids. */
async function findMonitors(...commands: readonly string[]): Promise<number[]> {
  const own = await lab.run(['readlink', '/proc/self/ns/net'])
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  const found = await Promise.all(
    pids.map(async (pid) => {
      const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      if (!commands.includes(argv.replaceAll('\0', ' ').trim())) return []
      const there = await lab.run(['readlink', `/proc/${pid}/ns/net`]).catch(() => '')
      return there === own ? [Number(pid)] : []
    })
  )
  return found.flat()
}

test('links, bridge options, ports and offloads', async () => {
  await using events = await startEvents()
  for (const command of [
    'ip link add br0 type bridge',
    'ip link add v0 type veth peer name v1',
    'ip link set dev v0 master br0',
    // Of a link that is down, most is not told.
    'ip link set dev br0 up',
    'ip link set dev br0 type bridge ageing_time 0',
    'ip link set dev br0 type bridge mcast_snooping 0',
    'bridge link set dev v0 isolated on',
    'ip link set dev ens192 promisc on',
    'ip link set dev ens192 promisc off',
    'ip link set dev br0 alias hello',
    'ethtool -K br0 tso off',
    'ip link set dev v1 name v2',
    'ip link del dev br0',
    'ip link del dev v0'
  ]) {
    await events.expectWake('link', command, () => lab.run(['sh', '-c', command]))
  }
})

test('qdiscs and filters', async () => {
  await using events = await startEvents()
  for (const command of [
    'tc qdisc add dev ens192 clsact',
    "tc filter add dev ens192 ingress protocol all pref 8 handle 1 bpf da bytecode '1,6 0 0 2'",
    'tc filter del dev ens192 ingress protocol all pref 8',
    'tc qdisc del dev ens192 clsact'
  ]) {
    await events.expectWake('filter', command, () => lab.run(['sh', '-c', command]))
  }
})

test("Docker's networks and containers, also after dockerd was away", async () => {
  await using events = await startEvents()
  const network = () => lab.docker.getNetwork('span')
  const sensor = await lab.createSensor('suricata')
  for (const action of [
    () => lab.docker.createNetwork({ Name: 'span', Internal: true }),
    () => sensor.start(),
    () => sensor.rename({ name: 'zeek' }),
    () => sensor.stop(),
    () => sensor.remove(),
    () => network().remove(),
    () => lab.stopDocker(),
    () => lab.startDocker(),
    () => lab.startSensor('suricata')
  ]) {
    await events.expectWake('docker', String(action), action)
  }
  await lab.docker.getContainer('suricata').remove({ force: true })
})

test('a route or a rule by which frames may be sent to another host, and no other route', async () => {
  await using events = await startEvents()
  await lab.run(['ip', 'addr', 'add', '10.50.0.2/24', 'dev', 'ens192'])
  for (const words of [
    'route add default',
    'route replace 10.99.0.0/16',
    'route del 10.99.0.0/16',
    'route del default'
  ]) {
    const [object = '', verb = '', prefix = ''] = words.split(' ')
    await events.expectWake('link', words, () =>
      lab.run(['ip', object, verb, prefix, 'via', '10.50.0.1', 'dev', 'ens192'])
    )
  }
  for (const verb of ['add', 'del']) {
    await events.expectWake('link', `rule ${verb}`, () =>
      lab.run(['ip', 'rule', verb, 'to', '10.99.0.1', 'lookup', '100'])
    )
  }
  const before = events.countOf('link')
  for (const verb of ['add', 'del']) await lab.run(['ip', 'route', verb, '10.98.0.0/16', 'dev', 'ens192'])
  // What comes after is told of alone.
  await events.expectWake('link', 'a link', () => lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'alias', 'other']))
  expect(events.countOf('link')).toBe(before + 1)
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'alias', ''])
  await lab.run(['ip', 'addr', 'del', '10.50.0.2/24', 'dev', 'ens192'])
})

test('a monitor that ends is started again, and wakes for what came meanwhile', async () => {
  await using events = await startEvents()
  for (const [trigger, words, command] of [
    ['link', 'ip -oneline monitor link address route rule', ['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'on']],
    ['filter', 'tc monitor', ['tc', 'qdisc', 'add', 'dev', 'ens192', 'clsact']]
  ] as const) {
    const [pid] = await findMonitors(words)
    await events.expectWake(trigger, `the end of ${words}`, async () => process.kill(pid ?? Number.NaN, 'SIGKILL'))
    await events.expectWake(trigger, command.join(' '), () => lab.run(command))
  }
})

test.each(['SIGTERM', 'SIGKILL'] as const)('after %s nothing goes on', async (signal) => {
  const { process } = await startEvents()
  expect(await findMonitors('ip -oneline monitor link address route rule')).toHaveLength(1)
  process.kill(signal)
  await expect(process).rejects.toMatchObject({ signal })
  await until(
    'they have ended',
    async () => (await findMonitors('ip -oneline monitor link address route rule', 'tc monitor')).length === 0
  )
})

test('with an end of its own, too', async () => {
  await (await startEvents())[Symbol.asyncDispose]()
  expect(await findMonitors('ip -oneline monitor link address route rule', 'tc monitor')).toEqual([])
})

test('what happens all the time in containers with a health check is no event', async () => {
  const sensor = await lab.startSensor('suricata')
  // What happened in the same second is told of too.
  await sleep(1000)
  await using events = await startEvents()
  const before = events.countOf('docker')
  for (let count = 0; count < 5; count++) await lab.exec(sensor, ['true'])
  // Events come in their order: this one is behind those.
  await sensor.rename({ name: 'zeek' })
  await until('docker wakes', async () => events.countOf('docker') > before)
  expect(events.countOf('docker')).toBe(before + 1)
  await sensor.remove({ force: true })
})

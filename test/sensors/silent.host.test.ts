/** What a sealed sensor sends reaches no packet socket of the host's either, and what is mirrored reaches the sensor. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dropProgram } from '../../src/host/tc-conventions.ts'
import { writeProgram } from '../../src/host/xdp/object.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { everyKind } from '../lab/frames/every-kind.ts'
import { able, countHeard, programsOn, silent } from '../lab/frames/silent-port.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectHeard, expectRestored, findTap, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container
let before: string

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  zeek = await lab.startSensor('zeek')
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())

const spanOf = (sensors: string, sealed = true) =>
  `spans: {span0: {sources: [{interface: ens192}], sensors: [${sensors}], sealed: ${sealed}}}`

async function apply(sealed = true): Promise<string> {
  await writeSpans(lab, spanOf('suricata, zeek', sealed))
  return (await spanplan(lab, ['apply', '--yes'], 0, able)).stdout
}

const planned = async () => (await spanplan(lab, ['plan'], 0, able)).stdout

test('without the program, a packet socket of the host gets each frame, and an apply says why', async () => {
  await writeSpans(lab, spanOf('suricata, zeek'))
  const { stderr } = await spanplan(lab, ['apply'])
  expect(await countHeard(lab, { suricata, zeek })).toBe(1 + 2 * 23)
  expect(stderr).toContain('no BPF file system is mounted at /sys/fs/bpf')
  await expectConverged(lab)
})

test('with it, none: no kind of frame, nor past the qdisc, nor in one packet of 40 KB; and the sensors get all that is mirrored', async () => {
  expect(await planned()).toMatch(/xdp +\S+ \(veth\w+\) → span0 +silent: no → yes/)
  await apply()
  await expectConverged(lab, able)
  const ports = await Promise.all([suricata, zeek].map((one) => findTap(lab, one)))
  expect(await Promise.all(ports.map(({ port }) => programsOn(lab, port)))).toEqual([silent, silent])
  expect(await countHeard(lab, { suricata, zeek })).toBe(0)
  const frames = Object.values(await everyKind(lab, { suricata, zeek }, '02:00:00:00:0a:01'))
  const captures = await Promise.all(
    [suricata, zeek].map(async (one) =>
      lab.capture(one, (await findTap(lab, one)).name, { expression: 'ether src 02:00:00:00:0a:01' })
    )
  )
  await lab.send(frames)
  for (const capture of captures) expect((await capture.stop({ count: frames.length })).frames).toEqual(frames)
})

test('a process that listens on all interfaces is no fault of the host any more', async () => {
  const listening = lab.start(['tcpdump', '-i', 'any', '-p', '-w', '/dev/null'])
  await once(listening.stderr, 'data')
  const heardBy = async (options = {}) => {
    const { stdout } = await lab.spanplan(['doctor', '--json'], options)
    return stdout.includes('tcpdump') && /hears every frame on all interfaces/.test(stdout)
  }
  expect(await heardBy(able)).toBe(false)
  // Whoever may not read whose programs the ports have sees that they have some.
  const unable = { through: ['setpriv', '--bounding-set=-sys_admin'] }
  const { stdout } = await lab.spanplan(['doctor', '--json'], unable)
  const { checks } = JSON.parse(stdout)
  expect(checks).toContainEqual(expect.objectContaining({ id: 'xdp', result: 'unknown' }))
  await lab.run(['ip', 'link', 'set', 'dev', (await findTap(lab, zeek)).port, 'xdpdrv', 'off'])
  expect(await heardBy(able)).toBe(true)
  listening.kill('SIGKILL')
  await listening.catch(() => undefined)
  await apply()
})

test('a watch does it for a sensor that restarts, and puts back what somebody takes off', async () => {
  await using watch = await startWatch(lab, [], able)
  await zeek.restart()
  const portOf = async () => (await findTap(lab, zeek)).port
  await until('the new port is silent', async () => (await programsOn(lab, await portOf())).length > 0)
  await lab.run(['ip', 'link', 'set', 'dev', await portOf(), 'xdpdrv', 'off'])
  await until('it is silent again', async () => (await programsOn(lab, await portOf())).length > 0)
  expect(watch.told).not.toContain('error')
  await expectHeard(lab, [zeek, suricata])
})

test('while an apply waits for confirmation, sensors that restart have it and are sealed, those of another name too', async () => {
  const ownedBy = (name: string, sensor: string, filter = '') =>
    `{version: 1, name: ${name}, spans: {${name}: {sources: [{interface: ens192${filter}}], sensors: [${sensor}]}}}`
  await spanplan(lab, ['destroy', '--name', 'default', '--yes'], 0, able)
  for (const text of [ownedBy('alpha', 'suricata'), ownedBy('beta', 'zeek')])
    await spanplan(lab, ['apply', '-f', '-'], 0, { ...able, input: text })
  const changed = ownedBy('alpha', 'suricata', ', filter: not port 22')
  const window = lab.startSpanplan(['apply', '-f', '-', '--rollback-after', '10m'], { ...able, input: changed })
  await until('the window is open', async () => {
    const { stdout } = await lab.spanplan(['status', '-f', '-', '--json', '--for', '10ms'], { ...able, input: changed })
    return JSON.parse(stdout).window !== null
  })
  await Promise.all([suricata, zeek].map((one) => one.restart()))
  for (const [span, sensor] of [['alpha', suricata] as const, ['beta', zeek] as const]) {
    await until(`what is on ${span} has a program, and is sealed`, async () => {
      const { port } = await findTap(lab, sensor, span)
      const filters = await lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])
      return isDeepStrictEqual(await programsOn(lab, port), silent) && filters.includes(dropProgram)
    })
  }
  await spanplan(lab, ['rollback'], 0, able)
  expect((await window).exitCode).toBe(5)
  for (const name of ['alpha', 'beta']) await spanplan(lab, ['destroy', '--name', name, '--yes'], 0, able)
  await apply()
})

test.each([
  ['a sensor', spanOf('suricata')],
  ['a span', 'spans: {}']
])('a rollback that puts %s back closes what it connects, as it was before', async (_, text) => {
  await writeSpans(lab, text)
  const args = ['apply', '--yes', '--allow-empty', '--rollback-after', '100ms']
  const { stderr } = await spanplan(lab, args, 5, able)
  expect(stderr).toContain('Everything was rolled back: the host is as it was before.')
  await writeSpans(lab, spanOf('suricata, zeek'))
  await expectConverged(lab, able)
  const ports = await Promise.all([suricata, zeek].map((one) => findTap(lab, one)))
  expect(await Promise.all(ports.map(({ port }) => programsOn(lab, port)))).toEqual([silent, silent])
})

test('a rollback that cannot close what it connects does not say that all is as before', async () => {
  const { options } = await wrapPrograms(lab, { ip: failAt('dev veth.* xdpdrv obj') })
  await writeSpans(lab, spanOf('suricata'))
  const args = ['apply', '--yes', '--rollback-after', '100ms']
  const { stderr } = await spanplan(lab, args, 4, { ...able, ...options })
  expect(stderr).toMatch(
    /could not be rolled back completely:[\s\S]*made up\nStill to do[^\n]*\n +~ xdp \S+ \(veth\w+\) → span0/
  )
  await apply()
  await expectConverged(lab, able)
})

test('a watch has the programs as soon as somebody mounts the BPF file system', async () => {
  const { port } = await findTap(lab, zeek)
  await lab.run(['ip', 'link', 'set', 'dev', port, 'xdpdrv', 'off'])
  const mounted = join(lab.files, 'mounted')
  const later = `(timeout 60 sh -c 'until [ -e ${mounted} ]; do sleep 0.1; done'; mount -t bpf bpf /sys/fs/bpf && rm ${mounted}) & exec "$@"`
  await using watch = await startWatch(lab, [], { through: ['unshare', '--mount', 'sh', '-c', later, 'sh'] })
  expect(await programsOn(lab, port)).toEqual([])
  await writeFile(mounted, '')
  await until('it is mounted', async () => !existsSync(mounted))
  process.kill(watch.pid, 'SIGHUP')
  await until('the port is silent', async () => (await programsOn(lab, port)).length > 0)
})

test('a foreign program stays, with a warning, and another port gets ours', async () => {
  const [{ port }, { port: other }] = await Promise.all([findTap(lab, zeek), findTap(lab, suricata)])
  const file = join(lab.files, 'theirs.o')
  await writeFile(file, writeProgram('xdp.frags', 'theirs', 1))
  for (const one of [port, other]) await lab.run(['ip', 'link', 'set', 'dev', one, 'xdpdrv', 'off'])
  await lab.run([
    'unshare',
    '--mount',
    'sh',
    '-ec',
    `mount -t bpf bpf /sys/fs/bpf; ip link set dev ${port} xdpdrv obj ${file} sec xdp.frags`
  ])
  const { stderr } = await spanplan(lab, ['plan'], 0, able)
  expect(stderr).toMatch(new RegExp(`${port} ingress has the xdp program \\d+ before the filter that seals it`))
  await apply()
  await expectConverged(lab, able)
  expect(await programsOn(lab, port)).toEqual(['xdp theirs'])
  expect(await programsOn(lab, other)).toEqual(silent)
  await lab.run(['ip', 'link', 'set', 'dev', port, 'xdpdrv', 'off'])
})

test('a container that sends on more queues than its port receives on is silent all the same', async () => {
  const { port, name } = await findTap(lab, zeek)
  const { State } = await zeek.inspect()
  await lab.run(['ip', 'link', 'set', 'dev', port, 'xdpdrv', 'off'])
  await lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, 'ethtool', '-L', name, 'tx', '2'])
  await apply()
  expect(await programsOn(lab, port)).toEqual(silent)
  await expectConverged(lab, able)
})

test('a port that cannot have it costs nothing else', async () => {
  const { port } = await findTap(lab, zeek)
  const { State } = await zeek.inspect()
  // Made by hand, with fewer queues than the other end sends on.
  const ends = `many0 numrxqueues 1 numtxqueues 2 type veth peer name eth9 numrxqueues 2 numtxqueues 2 netns ${State.Pid}`
  await lab.run(['ip', 'link', 'add', ...ends.split(' ')])
  await lab.run(['ip', 'link', 'set', 'dev', 'many0', 'master', 'span0', 'up'])
  const { stderr } = await spanplan(lab, ['apply', '--yes'], 4, able)
  expect(stderr).toMatch(/what many0 sends reaches packet sockets of the host: /)
  expect(await programsOn(lab, port)).toEqual(silent)
  expect(await lab.run(['tc', 'filter', 'show', 'dev', 'many0', 'ingress'])).toContain("bytecode '1,6 0 0 2'")
  await lab.run(['ip', 'link', 'del', 'dev', 'many0'])
  await expectConverged(lab, able)
})

test('taken off with "sealed: false", and from a port that others have put on the bridge, with the span', async () => {
  const { port } = await findTap(lab, zeek)
  await apply(false)
  await expectConverged(lab, able)
  expect(await programsOn(lab, port)).toEqual([])
  await apply()
  const { State } = await zeek.inspect()
  await lab.run(['ip', 'link', 'add', 'mine0', 'type', 'veth', 'peer', 'name', 'eth9', 'netns', String(State.Pid)])
  await lab.run(['ip', 'link', 'set', 'dev', 'mine0', 'up'])
  const mine = await lab.run(['ip', '-details', 'link', 'show', 'dev', 'mine0'])
  await lab.run(['ip', 'link', 'set', 'dev', 'mine0', 'master', 'span0'])
  await apply()
  expect(await programsOn(lab, 'mine0')).toEqual(silent)
  await spanplan(lab, ['destroy', '--name', 'default', '--yes'], 0, able)
  expect(await lab.run(['ip', '-details', 'link', 'show', 'dev', 'mine0'])).toBe(mine)
  await lab.run(['ip', 'link', 'del', 'dev', 'mine0'])
  await expectRestored(lab, before)
})

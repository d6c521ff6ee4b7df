/** A sensor with CAP_NET_ADMIN that storms, hides and forges, and a mirrored wire that somebody flaps: nobody else pays. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { dropProgram } from '../../src/host/tc-conventions.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { type Argv, createLab, type Lab } from '../lab/lab.ts'
import { expectArriving, expectConverged, findTap, portOf, spanplan, until, writeSpans } from '../lab/spans.ts'
import { expectClean } from '../lab/unharmed.ts'

let lab: Lab
let evil: Docker.Container
let suricata: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startListener('suricata')
})
afterAll(() => lab?.close())

const write = (more = '') =>
  writeSpans(
    lab,
    `interfaces: {ens192: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens192}], sensors: [suricata, evil]${more}}}`
  )

beforeEach(async () => {
  evil = await lab.startListener('evil', { CapAdd: ['NET_ADMIN'] })
  await write()
  await spanplan(lab, ['apply', '--yes'])
})
afterEach(async () => {
  await evil.remove({ force: true })
  await spanplan(lab, ['destroy', '--all', '--yes'])
})

async function enter(container: Docker.Container): Promise<Argv> {
  const { State } = await container.inspect()
  return ['nsenter', `--net=/proc/${State.Pid}/ns/net`, '--']
}

async function inside(container: Docker.Container, ...argv: Argv): Promise<string> {
  return lab.run([...(await enter(container)), ...argv])
}

const drops = (filters: string) => filters.includes(`bytecode '${dropProgram}'`)

/** Whether a sensor reaches nobody, and nobody reaches the sensor's stack. */
async function isClosed(container: Docker.Container): Promise<boolean> {
  const { name, port } = await findTap(lab, container)
  const [own, hosts] = [
    await inside(container, 'tc', 'filter', 'show', 'dev', name, 'ingress'),
    await lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])
  ]
  return drops(own) && drops(hosts)
}

/** Whether the host receives nothing of the mirrored wire. */
async function isDeaf(): Promise<boolean> {
  return drops(await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress', 'pref', '65535']))
}

describe('beside a sensor that', () => {
  const storms = {
    'sets its interface down and up': 'ip link set dev TAP down; ip link set dev TAP up',
    'opens its network stack': 'tc qdisc del dev TAP clsact 2>/dev/null; sleep 0.02',
    'makes and removes interfaces': 'ip link add d type bridge; ip addr add 10.9.0.1/32 dev d; ip link del d'
  }

  test.each(Object.entries(storms))('%s all the time, another that restarts is closed at once', async (_, body) => {
    await using watch = await startWatch(lab)
    const { name } = await findTap(lab, evil)
    const script = `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); ${body.replaceAll('TAP', name)}; done`
    const storm = lab.start([...(await enter(evil)), 'sh', '-c', script])
    try {
      for (let round = 0; round < 3; round++) {
        await suricata.restart()
        await until('the other sensor is closed', () => isClosed(suricata))
      }
      expect(JSON.stringify((await watch.state()).degraded)).not.toContain('suricata')
    } finally {
      storm.kill('SIGKILL')
      await storm.catch(() => undefined)
    }
    await inside(evil, 'ip', 'link', 'set', 'dev', name, 'up')
    await spanplan(lab, ['resume'])
    await until('it is closed itself', () => isClosed(evil))
    // Whom somebody would ask, and what shows it: no monitor outside does.
    for (const line of watch.told.split('\n').filter((one) => one.includes('something keeps undoing')))
      expect(line).toMatch(/stack evil .*; probably the container evil itself, .*: nsenter --net=\S+ -- tc monitor;/)
  })

  test('has thousands of filters before all others, the other is closed, and of this one it is said that nobody knows', async () => {
    const { name } = await findTap(lab, evil)
    const filters = Array.from(
      { length: 3000 },
      (_, index) =>
        `filter add dev ${name} ingress pref 10 handle ${index + 1} bpf bytecode '${dropProgram}' classid 1:1`
    )
    await writeFile(join(lab.files, 'batch'), `${filters.join('\n')}\n`)
    await inside(evil, 'tc', '-batch', join(lab.files, 'batch'))
    await suricata.restart()
    const { stderr } = await spanplan(lab, ['apply', '--yes'])
    expect(stderr).toContain('it is not known whether mirrored frames reach the network stack of evil')
    expect(await isClosed(suricata)).toBe(true)
    await spanplan(lab, ['destroy', '--yes'])
  })

  test.each(['-x', '\u0001\u0002\u001b[2J\u0007\u007f\u0003\u0004\u0005\u0006\u000e\u000f'])(
    'calls its interface %j, a change of the MTU costs that sensor alone, and nothing is printed raw',
    async (hostile) => {
      const { name } = await findTap(lab, evil)
      for (const argv of [['down'], ['name', hostile]]) await inside(evil, 'ip', 'link', 'set', 'dev', name, ...argv)
      await inside(evil, 'ip', 'link', 'set', 'dev', hostile, 'up')
      await write(', mtu: 1400')
      expectClean(await lab.spanplan(['apply', '--yes']))
      expectClean(await lab.spanplan(['status', '--for', '10ms']))
      expect(await isClosed(suricata)).toBe(true)
      await suricata.restart()
      await lab.spanplan(['apply', '--yes'])
      await expectArriving(lab, suricata)
    }
  )
})

describe('under a watch, a dedicated interface', () => {
  test('is closed again as often as somebody opens it', async () => {
    await using _ = await startWatch(lab)
    for (let round = 0; round < 6; round++) {
      await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress', 'pref', '65535'])
      await until('it is closed', isDeaf)
    }
    // Neither does what it hangs on, as its qdisc.
    for (let round = 0; round < 6; round++) {
      await lab.run(['tc', 'qdisc', 'del', 'dev', 'ens192', 'clsact'])
      await until('it is closed', isDeaf)
    }
  })

  const elsewhere = 'ip link set ens192 netns $0; nsenter --net=/run/netns/$0 ip link set ens192 netns $1'
  const moves = {
    'goes to another network namespace, and comes back': `${elsewhere}; ip link set ens192 up`,
    'has another in its place for a while':
      'ip link set ens192 name old; ip link add ens192 type bridge; ip link set ens192 up; sleep 0.5; ip link del ens192; ip link set old name ens192; ip link set ens192 up',
    'is renamed, and flaps':
      'ip link set ens192 name ens9; ip link set ens9 name ens192; for i in 1 2 3 4 5; do ip link set ens192 down; ip link set ens192 up; done'
  }

  test.each(Object.entries(moves))('that %s is closed, and heard by the sensors', async (_, script) => {
    await using watch = await startWatch(lab)
    await lab.run(['sh', '-ec', script, `${lab.name}-sw`, lab.name])
    await until('it is closed', isDeaf)
    await watch.settle()
    await expectConverged(lab)
    for (const one of [suricata, evil]) await expectArriving(lab, one)
    expect(await portOf(lab, evil)).toMatch(/^veth/)
  })
})

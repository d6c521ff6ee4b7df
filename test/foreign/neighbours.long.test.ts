/** What else is at work on a host: NetworkManager, thousands of containers, and an apply that nobody has confirmed yet. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { dropProgram } from '../../src/host/tc-conventions.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { type Argv, createLab, type Lab } from '../lab/lab.ts'
import { findProgram, privateEnvironment } from '../lab/programs.ts'
import { sampledCount } from '../lab/sampled.ts'
import { expectArriving, expectConverged, findTap, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let good: Docker.Container
let evil: Docker.Container

const spans = 'spans: {span0: {sources: [{interface: ens192}], sensors: [good, evil]}}'

beforeAll(async () => {
  lab = await createLab({ docker: true })
  good = await lab.startListener('good')
  evil = await lab.startListener('evil', { CapAdd: ['NET_ADMIN'] })
  await writeSpans(lab, spans)
  await spanplan(lab, ['apply', '--yes'])
})
afterAll(() => lab?.close())
afterEach(async () => {
  await writeSpans(lab, spans)
  await spanplan(lab, ['apply', '--yes'])
})

async function inside(container: Docker.Container, ...argv: Argv): Promise<string> {
  const { State } = await container.inspect()
  return lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, '--', ...argv])
}

/** Whether a sensor reaches nobody, and nobody reaches the sensor's stack. */
async function isClosed(container: Docker.Container): Promise<boolean> {
  const { name, port } = await findTap(lab, container)
  const shown = await Promise.all([
    inside(container, 'tc', 'filter', 'show', 'dev', name, 'ingress'),
    lab.run(['tc', 'filter', 'show', 'dev', port, 'ingress'])
  ])
  const [link]: { linkinfo: { info_slave_data: { isolated: boolean } } }[] = JSON.parse(
    await lab.run(['ip', '-d', '-j', 'link', 'show', 'dev', port])
  )
  return (
    shown.every((text) => text.includes(`bytecode '${dropProgram}'`)) &&
    link?.linkinfo.info_slave_data.isolated === true
  )
}

test('a sensor that restarts, and one that removes its interface, while a window is open are closed once it is rolled back', async () => {
  await using watch = await startWatch(lab)
  await writeFile(
    join(lab.files, 'new.yaml'),
    `version: 1\n${spans.replace('ens192}', 'ens192, filter: not port 22}')}\n`
  )
  const window = lab.startSpanplan([
    'apply',
    '--yes',
    '-f',
    'new.yaml',
    '--rollback-after',
    '10m',
    '--lock-timeout',
    '1m'
  ])
  let said = ''
  for (const stream of [window.stdout, window.stderr]) stream.on('data', (chunk) => (said += chunk))
  const isOpen = async () =>
    JSON.parse((await lab.spanplan(['status', '--json', '--for', '10ms'])).stdout).window !== null
  await until('the window is open', isOpen)
  await inside(evil, 'ip', 'link', 'del', 'dev', (await findTap(lab, evil)).name)
  await good.restart()
  // The watch leaves the host alone meanwhile: the window itself closes what comes.
  await until('it is closed', () => isClosed(good))
  expect(await isOpen()).toBe(true)
  await spanplan(lab, ['rollback'])
  expect((await window).exitCode, said).toBe(5)
  for (const one of [good, evil]) await until('it is closed', () => isClosed(one))
  await watch.settle()
  await expectConverged(lab)
  for (const one of [good, evil]) await expectArriving(lab, one)
})

/** NetworkManager with a bus and folders of its own, in a mount namespace of its own: nothing of the machine's is touched. */
const manager = `set -e
mount --make-rprivate /
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
mkdir -p /run/upper /run/work /run/NetworkManager /var/lib/NetworkManager
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work etc /etc
mkdir -p /etc/NetworkManager/system-connections
cat >/etc/NetworkManager/NetworkManager.conf <<'CONF'
[main]
plugins=keyfile
dns=none
auth-polkit=root-only
no-auto-default=*
[keyfile]
unmanaged-devices=*,except:interface-name:ens192
[device-lab]
match-device=interface-name:ens192
managed=1
CONF
cat >/run/bus.conf <<CONF
<busconfig><type>system</type><listen>unix:path=$1</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_destination="*"/><allow receive_type="signal"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="method_call"/>
</policy></busconfig>
CONF
# It ends with NetworkManager, which takes the place of this shell.
setpriv --pdeathsig KILL dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile </dev/null >/dev/null 2>&1 &
while [ ! -S "$1" ]; do sleep 0.05; done
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$1 LD_LIBRARY_PATH=$2 exec "$3" --no-daemon --debug >/run/log 2>&1`

test('NetworkManager may have the interface, and take its filters off each time that a connection comes up', async () => {
  const bus = join(lab.files, 'bus')
  const { LD_LIBRARY_PATH = '' } = privateEnvironment(lab.name)
  const program = findProgram('NetworkManager')
  const managing = lab.start(['unshare', '--mount', 'sh', '-c', manager, 'sh', bus, LD_LIBRARY_PATH, program])
  const bySystemBus = ['env', `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${bus}`, `LD_LIBRARY_PATH=${LD_LIBRARY_PATH}`] as const
  const nmcli = (...words: string[]) => lab.run([...bySystemBus, findProgram('nmcli'), ...words])
  try {
    await until('it runs', async () => (await nmcli('-t', 'general', 'status')) !== '')
    await using watch = await startWatch(lab)
    const address = ['ipv4.method', 'manual', 'ipv4.addresses', '192.0.2.1/24', 'ipv6.method', 'disabled']
    const connection = ['type', 'ethernet', 'ifname', 'ens192', 'con-name', 'lab', 'autoconnect', 'no']
    await nmcli('connection', 'add', ...connection, ...address, 'tc.qdiscs', 'root pfifo_fast')
    const before = await nmcli('connection', 'show', 'lab')
    for (let round = 0; round < 4; round++) {
      await nmcli('connection', 'up', 'lab')
      await expectArriving(lab, good)
      await nmcli('connection', 'down', 'lab')
    }
    await nmcli('connection', 'up', 'lab')
    await watch.settle()
    await expectArriving(lab, good)
    await expectConverged(lab)
    expect(await lab.run(['ip', 'addr', 'show', 'dev', 'ens192'])).toContain('192.0.2.1/24')
    expect(await lab.run(['tc', 'qdisc', 'show', 'dev', 'ens192', 'root'])).toContain('pfifo_fast')
    expect((await nmcli('connection', 'show', 'lab')).split('\n').length).toBeGreaterThanOrEqual(
      before.split('\n').length
    )
    expect(await isClosed(good)).toBe(true)
  } finally {
    managing.kill('SIGTERM')
    await managing.catch(() => undefined)
  }
})

test('beside thousands of containers, a sensor that restarts is closed, and the plan is empty', async () => {
  const count = sampledCount(2000, 5000)
  let made = 0
  const make = async () => {
    while (made < count) await lab.createSensor(`other${made++}`, {}, { tier: 'app' })
  }
  await Promise.all(Array.from({ length: 16 }, make))
  expect((await lab.docker.listContainers({ all: true })).length).toBe(count + 2)
  await expectConverged(lab)
  await using watch = await startWatch(lab)
  await good.restart()
  await until('it is closed', () => isClosed(good))
  await watch.settle()
  // One of them is a sensor by its label once it runs.
  await writeSpans(lab, spans.replace('evil]', 'evil, {label: tier=app}]'))
  const other = lab.docker.getContainer(`other${count - 1}`)
  await other.start()
  await until('it is connected, and closed', () => isClosed(other))
  await watch.settle()
  await expectConverged(lab)
})

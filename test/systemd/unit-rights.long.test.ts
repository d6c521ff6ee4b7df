/** What the unit of examples/systemd knows of containers, with three of root's rights. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { programsOn, silent } from '../lab/frames/silent-port.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { listenHere, type Scrape, scrape } from '../lab/metrics/scrape.ts'
import { findTap, portOf, until } from '../lab/spans.ts'
import { type Installed, install } from '../lab/system/installed.ts'
import { bootSystemd, type Systemd } from '../lab/system/systemd.ts'

const unit = 'etc/systemd/system/spanplan.service'

const spans = 'version: 1\nspans: {span0: {sources: [{interface: ens192}], sensors: [suricata]}}\n'

let lab: Lab
let host: Installed
let systemd: Systemd

beforeAll(async () => {
  lab = await createLab({ docker: true })
  host = await install(lab)
  await host.put(unit, 'systemd/spanplan.service')
  await writeFile(host.path('etc/spanplan/spans.yaml'), spans)
  systemd = await bootSystemd(lab, host)
})
afterAll(() => lab?.close())

/** Starts it, once more if need be, with settings of its own. */
async function start(...settings: readonly string[]): Promise<void> {
  const own = [
    '[Service]',
    'ExecStart=',
    `ExecStart=/usr/bin/env spanplan watch -f /etc/spanplan ${listenHere.join(' ')}`
  ]
  await mkdir(host.path(`${unit}.d`), { recursive: true })
  await writeFile(host.path(`${unit}.d/test.conf`), [...own, ...settings, ''].join('\n'))
  await systemd.run(['systemctl', 'daemon-reload'])
  await systemd.run(['systemctl', 'restart', 'spanplan.service'])
}

async function scrapeUntil(what: string, isSo: (now: Scrape) => Promise<boolean> | boolean): Promise<void> {
  let text = ''
  await until(what, async () => {
    const now = await scrape(lab)
    text = now.text
    return isSo(now)
  }).catch(async (error: Error) => {
    throw new Error(
      `${error.message}:\n${text.replace(/^#.*\n/gm, '')}${await systemd.run(['journalctl', '--output=cat'])}`
    )
  })
}

const capabilities = async () => {
  const pid = (await systemd.run(['systemctl', 'show', '--value', '--property=MainPID', 'spanplan.service'])).trim()
  return /^CapBnd:\s+0*(\w+)$/m.exec(await systemd.run(['cat', `/proc/${pid}/status`]))?.[1]
}

test('started before Docker ran its first container, it names those that come, and puts their ports back', async () => {
  expect(existsSync(join(lab.dockerState, 'netns'))).toBe(false)
  await start()
  expect(await capabilities()).toBe('203000')
  const suricata = await lab.startSensor('suricata')
  const isNamed = async (now: Scrape) => {
    const labels = { span: 'span0', interface: await portOf(lab, suricata), sensor: 'suricata' }
    return now.value('port_frames_total', labels) !== undefined
  }
  await scrapeUntil('it is named', isNamed)
  await lab.run(['ip', 'link', 'set', 'dev', await portOf(lab, suricata), 'nomaster'])
  await scrapeUntil(
    'its port is back',
    async (now) => (await isNamed(now)) && now.value('healthy', { span: 'span0' }) === 1
  )
  await suricata.restart()
  await scrapeUntil('it is named when it has started again', isNamed)
  await until('its network stack is closed', async () => {
    const { State } = await suricata.inspect()
    const filters = ['tc', 'filter', 'show', 'dev', (await findTap(lab, suricata)).name, 'ingress']
    return (await lab.run(['nsenter', `--net=/proc/${State.Pid}/ns/net`, ...filters])).includes("bytecode '1,6 0 0 2'")
  })
})

test('the journal has the priority of each message, and its own time alone', async () => {
  let messages: { readonly MESSAGE: string; readonly PRIORITY: string }[] = []
  const prioritiesOf = (pattern: RegExp) =>
    messages.flatMap(({ MESSAGE, PRIORITY }) => (pattern.test(MESSAGE) ? [PRIORITY] : []))
  const hasMessage = async (pattern: RegExp) => {
    const all = await systemd.run(['journalctl', '--unit=spanplan.service', '--output=json'])
    messages = all
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    return prioritiesOf(pattern).length > 0
  }
  const isMirrored = async () =>
    (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')
  // Not "interval": the unit's rights and its filter of system calls let it follow what happens on the host. A run that Docker
  // has caused just now may be the one that finds it. The next filter goes only after that run has ended and told what it did:
  // what goes while the run goes on is contested soon.
  const repairs = /^\w+ +span0 +\+ mirror ens192 ingress .* repaired in /
  const countRepairs = () => prioritiesOf(repairs).length
  await until('the watch has heard of a filter that has gone', async () => {
    await until('the mirror is there', isMirrored)
    await hasMessage(repairs)
    const before = countRepairs()
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    await until('its repair is told', async () => (await hasMessage(repairs)) && countRepairs() > before)
    return hasMessage(/^filter +span0 +\+ mirror ens192 ingress .* repaired in /)
  }).catch((error: Error) => {
    throw new Error([error.message, ...messages.map(({ MESSAGE }) => MESSAGE)].join('\n'))
  })
  await writeFile(host.path('etc/spanplan/spans.yaml'), 'spans: {')
  await systemd.run(['systemctl', 'reload', 'spanplan.service'])
  await until('the file is refused', () => hasMessage(/ stays in force:$/))
  await writeFile(host.path('etc/spanplan/spans.yaml'), spans)
  expect(new Set(prioritiesOf(/^start +default keeps |^filter +span0 +\+ mirror /))).toEqual(new Set(['6']))
  expect(prioritiesOf(/ are not reported/)).toEqual([])
  expect(prioritiesOf(/^start +span0 +\.\.\. sensor suricata → span0 waits for /)).toEqual(['4'])
  // The lines of the file are of the same weight as the error.
  expect(prioritiesOf(/ stays in force:$|^\/etc\/spanplan\/spans\.yaml:1:\d+: error: |spans: \{$/)).toEqual([
    '3',
    '3',
    '3'
  ])
  expect(prioritiesOf(/^<|^\d\d:\d\d:\d\d/)).toEqual([])
})

test("it keeps what a sensor sends from the host's packet sockets, where systemd has mounted the BPF file system", async () => {
  await systemd.run(['mount', '-t', 'bpf', 'bpf', '/sys/fs/bpf'])
  await start()
  const port = await portOf(lab, lab.docker.getContainer('suricata'))
  await until('the port is silent', async () => (await programsOn(lab, port)).length > 0)
  expect(await programsOn(lab, port)).toEqual(silent)
})

test('it enters network namespaces, and no others, and mounts nothing', async () => {
  // What runs before it has its rights and its filter of system calls.
  const commands = [
    ...['ipc', 'uts', 'mount', 'cgroup', 'net'].map((kind) => [`unshare --${kind}`, `made ${kind}`]),
    ...[
      ['ipc', 'ipc'],
      ['uts', 'uts'],
      ['mount', 'mnt'],
      ['net', 'net']
    ].map(([kind, file]) => [`nsenter --${kind}=/proc/self/ns/${file}`, `entered ${kind}`])
  ]
  const tries = commands.map(([command, what]) => `${command} true 2>/dev/null && echo ${what}`)
  const script = [...tries, 'mount -t tmpfs none /mnt 2>/dev/null && echo mounted', 'true'].join('; ')
  await start(`ExecStartPre=/bin/sh -c '{ ${script}; } >/run/spanplan/tries'`)
  expect((await systemd.run(['cat', '/run/spanplan/tries'])).trim()).toBe('made net\nentered net')
  await start()
})

test('it counts the sockets of sensors', async () => {
  const suricata = lab.docker.getContainer('suricata')
  const exec = await suricata.exec({ Cmd: ['/usr/bin/tcpdump', '-Z', 'root', '-i', 'any', '-w', '/dev/null'] })
  await exec.start({ Detach: true })
  await scrapeUntil('they are counted', (now) => now.sum('sensor_sockets') === 1)
})

/** The units of examples/systemd, and a real systemd that runs them. */
import { readdirSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Installed, install } from './installed.ts'
import { createLab, type Lab } from './lab.ts'
import { expectHeard, expectRestored, until } from './spans.ts'
import { bootSystemd, type Systemd } from './systemd.ts'

const units = readdirSync('examples/systemd')
const service = 'spanplan.service'

let lab: Lab
let host: Installed
let systemd: Systemd
let suricata: Docker.Container
let before: string

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }], docker: true })
  host = await install(lab)
  await writeFile(host.path('etc/spanplan/spans.yaml'), spans)
  for (const unit of units) await host.put(`etc/systemd/system/${unit}`, `systemd/${unit}`)
  suricata = await lab.startSensor('suricata')
  before = await lab.snapshotText()
  systemd = await bootSystemd(lab, host)
})
afterAll(() => lab?.close())

afterEach(async () => {
  await systemd.run(['spanplan', 'destroy', '--all', '--yes'])
  await expectRestored(lab, before)
})

/** What needs a right of its own: a filter with vlan, and a card that is to have no IPv6. */
const spans = `
version: 1
interfaces: {ens224: {dedicated: true}}
spans:
  span0: {sources: [{interface: ens192, filter: vlan 10 or not port 22}], sensors: [suricata]}
  span1: {sources: [{interface: ens224}]}
`

/** Whether all is as the file says. */
const isTrue = () =>
  systemd.run(['spanplan', 'plan', '--detailed-exitcode']).then(
    () => true,
    () => false
  )

/** It is, and frames arrive. */
async function expectTrue(): Promise<void> {
  expect(await isTrue()).toBe(true)
  await expectHeard(lab, [suricata])
}

test('systemd has nothing to say against them', async () => {
  const files = units.map((unit) => `/etc/systemd/system/${unit}`)
  const verify = await systemd.run(['sh', '-c', 'exec systemd-analyze verify --man=no "$@" 2>&1', 'sh', ...files])
  expect(verify).toBe('')
})

test('spanplan-apply.service applies, once', async () => {
  await systemd.run(['systemctl', 'start', 'spanplan-apply.service'])
  await expectTrue()
})

test('spanplan-pull.service pulls, and spanplan-apply.service comes after it, also where nothing could be pulled', async () => {
  const git = (...argv: string[]) =>
    systemd.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@example.com', ...argv])
  const commit = async (text: string) => {
    await writeFile(host.path('tmp/clone/spans.yaml'), text)
    await git('-C', '/tmp/clone', 'add', '.')
    await git('-C', '/tmp/clone', 'commit', '--quiet', '--message=change')
    await git('-C', '/tmp/clone', 'push', '--quiet', '/tmp/spans.git', 'HEAD:main')
  }
  await git('init', '--quiet', '--bare', '--initial-branch=main', '/tmp/spans.git')
  await git('init', '--quiet', '--initial-branch=main', '/tmp/clone')
  await commit(spans)
  await rm(host.path('etc/spanplan/spans.yaml'))
  await git('clone', '--quiet', '/tmp/spans.git', '/etc/spanplan')
  await commit(spans.replace('not port 22', 'not port 23'))
  await systemd.run(['systemctl', 'enable', 'spanplan-apply.service'])
  await systemd.run(['systemctl', 'start', 'spanplan-pull.service'])
  expect(await systemd.run(['cat', '/etc/spanplan/spans.yaml'])).toContain('not port 23')
  await until('all is as pulled', isTrue)
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await rename(host.path('tmp/spans.git'), host.path('tmp/away.git'))
  await expect(systemd.run(['systemctl', 'start', 'spanplan-pull.service'])).rejects.toThrow()
  await until('all is as it was pulled', isTrue)
})

describe('spanplan.service', () => {
  const show = (property: string) => systemd.run(['systemctl', 'show', '--value', `--property=${property}`, service])
  const isActive = () => show('ActiveState').then((state) => state === 'active')
  const isMirrored = async () =>
    (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')

  /** With more settings: for those that would take a test too long. */
  async function start(...settings: readonly string[]): Promise<void> {
    await mkdir(host.path(`etc/systemd/system/${service}.d`), { recursive: true })
    await writeFile(
      host.path(`etc/systemd/system/${service}.d/test.conf`),
      ['[Unit]', 'StartLimitIntervalSec=0', '[Service]', ...settings, ''].join('\n')
    )
    await systemd.run(['systemctl', 'daemon-reload'])
    await systemd.run(['systemctl', 'start', service])
  }

  afterEach(() => systemd.run(['systemctl', 'stop', service]))

  test('applies, is ready, and keeps it so, with two of the rights of root; stopped, it leaves all as it is', async () => {
    await start()
    expect(await show('ActiveState')).toBe('active')
    await expectTrue()
    const pid = await show('MainPID')
    expect(await systemd.run(['cat', `/proc/${pid}/status`])).toMatch(
      /^CapPrm:\s+0*3000\nCapEff:\s+0*3000\nCapBnd:\s+0*3000\n[\s\S]*^NoNewPrivs:\s+1\nSeccomp:\s+2$/m
    )
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
    await until('the mirror is back', isMirrored)
    // The file may change meanwhile, and it may be told to look.
    await writeFile(host.path('etc/spanplan/spans.yaml'), spans.replace('not port 22', 'not port 23'))
    await systemd.run(['systemctl', 'reload', service])
    await until('the file is true', isTrue)
    await writeFile(host.path('etc/spanplan/spans.yaml'), spans)
    await until('the file is true', isTrue)
    expect(await show('MainPID')).toBe(pid)
    const before = await lab.snapshotText()
    await systemd.run(['systemctl', 'stop', service])
    expect(await show('Result')).toBe('success')
    expect(await lab.snapshotText()).toBe(before)
  })

  test('is started again when it is killed, or does not answer, and not for what trying again does not mend', async () => {
    await start('RestartSec=0', 'WatchdogSec=4s')
    const first = await show('MainPID')
    const expectAnother = async (than: string) => {
      await until('it is gone', async () => (await show('MainPID')) !== than)
      await until('there is another', isActive)
    }
    await systemd.run(['kill', '-KILL', first])
    await expectAnother(first)
    const second = await show('MainPID')
    await systemd.run(['kill', '-STOP', second])
    await expectAnother(second)
    await systemd.run(['systemctl', 'stop', service])
    await writeFile(host.path('etc/spanplan/spans.yaml'), 'nonsense\n')
    await expect(systemd.run(['systemctl', 'start', service])).rejects.toThrow()
    expect(await show('ExecMainStatus')).toBe('65')
    expect(await show('SubState')).toBe('failed')
    await writeFile(host.path('etc/spanplan/spans.yaml'), spans)
  })
})

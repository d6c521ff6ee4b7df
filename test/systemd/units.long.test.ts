/** The units of examples/systemd, and a real systemd that runs them. */
import { readdirSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectHeard, expectRestored, until } from '../lab/spans.ts'
import { type Installed, install } from '../lab/system/installed.ts'
import { bootSystemd, type Systemd } from '../lab/system/systemd.ts'

/** A drop-in is no unit. */
const dropIns = readdirSync('examples/systemd').filter((name) => name.endsWith('.conf'))
const units = readdirSync('examples/systemd').filter((name) => !dropIns.includes(name))
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
  for (const unit of [service, 'spanplan-apply.service', 'spanplan-pull.service']) {
    await mkdir(host.path(`etc/systemd/system/${unit}.d`), { recursive: true })
    await writeFile(host.path(`etc/systemd/system/${unit}.d/limit.conf`), '[Unit]\nStartLimitIntervalSec=0\n')
  }
  suricata = await lab.startSensor('suricata')
  before = await lab.snapshotText()
  const keys = `mkdir -p "$0/tmp" "$0/etc/spanplan-pull"
for key in ops stranger; do ssh-keygen -q -t ed25519 -N "" -f "$0/tmp/$key"; done
echo "ops@example.org $(cat "$0/tmp/ops.pub")" >"$0/etc/spanplan-pull/allowed_signers"`
  await lab.run(['sh', '-ec', keys, host.path('')])
  systemd = await bootSystemd(lab, host)
})
afterAll(() => lab?.close())

/** Waits until no apply of a unit runs or is about to. The host is as the file says before its apply has verified that and ends. */
async function awaitApply(): Promise<void> {
  const jobs = ['systemctl', 'list-jobs', '--no-legend', '--no-pager'] as const
  const state = ['systemctl', 'show', '--value', '--property=ActiveState', 'spanplan-apply.service'] as const
  await until('no apply runs', async () => {
    // Jobs first: a job that has ended leads to the state.
    if (/^ *\d/m.test(await systemd.run(jobs))) return false
    return ['inactive', 'failed'].includes((await systemd.run(state)).trim())
  })
}

afterEach(async () => {
  await awaitApply()
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
  const withDropIns = dropIns.map((name) => `with-${name.replace('.conf', '')}.service`)
  for (const [index, unit] of withDropIns.entries()) {
    await host.put(`etc/systemd/system/${unit}`, `systemd/${service}`)
    await mkdir(host.path(`etc/systemd/system/${unit}.d`))
    await host.put(`etc/systemd/system/${unit}.d/drop-in.conf`, `systemd/${dropIns[index]}`)
  }
  const files = [...units, ...withDropIns].map((unit) => `/etc/systemd/system/${unit}`)
  const verify = await systemd.run(['sh', '-c', 'exec systemd-analyze verify --man=no "$@" 2>&1', 'sh', ...files])
  expect(verify).toBe('')
})

test('none of the services has more than it needs', async () => {
  const services = units.filter((unit) => unit.endsWith('.service'))
  const files = services.map((unit) => `/etc/systemd/system/${unit}`)
  const security = ['systemd-analyze', 'security', '--offline=true', '--no-pager', ...files] as const
  const exposures = [...(await systemd.run(security)).matchAll(/Overall exposure level for \S+: ([\d.]+)/g)]
  expect(exposures.map(([, level]) => Number(level) <= 3)).toEqual(services.map(() => true))
})

test('spanplan-apply.service applies, once', async () => {
  await systemd.run(['systemctl', 'start', 'spanplan-apply.service'])
  await expectTrue()
})

test('spanplan-pull.service pulls, and spanplan-apply.service comes after it, also where nothing could be pulled', async () => {
  const git = (...argv: string[]) => systemd.run(['git', ...argv])
  const commit = async (text: string, key = 'ops', ...signed: readonly string[]) => {
    await writeFile(host.path('tmp/clone/spans.yaml'), text)
    await git('-C', '/tmp/clone', 'add', '.')
    const author = ['-c', 'user.name=a', '-c', 'user.email=a@example.com']
    const signing = ['-c', 'commit.gpgSign=true', '-c', 'gpg.format=ssh', '-c', `user.signingKey=/tmp/${key}`]
    await git('-C', '/tmp/clone', ...author, ...signing, 'commit', '--quiet', '--message=change', ...signed)
    await git('-C', '/tmp/clone', 'push', '--quiet', '/run/spans.git', 'HEAD:main')
  }
  /** An apply that still runs would not begin again. */
  const pull = async () => {
    await awaitApply()
    await systemd.run(['systemctl', 'start', 'spanplan-pull.service'])
  }
  await git('init', '--quiet', '--bare', '--initial-branch=main', '/run/spans.git')
  await git('init', '--quiet', '--initial-branch=main', '/tmp/clone')
  await commit(spans)
  await rm(host.path('etc/spanplan/spans.yaml'))
  await git('clone', '--quiet', '/run/spans.git', '/etc/spanplan')
  await commit(spans.replace('not port 22', 'not port 23'))
  await systemd.run(['systemctl', 'enable', 'spanplan-apply.service'])
  await pull()
  expect(await systemd.run(['cat', '/etc/spanplan/spans.yaml'])).toContain('not port 23')
  await until('all is as pulled', isTrue)
  await systemd.run(['systemctl', 'start', 'spanplan-apply.service'])
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  // What is not signed by somebody who may, is not taken.
  await commit(spans.replace('not port 22', 'not port 24'), 'stranger')
  await expect(pull()).rejects.toThrow()
  await until('all is as it was pulled', isTrue)
  await commit(spans.replace('not port 22', 'not port 25'), 'ops', '--no-gpg-sign')
  await expect(pull()).rejects.toThrow()
  expect(await systemd.run(['cat', '/etc/spanplan/spans.yaml'])).toContain('not port 23')
  await commit(spans, 'ops')
  await pull()
  expect(await systemd.run(['cat', '/etc/spanplan/spans.yaml'])).toContain('not port 22')
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await systemd.run(['mv', '/run/spans.git', '/run/away.git'])
  await expect(pull()).rejects.toThrow()
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

  test('applies, is ready, and keeps it so, with three of the rights of root; stopped, it leaves all as it is', async () => {
    await start()
    expect(await show('ActiveState')).toBe('active')
    await expectTrue()
    const pid = await show('MainPID')
    expect(await systemd.run(['cat', `/proc/${pid}/status`])).toMatch(
      /^CapPrm:\s+0*203000\nCapEff:\s+0*203000\nCapBnd:\s+0*203000\n[\s\S]*^NoNewPrivs:\s+1\nSeccomp:\s+2$/m
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

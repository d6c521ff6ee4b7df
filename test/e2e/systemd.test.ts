/** The units of examples/systemd, and a real systemd that runs them. */
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Installed, install } from './installed.ts'
import { createLab, type Lab } from './lab.ts'
import { expectHeard, expectRestored } from './spans.ts'
import { bootSystemd, type Systemd } from './systemd.ts'

const units = readdirSync('examples/systemd')

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

/** Something is left to do for nobody, and frames arrive. */
async function expectTrue(): Promise<void> {
  expect(await systemd.run(['spanplan', 'plan', '--detailed-exitcode'])).toContain('No changes')
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

/** What comes to be needed while an apply goes on is planned in a later round, which nobody has approved. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let zeek: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.startListener('suricata')
  await lab.run(['ip', 'link', 'add', 'ens224', 'type', 'veth', 'peer', 'name', 'cable'])
  zeek = await lab.startListener('zeek')
})
afterAll(() => lab?.close())

const file = (mtu: string) => `spans:
  span0: {sources: [{interface: ens192}], mtu: ${mtu}, sensors: [suricata]}
  span1: {sources: [{interface: ens224}], sensors: [zeek]}
`
const endpointOfZeek = async () => (await zeek.inspect()).NetworkSettings.Networks.span1?.EndpointID

test('it disconnects no sensor of a span of which the plan that was approved disconnects none', async () => {
  await writeSpans(lab, file('1500'))
  await spanplan(lab, ['apply'])
  const before = await endpointOfZeek()
  expect(before).toMatch(/./)
  await writeSpans(lab, file('1600'))
  const grow = 'ip link set dev ens224 mtu 9600 </dev/null'
  const { options } = await wrapPrograms(lab, {
    ip: `case "$input" in *"link set dev span0"*) PATH=/usr/sbin:/usr/bin:/sbin:/bin ${grow} ;; esac`
  })
  const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'], 4, options)
  expect(stdout).toMatch(/-\/\+ network +span0 +mtu: 1500 → 1600/)
  expect(await lab.run(['ip', 'link', 'show', 'dev', 'ens224'])).toContain('mtu 9600')
  expect(await endpointOfZeek()).toBe(before)
  expect(stdout + stderr).toContain('waits for spanplan apply, because that disconnects zeek for a moment')
  const next = await spanplan(lab, ['apply', '--yes'])
  expect(next.stdout).toMatch(/-\/\+ network +span1 +mtu: /)
})

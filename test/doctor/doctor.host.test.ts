/** The doctor with little to go by: no root, no Docker, no file, or a broken one. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { examine, findingsOf } from '../lab/commands/doctor.ts'
import { createLab, type Lab, type SpanplanOptions } from '../lab/lab.ts'
import { spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
})
afterAll(() => lab?.close())

/** Whoever it is may read the sources wherever they are, also in somebody's home. */
const granted = [
  '--inh-caps=+dac_read_search',
  '--ambient-caps=+dac_read_search',
  '--bounding-set=-all,+dac_read_search'
]
const nobody: SpanplanOptions = { through: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...granted] }

test('changes nothing, and finds nothing wrong where nothing is', async () => {
  const before = await lab.snapshotText()
  const findings = await examine(lab)
  expect(findings.filter(({ result }) => result === 'problem')).toEqual([])
  for (const id of [
    'spans',
    'carrier',
    'mtu',
    'offloads',
    'sensors',
    'listeners',
    'silence',
    'marks',
    'docker',
    'kernel_modules'
  ]) {
    expect(findingsOf(findings, id, 'ok'), id).toHaveLength(1)
  }
  expect(await lab.snapshotText()).toBe(before)
})

test('a process of the host that hears what sealed sensors send is named', async () => {
  await lab.run(['sh', '-ec', 'ip link add lldp0 type veth peer name far0; ip link set dev lldp0 up master span0'])
  await spanplan(lab, ['apply'])
  for (const [device, where] of [
    ['any', 'on all interfaces'],
    ['lldp0', 'on lldp0'],
    ['ens192', null]
  ] as const) {
    const listening = lab.start(['tcpdump', '-i', device, '-p', '-w', '/dev/null'])
    await once(listening.stderr, 'data')
    const named = findingsOf(await examine(lab), 'listeners', 'warning').map(({ message }) => message)
    const said = `hears every frame ${where}, also what sealed sensors send`
    expect(named).toEqual(where === null ? [] : [expect.stringMatching(new RegExp(`^tcpdump \\(\\d+\\) ${said}`))])
    listening.kill('SIGKILL')
    await listening.catch(() => undefined)
  }
  await lab.run(['ip', 'link', 'del', 'dev', 'lldp0'])
})

test('without root, it says what root would know', async () => {
  const findings = await examine(lab, [], nobody)
  expect(findingsOf(findings, 'rights', 'warning')).toMatchObject([
    { message: 'this user has no CAP_NET_ADMIN: apply and watch need it', command: 'sudo spanplan doctor' },
    { message: 'this user has no CAP_NET_RAW: filters with "vlan" and capture need it' }
  ])
  expect(findingsOf(findings, 'nftables', 'unknown')).toMatchObject([
    { message: 'reading nftables needs CAP_NET_ADMIN' }
  ])
  expect(findingsOf(findings, 'file', 'ok')).toMatchObject([{ message: /only root checks who may write to it$/ }])
})

test('without a file, it checks the host, and takes no mark for an old one', async () => {
  await lab.run(['mv', join(lab.files, 'spans.yaml'), join(lab.files, 'hidden')])
  const findings = await examine(lab)
  await lab.run(['mv', join(lab.files, 'hidden'), join(lab.files, 'spans.yaml')])
  expect(findingsOf(findings, 'file', 'unknown')).toMatchObject([{ message: /^there is no spans\.yaml here/ }])
  expect(findingsOf(findings, 'spans', 'unknown')).toMatchObject([{ command: null }])
  expect(findingsOf(findings, 'marks', 'unknown')).toMatchObject([{ message: /the name default.*the bridge span0/ }])
  expect(findingsOf(findings, 'docker', 'warning')).toMatchObject([{ command: 'systemctl start docker' }])
})

test('a broken file, and one that does not fit the host', async () => {
  await writeFile(join(lab.files, 'broken.yaml'), 'version: 1\nspans: {span0: {source: []}}\n')
  const broken = await examine(lab, ['-f', 'broken.yaml'])
  expect(findingsOf(broken, 'file', 'problem')[0]?.message).toMatch(/^broken\.yaml:2:\d+: /)
  // One that validate refuses for what only tcpdump knows.
  const nonsense = 'version: 1\nspans: {span0: {sources: [{interface: ens192, filter: host and port}]}}\n'
  await writeFile(join(lab.files, 'nonsense.yaml'), nonsense)
  const refused = await examine(lab, ['-f', 'nonsense.yaml'])
  expect(refused.filter(({ message }) => message.includes('nonsense.yaml:2:'))).toMatchObject([
    { id: 'file', result: 'problem', message: /span span0: tcpdump does not understand the filter/ }
  ])
  expect(findingsOf(refused, 'file', 'ok')).toEqual([])
  const dedicated =
    'version: 1\ninterfaces: {ens192: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens192}]}}\n'
  await writeFile(join(lab.files, 'dedicated.yaml'), dedicated)
  await lab.run(['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'ens192'])
  const unfit = await examine(lab, ['-f', 'dedicated.yaml'])
  // The source waits alone; an apply is refused for it.
  expect(findingsOf(unfit, 'spans', 'problem')).toMatchObject([
    { message: /spanplan apply is refused for now: .*has the address 192\.0\.2\.1\/24/, command: null },
    { message: /^dedicated\.yaml:3:\d+: ens192 ingress → span0 .*has the address 192\.0\.2\.1\/24/, command: null }
  ])
  await lab.run(['ip', 'addr', 'del', '192.0.2.1/24', 'dev', 'ens192'])
})

test('what a person reads', async () => {
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
  const { stdout } = await spanplan(lab, ['doctor', '-f', 'spans.yaml'], 2)
  expect(stdout).toMatch(
    /^problem {4}spans {11}span span0 differs from the file: ~ interface ens192 \(promiscuous: off →\n/m
  )
  expect(stdout).toContain('\n           $ spanplan apply -f spans.yaml\n')
  expect(stdout).toMatch(/^1 problem, \d+ warnings, \d+ not known\. Each \$ line clears/m)
})

/** Several spans, and others' filters, share a card: each gets what is its own. */
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ether, filler, ipv4Udp, qinq, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import {
  expectConverged,
  expectFrames,
  expectRefusal,
  expectRestored,
  listen,
  spanplan,
  warningsIn,
  writeSpans
} from '../lab/spans.ts'

const CLIENT = '02:00:00:00:0a:01'
const OTHER = '02:00:00:00:0a:02'
const NOBODY = '02:00:00:00:0a:03'

const twoSpans = `
spans:
  span0:
    sources: [{interface: ens192, filter: ether src ${CLIENT}}]
    sensors: [suricata]
  span1:
    sources: [{interface: ens192, filter: vlan 10}]
    sensors: [zeek]
`

let lab: Lab
let suricata: Docker.Container
let zeek: Docker.Container
/** Before the first apply. */
let before: string

const tc = (...argv: string[]) => lab.run(['tc', ...argv])

/** Somebody else's filter: it copies all to the second card, so that it arrives at sw1. */
async function addForeignFilter(hook: string): Promise<void> {
  const action = ['action', 'mirred', 'egress', 'mirror', 'dev', 'ens224']
  const program = ['bpf', 'bytecode', '1,6 0 0 4294967295']
  await tc('filter', 'add', 'dev', 'ens192', hook, 'protocol', 'all', 'pref', '100', ...program, ...action)
}

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  suricata = await lab.startSensor('suricata')
  zeek = await lab.startSensor('zeek')
})
afterAll(() => lab?.close())

let count = 0

/** A datagram that no other is like. */
function fresh() {
  return ipv4Udp({ source: '192.0.2.1', destination: '192.0.2.2', data: Buffer.from(`datagram ${count++}`) })
}

function someFrames() {
  const forFirst = {
    'untagged of the client': ether(NOBODY, CLIENT, fresh()),
    'vlan 20 of the client': ether(NOBODY, CLIENT, vlan(20, fresh())),
    'a jumbo frame of the client': ether(NOBODY, CLIENT, filler(9014))
  }
  const forSecond = {
    'vlan 10': ether(NOBODY, OTHER, vlan(10, fresh())),
    'vlan 10 with a priority': ether(NOBODY, OTHER, vlan(10, fresh(), 5)),
    'service vlan 10': ether(NOBODY, OTHER, qinq(10, 20, fresh()))
  }
  const forBoth = { 'vlan 10 of the client': ether(NOBODY, CLIENT, vlan(10, fresh())) }
  const forNone = {
    untagged: ether(NOBODY, OTHER, fresh()),
    'vlan 20': ether(NOBODY, OTHER, vlan(20, fresh())),
    'vlan 10 within vlan 20': ether(NOBODY, OTHER, qinq(20, 10, fresh()))
  }
  return {
    all: { ...forFirst, ...forNone, ...forBoth, ...forSecond },
    first: { ...forFirst, ...forBoth },
    second: { ...forBoth, ...forSecond }
  }
}

/** Frames sent from there reach the spans that they are for, and all reach the foreign filter. */
async function expectShared(from: string): Promise<void> {
  const [first, second, foreign] = await Promise.all([
    listen(lab, suricata, { span: 'span0' }),
    listen(lab, zeek, { span: 'span1' }),
    lab.captureLink('sw1', { direction: 'in' })
  ])
  const sent = someFrames()
  await lab.send(Object.values(sent.all), from)
  await expectFrames(foreign, sent.all)
  await expectFrames(first, sent.first)
  await expectFrames(second, sent.second)
}

async function isPromiscuous(): Promise<boolean> {
  const [link]: { flags: string[] }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', 'ens192']))
  return link?.flags.includes('PROMISC') === true
}

/** Destroys a span while frames for the other come from both sides: their sensor misses none. */
async function destroyUnderLoad(span: string, other: { sensor: Docker.Container; span: string; frame: () => Buffer }) {
  const capture = await listen(lab, other.sensor, { span: other.span, bulk: true })
  const sent: Buffer[] = []
  const send = async (from: string) => {
    const frames = Array.from({ length: 20 }, other.frame)
    await lab.send(frames, from)
    sent.push(...frames)
  }
  let running = true
  const destroyed = spanplan(lab, ['destroy', '--span', span, '--yes']).finally(() => {
    running = false
  })
  while (running) {
    await send('sw0')
    await send('ens192')
    await sleep(1)
  }
  await destroyed
  await send('sw0')
  await send('ens192')
  expect(sent.length).toBeGreaterThanOrEqual(80)
  await expectFrames(capture, Object.fromEntries(sent.map((frame, index) => [`frame ${index}`, frame])))
}

const forFirst = { span: 'span0', frame: () => ether(NOBODY, CLIENT, fresh()) }
const forSecond = { span: 'span1', frame: () => ether(NOBODY, OTHER, vlan(10, fresh())) }

describe('two spans of one card, before the filter of another tool,', () => {
  beforeAll(async () => {
    await tc('qdisc', 'add', 'dev', 'ens192', 'clsact')
    for (const hook of ['ingress', 'egress']) await addForeignFilter(hook)
    before = await lab.snapshotText()
  })

  test.each([
    ['received', 'sw0'],
    ['sent', 'ens192']
  ])('get all that is their own of what is %s, and no more', async (_, from) => {
    await writeSpans(lab, twoSpans)
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    await expectShared(from)
  })

  test.each([
    ['the first', 'span0', () => ({ ...forSecond, sensor: zeek })],
    ['the second', 'span1', () => ({ ...forFirst, sensor: suricata })]
  ])('lose nothing when %s of them is destroyed', async (_, span, other) => {
    await writeSpans(lab, twoSpans)
    await spanplan(lab, ['apply'])
    await destroyUnderLoad(span, other())
    expect(await isPromiscuous()).toBe(true)
    await spanplan(lab, ['destroy', '--yes'])
    expect(await isPromiscuous()).toBe(false)
    await expectRestored(lab, before)
  })
})

test('a filter that another tool adds later sees everything, also once the spans are gone', async () => {
  await tc('qdisc', 'del', 'dev', 'ens192', 'clsact')
  before = await lab.snapshotText()
  await writeSpans(lab, twoSpans)
  await spanplan(lab, ['apply'])
  await addForeignFilter('ingress')
  await addForeignFilter('egress')
  for (const from of ['sw0', 'ens192']) await expectShared(from)
  await spanplan(lab, ['destroy', '--yes'])
  expect(await isPromiscuous()).toBe(false)
  for (const from of ['sw0', 'ens192']) {
    const foreign = await lab.captureLink('sw1', { direction: 'in' })
    const { all } = someFrames()
    await lab.send(Object.values(all), from)
    await expectFrames(foreign, all)
  }
  await tc('qdisc', 'del', 'dev', 'ens192', 'clsact')
  await expectRestored(lab, before)
})

test("a filter that tcpdump does not understand is an error at its place, in tcpdump's words", async () => {
  const good = '  span0:\n    sources:\n      - interface: ens192\n        filter: not port 22\n'
  const bad = '  span1:\n    sources:\n      - interface: ens192\n        filter: tcp prot 80\n'
  await writeSpans(lab, `spans:\n${good}${bad}`)
  const { stderr: words } = await lab.start(['tcpdump', '-ddd', '-y', 'EN10MB', 'tcp prot 80']).catch((error) => error)
  const said = /^tcpdump: (.*syntax error.*)$/m.exec(words)?.[1]
  expect(said).toBeDefined()
  for (const command of ['plan', 'apply']) {
    const stderr = await expectRefusal(lab, [command], 65)
    expect(stderr).toContain('spans.yaml:10:21')
    expect(stderr).toContain(said)
    expect(stderr).toMatch(/^.*filter: tcp prot 80\n.*\^+$/m)
  }
})

describe('validate compiles filters', () => {
  const source = 'spans:\n  span0:\n    sources:\n      - interface: ens192\n        filter: '
  /** With no interface, and lo down. */
  const through = ['unshare', '--net']
  const without = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    `mount --bind /dev/null ${findProgram('tcpdump')}; exec "$@"`,
    'sh'
  ]

  test.each([
    ['not prot 22', 'syntax error', 'spans.yaml:6:21', 'did you mean "port" or "proto"?'],
    ['tcp.port == 22', 'syntax error', 'spans.yaml:6:17', 'a Wireshark display filter? write: tcp port 22'],
    ['host 10.0.0.300', "invalid IPv4 address '10.0.0.300'", 'spans.yaml:6:22', 'an IPv4 address has four numbers'],
    ['vlan 5000', 'VLAN tag 5000', 'spans.yaml:6:22', 'a VLAN is a number from 0 to 4095'],
    ['|\n          tcp\n          and adn udp', 'syntax error', 'spans.yaml:8:15', 'did you mean "and"?']
  ])('%j', async (filter, said, place, hint) => {
    await writeSpans(lab, `${source}${filter}\n  span1: {}\n`)
    const stderr = await expectRefusal(lab, ['validate'], 65, { through })
    expect(stderr).toMatch(/"sources" is missing in span "span1"/)
    for (const part of [said, `${place}: error: span span0: tcpdump does not`, hint]) expect(stderr).toContain(part)
  })

  test('of receivers too, where no source has a filter', async () => {
    const sensors = (...items: readonly string[]) =>
      `spans:\n  span0:\n    sources: [{interface: ens192}]\n    sensors:\n${items.map((item) => `      - ${item}\n`).join('')}`
    await writeSpans(
      lab,
      sensors('{container: zeek, filter: tcp prot 80}', 'balance: [a, b]\n        filter: vlan 5000')
    )
    const stderr = await expectRefusal(lab, ['validate'], 65, { through })
    for (const place of ['spans.yaml:6:39', 'spans.yaml:8:22']) expect(stderr).toContain(`${place}: error: span span0`)
  })

  test('and says that it did not, where tcpdump is not', async () => {
    await writeSpans(lab, `${source}not prot 22\n`)
    const { stdout, stderr } = await spanplan(lab, ['validate'], 0, { through: without })
    expect(stdout).toBe('spans.yaml: valid, 1 span.\n')
    expect(stderr).toMatch(/^warning: the filters were not checked: the program tcpdump cannot be run/)
    const { warnings } = JSON.parse((await spanplan(lab, ['validate', '--json'], 0, { through: without })).stdout)
    expect(warnings).toMatchObject([{ code: 'FILTER_UNCHECKED' }])
  })

  test('with vlan too, for which plan needs lo: it is not the filter that is wrong while lo is down', async () => {
    await writeSpans(lab, `${source}vlan 10\n`)
    expect((await spanplan(lab, ['validate'], 0, { through })).stderr).toBe('')
    const stderr = await expectRefusal(lab, ['plan'], 1, { through })
    expect(stderr).toMatch(/6:17: error: span span0: the filter cannot be compiled while the interface lo is down\n/)
    expect(stderr).toContain('\n  ip link set lo up\n')
    expect(stderr).not.toContain('does not understand')
  })
})

describe('without the right that a vlan expression needs', () => {
  // He may read the sources wherever they are, also in somebody's home.
  const reading = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search']
  const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...reading]
  const weakRoot = ['setpriv', '--inh-caps=-net_raw', '--bounding-set=-net_raw']

  beforeAll(async () => {
    await spanplan(lab, ['destroy', '--yes'])
  })

  test('plan says so, and plans the rest', async () => {
    const file = twoSpans.replaceAll(/^ *sensors: .*\n/gm, '')
    await writeSpans(lab, file)
    const { stdout } = await spanplan(lab, ['plan'], 0, { through: user })
    for (const hook of ['ingress', 'egress']) {
      expect(stdout).toMatch(new RegExp(`^ +\\+ +mirror +ens192 ${hook} → span0 +ether src`, 'm'))
      expect(stdout).toMatch(new RegExp(`^ +\\.\\.\\. mirror +ens192 ${hook} → span1 +waits for CAP_NET_RAW`, 'm'))
    }
    expect(stdout).toMatch(/^ +\+ +bridge +span1 /m)
    // With the table, which he may not look at either.
    expect(stdout).toContain('3 wait')
  })

  test('apply says so, and changes nothing', async () => {
    await writeSpans(lab, twoSpans)
    expect(await expectRefusal(lab, ['apply'], 77, { through: weakRoot })).toContain('CAP_NET_RAW')
    expect(warningsIn(await expectRefusal(lab, ['plan', '--detailed-exitcode'], 2, { through: weakRoot }))).toBe('')
  })

  test('plan finds nothing to do where all is in sync', async () => {
    await writeSpans(lab, twoSpans)
    await spanplan(lab, ['apply'])
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 0, { through: weakRoot })
    expect(stdout).toContain('waits for CAP_NET_RAW')
  })
})

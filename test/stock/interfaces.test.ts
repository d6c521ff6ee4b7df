/** What Debian's own kernel has and others lack: more kinds of interfaces, and of what other people do on them. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rawOnly } from '../lab/docker/sensor-images.ts'
import { everyKind } from '../lab/frames/every-kind.ts'
import { BROADCAST, ether, filler, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectFrames,
  expectRestored,
  listen,
  listenBeside,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

const STRANGER = '02:00:00:00:0a:01'
const NOBODY = '02:00:00:00:0a:02'
const HOST = '02:00:00:00:0a:03'
const UNWELCOME = '02:00:00:00:0a:04'

let lab: Lab
let suricata: Docker.Container

beforeAll(async () => {
  const cards = ['ens192', 'ens224', 'ens256', 'ens161']
  lab = await createLab({ docker: true, cables: cards.map((card) => ({ card })) })
  suricata = await lab.startSensor('suricata')
})
afterAll(() => lab?.close())

/** The commands, in the shell of the lab's host. */
const run = (commands: string) => lab.run(['sh', '-ec', commands])

/** A span of the sources is made, and the next plan has nothing to do. Gives what the lab was like before. */
async function applySpan(sources: readonly string[], sensors: string): Promise<string> {
  const before = await lab.snapshotText()
  const items = sources.map((source) => `{interface: ${source}}`).join(', ')
  await writeSpans(lab, `spans: {span0: {sources: [${items}], sensors: [${sensors}]}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  return before
}

async function expectGivenBack(before: string): Promise<void> {
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
}

function framesFrom(source: string): Buffer[] {
  const sizes = [60, 512, 1514]
  return [
    ...sizes.map((size, seed) => ether(NOBODY, source, filler(size, seed))),
    ether(BROADCAST, source, filler(100)),
    ether(NOBODY, source, vlan(20, filler(100)))
  ]
}

const received = framesFrom(STRANGER)
const sent = framesFrom(HOST)

/** What the interface receives and what it sends is heard, and nothing else. */
async function expectBothHeard(source: string, receive: () => Promise<void>): Promise<void> {
  const capture = await listenBeside(lab, suricata)
  await receive()
  await lab.send(sent, source)
  const frames = [...received, ...sent].map((frame, index) => [`frame ${index}`, frame] as const)
  await expectFrames(capture, Object.fromEntries(frames))
}

describe('sources', () => {
  let before: string

  beforeAll(async () => {
    await run(`
ip link add link ens192 name ens192.10 type vlan id 10
ip link add name bond7 type bond mode active-backup miimon 100
ip link add name dummy7 type dummy
ip link add name bond8 type bond
ip link add name dummy8 type dummy
for link in ens192.10 bond7 dummy7 bond8 dummy8; do ip link set dev $link addrgenmode none; done
for card in ens224 ens256; do ip link set dev $card down; ip link set dev $card master bond7; done
for link in ens192.10 bond7 dummy7; do ip link set dev $link up; done
tc qdisc add dev ens161 clsact
tc filter add dev ens161 ingress matchall action mirred ingress redirect dev dummy7`)
    // The kernel tells up to a second late that the bond is up. Until then, its flags say so, and its state is unknown.
    await until('bond7 is up', async () => (await run('ip link show dev bond7')).includes(' state UP '))
    before = await applySpan(['ens192.10', 'bond7', 'dummy7', 'bond8', 'dummy8'], 'suricata')
  })
  afterAll(() =>
    run(`
for link in ens192.10 bond7 dummy7 bond8 dummy8; do ip link del dev $link; done
for card in ens224 ens256; do ip link set dev $card up; done
tc qdisc del dev ens161 clsact`)
  )

  test('a VLAN, whose frames have lost their tag', async () => {
    const tag = Buffer.from('8100000a', 'hex')
    const tagged = received.map((frame) => Buffer.concat([frame.subarray(0, 12), tag, frame.subarray(12)]))
    await expectBothHeard('ens192.10', () => lab.send(tagged))
  })

  test('a bond', () => expectBothHeard('bond7', () => lab.send(received, 'sw1')))

  test('a dummy, which receives what tc redirects to it', () =>
    expectBothHeard('dummy7', () => lab.send(received, 'sw3')))

  test('a bond and a dummy that have never been up', async () => {
    for (const link of ['bond8', 'dummy8']) {
      expect(before).toMatch(new RegExp(`^N: ${link}: .* qdisc noop `, 'm'))
      expect(await run(`ip link show dev ${link}`)).toMatch(/[<,]UP[,>].* qdisc noqueue /)
    }
  })

  test('destroyed, all are as they were', async () => {
    // The kernel gives a device its queueing discipline when the device first comes up, and never takes that back.
    const row = /^(qdisc noqueue 0: dev )dummy7( root .*)$/m
    const upOnce = before.replace(/^(N: (?:bond8|dummy8): .* qdisc )noop /gm, '$1noqueue ')
    await expectGivenBack(upOnce.replace(row, '$&\n$1bond8$2\n$1dummy8$2'))
  })
})

describe('cards', () => {
  let before: string
  let foreign: readonly unknown[]
  let zeek: Docker.Container

  beforeAll(async () => {
    zeek = await lab.startSensor('zeek', rawOnly())
    // What ends classification comes after the mirrors.
    await run(`
for card in ens192 ens224; do
  tc qdisc add dev $card clsact
  for hook in ingress egress; do
    tc filter add dev $card $hook pref 5 protocol all flower dst_mac ${NOBODY} action gact continue
    tc filter add dev $card $hook pref 20 protocol all flower dst_mac ${UNWELCOME} action gact drop
    tc filter add dev $card $hook pref 30 protocol all matchall action gact ok
  done
done
tc qdisc add dev ens192 root handle 1: prio
tc filter add dev ens192 parent 1: pref 3 protocol all flower dst_mac ${BROADCAST} classid 1:1
tc qdisc add dev ens224 root handle 1: fq_codel`)
    foreign = await readForeign()
    before = await applySpan(['ens192', 'ens224', 'ens256'], 'suricata, zeek')
  })
  afterAll(() => run('for card in ens192 ens224; do tc qdisc del dev $card root; tc qdisc del dev $card clsact; done'))

  /** The qdiscs of other people, and their filters, which are at other preferences than the mirrors'. */
  async function readForeign(): Promise<readonly unknown[]> {
    const commands = ['ens192', 'ens224'].flatMap((card) =>
      ['qdisc show', 'filter show ingress', 'filter show egress', 'filter show parent 1:'].map(
        (words) => `tc -j ${words} dev ${card}`
      )
    )
    const rows = (await run(commands.join('\n'))).split('\n').flatMap((text) => JSON.parse(text))
    return rows.filter(({ pref }: { pref?: number }) => pref !== 8)
  }

  test('the qdiscs and filters of other people are as they were', async () => {
    expect(foreign.length).toBeGreaterThan(10)
    expect(await readForeign()).toEqual(foreign)
  })

  test.each([
    ['prio', 'ens192', 'sw0'],
    ['fq_codel', 'ens224', 'sw1']
  ])('beside filters of flower, matchall and gact, and a root qdisc %s', async (_, card, port) => {
    await expectBothHeard(card, () => lab.send(received, port))
    const frame = ether(UNWELCOME, STRANGER, filler(100))
    const capture = await listenBeside(lab, suricata)
    await lab.send([frame], port)
    await expectFrames(capture, { 'what is dropped after the mirrors': frame })
    expect(await run(`tc -s filter show dev ${card} ingress pref 20`)).toContain('(dropped 1,')
  })

  test('without a queue, beside nothing: every kind of frame is heard by each sensor, once and in order', async () => {
    const frames = Object.entries({
      sw2: await everyKind(lab, { suricata, zeek }, STRANGER, 'ens256'),
      ens256: await everyKind(lab, { suricata, zeek }, HOST, 'ens256')
    })
    const captures = await Promise.all([suricata, zeek].map((sensor) => listen(lab, sensor)))
    for (const [from, kinds] of frames) await lab.send(Object.values(kinds), from)
    const all = frames.flatMap(([from, kinds]) =>
      Object.entries(kinds).map(([kind, frame]) => [`${kind} from ${from}`, frame] as const)
    )
    for (const capture of captures) await expectFrames(capture, Object.fromEntries(all))
  })

  test('destroyed, all are as they were', () => expectGivenBack(before))
})

/** A span may copy from another span of the file: all of it is made in one go, in whatever order the file has them. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import {
  expectConverged,
  expectFrames,
  expectRefusal,
  expectRestored,
  listen,
  spanplan,
  writeSpans
} from '../lab/spans.ts'

let lab: Lab
let suricata: Docker.Container
let first: string

const chain = `spans:
  three: {sources: [{interface: two}], sensors: [suricata]}
  two: {sources: [{interface: one, filter: "ether src 02:00:00:00:0a:01"}], sensors: [zeek]}
  one: {sources: [{interface: ens192}], sensors: [zeek], sealed: false}`

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  // Without a port, a bridge has no carrier, and mirred copies nothing to such a device: each span needs a sensor.
  await lab.startSensor('zeek')
  first = await lab.snapshotText()
  await writeSpans(lab, chain)
})
afterAll(() => lab?.close())

const frameFrom = (mac: string) => ether('ff:ff:ff:ff:ff:ff', mac, filler(100, 1))
const [wanted, other] = [frameFrom('02:00:00:00:0a:01'), frameFrom('02:00:00:00:0a:02')]

async function expectChain(): Promise<void> {
  await expectConverged(lab)
  const capture = await listen(lab, suricata, { span: 'three' })
  await lab.send([other, wanted])
  await expectFrames(capture, { wanted })
}

test('one plan makes it all, and the frames of the first reach the sensors of the last', async () => {
  const { stdout } = await spanplan(lab, ['plan'])
  expect(stdout).toContain('~   interface  two                       promiscuous: off → on')
  const { stderr } = await spanplan(lab, ['apply'])
  expect(stderr).not.toContain('error')
  await expectChain()
})

test('a bridge in the middle that somebody removes comes back in one plan, with what copies from it', async () => {
  await lab.run(['ip', 'link', 'del', 'dev', 'two'])
  await spanplan(lab, ['apply'])
  await expectChain()
})

test('a new MTU of the first is in the plan of all, and recreates no network that the plan does not show', async () => {
  const file = (mtu: string) => `spans:
  three: {sources: [{interface: two}], sensors: [suricata]}
  two: {sources: [{interface: one, filter: "ether src 02:00:00:00:0a:01"}], sensors: [zeek]}
  one: {mtu: ${mtu}, sources: [{interface: ens192}], sealed: false}`
  const networks = async () => (await lab.docker.listNetworks()).map(({ Id }) => Id).sort()
  // Under running sensors, an MTU does not shrink.
  await spanplan(lab, ['destroy', '--yes'])
  await writeSpans(lab, file('1400'))
  await spanplan(lab, ['apply', '--yes'])
  await writeSpans(lab, file('3000'))
  const before = await networks()
  expect(await expectRefusal(lab, ['apply'])).toContain('this would recreate 4')
  await spanplan(lab, ['apply', '--yes', '--no-recreate'])
  expect(await networks()).toEqual(before)
  const { stdout } = await spanplan(lab, ['plan'])
  expect(stdout).toMatch(/network +two +mtu: 1400 → 3000/)
  expect(stdout).toMatch(/network +three +mtu: 1400 → 3000/)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
})

test('what disconnects a sensor, and no plan has shown, is not done: a bridge that is named by its address is followed late', async () => {
  const { address } = JSON.parse(await lab.run(['ip', '-json', 'link', 'show', 'dev', 'one']))[0]
  const file = (mtu: number) => `interfaces: {first: {match: {macaddress: "${address}"}}}
spans:
  two: {sources: [{interface: first}], sensors: [suricata]}
  one: {mtu: ${mtu}, sources: [{interface: ens192}], sealed: false}`
  await writeSpans(lab, file(3000))
  await spanplan(lab, ['apply', '--yes'])
  await writeSpans(lab, file(4000))
  const { stdout, stderr } = await spanplan(lab, ['apply'], 4)
  expect(stdout).toContain('Applied and verified: 1 changed')
  expect(stderr).toMatch(/span two: .*waits for spanplan apply, because that disconnects suricata .*mtu: 3000 → 4000/)
  expect(await expectRefusal(lab, ['apply'])).toContain('this would recreate')
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await writeSpans(lab, chain)
  await spanplan(lab, ['apply', '--yes'])
})

test('spans that feed each other the other way round are never a loop, on the way there and on the way back', async () => {
  const file = (one: string, two: string) => `spans:
  one: {sources: [{interface: ${one}}], sensors: [zeek]}
  two: {sources: [{interface: ${two}}], sensors: [zeek]}`
  await writeSpans(lab, file('ens192', 'one'))
  await spanplan(lab, ['apply', '--yes'])
  const before = await lab.snapshotText()
  await writeSpans(lab, file('two', 'ens192'))
  const { options, calls } = await wrapPrograms(lab, {
    tc: failAt('filter del dev ens192 ingress pref 8 handle 0xbe6d7f0c')
  })
  await spanplan(lab, ['apply', '--yes'], 5, options)
  await expectRestored(lab, before)
  const found = (await calls()).flatMap((line) => /^filter .+ dev (one|two) ingress .*pref 8 /.exec(line)?.[0] ?? [])
  expect(found.map((line) => line.split(' ').slice(1, 4).join(' '))).toEqual([
    ...['del dev one', 'replace dev two'],
    ...['del dev two', 'replace dev one']
  ])
  await writeSpans(lab, chain)
  await spanplan(lab, ['apply', '--yes'])
})

test('the fourth span in a row gets frames, until a fifth copies from it, which the plan warns of', async () => {
  const row = ['ens192', 'one', 'two', 'three', 'four', 'five']
  const file = (spans: number) => {
    const lines = row.slice(1, spans + 1).map((name, before) => {
      const sensors = name === 'three' || name === 'four' ? 'zeek, suricata' : 'zeek'
      return `  ${name}: {sources: [{interface: ${row[before]}}], sensors: [${sensors}]}\n`
    })
    return `spans:\n${lines.join('')}`
  }
  await writeSpans(lab, file(4))
  expect((await spanplan(lab, ['apply', '--yes'])).stderr).not.toContain('in a row')
  const whole = await listen(lab, suricata, { span: 'four' })
  await lab.send([wanted])
  await expectFrames(whole, { wanted })
  await writeSpans(lab, file(5))
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  for (const span of ['four', 'five'])
    expect(stderr).toContain(`span ${span} misses frames: more than 4 spans in a row`)
  const before = await listen(lab, suricata, { span: 'three' })
  const deep = await listen(lab, suricata, { span: 'four' })
  await lab.send([wanted])
  await expectFrames(before, { wanted })
  await expectFrames(deep, {})
  await spanplan(lab, ['destroy', '--yes'])
  await writeSpans(lab, chain)
  await spanplan(lab, ['apply', '--yes'])
})

test('a span stays while another one copies from it', async () => {
  await writeSpans(lab, 'spans: {three: {sources: [{interface: two}], sensors: [suricata]}}')
  const live = await lab.snapshotText()
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('span three copies from it')
  expect(await expectRefusal(lab, ['destroy', '--yes', '--span', 'two'])).toContain('span three copies from it')
  expect(await lab.snapshotText()).toBe(live)
})

test('a watch keeps a span while another one copies from it, says why, and does all else', async () => {
  await using watch = await startWatch(lab)
  await writeSpans(
    lab,
    `spans:
  three: {sources: [{interface: two}], sensors: [suricata]}
  four: {sources: [{interface: ens192}]}`
  )
  await watch.expectTold(/ four +\+ bridge four/)
  await watch.expectTold(
    / two +! the bridge two cannot be removed: span three copies from it \(take the source off, or /
  )
  await lab.run(['tc', 'filter', 'del', 'dev', 'two', 'ingress'])
  await watch.expectTold(/ three +\+ mirror two ingress/)
  expect((await watch.state()).degraded.map(({ span }) => span).sort()).toEqual(['one', 'two'])
  await watch.stop()
  await writeSpans(lab, chain)
  await spanplan(lab, ['apply', '--yes'])
  await expectChain()
})

test('the last span alone waits for the others, and all of it is removed', async () => {
  await writeSpans(lab, chain)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
  expect(await expectRefusal(lab, ['apply', '--span', 'three'])).toContain(
    'it is the bridge of the span two: apply that too'
  )
})

test('an interface of somebody else that has the name of a span is no source of the others, which wait', async () => {
  await lab.run(['ip', 'link', 'add', 'name', 'one', 'type', 'ifb'])
  const [before] = JSON.parse(await lab.run(['ip', '-json', '-details', 'link', 'show', 'dev', 'one']))
  const watch = await startWatch(lab)
  await watch.expectTold(/ one +! an interface one already exists, and is not a bridge but an ifb/)
  await watch.expectTold(/ two +\.\.\. mirror one ingress → two and one egress → two: an interface one already exists/)
  await watch.expectTold(/ three +\+ mirror two ingress/)
  await watch.stop()
  expect(JSON.parse(await lab.run(['ip', '-json', '-details', 'link', 'show', 'dev', 'one']))[0]).toEqual(before)
  expect(await expectRefusal(lab, ['apply', '--span', 'two'])).toContain('span two: an interface one already exists')
  await spanplan(lab, ['destroy', '--yes'])
  await lab.run(['ip', 'link', 'del', 'dev', 'one'])
  await expectRestored(lab, first)
})

test('an altname that is the name of a span is in the way of that span, and is no source', async () => {
  await lab.run(['ip', 'link', 'property', 'add', 'dev', 'ens192', 'altname', 'two'])
  const told = await expectRefusal(lab, ['apply'])
  expect(told).toContain('the interface ens192 has two as another name (altname)')
  expect(await expectRefusal(lab, ['apply', '--span', 'three'])).toContain('there is no interface two')
  await lab.run(['ip', 'link', 'property', 'del', 'dev', 'ens192', 'altname', 'two'])
  await expectRestored(lab, first)
})

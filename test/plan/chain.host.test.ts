/** A span may copy from another span of the file: all of it is made in one go, in whatever order the file has them. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

beforeAll(async () => {
  lab = await createLab({ docker: true })
  suricata = await lab.startSensor('suricata')
  // Without a port, a bridge has no carrier, and mirred copies nothing to such a device: each span needs a sensor.
  await lab.startSensor('zeek')
  first = await lab.snapshotText()
  await writeSpans(
    lab,
    `spans:
  three: {sources: [{interface: two}], sensors: [suricata]}
  two: {sources: [{interface: one, filter: "ether src 02:00:00:00:0a:01"}], sensors: [zeek]}
  one: {sources: [{interface: ens192}], sensors: [zeek], sealed: false}`
  )
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

test('the last span alone waits for the others, and all of it is removed', async () => {
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
  expect(await expectRefusal(lab, ['apply', '--span', 'three'])).toContain('there is no interface two on this host')
})

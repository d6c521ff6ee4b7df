/** A receive ring that a driver can set: that of virtio_net, whose interface the emulated machine has. The lab's others are veths. */
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram } from '../lab/programs.ts'
import { expectConverged, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

const spans = 'spans: {span0: {sources: [{interface: ens192}, {interface: ens224}]}}'
const ringed = `interfaces: {ens192: {ring: max}, ens224: {ring: max}}\n${spans}`

const usual = 256

let lab: Lab
let before: string

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens224' }] })
  await execa(findProgram('ip'), ['link', 'set', 'dev', 'eth0', 'netns', lab.name, 'name', 'ens192'])
  await lab.run(['ethtool', '-G', 'ens192', 'rx', String(usual)])
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'up'])
  before = await lab.snapshotText()
})
afterAll(async () => {
  // The machine has had it before.
  await lab?.run(['ip', 'link', 'set', 'dev', 'ens192', 'down'])
  await lab?.run(['ip', 'link', 'set', 'dev', 'ens192', 'netns', '1', 'name', 'eth0'])
  await lab?.close()
})

afterEach(async () => {
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, before)
  expect(await readRing()).toMatchObject({ now: usual })
})

/** The size of the ring, and the most that its driver takes. */
async function readRing(): Promise<{ readonly now: number; readonly most: number }> {
  const text = await lab.run(['ethtool', '-g', 'ens192'])
  const [most = 0, now = 0] = [...text.matchAll(/^RX:\s+(\d+)$/gm)].map(([, size]) => Number(size))
  return { now, most }
}

const listMirrors = () => lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])

test('is as large as the driver takes it, until the file does not say so any more', async () => {
  await writeSpans(lab, ringed)
  const { stderr } = await spanplan(lab, ['apply', '--yes'])
  expect(stderr).toContain('ens224: its driver, veth, has no receive ring that can be set')
  const { now, most } = await readRing()
  expect(most).toBeGreaterThan(usual)
  expect(now).toBe(most)
  await expectConverged(lab)
  await writeSpans(lab, spans)
  await spanplan(lab, ['apply', '--yes'])
  expect(await readRing()).toEqual({ now: usual, most })
  await expectConverged(lab)
  expect(await listMirrors()).not.toContain('flowid')
})

describe('with a driver that refuses', () => {
  test('stays as it is, and costs nothing else', async () => {
    await writeSpans(lab, ringed)
    const { options } = await wrapPrograms(lab, { ethtool: 'case "$*" in -G*) exit 1;; esac' })
    const { stdout, stderr } = await spanplan(lab, ['apply', '--yes'], 4, options)
    expect(`${stdout}${stderr}`).toContain('the receive ring of ens192 stays as it is')
    expect(await readRing()).toMatchObject({ now: usual })
    expect(await listMirrors()).toContain('mirred')
  })

  test('another step, is rolled back', async () => {
    await writeSpans(lab, ringed)
    const { options } = await wrapPrograms(lab, { ip: 'case "$* $input" in *promisc*) exit 1;; esac' })
    await spanplan(lab, ['apply', '--yes'], 5, options)
    expect(await readRing()).toMatchObject({ now: usual })
    await expectRestored(lab, before)
  })
})

test('is never changed without a mark that says what it was, wherever a run is killed', async () => {
  await writeSpans(lab, ringed)
  expect(await killAfterEachStep(['apply', '--yes'])).toBeGreaterThan(1)
  await expectConverged(lab)
  expect(await killAfterEachStep(['destroy', '--yes'])).toBeGreaterThan(0)
})

/** Runs spanplan until it ends by itself: killed, each time, when tc or ethtool has made its first change. Gives how often that was. */
async function killAfterEachStep(args: readonly string[]): Promise<number> {
  const kill = `case "$*" in
*-json*|-g*|-i*|-k*) ;;
*) printf '%s\\n' "$input" | run "$@"; kill -KILL $PPID; exit 1 ;;
esac`
  const { options } = await wrapPrograms(lab, { tc: kill, ethtool: kill })
  for (let kills = 0; kills < 20; kills++) {
    const { signal } = await lab.startSpanplan(args, options)
    if (signal === undefined) return kills
    expect(signal).toBe('SIGKILL')
    const { now } = await readRing()
    if (now !== usual) expect(await listMirrors()).toContain(`flowid ${usual.toString(16)}:5200`)
  }
  throw new Error(`spanplan ${args.join(' ')} comes to no end`)
}

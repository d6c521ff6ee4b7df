/** What the host itself sends reaches sensors as it goes on the wire, and never suffers from being copied. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, exchange, hashFlows, parseSegment, startEcho } from '../lab/frames/tcp.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectHeard, listen, spanplan, until, writeSpans } from '../lab/spans.ts'

const HOST = '192.0.2.1'
const SWITCH = '192.0.2.2'
const MTU = 1500
const LARGEST = MTU + 14
const BYTES = 8_000_000

let lab: Lab
let suricata: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192', mtu: MTU }] })
  await lab.run(['ip', 'addr', 'add', `${HOST}/24`, 'dev', 'ens192'])
  await lab.run(['ip', 'addr', 'add', `${SWITCH}/24`, 'dev', 'sw0'], { on: 'switch' })
  // A shaper of the host's own, as its administrator has set it up.
  await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'root', 'handle', '1:', 'htb', 'default', '10'])
  suricata = await lab.startSensor('suricata')
  await startEcho(lab)
})
afterAll(() => lab?.close())

async function apply(options = ''): Promise<void> {
  await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], sensors: [suricata]${options}}}`)
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
}

/** What the sensor sees of a connection that moves much in both directions, and what those bytes were. */
async function watchExchange() {
  const capture = await listen(lab, suricata, { bulk: true, expression: 'tcp' })
  const { sent, received } = await exchange(lab, SWITCH, BYTES)
  expect(received).toBe(sent)
  const { frames, dropped } = await capture.stop()
  expect(dropped).toBe(0)
  const segments = frames.map(parseSegment).filter((segment) => segment !== null)
  expect(segments).toHaveLength(frames.length)
  return {
    hashes: hashFlows(segments),
    sent,
    full: frames.filter(({ length }) => length === LARGEST).length,
    tooLarge: frames.filter(({ length }) => length > LARGEST).length,
    wrong: segments.filter(({ isRight }) => !isRight).length
  }
}

describe('a bulk flow of the host', () => {
  test('reaches the sensor in frames as on the wire, whole and with right checksums', async () => {
    await apply()
    const { hashes, sent, full, tooLarge, wrong } = await watchExchange()
    expect({ tooLarge, wrong }).toEqual({ tooLarge: 0, wrong: 0 })
    expect(full).toBeGreaterThan((2 * BYTES) / LARGEST)
    expect(hashes).toEqual([sent, sent])
  })

  test('does not without "wire": there are packets that no wire has seen, and checksums that are wrong', async () => {
    await apply(', wire: false')
    const { tooLarge, wrong } = await watchExchange()
    expect(tooLarge).toBeGreaterThan(100)
    expect(wrong).toBeGreaterThan(100)
  })

  test('does again once "wire" is back', async () => {
    await apply()
    const { tooLarge, wrong } = await watchExchange()
    expect({ tooLarge, wrong }).toEqual({ tooLarge: 0, wrong: 0 })
  })
})

describe("the card's own traffic", () => {
  test('one connection lives through apply and destroy, and loses nothing', async () => {
    await spanplan(lab, ['destroy', '--yes'])
    const connection = await connect(lab, SWITCH)
    for (const options of ['', ', wire: false, sealed: false']) {
      await apply(options)
      await expectHeard(lab, [suricata])
      await spanplan(lab, ['destroy', '--yes'])
    }
    const { bytes, sent, received } = await connection.end()
    expect(bytes).toBeGreaterThan(0)
    expect(received).toBe(sent)
  })

  test("the card's root qdisc is never touched", async () => {
    await spanplan(lab, ['destroy', '--yes'])
    const before = await rootQdisc()
    const monitor = lab.start(['tc', 'monitor'])
    let events = ''
    monitor.stdout?.on('data', (chunk: Buffer) => {
      events += chunk.toString()
    })
    // Events come in their order: what was told before this one is here once it is.
    const mark = async () => {
      const start = events.length
      await until('tc monitor tells', async () => {
        await lab.run(['tc', 'qdisc', 'add', 'dev', 'lo', 'clsact'])
        await lab.run(['tc', 'qdisc', 'del', 'dev', 'lo', 'clsact'])
        return events.slice(start).includes('deleted qdisc clsact ffff: dev lo')
      })
    }
    await mark()
    await apply()
    await exchange(lab, SWITCH, 100_000)
    await spanplan(lab, ['destroy', '--yes'])
    await mark()
    monitor.kill()
    const ofCard = events.split('\n').filter((line) => /\bqdisc\b.* dev ens192\b/.test(line))
    expect(ofCard.length).toBeGreaterThan(0)
    expect(ofCard.filter((line) => !line.includes('qdisc clsact ffff:'))).toEqual([])
    const after = await rootQdisc()
    expect({ ...after, packets: 0 }).toEqual({ ...before, packets: 0 })
    // A new one would count from zero.
    expect(after.packets).toBeGreaterThan(before.packets)
  })
})

async function rootQdisc(): Promise<{ kind: string; handle: string; packets: number }> {
  const all: { kind: string; handle: string; packets: number; root?: boolean }[] = JSON.parse(
    await lab.run(['tc', '-s', '-j', 'qdisc', 'show', 'dev', 'ens192'])
  )
  const root = all.find((qdisc) => qdisc.root)
  if (root === undefined) throw new Error('ens192 has no root qdisc')
  return { kind: root.kind, handle: root.handle, packets: root.packets }
}

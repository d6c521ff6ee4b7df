/** What a sensor sends goes nowhere: neither to the other sensors nor to the host. */
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attack as attackFrom, NOTHING, openHost, type Reach, type Receiver } from '../lab/frames/attack.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectHeard, findTap, listen, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let receiver: Receiver
let attacker: Docker.Container
let victim: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  receiver = await openHost(lab)
  attacker = await lab.startSensor('attacker')
  victim = await lab.startSensor('victim')
})
afterAll(() => lab?.close())

const attack = (from = attacker) => attackFrom(lab, receiver, from, victim)

async function applySpan(sealed: boolean): Promise<void> {
  await writeSpans(
    lab,
    `spans: {span0: {sources: [{interface: ens192}], sensors: [attacker, victim], sealed: ${sealed}}}`
  )
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
}

/** The names of these probes to these addresses. */
function named(payloads: readonly string[], targets: readonly string[]): string[] {
  return targets.flatMap((target) => payloads.map((payload) => `${payload} to ${target}`))
}

async function connectByHand(name: string): Promise<Docker.Container> {
  const container = await lab.startSensor(name)
  await lab.docker.getNetwork('none').disconnect({ Container: name })
  await lab.docker.getNetwork('span0').connect({ Container: name })
  return container
}

describe('without "sealed"', () => {
  let reach: Reach

  beforeAll(async () => {
    await applySpan(false)
    reach = await attack()
  })

  test('a sensor reaches the other', () => {
    const macs = [
      'the other sensor',
      'the bridge',
      'the port',
      "the other's port",
      'nobody',
      'all',
      'all IPv4',
      'all IPv6'
    ]
    const payloads = ['raw bytes', 'ARP for the other sensor', 'IPv4 for the other sensor', 'IPv6 for the card']
    expect(reach.heard).toEqual(expect.arrayContaining(named(payloads, macs)))
    expect(reach.answered).toContain('ARP for the other sensor to all')
  })

  test('a sensor reaches every address of the host', () => {
    const ipv4 = ['IPv4 for the card', 'IPv4 for the other card']
    const ipv6 = ['IPv6 for the card', 'IPv6 for the other card']
    expect(reach.delivered).toEqual(expect.arrayContaining(named([...ipv4, ...ipv6], ['all', 'all IPv4', 'all IPv6'])))
    expect(reach.answered).toEqual(
      expect.arrayContaining(named(['ARP for the card', 'ARP for the other card'], ['all']))
    )
  })

  test('a sensor reaches the host through the link-local groups', () => {
    const open = ['01:80:c2:00:00:02', '01:80:c2:00:00:03', '01:80:c2:00:00:0e']
    const payloads = ['IPv4 for the card', 'IPv4 for the other card']
    expect(reach.delivered).toEqual(expect.arrayContaining(named(payloads, open)))
    const questions = ['ARP for the card', 'ARP for the other card']
    expect(reach.answered).toEqual(expect.arrayContaining(named(questions, open)))
  })
})

describe('sealed', () => {
  beforeAll(() => applySpan(true))

  test('a sensor reaches nobody, and hears all the same', async () => {
    expect(await attack()).toEqual(NOTHING)
    await expectHeard(lab, [attacker, victim])
  })

  test('so it is with one that is connected by hand, from the next apply on, which the plan announces', async () => {
    const later = await connectByHand('later')
    const open = await attack(later)
    expect(open.heard).toContain('raw bytes to the other sensor')
    expect(open.answered).toContain('ARP for the card to 01:80:c2:00:00:0e')
    // Through the bridge the host is out of reach already.
    const throughBridge = named(['IPv4 for the card', 'IPv6 for the card'], ['all', 'all IPv4', 'all IPv6'])
    expect(open.delivered.filter((name) => throughBridge.includes(name))).toEqual([])
    const { port } = await findTap(lab, later)
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(new RegExp(`~ +port +later \\(${port}\\) → span0 .*sealed: no → yes`))
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    for (const sensor of [later, attacker]) expect(await attack(sensor)).toEqual(NOTHING)
    await expectHeard(lab, [attacker, victim, later])
  })

  test('so it is with one that was restarted, from the next apply on', async () => {
    await attacker.restart()
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    expect(await attack()).toEqual(NOTHING)
    await expectHeard(lab, [attacker, victim])
  })

  test('a sensor hears nothing of the host: no router solicitation, no report of a group', async () => {
    const capture = await listen(lab, victim)
    const once = await connectByHand('once')
    const { mac } = await findTap(lab, once)
    await spanplan(lab, ['apply'])
    const { frames } = await capture.stop({ seconds: 3 })
    const own = mac.replaceAll(':', '')
    expect(frames.filter((frame) => frame.toString('hex', 6, 12) !== own)).toEqual([])
  })
})

/** Where nftables can tell a port's bridge, a port is closed from its first frame on, and stays so. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type AttackOptions, attack, NOTHING, openHost, type Reach, type Receiver } from '../e2e/attack.ts'
import { createLab, type Lab } from '../e2e/lab.ts'
import { expectConverged, expectHeard, expectRestored, findTap, spanplan, writeSpans } from '../e2e/spans.ts'
import { wrapPrograms } from '../e2e/wrapped.ts'

let lab: Lab
let receiver: Receiver
/** On the span by Docker's hand, and known to spanplan. */
let zeek: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  receiver = await openHost(lab)
  zeek = await lab.startSensor('zeek')
})
afterAll(() => lab?.close())

const run = (commands: string) => lab.run(['sh', '-ec', commands])

const span = 'span0: {sources: [{interface: ens192}], sensors: [zeek]}'

async function apply(spans = span): Promise<void> {
  await writeSpans(lab, `spans: {${spans}}`)
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
}

/** All of nftables, without what changes by itself. */
const renameTable = `renamed=$(nft list table bridge spanplan_default | sed s/spanplan_default/spanplan_old/)
nft delete table bridge spanplan_default
echo "$renamed" | nft -f -`

const listTables = () => lab.run(['nft', 'list', 'ruleset'])

describe('a port that comes by itself, before any further look', () => {
  beforeAll(() => apply())
  afterAll(() => spanplan(lab, ['destroy', '--yes']))

  test('put on the bridge by hand, reaches nobody in a thousand frames from its first on', async () => {
    const [attacker, listener] = [await joinByHand('attacker'), await joinByHand('listener')]
    await lab.run(['ip', 'link', 'set', 'dev', listener.port, 'up'])
    const reach = await reachOf(attacker.container, listener.container, {
      times: 4,
      // The sender tries until there is a carrier.
      meanwhile: () => lab.run(['ip', 'link', 'set', 'dev', attacker.port, 'up'])
    })
    expect(reach).toEqual(NOTHING)
    // Nobody has looked: no port but zeek's is isolated, or has a filter.
    for (const { port } of [attacker, listener]) {
      expect(await run(`ip -d link show dev ${port}; tc qdisc show dev ${port}`)).toMatch(/isolated off/)
      expect(await run(`tc qdisc show dev ${port}`)).not.toContain('clsact')
    }
    await expectHeard(lab, [zeek, attacker.container, listener.container])
    await attacker.container.remove({ force: true })
    await listener.container.remove({ force: true })
  })

  test("a container's, made by Docker, reaches nobody", async () => {
    const attacker = await lab.startSensor('later', { NetworkMode: 'span0' })
    const listener = await lab.startSensor('another', { NetworkMode: 'span0' })
    expect(await reachOf(attacker, listener, { times: 4 })).toEqual(NOTHING)
    await attacker.restart({ t: 0 })
    expect(await reachOf(attacker, listener)).toEqual(NOTHING)
    const { port } = await findTap(lab, attacker)
    expect(await run(`tc qdisc show dev ${port}`)).not.toContain('clsact')
    await expectHeard(lab, [zeek, attacker, listener])
    await attacker.remove({ force: true })
    await listener.remove({ force: true })
  })

  /** What a sensor reaches, less what the host's own end of a port says to its sensor until spanplan has switched IPv6 off there. */
  async function reachOf(
    ...[from, victim, options]: [Docker.Container, Docker.Container, AttackOptions?]
  ): Promise<Reach> {
    const reach = await attack(lab, receiver, from, victim, options)
    const isProbe = (name: string) => !/^[0-9a-f]+$/.test(name)
    return { ...reach, heard: reach.heard.filter(isProbe), answered: reach.answered.filter(isProbe) }
  }

  /** A container with one end of a cable whose other end is a port of the span, and down. */
  async function joinByHand(name: string): Promise<{ readonly container: Docker.Container; readonly port: string }> {
    const container = await lab.startSensor(name)
    const { State } = await container.inspect()
    const port = `p-${name}`
    await run(`ip link add name ${port} type veth peer name eth0 netns ${State.Pid}
ip link set dev ${port} addrgenmode none
nsenter --net=/proc/${State.Pid}/ns/net ip link set dev eth0 up
ip link set dev ${port} master span0`)
    return { container, port }
  }
})

/** Without a sensor, so that nothing waits for Docker. */
const bare = 'span0: {sources: [{interface: ens192}]}'

describe('what somebody does to the table is found and repaired', () => {
  beforeAll(() => apply(bare))
  afterAll(() => spanplan(lab, ['destroy', '--yes']))

  test.each([
    ['deleted', 'nft delete table bridge spanplan_default'],
    ['renamed', renameTable],
    ['flushed', 'nft flush ruleset'],
    ['a rule more', 'nft insert rule bridge spanplan_default input accept'],
    ['no rules', 'nft flush chain bridge spanplan_default prerouting'],
    ['a chain more', 'nft add chain bridge spanplan_default other'],
    ['no bridge', 'nft flush set bridge spanplan_default spans'],
    ['a bridge more', "nft 'add element bridge spanplan_default spans { br9 }'"],
    ['asleep', "nft 'add table bridge spanplan_default { flags dormant; }'"]
  ])('%s', async (_, command) => {
    const whole = await listTables()
    await run(command)
    expect(await listTables()).not.toBe(whole)
    const { stdout } = await spanplan(lab, ['apply', '--yes'])
    expect(stdout).toMatch(/^ {2}[+~] {3}table +spanplan_default /m)
    expect(await listTables()).toBe(whole)
    await expectConverged(lab)
  })
})

describe('the table', () => {
  afterEach(() => spanplan(lab, ['destroy', '--all', '--yes']))

  test('is each name’s own, and goes with the last of its spans; what others have stays', async () => {
    await run("nft add table bridge other; nft 'add set bridge other spans { type ifname; }'")
    const before = await lab.snapshotText()
    await apply(bare)
    await writeFile(
      join(lab.files, 'lab.yaml'),
      'version: 1\nname: lab\nspans:\n  lab0: {sources: [{interface: ens224}]}\n  lab1: {sources: [{interface: ens224}]}\n'
    )
    await spanplan(lab, ['apply', '--yes', '-f', 'lab.yaml'])
    await spanplan(lab, ['destroy', '--yes'])
    expect(await listTables()).not.toContain('spanplan_default')
    expect(await lab.run(['nft', 'list', 'table', 'bridge', 'spanplan_lab'])).toMatch(/"lab0",\s+"lab1"/)
    await spanplan(lab, ['destroy', '--yes', '-f', 'lab.yaml'])
    await expectRestored(lab, before)
    await run('nft delete table bridge other')
  })

  test('lets a bridge go when that forwards no groups any more', async () => {
    await apply(`${bare}, span1: {sources: [{interface: ens224}]}`)
    expect(await maskOf('span1')).toBe('0xfff8')
    await apply(`${bare}, span1: {sources: [{interface: ens224}], sealed: false}`)
    expect(await maskOf('span1')).toBe('0')
    expect(await listTables()).not.toContain('span1')
  })

  test('gives an adopted bridge its groups back', async () => {
    await run(`ip link add name span0 type bridge
ip link set dev span0 type bridge group_fwd_mask 0x4008
ip link set dev span0 addrgenmode none
ip link set dev span0 up`)
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens224}]}}')
    await spanplan(lab, ['apply', '--yes', '--adopt'])
    expect(await maskOf('span0')).toBe('0xfff8')
    await expectConverged(lab)
    await spanplan(lab, ['destroy', '--yes'])
    expect(await maskOf('span0')).toBe('0x4008')
    await run('ip link del dev span0')
  })

  test.each(['before', 'after'])('is completed after a kill %s it is written or removed', async (when) => {
    const before = await lab.snapshotText()
    await writeSpans(lab, `spans: {${bare}}`)
    await killAtTable(when, ['apply', '--yes'])
    await spanplan(lab, ['apply', '--yes'])
    await expectConverged(lab)
    await killAtTable(when, ['destroy', '--yes'])
    await spanplan(lab, ['destroy', '--yes'])
    await expectRestored(lab, before)
  })

  test('is rolled back', async () => {
    const before = await lab.snapshotText()
    await writeSpans(lab, `spans: {${bare}}`)
    const { options } = await wrapPrograms(lab, { ethtool: 'case "$*" in *-K*) exit 1;; esac' })
    await spanplan(lab, ['apply', '--yes'], 5, options)
    await expectRestored(lab, before)
  })

  test('a foreign table of its name is a conflict, and stays', async () => {
    await run('nft add table bridge spanplan_default')
    await writeSpans(lab, `spans: {${bare}}`)
    const before = await lab.snapshotText()
    const { stderr } = await spanplan(lab, ['apply', '--yes'], 1)
    expect(stderr).toContain('has no mark of spanplan')
    await expectRestored(lab, before)
    await run('nft delete table bridge spanplan_default')
  })
})

async function maskOf(bridge: string): Promise<string | undefined> {
  const [link]: { linkinfo: { info_data: { group_fwd_mask: string } } }[] = JSON.parse(
    await lab.run(['ip', '-d', '-j', 'link', 'show', 'dev', bridge])
  )
  return link?.linkinfo.info_data.group_fwd_mask
}

/** spanplan is killed where it would write or remove the table, or directly after. */
async function killAtTable(when: string, args: readonly string[]): Promise<void> {
  const first = when === 'after' ? 'run "$@";' : ''
  const nft = `case "$*" in *'"delete"'*) ${first} kill -KILL $PPID; exit 1;; esac`
  const { options } = await wrapPrograms(lab, { nft })
  const { signal } = await lab.startSpanplan(args, options)
  expect(signal).toBe('SIGKILL')
}

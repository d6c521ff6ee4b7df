/** Where nftables can tell a port's bridge, a port is closed from its first frame on, and stays so. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { dropProgram } from '../../src/host/tc-conventions.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { type AttackOptions, attack, NOTHING, openHost, type Reach, type Receiver } from '../lab/frames/attack.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { sampledByKind } from '../lab/sampled.ts'
import {
  awaitNftables,
  expectConverged,
  expectHeard,
  expectRestored,
  findTap,
  spanplan,
  until,
  writeSpans
} from '../lab/spans.ts'

const span = 'span0: {sources: [{interface: ens192}], sensors: [zeek]}'

let lab: Lab
let receiver: Receiver
/** On the span by Docker's hand, and known to spanplan. */
let zeek: Docker.Container

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }, { card: 'ens256' }] })
  receiver = await openHost(lab)
  zeek = await lab.startSensor('zeek')
  await writeSpans(lab, `spans: {${span}}`)
  await awaitNftables(lab)
})
afterAll(() => lab?.close())

const run = (commands: string) => lab.run(['sh', '-ec', commands])

async function apply(spans = span): Promise<void> {
  await writeSpans(lab, `spans: {${spans}}`)
  await spanplan(lab, ['apply', '--yes'])
}

const listTables = () => lab.run(['nft', 'list', 'ruleset'])

describe('a port that comes by itself, before any further look', () => {
  beforeAll(async () => {
    await apply()
    await expectConverged(lab)
  })
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
    await attacker.restart()
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

describe('beside a watch', () => {
  afterEach(() => spanplan(lab, ['destroy', '--yes']))

  test('what somebody does to the table is found and repaired', async () => {
    await apply(bare)
    const whole = await listTables()
    await using watch = await startWatch(lab)
    for (const [index, { what, command }] of sampledByKind(damages, 3, ({ kind }) => kind).entries()) {
      // Held meanwhile, so that the damage can be looked at.
      watch.signal('SIGSTOP')
      await run(command)
      expect(await listTables(), what).not.toBe(whole)
      // Another file: what was repaired before is not held against anybody.
      await writeSpans(lab, `spans: {${bare}} # ${index}`)
      watch.signal('SIGCONT')
      await until(`what was ${what} is whole again`, async () => (await listTables()) === whole)
    }
    await watch.stop()
    await expectConverged(lab)
  })

  test('a flush of nftables every 200 ms opens no port and takes no filter that closes something, and is repaired in the end', async () => {
    const suricata = await lab.startSensor('suricata')
    const sources = '[{interface: ens192}, {interface: ens256}]'
    await writeSpans(
      lab,
      `interfaces: {ens256: {dedicated: true}}\nspans: {span0: {sources: ${sources}, sensors: [zeek, suricata]}}`
    )
    await spanplan(lab, ['apply', '--yes'])
    await using watch = await startWatch(lab)
    const flushing = lab.start(['sh', '-c', 'while :; do nft flush ruleset; sleep 0.2; done'])
    try {
      expect(await attack(lab, receiver, zeek, suricata, { times: 4 })).toEqual(NOTHING)
      await zeek.restart()
      await until('all is closed again', async () => isClosed(await run(await commandsOfFilters())))
      const commands = await commandsOfFilters()
      for (let sample = 0; sample < 10; sample++) expect(isClosed(await run(commands))).toBe(true)
    } finally {
      flushing.kill('SIGKILL')
      await flushing.catch(() => undefined)
    }
    // The watch leaves it alone for a while, which is long: to ask rarely, and in one shell, costs little.
    await run('until nft list tables bridge | grep -q spanplan_default; do sleep 1; done')
    await watch.stop()
    await expectHeard(lab, [zeek, suricata])
    await suricata.remove({ force: true })
  })

  /** What shows the filters that close something: of the stack, of the port, and of the dedicated interface, with a line between. */
  async function commandsOfFilters(): Promise<string> {
    const { State } = await zeek.inspect()
    const { name, port } = await findTap(lab, zeek)
    return `nsenter --net=/proc/${State.Pid}/ns/net -- tc filter show dev ${name} ingress
echo /
tc filter show dev ${port} ingress
echo /
tc filter show dev ens256 ingress pref 65535`
  }

  const isClosed = (filters: string) => filters.split('/\n').every((text) => text.includes(`bytecode '${dropProgram}'`))
})

/** What somebody does to the table, and the commands that do it. */
const damages = [
  { kind: 'gone', what: 'deleted', command: 'nft delete table bridge spanplan_default' },
  { kind: 'gone', what: 'flushed', command: 'nft flush ruleset' },
  {
    kind: 'renamed',
    what: 'renamed',
    command: `renamed=$(nft list table bridge spanplan_default | sed s/spanplan_default/spanplan_old/)
nft delete table bridge spanplan_default
echo "$renamed" | nft -f -`
  },
  { kind: 'more', what: 'given a rule more', command: 'nft insert rule bridge spanplan_default input accept' },
  { kind: 'more', what: 'given a chain more', command: 'nft add chain bridge spanplan_default other' },
  {
    kind: 'more',
    what: 'given a bridge more',
    command: "nft 'add element bridge spanplan_default spans { br9 }'"
  },
  { kind: 'less', what: 'left without bridges', command: 'nft flush set bridge spanplan_default spans' },
  { kind: 'less', what: 'left without rules', command: 'nft flush chain bridge spanplan_default prerouting' },
  {
    kind: 'asleep',
    what: 'put to sleep',
    command: "nft 'add table bridge spanplan_default { flags dormant; }'"
  }
]

describe('the table', () => {
  afterEach(async () => {
    // A start takes seconds here.
    if ((await run('ip -o link show type bridge; nft list tables')) !== '')
      await spanplan(lab, ['destroy', '--all', '--yes'])
  })

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
    await expectConverged(lab)
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

  test('is there while a bridge forwards groups, also where a run is killed after whatever step of either', async () => {
    const before = await lab.snapshotText()
    await writeSpans(lab, `spans: {${bare}}`)
    expect(await killAfterEachStep(['apply', '--yes'])).toBeGreaterThan(2)
    await expectConverged(lab)
    expect(await killAfterEachStep(['destroy', '--yes'])).toBeGreaterThan(1)
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
    expect(stderr).toContain('an nftables table')
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

/** Runs spanplan until it ends by itself: killed, each time, when its first change is made. Gives how often that was. */
async function killAfterEachStep(args: readonly string[]): Promise<number> {
  const kill = `case "$*" in
*-json*|*'-j list '*|*'-j -t list '*|'-k '*|'-c '*|monitor*) ;;
*) printf '%s\\n' "$input" | run "$@"; kill -KILL $PPID; exit 1 ;;
esac`
  const { options } = await wrapPrograms(lab, Object.fromEntries(changing.map((program) => [program, kill])))
  for (let kills = 0; kills < 50; kills++) {
    const { signal } = await lab.startSpanplan(args, options)
    if (signal === undefined) return kills
    expect(signal).toBe('SIGKILL')
    const forwards = (await lab.run(['ip', '-d', 'link', 'show', 'type', 'bridge'])).includes('group_fwd_mask 0xfff8')
    if (forwards) expect(await listTables()).toContain('elements = { "span0" }')
  }
  throw new Error(`spanplan ${args.join(' ')} comes to no end`)
}

/** What changes a bridge's groups or the table: a kill after a step of another is one before the next of these. */
const changing = ['ip', 'nft'] as const

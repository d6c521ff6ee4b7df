/** `spanplan filter test` on a real kernel: it counts what a mirror with this filter would copy, and changes nothing. */
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { arp, BROADCAST, ether, filler, ipv4Tcp, ipv4Udp, qinq, vlan } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { parseRows } from '../lab/parse-rows.ts'
import { expectRefusal, spanplan, until, writeSpans } from '../lab/spans.ts'
import { findProcesses } from '../lab/sweep.ts'

const [SWITCH, HOST] = ['02:00:00:00:0a:01', '02:00:00:00:0a:02']
const ends = { source: '192.0.2.1', destination: '192.0.2.2' }
const web = ipv4Tcp({ ...ends, flags: 0x18, sequence: 1, destinationPort: 80, data: Buffer.from('hello') })
const dns = ipv4Udp({ ...ends, destinationPort: 53, data: Buffer.from('question') })
const who = arp({ operation: 'request', senderMac: SWITCH, senderIp: '192.0.2.1', targetIp: '192.0.2.9' })
const wrap = (payload: Parameters<typeof ether>[2]) => ether(HOST, SWITCH, payload)

const frames = [
  wrap(web),
  wrap(dns),
  wrap(vlan(10, dns)),
  wrap(vlan(10, web)),
  wrap(vlan(20, web)),
  wrap(qinq(10, 30, web)),
  ether(BROADCAST, SWITCH, who),
  wrap(filler(1514))
]
const fromHost = [ether(SWITCH, HOST, dns), ether(SWITCH, HOST, vlan(10, dns))]

let lab: Lab
let before: string

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'down'])
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())
afterEach(async () => {
  await until('no process is left', async () => findProcesses(lab.name).length === 0)
  expect(await sockets()).toBe('')
})

/** Starts it, and gives what it counts of the frames that `send` sends, once it listens. */
async function count(expression: string, on: string, send: () => Promise<void>) {
  const running = lab.startSpanplan(['filter', 'test', expression, '--on', on, '--for', '24h'])
  // tcpdump, where it compiles a filter, has a socket on lo.
  await until('it listens', async () => (await sockets()).includes(`:${on} `) || running.exitCode !== null)
  await send()
  // What has come, and it has not taken yet, is lost when it ends.
  await until('tcpdump waits for more', async () => findProcesses(lab.name).filter(isTcpdump).every(sleeps))
  running.kill('SIGINT')
  const { stdout, stderr, exitCode } = await running
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  return stdout
}

const statusOf = (pid: number) => readFileSync(`/proc/${pid}/status`, 'utf8')
const isTcpdump = (pid: number) => statusOf(pid).startsWith('Name:\ttcpdump\n')
const sleeps = (pid: number) => /^State:\tS/m.test(statusOf(pid))

const sockets = () => lab.run(['ss', '--packet', '--no-header'])

/** The numbers of frames in a row of the table: all, and those that are taken. */
function row(text: string, title: string): readonly number[] | null {
  const cells = new RegExp(`^${title} +([\\d,]+) +([\\d,]+) `, 'm').exec(text)?.slice(1)
  return cells?.map((cell) => Number(cell.replaceAll(',', ''))) ?? null
}

async function sendAll(): Promise<void> {
  await lab.send(frames)
  await lab.send(fromHost, 'ens192')
}

test('of an interface that is no source yet: how many, of which kinds, and nothing is changed', async () => {
  const text = await count('udp port 53', 'ens192', sendAll)
  expect(text).toMatch(/^"udp port 53" takes 4 of 10 frames in \d+\.\d s on ens192\.\n/)
  expect(row(text, 'IPv4')).toEqual([8, 4])
  expect(row(text, 'ARP')).toEqual([1, 0])
  expect(row(text, 'other')).toEqual([1, 0])
  expect(row(text, 'TCP')).toEqual([4, 0])
  expect(row(text, 'UDP')).toEqual([4, 4])
  expect(row(text, 'VLAN 10')).toEqual([4, 2])
  expect(row(text, 'VLAN 20')).toEqual([1, 0])
  expect(row(text, 'no VLAN')).toEqual([5, 2])
  expect(await lab.snapshotText()).toBe(before)
})

test('it ends by itself after its time', async () => {
  const { stdout } = await spanplan(lab, ['filter', 'test', 'tcp', 'port', '80', '--on', 'ens192', '--for', '100ms'])
  expect(stdout).toMatch(/^No frame came in 0\.\d s on ens192\.\n$/)
})

describe('what it says is what a mirror copies', () => {
  test.each([
    'udp port 53',
    'vlan 10',
    'vlan',
    'not vlan',
    'tcp or (vlan and tcp)',
    'vlan 10 and vlan 30',
    'greater 100',
    'ether broadcast',
    'udp[8:4] = 0x71756573'
  ])('%s', async (filter) => {
    await writeSpans(lab, `spans: {span0: {sources: [{interface: ens192, filter: '${filter}'}]}}`)
    await spanplan(lab, ['apply'])
    // What the host sends with a tag of its own in the frame, as tcpreplay does, tc sees with this tag in the frame.
    const text = await count(filter, 'ens192', async () => {
      await lab.send(frames)
      await lab.send(fromHost.slice(0, 1), 'ens192')
    })
    const { spans } = JSON.parse((await spanplan(lab, ['status', '--json', '--for', '10ms'])).stdout)
    const mirrors = spans[0].hops.filter(({ kind }: { kind: string }) => kind === 'mirror')
    const copied = mirrors.reduce((sum: number, hop: { total_frames: number }) => sum + hop.total_frames, 0)
    expect(copied).toBeGreaterThan(0)
    expect(row(text, 'all')).toEqual([9, copied])
    await spanplan(lab, ['destroy', '--yes'])
    expect(await lab.snapshotText()).toBe(before)
  })
})

test('of a span: what its sources copy', async () => {
  await writeSpans(lab, "spans: {span0: {sources: [{interface: ens192, filter: 'udp or (vlan and udp)'}]}}")
  await spanplan(lab, ['apply'])
  const refused = /: nobody gets frames of it: .*\n {2}listen at its source: spanplan filter test tcp --on ens192\n$/
  expect(await expectRefusal(lab, ['filter', 'test', 'tcp', '--on', 'span0'])).toMatch(refused)
  await lab.run(['ip', 'link', 'add', 'own0', 'master', 'span0', 'type', 'veth', 'peer', 'name', 'own1'])
  // Without an address, the host sends nothing of its own there.
  for (const end of ['own0', 'own1']) await lab.run(['ip', 'link', 'set', 'dev', end, 'addrgenmode', 'none', 'up'])
  const live = await lab.snapshotText()
  expect(await count('vlan 10', 'span0', sendAll)).toMatch(/^"vlan 10" takes 2 of 4 frames in .* on span0\.\n/)
  expect(await lab.snapshotText()).toBe(live)
  await lab.run(['ip', 'link', 'del', 'dev', 'own0'])
  await spanplan(lab, ['destroy', '--yes'])
})

test('frames that are made up', async () => {
  const odd = Array.from({ length: 200 }, (_, index) => {
    const type = [0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806][index % 5] ?? 0
    return ether(HOST, SWITCH, {
      type,
      bytes: Buffer.from(Array.from({ length: 6 + (index % 90) }, () => index % 256))
    })
  })
  const text = await count('tcp port 80 or vlan', 'ens192', () => lab.send(odd))
  expect(row(text, 'all')?.[0]).toBe(200)
  expect(text).not.toMatch(/[^\n -~]/)
})

test('nobody goes on listening where it is killed', async () => {
  const promiscuous = async () =>
    parseRows<{ ifname: string; promiscuity: number }>(await lab.run(['ip', '-json', '-details', 'link', 'show'])).some(
      ({ ifname, promiscuity }) => ifname === 'ens192' && promiscuity > 0
    )
  const running = lab.startSpanplan(['filter', 'test', 'tcp', '--on', 'ens192', '--for', '24h'])
  await until('it listens', promiscuous)
  running.kill('SIGKILL')
  await running
  await until('nobody listens', async () => !(await promiscuous()))
})

test('an interface that goes meanwhile', async () => {
  await lab.run(['ip', 'link', 'add', 'short0', 'up', 'type', 'veth', 'peer', 'name', 'short1'])
  const running = lab.startSpanplan(['filter', 'test', 'tcp', '--on', 'short0', '--for', '24h'])
  await until('it listens', async () => (await sockets()).includes(':short0 '))
  await lab.run(['ip', 'link', 'del', 'dev', 'short0'])
  const { stderr, exitCode } = await running
  expect(stderr).toMatch(/^error: nobody can listen on short0: [ -~]+\n$/)
  expect(exitCode).toBe(1)
})

describe('refused', () => {
  test.each([
    [
      ['port 22 or', '--on', 'ens192'],
      64,
      /^error: tcpdump does not understand the filter: .*\n {2}nothing follows "or"\n$/
    ],
    [['tcp.port == 80', '--on', 'ens192'], 64, /\n {2}a Wireshark display filter\? write: tcp port 80\n$/],
    [
      ['host www.example.org', '--on', 'ens192'],
      64,
      /^error: the filter has the name "www\.example\.org" where an address/
    ],
    [
      ['tcp', '--on', 'ens129'],
      64,
      /^error: there is no interface and no live span ens129 on this host\n {2}did you mean "ens192"/
    ],
    [['tcp', '--on', 'ens224'], 1, /^error: nobody can listen on ens224: it is down\n/],
    [['tcp', '--on', 'any'], 64, /^error: there is no interface and no live span any/],
    [['tcp', '--on', '\u001b[31mred'], 64, /^error: there is no interface and no live span \\u001b\[31mred /]
  ])('%j', async (words, exit, says) => {
    expect(await expectRefusal(lab, ['filter', 'test', ...words], exit)).toMatch(says)
  })

  test('without the right to listen', async () => {
    const through = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    const { stderr } = await spanplan(lab, ['filter', 'test', 'tcp', '--on', 'ens192'], 77, { through })
    expect(stderr).toContain('listening needs CAP_NET_RAW')
  })

  test('a span whose frames go to parts alone', async () => {
    await writeSpans(
      lab,
      'spans: {span0: {sources: [{interface: ens192}], outputs: [{interface: ens224, filter: tcp port 80}]}}'
    )
    await spanplan(lab, ['apply', '--yes'])
    expect(await expectRefusal(lab, ['filter', 'test', 'tcp port 80', '--on', 'span0'])).toMatch(
      /^error: nobody can listen on span0: .*\n {2}listen at its source: spanplan filter test 'tcp port 80' --on ens192\n$/
    )
    await spanplan(lab, ['destroy', '--yes'])
  })
})

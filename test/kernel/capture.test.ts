/** What is captured of a span, without a sensor. Beside one: test/e2e/capture.test.ts. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BROADCAST, ether, filler, ipv4Udp, lldp, parsePcap, qinq, vlan, writePcap } from '../e2e/frames.ts'
import { findProgram, privateEnvironment } from '../e2e/lab/programs.ts'
import { createLab, type Lab, type SpanplanOptions } from '../e2e/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, until, writeSpans } from '../e2e/spans.ts'
import { startWatch } from '../e2e/watching.ts'

const SWITCH = '02:00:00:00:0a:01'
const HOST = '02:00:00:00:0a:02'

let lab: Lab
/** The span is live, and nobody looks. */
let idle: string

beforeAll(async () => {
  lab = await createLab()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply'])
  // A bridge keeps in mind that it has had a port.
  const first = await start()
  await first.end('SIGINT')
  idle = await lab.snapshotText()
})
afterAll(() => lab?.close())
const running = new Set<{ kill(signal: NodeJS.Signals): boolean }>()

// However it ended, nothing is left.
afterEach(async () => {
  for (const subprocess of running) subprocess.kill('SIGKILL')
  running.clear()
  await expectRestored(lab, idle)
  expect(await processes()).toEqual([])
})

/** What captures in this lab: spanplan, in the lab's network namespace. */
async function processes(): Promise<string[]> {
  const listing = await lab.run(['ps', '-e', '-o', 'args=', '-o', 'netns='])
  const own = await lab.run(['sh', '-c', 'readlink /proc/self/ns/net'])
  const inode = /\d+/.exec(own)?.[0] ?? ''
  return listing.split('\n').filter((line) => line.includes(inode) && line.includes('capture span0'))
}

/** Starts a capture, and waits until it listens. */
async function start(args: readonly string[] = [], options: SpanplanOptions = {}) {
  const subprocess = lab.startSpanplan(['capture', 'span0', ...args], options)
  running.add(subprocess)
  const out: Buffer[] = []
  let stderr = ''
  subprocess.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  subprocess.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  await until(`it listens: ${args.join(' ')}`, async () => stderr.includes('listening on'))
  const bytes = () => Buffer.concat(out)
  return {
    pid: subprocess.pid ?? 0,
    bytes,
    text: () => bytes().toString('latin1'),
    kill: () => subprocess.kill('SIGKILL'),
    /** Its exit status, and what it said of itself. */
    async end(signal: NodeJS.Signals | null = null) {
      if (signal !== null) subprocess.kill(signal)
      const { exitCode } = await subprocess
      return { exitCode, stderr }
    }
  }
}

/** The ports of captures. */
async function ports(): Promise<string[]> {
  const links: { ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link']))
  return links.flatMap(({ ifname }) => (ifname.startsWith('capture') ? [ifname] : []))
}

const udp = ipv4Udp({
  source: '192.0.2.1',
  destination: '192.0.2.2',
  destinationPort: 53,
  data: Buffer.from('question')
})
const fromSwitch = {
  plain: ether(HOST, SWITCH, udp),
  tagged: ether(HOST, SWITCH, vlan(10, udp)),
  'tagged twice': ether(BROADCAST, SWITCH, qinq(100, 20, filler(60))),
  jumbo: ether(HOST, SWITCH, filler(9014))
}
const fromHost = {
  plain: ether(SWITCH, HOST, udp),
  tagged: ether(SWITCH, HOST, vlan(20, udp))
}

async function sendAll(): Promise<void> {
  await lab.send(Object.values(fromSwitch))
  await lab.send(Object.values(fromHost), 'ens192')
}

const everything = [...Object.values(fromSwitch), ...Object.values(fromHost)]

test('frames of both directions are shown as they pass, with their tags', async () => {
  const capture = await start()
  await sendAll()
  await until('all is shown', async () => capture.text().includes(`${HOST} > ${SWITCH}, ethertype 802.1Q`))
  expect(await capture.end('SIGINT')).toEqual({
    exitCode: 0,
    stderr: expect.stringMatching(
      /^listening on span, link-type EN10MB.*\n6 packets captured\n6 packets received by filter\n0 packets dropped by kernel\n$/
    )
  })
  const lines = capture.text().match(/^\d.*/gm) ?? []
  expect(lines.map((line) => line.slice(16))).toEqual([
    expect.stringContaining(`${SWITCH} > ${HOST}, ethertype IPv4 (0x0800), length 50: 192.0.2.1.40000 > 192.0.2.2.53`),
    expect.stringContaining(`${SWITCH} > ${HOST}, ethertype 802.1Q (0x8100), length 54: vlan 10, p 0, ethertype IPv4`),
    expect.stringMatching(/802\.1Q-QinQ.*vlan 100, p 0, ethertype 802\.1Q.*vlan 20, p 0/),
    expect.stringContaining('length 9014'),
    expect.stringContaining(`${HOST} > ${SWITCH}, ethertype IPv4`),
    expect.stringContaining(`${HOST} > ${SWITCH}, ethertype 802.1Q (0x8100), length 54: vlan 20, p 0, ethertype IPv4`)
  ])
})

test('frames are written as pcap, byte for byte, until so many have come', async () => {
  const capture = await start(['-w', '-', '-c', '6'])
  await sendAll()
  expect(await capture.end()).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('6 packets captured') })
  expect(parsePcap(capture.bytes())).toEqual(everything)
})

test("to a file, which is its owner's alone, and which tcpdump reads", async () => {
  const capture = await start(['--write', 'frames.pcap', '--count', '6'])
  await sendAll()
  expect(await capture.end()).toMatchObject({ exitCode: 0 })
  const file = join(lab.files, 'frames.pcap')
  expect(parsePcap(await readFile(file))).toEqual(everything)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await lab.run(['tcpdump', '-n', '-e', '-r', file, 'vlan 20'])).toContain('vlan 20')
})

test('a filter is one word or several, and sees the tags', async () => {
  const captures = [
    await start(['-c', '2', '-w', '-', 'udp', 'port', '53', 'and', 'not', 'vlan']),
    await start(['-c', '1', '-w', '-', 'vlan 10'])
  ]
  await sendAll()
  for (const capture of captures) expect(await capture.end()).toMatchObject({ exitCode: 0 })
  expect(captures.map((capture) => parsePcap(capture.bytes()))).toEqual([
    [fromSwitch.plain, fromHost.plain],
    [fromSwitch.tagged]
  ])
})

test.each([
  ['$(touch made)', '`touch made`', ';', 'touch', 'made'],
  ["'", '"', '\\', '*'],
  ['--', '-w', 'made'],
  ['--', '--interface=any'],
  ['port', 'ssh\nhost\u001b[31m'],
  ['port 22 or']
])('a filter that is none is refused in the words of tcpdump, before anything is made: %j', async (...words) => {
  const stderr = await expectRefusal(lab, ['capture', 'span0', ...words], 64)
  expect(stderr).toMatch(/^error: tcpdump does not understand the filter: [\n -~]+\n {2}see pcap-filter\(7\)\n$/)
  await expect(stat(join(lab.files, 'made'))).rejects.toThrow()
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends it, with the counts', async (signal) => {
  const capture = await start()
  expect(await capture.end(signal)).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('0 packets captured')
  })
  expect(await ports()).toEqual([])
})

test('a reader who has had enough ends it without a word', async () => {
  const script = 'set -o pipefail; "$@" | head -n 1 && echo done'
  const reader = lab.startSpanplan(['capture', 'span0'], { through: ['bash', '-c', script, 'bash'] })
  let stderr = ''
  reader.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  await until('it listens', async () => stderr.includes('listening on'))
  let over = false
  void reader.then(() => {
    over = true
  })
  await until('it has ended', async () => {
    await sendAll()
    return over
  })
  expect((await reader).stdout).toMatch(/^.*IPv4.*\ndone\n$/)
  expect(stderr).toMatch(/^listening on .*\n$/)
})

test('frames that would have a terminal obey them do not', async () => {
  const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m'
  const capture = await start(['-c', '1'])
  await lab.send([ether('01:80:c2:00:00:0e', SWITCH, lldp(SWITCH, evil, evil))])
  await capture.end()
  expect(capture.text()).toContain('LLDP')
  expect(capture.text()).not.toMatch(/[^\n\t -~]/)
})

describe('killed', () => {
  test('while it captures, it leaves nothing', async () => {
    const captures = [await start(), await start(['-w', '-'])]
    expect(await ports()).toHaveLength(2)
    for (const capture of captures) capture.kill()
    await until('the kernel has taken all away', async () => (await ports()).length === 0)
  })

  test('at any moment, it leaves nothing', async () => {
    const times = Array.from({ length: 24 }, (_, index) => 120 + index * 25)
    await Promise.all(
      [0, 1].map(async (side) => {
        for (const time of times.filter((_, index) => index % 2 === side)) {
          const subprocess = lab.startSpanplan(['capture', 'span0'])
          await sleep(time)
          subprocess.kill('SIGKILL')
          await subprocess
        }
      })
    )
    await until('the kernel has taken all away', async () => (await ports()).length === 0)
  })
})

describe('while somebody captures', () => {
  test('a plan is empty and warns of nothing, an apply leaves it alone, and status does not count it', async () => {
    const captures = [await start(['-w', '-', '-c', '1']), await start(['-w', '-', '-c', '1'])]
    const { stdout, stderr } = await spanplan(lab, ['plan', '--detailed-exitcode'])
    expect(stdout).toBe('No changes. 1 span matches spans.yaml.\n')
    expect(stderr).toBe('')
    expect((await spanplan(lab, ['apply'])).stdout).toContain('No changes')
    const { spans } = JSON.parse((await spanplan(lab, ['status', '--json'])).stdout)
    expect(spans[0].hops.map(({ kind }: { kind: string }) => kind)).toEqual(['card', 'mirror', 'mirror', 'bridge'])
    await lab.send([fromSwitch.plain])
    for (const capture of captures) {
      await capture.end()
      expect(parsePcap(capture.bytes())).toEqual([fromSwitch.plain])
    }
  })

  test('a watch looks, and leaves it alone', async () => {
    await using watch = await startWatch(lab)
    const before = await watch.state()
    const capture = await start(['-w', '-', '-c', '1'])
    await until(
      'it has looked',
      async () => (await watch.runs()) > before.runs.reduce((sum, { count }) => sum + count, 0)
    )
    await watch.settle()
    expect(await ports()).toHaveLength(1)
    expect((await watch.state()).runs.filter(({ result }) => result !== 'unchanged')).toEqual([])
    await lab.send([fromSwitch.plain])
    await capture.end()
    expect(parsePcap(capture.bytes())).toEqual([fromSwitch.plain])
  })

  test('nothing that is sent at its other end goes anywhere', async () => {
    const captures = [await start(['-w', '-']), await start(['-w', '-'])]
    const [first = ''] = await ports()
    const pid = (await lab.run(['pgrep', '-P', String(captures[0]?.pid), 'cat'])).trim()
    const bridge = await lab.captureLink('span0')
    const file = join(lab.files, 'evil.pcap')
    await writeFile(
      file,
      writePcap([ether(BROADCAST, HOST, filler(100)), ether('01:80:c2:00:00:0e', HOST, filler(90))])
    )
    const libraries = `LD_LIBRARY_PATH=${privateEnvironment(lab.name).LD_LIBRARY_PATH}`
    await lab.run([
      'nsenter',
      `--net=/proc/${pid}/ns/net`,
      'env',
      libraries,
      findProgram('tcpreplay'),
      '-i',
      'span',
      file
    ])
    expect(await lab.run(['ip', '-s', 'link', 'show', 'dev', first])).toMatch(/RX:.*\n +\d+ +2 /)
    expect((await bridge.stop({ seconds: 1 })).frames).toEqual([])
    for (const capture of captures) {
      await capture.end('SIGINT')
      expect(parsePcap(capture.bytes())).toEqual([])
    }
  })

  test('a span that is removed ends it, and says so', async () => {
    await writeSpans(lab, 'spans: {span1: {sources: [{interface: ens192}]}}')
    await spanplan(lab, ['apply', '--no-prune'])
    const subprocess = lab.startSpanplan(['capture', 'span1'])
    await until('it listens', async () => (await ports()).length === 1)
    await sleep(500)
    await spanplan(lab, ['destroy', '--span', 'span1', '--yes'])
    const { exitCode, stderr } = await subprocess
    expect(stderr).toContain('error: span1 was removed or made anew while it was listened to')
    expect(exitCode).toBe(1)
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  })
})

test('a span that is not sealed is captured too, and its plan stays empty', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sealed: false, wire: false}}')
  await spanplan(lab, ['apply', '--yes'])
  const capture = await start(['-w', '-', '-c', '6'])
  await expectConverged(lab)
  await sendAll()
  await capture.end()
  expect(parsePcap(capture.bytes())).toEqual(everything)
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['apply', '--yes'])
})

describe('refused', () => {
  test('a span that nobody knows, and one that is not live yet', async () => {
    expect(await expectRefusal(lab, ['capture', 'spam0'], 64)).toBe(
      'error: spam0: neither the file nor this host has such a span\n  did you mean "span0"?\n'
    )
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}, span9: {sources: [{interface: ens192}]}}')
    expect(await expectRefusal(lab, ['capture', 'span9'])).toBe(
      'error: span9 is in the file, and not on this host yet: there is nothing to capture\n  make it so first: spanplan apply\n'
    )
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    expect(await expectRefusal(lab, ['capture', 'ens192'], 64)).toContain('neither the file nor this host')
  })

  test('frames for a program, on a terminal', async () => {
    const program = `${process.execPath} ${join(process.cwd(), 'bin/spanplan.js')} capture span0 -w -`
    const terminal = await lab.start(['script', '-qec', program, '/dev/null']).catch((error) => error)
    expect(terminal).toMatchObject({ exitCode: 64 })
    expect(terminal.stdout).toContain('--write - is for a program that reads frames')
  })

  test('a file that cannot be written', async () => {
    expect(await expectRefusal(lab, ['capture', 'span0', '-w', '/nowhere/frames.pcap'])).toContain(
      'error: frames cannot be written to /nowhere/frames.pcap'
    )
    const { exitCode, stderr } = await lab.spanplan(['capture', 'span0', '-w', '/dev/full', '-c', '1'])
    expect(stderr).toContain('error: what was captured cannot be written: ENOSPC')
    expect(exitCode).toBe(1)
  })

  test('without the rights', async () => {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all']
    const stderr = await expectRefusal(lab, ['capture', 'span0'], 77, { through: nobody })
    expect(stderr).toMatch(/^error: capturing needs CAP_NET_ADMIN, CAP_SYS_ADMIN, .*\n {2}run it as root, with sudo\n$/)
  })

  test.each([
    ['-c', '0'],
    ['-c', '-1'],
    ['-c', 'many'],
    ['-c', '99999999999'],
    ['-w', '']
  ])('%s %j', async (...words) => {
    await expectRefusal(lab, ['capture', 'span0', ...words], 64)
  })
})

/** What is captured of a span, without a sensor. Beside one: test/capture/beside-sensor.host.test.ts. */
import { existsSync } from 'node:fs'
import { chown, link as linkFile, mkdir, mkdtemp, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startCapture } from '../lab/commands/capture.ts'
import { startWatch } from '../lab/commands/watch.ts'
import {
  BROADCAST,
  ether,
  filler,
  ipv4Udp,
  LLDP_GROUP,
  lldp,
  parsePcap,
  qinq,
  vlan,
  writePcap
} from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram, labEnvironment, privateEnvironment } from '../lab/programs.ts'
import {
  expectConverged,
  expectRefusal,
  expectRestored,
  spanplan,
  until,
  warningsIn,
  writeSpans
} from '../lab/spans.ts'
import { findProcesses } from '../lab/sweep.ts'

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
  const first = await startCapture(lab)
  await first.end('SIGINT')
  idle = await lab.snapshotText()
})
afterAll(() => lab?.close())
// However it ended, nothing is left.
afterEach(async () => {
  await expectRestored(lab, idle)
  await until('no process is left', async () => findProcesses(lab.name).length === 0)
})

/** A port that leads to another network namespace, with the name and the alias that a capture's port once had. */
async function addForeignPort(): Promise<{ network: string; target: string }> {
  const [network, target] = [`${lab.name}-forged`, 'capture0a0b0c0d']
  const peer = ['peer', 'name', 'span', 'netns', network]
  await lab.run(['ip', 'netns', 'add', network])
  await lab.run(['ip', 'link', 'add', 'name', target, 'type', 'veth', ...peer])
  await lab.run(['ip', 'link', 'set', 'dev', target, 'alias', 'spanplan:capture', 'master', 'span0', 'up'])
  return { network, target }
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
  await using capture = await startCapture(lab)
  await sendAll()
  await until('all is shown', async () => capture.text.includes(`${HOST} > ${SWITCH}, ethertype 802.1Q`))
  expect(await capture.end('SIGINT')).toBe(0)
  expect(capture.told).toMatch(
    /^listening on span0, link-type EN10MB.*\n6 packets captured\n6 packets received by filter\n0 packets dropped by kernel\n$/
  )
  const lines = capture.text.match(/^\d.*/gm) ?? []
  expect(lines.map((line) => line.slice(16))).toEqual([
    expect.stringContaining(`${SWITCH} > ${HOST}, ethertype IPv4 (0x0800), length 50: 192.0.2.1.40000 > 192.0.2.2.53`),
    expect.stringContaining(`${SWITCH} > ${HOST}, ethertype 802.1Q (0x8100), length 54: vlan 10, p 0, ethertype IPv4`),
    expect.stringMatching(/802\.1Q-QinQ.*vlan 100, p 0, ethertype 802\.1Q.*vlan 20, p 0/),
    expect.stringContaining('length 9014'),
    expect.stringContaining(`${HOST} > ${SWITCH}, ethertype IPv4`),
    expect.stringContaining(`${HOST} > ${SWITCH}, ethertype 802.1Q (0x8100), length 54: vlan 20, p 0, ethertype IPv4`)
  ])
})

test.each(['-', '/dev/stdout'])(
  'frames are written as pcap to %s, byte for byte, until so many have come',
  async (to) => {
    await using capture = await startCapture(lab, ['-w', to, '-c', '6'])
    await sendAll()
    expect(await capture.end()).toBe(0)
    expect(capture.told).toContain('6 packets captured')
    expect(parsePcap(capture.bytes)).toEqual(everything)
  }
)

describe('for a time', () => {
  /** The number that it says. */
  const toldNumber = (told: string) => Number(/^(\d+) packets? captured$/m.exec(told)?.[1])

  test.each([
    ['as text', []],
    ['as pcap', ['-w', '-']],
    ['before the count is reached', ['-w', '-', '-c', '1000000000']]
  ])('%s: it ends by itself, and says how many frames there were', async (_, args) => {
    const stop = await lab.keepSending(fromSwitch.plain)
    await using capture = await startCapture(lab, ['--for', '2s', ...args])
    expect(await capture.end()).toBe(0)
    await stop()
    const shown = args.length > 0 ? parsePcap(capture.bytes).length : capture.text.match(/^\d.*IPv4/gm)?.length
    expect(shown).toBeGreaterThan(0)
    expect(toldNumber(capture.told)).toBe(shown)
  })

  test('nothing comes', async () => {
    await using capture = await startCapture(lab, ['--for', '100ms'])
    expect(await capture.end()).toBe(0)
    expect(toldNumber(capture.told)).toBe(0)
  })

  test('the count is reached before', async () => {
    await using capture = await startCapture(lab, ['--for', '24h', '-c', '6', '-w', '-'])
    await sendAll()
    expect(await capture.end()).toBe(0)
    expect(parsePcap(capture.bytes)).toEqual(everything)
  })

  test('a signal ends it before', async () => {
    await using capture = await startCapture(lab, ['--for', '24h'])
    expect(await capture.end('SIGINT')).toBe(0)
  })
})

test("to a file, which is its owner's alone, and which tcpdump reads", async () => {
  await using capture = await startCapture(lab, ['--write', 'frames.pcap', '--count', '6'])
  await sendAll()
  expect(await capture.end()).toBe(0)
  const file = join(lab.files, 'frames.pcap')
  expect(parsePcap(await readFile(file))).toEqual(everything)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await lab.run(['tcpdump', '-n', '-e', '-r', file, 'vlan 20'])).toContain('vlan 20')
})

test('a filter is one word or several, and sees the tags', async () => {
  const captures = [
    await startCapture(lab, ['-c', '2', '-w', '-', 'udp', 'port', '53', 'and', 'not', 'vlan']),
    await startCapture(lab, ['-c', '1', '-w', '-', 'vlan 10'])
  ]
  await sendAll()
  // spanplan says so where a capture misses the first ones.
  const isIncomplete = captures.some(({ told }) => told.includes('libpcap 1.11 misses the first frames'))
  const stop = isIncomplete ? await lab.keepSending(fromSwitch.tagged) : null
  for (const capture of captures) expect(await capture.end()).toBe(0)
  await stop?.()
  expect(captures.map((capture) => parsePcap(capture.bytes))).toEqual([
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
  expect(stderr).toMatch(/^error: tcpdump does not understand the filter: [\n -~]+\n {2}[ -~]+\n$/)
  await expect(stat(join(lab.files, 'made'))).rejects.toThrow()
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s ends it, with the counts', async (signal) => {
  await using capture = await startCapture(lab)
  expect(await capture.end(signal)).toBe(0)
  expect(capture.told).toContain('0 packets captured')
  expect(await ports()).toEqual([])
})

test('a reader who has had enough ends it without a word', async () => {
  const script = 'set -o pipefail; "$@" | head -n 1 && echo done'
  await using reader = await startCapture(lab, [], { through: ['bash', '-c', script, 'bash'] })
  await until('it has ended', async () => {
    await sendAll()
    return reader.text.includes('done')
  })
  expect(await reader.end()).toBe(0)
  expect(reader.text).toMatch(/^.*IPv4.*\ndone\n$/)
  expect(reader.told).toMatch(/^listening on .*\n$/)
})

test('frames that would have a terminal obey them do not', async () => {
  const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m'
  await using capture = await startCapture(lab, ['-c', '1'])
  await lab.send([ether(LLDP_GROUP, SWITCH, lldp(SWITCH, evil, evil))])
  await capture.end()
  expect(capture.text).toContain('LLDP')
  expect(capture.text).not.toMatch(/[^\n\t -~]/)
})

describe('killed', () => {
  test('while it captures, it leaves nothing', async () => {
    const captures = [await startCapture(lab), await startCapture(lab, ['-w', '-'])]
    expect(await ports()).toHaveLength(2)
    for (const capture of captures) capture.signal('SIGKILL')
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
  test('a plan is empty and warns of nothing, an apply leaves it alone, and status shows it as any port', async () => {
    const captures = [await startCapture(lab, ['-w', '-', '-c', '1']), await startCapture(lab, ['-w', '-', '-c', '1'])]
    const { stdout, stderr } = await spanplan(lab, ['plan', '--detailed-exitcode'])
    expect(stdout).toBe('No changes. 1 span matches spans.yaml.\n')
    expect(warningsIn(stderr)).toBe('')
    expect((await spanplan(lab, ['apply'])).stdout).toContain('No changes')
    const { spans } = JSON.parse((await spanplan(lab, ['status', '--json'])).stdout)
    const kinds = ['interface', 'mirror', 'mirror', 'bridge', 'port', 'port']
    expect(spans[0].hops.map(({ kind }: { kind: string }) => kind)).toEqual(kinds)
    await lab.send([fromSwitch.plain])
    for (const capture of captures) {
      await capture.end()
      expect(parsePcap(capture.bytes)).toEqual([fromSwitch.plain])
    }
  })

  test('a watch looks, and leaves it alone', async () => {
    await using watch = await startWatch(lab)
    const before = await watch.runs()
    await using capture = await startCapture(lab, ['-w', '-', '-c', '1'])
    await until('it has looked', async () => (await watch.runs()) > before)
    await watch.settle()
    expect(await ports()).toHaveLength(1)
    expect((await watch.state()).runs.filter(({ result }) => result !== 'unchanged')).toEqual([])
    await lab.send([fromSwitch.plain])
    await capture.end()
    expect(parsePcap(capture.bytes)).toEqual([fromSwitch.plain])
  })

  test('a port that looks like it is sealed like any, and has a row where the span is destroyed', async () => {
    const { network, target } = await addForeignPort()
    const { stdout } = await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    expect(stdout).toMatch(new RegExp(`^ +~ +port +${target} → span0 .*sealed: no → yes`, 'm'))
    await spanplan(lab, ['apply'])
    await expectConverged(lab)
    expect(await lab.run(['tc', 'filter', 'show', 'dev', target, 'ingress'])).toContain('pref 9 bpf')
    await writeSpans(lab, 'spans: {}')
    expect((await spanplan(lab, ['plan'])).stdout).toMatch(new RegExp(`port +${target}`))
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    await lab.run(['ip', 'netns', 'del', network])
  })

  test('nothing that is sent at its other end goes anywhere', async () => {
    await using one = await startCapture(lab, ['-w', '-'])
    await using other = await startCapture(lab, ['-w', '-'])
    const [first = ''] = await ports()
    const pid = (await lab.run(['pgrep', '-P', String(one.pid), 'cat'])).trim()
    const file = join(lab.files, 'sent.pcap')
    await writeFile(file, writePcap([BROADCAST, LLDP_GROUP].map((group) => ether(group, HOST, filler(100)))))
    const libraries = `LD_LIBRARY_PATH=${privateEnvironment(lab.name).LD_LIBRARY_PATH}`
    const replay = ['env', libraries, findProgram('tcpreplay'), '-i', 'span', file]
    const bridge = await lab.captureLink('span0')
    const sent = await lab.run(['nsenter', `--net=/proc/${pid}/ns/net`, ...replay]).catch((error: unknown) => error)
    expect((await bridge.stop({ seconds: 1 })).frames).toEqual([])
    expect(sent).toEqual(expect.stringContaining('Successful packets:        2'))
    expect(await lab.run(['ip', '-s', 'link', 'show', 'dev', first])).toMatch(/RX:.*\n +\d+ +2 /)
    for (const capture of [one, other]) {
      await capture.end('SIGINT')
      expect(parsePcap(capture.bytes)).toEqual([])
    }
  })

  test('a span that is removed ends it, and says so', async () => {
    await writeSpans(lab, 'spans: {span1: {sources: [{interface: ens192}]}}')
    await spanplan(lab, ['apply', '--no-prune'])
    await using capture = await startCapture(lab, [], { span: 'span1' })
    await spanplan(lab, ['destroy', '--span', 'span1', '--yes'])
    expect(await capture.end()).toBe(1)
    expect(capture.told).toContain('error: span1 was removed or recreated during the capture')
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  })
})

test('a span that is not sealed is captured too, and its plan stays empty', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}], sealed: false, wire: false}}')
  await spanplan(lab, ['apply', '--yes'])
  await using capture = await startCapture(lab, ['-w', '-', '-c', '6'])
  await expectConverged(lab)
  await sendAll()
  await capture.end()
  expect(parsePcap(capture.bytes)).toEqual(everything)
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
      'error: span9 is in the file, but not on this host yet: there is nothing to capture\n  create it first: spanplan apply\n'
    )
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
    expect(await expectRefusal(lab, ['capture', 'ens192'], 64)).toContain(
      'neither the file nor this host has such a span\n  it is an interface; to see its own frames: tcpdump -n -i ens192\n'
    )
  })

  test('frames for a program, on a terminal', async () => {
    const program = `${process.execPath} ${join(process.cwd(), 'bin/spanplan.js')} capture span0 -w -`
    const terminal = await lab.start(['script', '-qec', program, '/dev/null']).catch((error) => error)
    expect(terminal).toMatchObject({ exitCode: 64 })
    expect(terminal.stdout).toContain('--write - writes binary data')
  })

  test('a file that cannot be written', async () => {
    expect(await expectRefusal(lab, ['capture', 'span0', '-w', '/nowhere/frames.pcap'])).toContain(
      'error: frames cannot be written to /nowhere/frames.pcap'
    )
    const { exitCode, stderr } = await lab.spanplan(['capture', 'span0', '-w', '/dev/full', '-c', '1'])
    expect(stderr).toContain('error: what was captured cannot be written: ENOSPC')
    expect(exitCode).toBe(1)
  })

  test("a link, a pipe that nobody reads, a socket, another user's file, or one with a second name", async () => {
    const place = await mkdtemp(join(lab.files, 'written-'))
    const path = (name: string) => join(place, name)
    const precious = path('precious')
    await writeFile(precious, 'precious')
    await symlink(precious, path('link'))
    await symlink(path('none'), path('loose'))
    await linkFile(precious, path('second'))
    await lab.run(['mkfifo', path('pipe')])
    await writeFile(path('theirs'), '')
    await chown(path('theirs'), 65534, 65534)
    const reasons = {
      link: 'it is a symbolic link: name its target instead',
      loose: 'it is a symbolic link: name its target instead',
      second: 'it has another hard link',
      pipe: 'it is a pipe that nobody reads, or a socket',
      theirs: 'it belongs to another user (uid 65534)'
    }
    for (const [name, reason] of Object.entries(reasons)) {
      const stderr = await expectRefusal(lab, ['capture', 'span0', '-w', path(name), '-c', '1'])
      expect(stderr).toContain(`error: frames cannot be written to ${path(name)}: ${reason}\n`)
    }
    expect(await readFile(precious, 'utf8')).toBe('precious')
    expect(existsSync(path('none'))).toBe(false)
    const out = await spanplan(lab, ['plan', '--out', path('link')], 1)
    expect(out.stderr).toContain(`the plan cannot be written to ${path('link')}: it exists, and is not a regular file`)
    const theirs = await spanplan(lab, ['plan', '--out', path('theirs')], 1)
    expect(theirs.stderr).toContain('it belongs to another user (uid 65534)')
  })

  test('without the rights', async () => {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all']
    const stderr = await expectRefusal(lab, ['capture', 'span0'], 77, { through: nobody })
    expect(stderr).toMatch(/^error: capturing needs CAP_NET_ADMIN, CAP_SYS_ADMIN, .*\n {2}run it as root, with sudo\n$/)
  })

  test.each([
    ['unshare', 'exit 1', 'unshare --net -- cat failed with status 1: made up'],
    ['ip', 'case "$*" in *addrgenmode*) exit 1;; esac', /ip link set dev capture\w+ .*failed with status 1: made up/],
    ['tcpdump', 'case "$*" in *"-i span"*) exit 1;; esac', 'tcpdump ended with status 1: made up']
  ])('in words, where %s fails', async (program, script, words) => {
    const folder = join(lab.files, program)
    await mkdir(folder)
    await writeFile(
      join(folder, program),
      `#!/bin/sh\n(${script}) || { echo made up >&2; exit 1; }\nexec ${findProgram(program)} "$@"\n`,
      { mode: 0o755 }
    )
    const env = { PATH: `${folder}:${labEnvironment(lab.name).PATH}` }
    expect(await expectRefusal(lab, ['capture', 'span0'], 1, { env })).toMatch(words)
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

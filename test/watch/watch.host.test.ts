/** The watch: what it makes true, what it tells, and what it leaves alone. */

import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFile } from '../lab/commands/ask-watch.ts'
import { examine, findingsOf } from '../lab/commands/doctor.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { BROADCAST, ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

beforeEach(() => writeSpans(lab, two))
afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes', '--defer-docker'])
  await expectRestored(lab, first)
})

const two = `
spans:
  span0: {sources: [{interface: ens192, direction: ingress}]}
  span1: {sources: [{interface: ens224, direction: ingress}]}`
const one = '\nspans: {span0: {sources: [{interface: ens192, direction: ingress}]}}'

const time = String.raw`(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d`

async function bridges(): Promise<string[]> {
  const links: { ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'type', 'bridge']))
  return links.map(({ ifname }) => ifname).sort()
}

async function isMirrored(card: string): Promise<boolean> {
  return (await lab.run(['tc', 'filter', 'show', 'dev', card, 'ingress'])).includes('mirred')
}

const deleteMirror = (card: string) => lab.run(['tc', 'filter', 'del', 'dev', card, 'ingress'])

describe('keeps it so', () => {
  test('what differs is put back, and each change told once; a signal leaves the tap as it is', async () => {
    await using watch = await startWatch(lab)
    await expectConverged(lab)
    expect(watch.told).toMatch(new RegExp(`^${time} start +default keeps the spans of this name in sync\n`))
    expect(watch.told).toMatch(/ start +span0 +\+ mirror ens192 ingress → span0 \(every frame\) {2}done in \d+ ms\n/)
    await watch.settle()
    const { length } = watch.told
    await deleteMirror('ens192')
    await until('the mirror is back', () => isMirrored('ens192'))
    await watch.expectTold(
      /^\S+ filter +span0 +\+ mirror ens192 ingress → span0 \(every frame\) {2}repaired in \d+ ms\n$/,
      length
    )
    await watch.settle()
    expect((await watch.state()).drift).toBe(1)
    // Whoever has not read its log asks what has happened.
    const timeless = (text: string) => text.replaceAll(new RegExp(`^${time} `, 'gm'), '').split('\n')
    const linesOf = async (...args: string[]) => timeless((await spanplan(lab, ['events', ...args])).stdout)
    const told = timeless(watch.told)
    expect(await linesOf()).toEqual(told)
    expect(await linesOf('span0', '--since', '1h')).toEqual([...told.filter((line) => line.includes(' span0 ')), ''])
    expect(await linesOf('--since', '1ms')).toEqual(['Nothing in the last 1ms.', ''])
    const { stdout: documents } = await spanplan(lab, ['events', 'span1', '--json'])
    expect(
      documents
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    ).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'changed', name: 'default', at: expect.any(String), trigger: 'start' })
      ])
    )
    expect(documents).not.toContain('span0')
    expect(await expectRefusal(lab, ['events', 'span2'], 64)).toContain(
      'span2: neither the file nor this host has such a span'
    )
    const before = await lab.snapshotText()
    expect(await watch.stop()).toMatchObject({ exitCode: 0, stdout: '' })
    expect(await lab.snapshotText()).toBe(before)
    expect(watch.told).toMatch(/ stop +the spans stay as they are\n$/)
    expect(await expectRefusal(lab, ['events'])).toContain('no watch is running: only a watch keeps events')
  })

  test('what it does itself wakes it no more often than the kernel reports, and then it rests', async () => {
    const monitor = lab.start(['ip', '-oneline', 'monitor', 'link'])
    let reported = ''
    monitor.stdout.on('data', (chunk) => {
      reported += chunk
    })
    const messages = () => reported.split('\n').length - 1
    await until('the monitor listens', async () => {
      await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'promisc', 'on'])
      await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'promisc', 'off'])
      return messages() > 0
    })
    await using watch = await startWatch(lab)
    await watch.settle()
    const [runs, before] = [await watch.runs(), messages()]
    await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'promisc', 'off'])
    await watch.expectTold(/promiscuous: off → on\) {2}repaired/)
    await watch.settle()
    const more = (await watch.runs()) - runs
    await until(`${more} runs had a message each`, async () => messages() - before >= more)
    expect(watch.told.match(/promiscuous: off → on\) {2}repaired/g)).toHaveLength(1)
    monitor.kill()
  })

  test('with --json, one object a line', async () => {
    await using watch = await startWatch(lab, ['--json'])
    await watch.settle()
    await deleteMirror('ens192')
    await until('it is told', async () => watch.events.some((event) => event.repaired === true))
    expect(watch.events[0]).toMatchObject({ type: 'started', name: 'default', dry_run: false })
    expect(watch.events.at(-1)).toEqual({
      type: 'changed',
      at: expect.any(String),
      trigger: expect.stringMatching(/^(filter|link)$/),
      repaired: true,
      milliseconds: expect.any(Number),
      change: {
        address: 'span0/mirror/ens192/ingress',
        kind: 'mirror',
        span: 'span0',
        action: 'create',
        title: 'ens192 ingress → span0',
        reason: 'missing',
        text: '+ mirror ens192 ingress → span0 (every frame)'
      }
    })
    expect(watch.told).toBe('')
  })

  test('a card that is missing is waited for', async () => {
    await writeSpans(lab, two.replace('ens224', 'ens256'))
    await using watch = await startWatch(lab)
    expect(watch.told).toMatch(/ start +span1 +\.\.\. mirror ens256 ingress → span1 waits for the interface ens256/)
    await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'name', 'ens256'])
    try {
      await watch.expectTold(
        / (link|filter|offload) +span1 +\+ mirror ens256 ingress → span1 .*\n[\s\S]* mirror ens256 .* no longer waits/
      )
    } finally {
      await lab.run(['ip', 'link', 'set', 'dev', 'ens256', 'name', 'ens224'])
      await lab.run(['ip', 'link', 'set', 'dev', 'ens224', 'up'])
    }
    await watch.stop()
  })

  test('a source that falls silent is told, once, and that frames come again', async () => {
    await writeSpans(lab, one.replace('ingress}', 'ingress, max_idle: 2s}'))
    await using watch = await startWatch(lab)
    await watch.expectTold(/ idle +span0 +! no frame has come from ens192 for \d+s \(max_idle: 2s\) /)
    await lab.send([ether(BROADCAST, '02:00:00:00:0a:01', filler(100))])
    await watch.expectTold(/ idle +span0 +frames come from ens192 again\n/)
    await watch.expectTold(/ again\n[\s\S]* idle +span0 +! no frame has come /)
    await deleteMirror('ens192')
    await watch.expectTold(/ \+ mirror ens192 .* repaired in /)
    // Longer than from one count to the next: that it is counted from the beginning again is no frame.
    await sleep(1500)
    await lab.send([ether(BROADCAST, '02:00:00:00:0a:01', filler(100))])
    await watch.expectTold(/ repaired in [\s\S]* idle +span0 +frames come from ens192 again\n/)
    expect(watch.told.match(/no frame has come/g)).toHaveLength(2)
    expect(watch.told.match(/frames come /g)).toHaveLength(2)
  })

  test('a cable that is pulled is told, once, and that it is back', async () => {
    await writeSpans(lab, one)
    await using watch = await startWatch(lab)
    await watch.settle()
    const plug = (state: string) => lab.run(['ip', 'link', 'set', 'dev', 'sw0', state], { on: 'switch' })
    await plug('down')
    await watch.expectTold(/ carrier +span0 +! ens192 has no carrier \(look at the cable and at the switch's port\)\n/)
    await plug('up')
    await watch.expectTold(/ carrier +span0 +ens192 has a carrier again\n/)
    expect(watch.told.match(/ carrier +span0 /g)).toHaveLength(2)
  })

  test('with --dry-run, it is only told, once', async () => {
    await spanplan(lab, ['apply'])
    await using watch = await startWatch(lab, ['--dry-run', '--interval', '2s'])
    await watch.settle()
    const { length } = watch.told
    await deleteMirror('ens192')
    await watch.expectTold(
      / (filter|interval) +span0 +\+ mirror ens192 ingress → span0 \(every frame\) {2}not done: dry run\n$/,
      length
    )
    const runs = await watch.runs('interval')
    await until('it has looked again', async () => (await watch.runs('interval')) > runs)
    expect(watch.told.slice(length).trimEnd().split('\n')).toHaveLength(1)
    expect(await isMirrored('ens192')).toBe(false)
    expect(await watch.state()).toMatchObject({ dryRun: true, drift: 1, last: { result: 'drift' } })
  })
})

describe('the file', () => {
  test('that is broken at the beginning ends it', async () => {
    await writeSpans(lab, 'spans: {span0: {sources: [{interfaces: ens192}]}}')
    const { stderr } = await spanplan(lab, ['watch'], 65)
    expect(stderr).toContain('spans.yaml:2:')
    expect(await bridges()).toEqual([])
  })

  test('is followed; one that breaks is told once, with its place, and the last good one stays in force', async () => {
    await writeSpans(lab, one)
    await using watch = await startWatch(lab, ['--interval', '1s'])
    await writeSpans(lab, two)
    await watch.expectTold(/ file +spans\.yaml: span0, span1\n/)
    await until('span1 is there', async () => (await bridges()).includes('span1'))
    await watch.settle()
    const { length } = watch.told
    await writeSpans(lab, two.replace('span1: {sources', 'span1: {source'))
    await watch.expectTold(
      / file +the file is invalid; the last valid one stays in force:\nspans\.yaml:5:\d+: error: .*\n/,
      length
    )
    expect(await watch.state()).toMatchObject({ file: { valid: false, diagnostics: [{ code: 'KEY_UNKNOWN' }] } })
    await deleteMirror('ens224')
    await until('the mirror is back', () => isMirrored('ens224'))
    const runs = await watch.runs('interval')
    await until('it has read it again', async () => (await watch.runs('interval')) > runs)
    expect(watch.told.slice(length).match(/stays in force/g)).toHaveLength(1)
    await writeSpans(lab, one)
    await until('span1 has gone', async () => !(await bridges()).includes('span1'))
    expect(await watch.state()).toMatchObject({ file: { valid: true, diagnostics: [] } })
  })

  const broken = two.replace('ens192, ', 'ens192, filter: "port 22 and and", ')

  test('whose filter tcpdump refuses is not in force in any part, and the last good one is, whole', async () => {
    await using watch = await startWatch(lab, ['--interval', '1s'])
    await watch.settle()
    const { length } = watch.told
    await writeSpans(lab, `${broken}\n  span2: {sources: [{interface: ens224, direction: egress}]}`)
    await watch.expectTold(
      / file +the file is invalid; the last valid one stays in force:\nspans\.yaml:4:\d+: error: span span0: tcpdump does not understand the filter: /,
      length
    )
    for (const card of ['ens192', 'ens224']) {
      await lab.run(['tc', 'qdisc', 'del', 'dev', card, 'clsact'])
      await until('the mirror is back', () => isMirrored(card))
      // A qdisc that goes while a run reads may be missed by it, and its mirror not: that run fails, and another one repairs both.
      const runs = await watch.runs('interval')
      await until('it has read it again', async () => (await watch.runs('interval')) > runs)
    }
    expect(watch.told.slice(length).match(/stays in force/g)).toHaveLength(1)
    expect(await bridges()).toEqual(['span0', 'span1'])
    expect(await watch.state()).toMatchObject({
      file: { valid: false, diagnostics: [{ code: 'FILTER_INVALID' }] },
      degraded: []
    })
    await writeSpans(lab, broken.replace(' and and', ''))
    // The kernel's event of the mirror that came back may begin the same run.
    await watch.expectTold(/ \w+ +span0 +~ mirror ens192 ingress .*port 22/, length)
    expect((await watch.state()).file).toEqual({ valid: true, diagnostics: [] })
  })

  test('whose filter tcpdump refuses at the beginning ends it, as one that is broken does', async () => {
    await writeSpans(lab, broken)
    const { stderr } = await spanplan(lab, ['watch'], 65)
    expect(stderr).toMatch(/^spans\.yaml:4:\d+: error: span span0: tcpdump does not understand the filter: /)
    expect(await bridges()).toEqual([])
  })

  test.each([
    ['fails', 'exit 127'],
    ['takes longer than it is waited for', 'sleep 5']
  ])('is not refused because tcpdump %s: all else is as it says', async (_, script) => {
    const { options } = await wrapPrograms(lab, { tcpdump: script })
    await using watch = await startWatch(lab, [], options)
    await writeSpans(lab, two.replace('ens192, ', 'ens192, filter: port 22, '))
    await watch.expectTold(/ file +spans\.yaml: span0, span1\n[\s\S]* file +spans\.yaml: span0, span1\n/)
    await deleteMirror('ens224')
    await until('the mirror is back', () => isMirrored('ens224'))
    expect(await isMirrored('ens192')).toBe(true)
    expect((await watch.state()).file).toEqual({ valid: true, diagnostics: [] })
  })

  test.each([
    ['that has no spans any more is refused', '\nspans: {}', /the file no longer has spans.*/],
    ['of another name is refused', `name: other${two}`, /the name in the file is now other, .* for the name default\n/]
  ])('%s', async (_, text, message) => {
    await using watch = await startWatch(lab)
    await writeSpans(lab, text)
    await watch.expectTold(message)
    await deleteMirror('ens192')
    await until('the mirror is back', () => isMirrored('ens192'))
    expect(await bridges()).toEqual(['span0', 'span1'])
  })

  test('without spans removes all with --allow-empty', async () => {
    await using watch = await startWatch(lab, ['--allow-empty'])
    await writeSpans(lab, '\nspans: {}')
    await until('all has gone', async () => (await bridges()).length === 0)
    await watch.settle()
  })

  test('that loses a span leaves it as it is with --no-prune', async () => {
    await using watch = await startWatch(lab, ['--no-prune'])
    await writeSpans(lab, one)
    await watch.expectTold(
      / file +spans\.yaml: span0\n[\s\S]* span span1 is live, but not in the file: it is left unchanged /
    )
    await deleteMirror('ens192')
    await until('the mirror is back', () => isMirrored('ens192'))
    await watch.settle()
    expect([await bridges(), await isMirrored('ens224')]).toEqual([['span0', 'span1'], true])
  })

  test('is read again at SIGHUP', async () => {
    await using watch = await startWatch(lab)
    await watch.settle()
    watch.signal('SIGHUP')
    await until('it has run', async () => (await watch.runs('hangup')) === 1)
  })
})

describe('beside others', () => {
  test('a second watch of the name is refused; one of another name is not; one that was killed leaves nothing in the way', async () => {
    await using watch = await startWatch(lab)
    const { stderr } = await spanplan(lab, ['watch'], 75)
    expect(stderr).toMatch(new RegExp(`a watch of the name default is already running: pid ${watch.pid}, since `))
    const { stderr: warned } = await spanplan(lab, ['destroy', '--yes', '--lock-timeout', '1m'])
    expect(warned.replace(/\s+/g, ' ')).toContain(
      `warning: a watch of the name default runs (pid ${watch.pid}): it makes again what is removed here`
    )
    await watch.settle()
    await writeSpans(lab, 'name: other\nspans: {}')
    await (await startWatch(lab, [], { name: 'other' })).stop()
    await writeSpans(lab, two)
    watch.signal('SIGKILL')
    await expect(watch.end()).rejects.toThrow('SIGKILL')
    await (await startWatch(lab)).stop()
  })

  test('one that hangs or was killed is not healthy, and status and doctor say what helps', async () => {
    await using watch = await startWatch(lab)
    await watch.settle()
    const status = () => spanplan(lab, ['status', '--for', '10ms'], 2)
    const judged = async () =>
      findingsOf(await examine(lab), 'watch', 'problem').map(({ message, command }) => [message, command])
    watch.signal('SIGSTOP')
    try {
      const silent = `the watch of default (pid ${watch.pid}) does not answer`
      const { stdout } = await status()
      expect(stdout).toContain(`host: NOT HEALTHY, ${silent}.`)
      expect(stdout).toContain(`A watch runs, and does not answer (pid ${watch.pid}).\n`)
      expect(await judged()).toEqual([[silent, `kill -KILL ${watch.pid} && spanplan watch`]])
      const { stderr } = await lab.spanplan(['destroy'])
      expect(stderr).toContain(`a watch of the name default runs (pid ${watch.pid})`)
    } finally {
      watch.signal('SIGCONT')
    }
    watch.signal('SIGKILL')
    await expect(watch.end()).rejects.toThrow('SIGKILL')
    // Its number may be that of another process by now.
    await writeFile(
      runFile(lab, 'default.watching'),
      JSON.stringify({ pid: process.pid, command: 'x', since: new Date().toISOString() })
    )
    const { stdout } = await status()
    expect(stdout).toContain('host: NOT HEALTHY, the watch of default was killed.')
    expect(stdout).toContain('\nNo watch runs: it was killed.\n')
    expect(await judged()).toEqual([['the watch of default was killed', 'spanplan watch']])
    await (await startWatch(lab)).stop()
    expect((await spanplan(lab, ['status', '--for', '10ms'])).stdout).toContain('\nNo watch runs.\n')
  })

  test('another spanplan that is at work is waited for, and is no failure', async () => {
    await using watch = await startWatch(lab)
    await watch.settle()
    const holder = lab.start(['flock', runFile(lab, 'lock'), 'sh', '-c', 'echo locked; read -r _'])
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const runs = await watch.runs()
    await deleteMirror('ens192')
    // Longer than it waits for the lock: it has to come again.
    await sleep(2500)
    expect(await watch.runs()).toBe(runs)
    holder.stdin.end('\n')
    await watch.expectTold(/ span0 +\+ mirror ens192 .* repaired in /)
    await watch.settle()
    const { degraded, runs: all } = await watch.state()
    expect([degraded, all.filter(({ result }) => result === 'failed')]).toEqual([[], []])
  })

  test('whoever asks nonsense, or nothing, is not answered, and costs nothing', async () => {
    await using watch = await startWatch(lab)
    const ask = async (text: string) => {
      const socket = connect(runFile(lab, 'default.watch'))
      // It may be closed while the rest is still being written.
      socket.on('error', () => undefined)
      socket.write(text)
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      await new Promise((resolve) => socket.once('close', resolve))
      return Buffer.concat(chunks).toString()
    }
    const nonsense = ['\n', '{}\n', 'null\n', 'file\n', 'constructor\n', 'state', 'x'.repeat(1_000_000)]
    const silent = Array.from({ length: 100 }, () => '')
    expect(new Set(await Promise.all([...nonsense, ...silent].map(ask)))).toEqual(new Set(['']))
    expect(await watch.state()).toMatchObject({ pid: watch.pid })
  })

  test('a pause is kept, told, and ended by resume', async () => {
    await using watch = await startWatch(lab)
    await spanplan(lab, ['pause', 'span0', '--for', '30m'])
    await watch.expectTold(/ pause +span0 +is left alone until /)
    await watch.settle()
    await deleteMirror('ens192')
    await deleteMirror('ens224')
    await until('the other mirror is back', () => isMirrored('ens224'))
    await watch.settle()
    expect(await isMirrored('ens192')).toBe(false)
    await spanplan(lab, ['resume', 'span0'])
    await watch.expectTold(/ resume +span0 +is kept in sync again\n[\s\S]* resume +span0 +\+ mirror ens192/)
    await watch.settle()
  })

  test('what waits goes on waiting while its span is left alone', async () => {
    await writeSpans(lab, two.replace('ens224', 'ens256'))
    await using watch = await startWatch(lab)
    await spanplan(lab, ['pause', 'span1', '--for', '30m'])
    await watch.expectTold(/ pause +span1 +is left alone until /)
    await watch.settle()
    await spanplan(lab, ['resume', 'span1'])
    await watch.expectTold(/ resume +span1 +is kept in sync again\n/)
    await watch.settle()
    expect(watch.told.match(/ens256 .* waits /g)).toHaveLength(1)
  })

  test('a pause ends by itself', async () => {
    await using watch = await startWatch(lab)
    await spanplan(lab, ['pause', '--for', '8s'])
    await deleteMirror('ens192')
    await watch.expectTold(/ pause +all +is left alone until /)
    await watch.expectTold(/ resume +all +is kept in sync again\n/)
    await until('the mirror is back', () => isMirrored('ens192'))
    await watch.settle()
  })

  test('what is in the way of one span keeps no other from being true', async () => {
    await lab.run(['ip', 'link', 'add', 'dev', 'span0', 'type', 'bridge'])
    await using watch = await startWatch(lab)
    expect(watch.told).toMatch(/ start +span0 +! a bridge span0 already exists.*; next attempt at /)
    expect(await isMirrored('ens224')).toBe(true)
    expect(await watch.state()).toMatchObject({ degraded: [{ span: 'span0', reason: 'failed' }], lastSuccess: null })
    await lab.run(['ip', 'link', 'del', 'dev', 'span0'])
    await watch.expectTold(/ span0 +is in sync again\n/)
    await expectConverged(lab)
  })

  test('a step that fails for one span is taken back, tried again later, and keeps no other from being true', async () => {
    const { options } = await wrapPrograms(lab, { tc: 'case "$input" in *"dev ens192"*mirred*) exit 1 ;; esac' })
    await using watch = await startWatch(lab, [], options)
    expect(watch.told).toMatch(/ start +span0 +! could not /)
    expect(await isMirrored('ens224')).toBe(true)
    expect(await isMirrored('ens192')).toBe(false)
    await until('it is tried again', async () => (await watch.runs('retry')) > 0)
    expect(watch.told.match(/could not/g)).toHaveLength(1)
  })

  test('a tug-of-war is named, with the likely rival, and left alone for a while', async () => {
    await using watch = await startWatch(lab)
    for (let round = 0; round < 5; round++) {
      await watch.settle()
      await deleteMirror('ens192')
      await until('the mirror is back', () => isMirrored('ens192'))
    }
    await watch.expectTold(
      / span0 +! something keeps undoing this change: \+ mirror ens192 .*; probably a tool that sets filters .* \(to see when it happens: tc monitor/
    )
    const { degraded } = await watch.state()
    expect(degraded).toMatchObject([{ span: 'span0', reason: 'contested' }])
    const { length } = watch.told
    await deleteMirror('ens192')
    await deleteMirror('ens224')
    await until('the mirror is back', () => isMirrored('ens192'))
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(degraded[0]?.until ?? ''))
    await until('the other mirror is back', () => isMirrored('ens224'))
    // Tried again, it is one time too many at once; it is told no second time.
    await watch.expectTold(/ span0 +\+ mirror ens192 /, length)
    expect((await watch.state()).degraded).toMatchObject([{ span: 'span0', reason: 'contested' }])
    expect(watch.told.match(/something keeps undoing/g)).toHaveLength(1)
  })
})

describe('as a service', () => {
  /** Prints what the service manager would be told, message by message. */
  const listener = `use IO::Socket::UNIX; $| = 1;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die $!;
print "listens\\n";
while (defined $socket->recv(my $text, 4096)) { $text =~ s/\\n/ /g; print "$text\\n" if $text !~ /^BARRIER/ }`

  test('the service manager is told when it is ready, reads the files again, and stops; and that it is alive', async () => {
    const path = join(lab.files, 'notify')
    const manager = lab.start(['perl', '-e', listener, path])
    let heard = ''
    manager.stdout.on('data', (chunk) => {
      heard += chunk
    })
    await until('it listens', async () => heard !== '')
    const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '500000' }
    await using watch = await startWatch(lab, [], { env })
    await until('it is ready', async () => heard.includes('READY=1'))
    await expectConverged(lab)
    await until('it is alive', async () => (heard.match(/^WATCHDOG=1/gm) ?? []).length > 1)
    expect(heard).not.toContain('RELOADING')
    watch.signal('SIGHUP')
    await until('it has reloaded', async () => /^RELOADING=1 MONOTONIC_USEC=\d+ *\n[\s\S]*READY=1/m.test(heard))
    await watch.stop()
    await until('it stops', async () => heard.includes('STOPPING=1'))
    manager.kill()
    expect(watch.told).not.toContain('warning')
  })

  test('one that cannot be told is no reason to stop', async () => {
    await using watch = await startWatch(lab, [], {
      env: { NOTIFY_SOCKET: '/nowhere/notify' }
    })
    await watch.expectTold(/ warning +systemd-notify --ready failed with status 1: /)
    await watch.settle()
    expect(watch.told.match(/ warning /g)).toHaveLength(1)
    await expectConverged(lab)
  })
})

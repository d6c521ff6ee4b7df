/** An apply that is taken back unless somebody confirms it. */

import { once } from 'node:events'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { failAt, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { labEnvironment, projectRoot } from '../lab/programs.ts'
import { expectConverged, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

beforeAll(async () => {
  lab = await createLab()
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
beforeEach(() => writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}'))
afterEach(async () => {
  // An apply that has just taken all back may still be about to end.
  await spanplan(lab, ['destroy', '--yes', '--lock-timeout', '60s'])
  await expectRestored(lab, first)
})

const runFolder = () => labEnvironment(lab.name).SPANPLAN_RUN_DIR ?? ''

async function findSocket(): Promise<string | undefined> {
  const names = await readdir(runFolder()).catch(() => [])
  const name = names.find((one) => one.endsWith('.sock'))
  return name && join(runFolder(), name)
}

/** The file of a socket is there a moment before somebody listens at it. */
async function untilWaiting(): Promise<void> {
  await until('the apply waits', async () => {
    const path = await findSocket()
    if (path === undefined) return false
    const socket = connect(path)
    await once(socket, 'connect')
    socket.destroy()
    return true
  })
}

test('confirmed from elsewhere, it stays, and nothing waits any more', async () => {
  const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  const { stdout } = await spanplan(lab, ['confirm'])
  expect(stdout).toBe('Confirmed: the changes stay.\n')
  const ended = await running
  expect(ended.exitCode).toBe(0)
  expect(ended.stdout).toMatch(
    /The changes will be rolled back at \d\d:\d\d:\d\d unless you confirm them: spanplan confirm/
  )
  await expectConverged(lab)
  const { stderr } = await spanplan(lab, ['confirm'], 1)
  expect(stderr).toContain('no apply waits for confirmation')
})

test('rejected from elsewhere, it is taken back at once', async () => {
  const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  const { stdout } = await spanplan(lab, ['rollback'])
  expect(stdout).toBe('rollback requested\nEverything was rolled back: the host is as it was before.\n')
  const ended = await running
  expect(ended.exitCode).toBe(5)
  expect(await lab.snapshotText()).toBe(first)
})

test('what a hook has recorded of an interface is forgotten with a confirmation, and not with a rollback', async () => {
  const isRecorded = async () => {
    const { stdout } = await lab.spanplan(['status', '--for', '10ms', '--json'])
    return stdout.includes('INTERFACE_GOING_DOWN')
  }
  const decide = async (decision: 'confirm' | 'rollback') => {
    const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
    await untilWaiting()
    await spanplan(lab, [decision])
    await running
  }
  await spanplan(lab, ['apply'])
  await spanplan(lab, ['hook', '--strict', '-f', 'spans.yaml', '--interface', 'ens192', '--phase', 'down'])
  // Of an interface that is down, a record lasts as long as it is down.
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'down'])
  expect(await isRecorded()).toBe(true)
  await decide('rollback')
  expect(await isRecorded()).toBe(true)
  await decide('confirm')
  expect(await isRecorded()).toBe(false)
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'up'])
})

test('neither, it is taken back when the time is over', async () => {
  const { stderr } = await spanplan(lab, ['apply', '--rollback-after', '100ms'], 5)
  expect(stderr).toContain('not confirmed in time')
  expect(await lab.snapshotText()).toBe(first)
})

test('what could not be made is told before somebody decides', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}, {vxlan: {id: 42}}]}}')
  const { options } = await wrapPrograms(lab, { ip: failAt('vxlan-.* up') })
  const { stdout, stderr } = await spanplan(lab, ['apply', '--rollback-after', '100ms'], 5, options)
  expect(stdout).toMatch(/; \d failed\./)
  expect(stderr).toMatch(/warning: nothing comes out of vxlan 42[\s\S]*not confirmed in time/)
})

test('it tells a program', async () => {
  const { stdout } = await spanplan(lab, ['apply', '--json', '--rollback-after', '100ms'], 5)
  const types = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).type)
  expect(types.filter((type) => !type.startsWith('step_'))).toEqual([
    'version',
    'plan',
    'summary',
    'confirmation_awaited',
    'rolled_back',
    'error'
  ])
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143]
] as const)('%s takes it back, and another one does not end that half-way', async (signal, exit) => {
  const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  running.kill(signal)
  await sleep(20)
  running.kill(signal)
  const { exitCode, stderr } = await running
  expect(stderr).toMatch(/^interrupted: .* then everything is rolled back\. To leave it half done: kill -QUIT \d+$/m)
  expect(stderr).toContain('interrupted before it was confirmed\nEverything was rolled back')
  expect(exitCode).toBe(exit)
  expect(await lab.snapshotText()).toBe(first)
})

test('one that was killed while it waited leaves nothing that keeps the next from it', async () => {
  const killed = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  killed.kill('SIGKILL')
  await killed
  const { stderr } = await spanplan(lab, ['rollback'], 1)
  expect(stderr).toContain('no apply waits for confirmation')
  await spanplan(lab, ['destroy', '--yes'])
  await spanplan(lab, ['apply', '--rollback-after', '100ms'], 5)
})

test('with --install, the file is put in its place once it is confirmed, and only then', async () => {
  const path = join(lab.files, 'installed/spans.yaml')
  await mkdir(join(lab.files, 'installed'))
  const wanted = 'version: 1\nspans: {span0: {sources: [{interface: ens192}]}}\n'
  const options = { input: wanted }
  const args = ['apply', '-f', '-', '--install', path, '--json']
  await spanplan(lab, [...args, '--rollback-after', '100ms'], 5, options)
  expect(await readdir(join(lab.files, 'installed'))).toEqual([])
  const running = lab.startSpanplan([...args, '--rollback-after', '10m'], options)
  await untilWaiting()
  const { stderr } = await spanplan(lab, ['confirm', '00000000'], 1)
  expect(stderr).toContain('no window 00000000 waits for confirmation')
  expect(await readdir(join(lab.files, 'installed'))).toEqual([])
  const status = JSON.parse((await spanplan(lab, ['status', '--json', '--for', '10ms'])).stdout)
  await spanplan(lab, ['confirm', status.window.id])
  const { stdout } = await running
  const lines = stdout.trim().split('\n')
  expect(lines.slice(-3).map((line) => JSON.parse(line))).toMatchObject([
    { type: 'confirmation_awaited', id: status.window.id },
    { type: 'confirmed', id: status.window.id },
    { type: 'installed', file: path }
  ])
  expect(await readFile(path, 'utf8')).toBe(wanted)
  const again = await spanplan(lab, [...args, '--detailed-exitcode'], 0, options)
  expect(again.stdout).not.toContain('"type":"installed"')
})

test('where others come to block a removal, it is taken back', async () => {
  await spanplan(lab, ['apply'])
  const applied = await lab.snapshotText()
  await writeSpans(lab, 'spans: {span1: {sources: [{interface: ens192}]}}')
  const { options } = await wrapPrograms(lab, {
    tc: 'case "$input" in *"filter del"*) ip link add mv0 link span0 type macvlan </dev/null 2>&1 ;; esac'
  })
  const { stderr } = await spanplan(lab, ['apply', '--yes', '--rollback-after', '10m'], 5, options)
  expect(stderr).toContain('the bridge span0 cannot be removed: the macvlan mv0 is built on it')
  expect(stderr).toContain('Everything was rolled back')
  expect(stderr).not.toContain('Everything else was done')
  await lab.run(['ip', 'link', 'del', 'dev', 'mv0'])
  expect(await lab.snapshotText()).toBe(applied)
})

test('where somebody renames the bridge meanwhile, no second one is made, and the rollback says that it is not complete', async () => {
  const ip = (...argv: string[]) => lab.run(['ip', ...argv])
  await spanplan(lab, ['apply'])
  await ip('link', 'add', 'ext0', 'type', 'veth', 'peer', 'name', 'ext1', 'netns', `${lab.name}-sw`)
  await ip('link', 'set', 'dev', 'ext0', 'master', 'span0')
  await spanplan(lab, ['apply'])
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, filter: tcp}]}}')
  const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  await ip('link', 'set', 'dev', 'span0', 'name', 'elsewhere')
  const { stderr } = await spanplan(lab, ['rollback'], 4)
  expect(stderr.match(/somebody has renamed the bridge span0 of a span, to elsewhere/g)).toHaveLength(1)
  expect((await running).exitCode).toBe(4)
  expect(await ip('-br', 'link', 'show', 'type', 'bridge')).not.toContain('span0')
  await ip('link', 'set', 'dev', 'elsewhere', 'name', 'span0')
  await spanplan(lab, ['destroy', '--yes'])
  await ip('link', 'del', 'dev', 'ext0')
})

test('only the id of the window decides on it', async () => {
  const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  const status = JSON.parse((await spanplan(lab, ['status', '--json', '--for', '10ms'])).stdout)
  // An empty id is that of no window.
  for (const wrong of ['00000000', '', '\n']) await spanplan(lab, ['confirm', wrong], 1)
  await spanplan(lab, ['rollback', status.window.id])
  expect((await running).exitCode).toBe(5)
})

test.each([
  [['--install', 'a.yaml', '--span', 'span0'], /cannot be used with option '--span/],
  [['--detach'], /--detach needs --rollback-after/],
  [['--install', 'a.yaml', '-f', 'b.yaml', '-f', 'c.yaml'], /--install puts one file in its place/],
  [['--install', 'a.yaml'], /--install puts one file in its place/],
  [['plan.json', '--install', 'a.yaml'], /a saved plan is not installed/]
])('%j is wrong usage', async (args, reason) => {
  const { stderr } = await spanplan(lab, ['apply', ...args], 64)
  expect(stderr).toMatch(reason)
})

test('where nobody could confirm it, it is taken back', async () => {
  // Longer than the kernel lets the address of a socket be: sun_path in unix(7).
  const env = { SPANPLAN_RUN_DIR: join(lab.files, 'r'.repeat(120)) }
  const { stderr } = await spanplan(lab, ['apply', '--rollback-after', '10m'], 5, { env })
  expect(stderr).toContain('there is no way to confirm it')
  expect(await lab.snapshotText()).toBe(first)
})

test('what others set meanwhile of a card, and no span has to do with, stays', async () => {
  const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'arp', 'off'])
  await spanplan(lab, ['rollback'])
  expect((await running).exitCode).toBe(5)
  const [link] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', 'ens192']))
  expect(link.flags).toContain('NOARP')
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'arp', 'on'])
})

test('meanwhile others are refused, and told how long and what to do', async () => {
  const running = lab.startSpanplan(['apply', '--rollback-after', '10m'])
  await untilWaiting()
  for (const args of [
    ['apply', '--lock-timeout', '5m'],
    ['destroy', '--yes']
  ]) {
    const { stderr } = await spanplan(lab, args, 75)
    expect(stderr).toMatch(/It waits for confirmation, for another \d+ s/)
    expect(stderr).toContain('to end the wait: spanplan confirm, or spanplan rollback')
  }
  await spanplan(lab, ['confirm'])
  await running
})

describe('on a terminal', () => {
  /** script(1) is the terminal; its end is the end of the session. */
  const onTerminal = (command: string) => {
    const program = `${process.execPath} ${join(projectRoot, 'bin/spanplan.js')} ${command} -f ${lab.files}/spans.yaml`
    return lab.start(['script', '-qec', program, '/dev/null'])
  }

  test.each([
    ['y', /Confirmed: the changes stay\./, 0],
    ['n', /rollback requested\s+Everything was rolled back/, 5]
  ])('it asks: %s', async (answer, words, exit) => {
    const terminal = onTerminal('apply --rollback-after 10m')
    await untilWaiting()
    terminal.stdin?.write(`${answer}\n`)
    const { stdout, exitCode } = await terminal.catch((error: { stdout: string; exitCode: number }) => error)
    expect(stdout).toMatch(words)
    expect(exitCode).toBe(exit)
  })

  test('it is taken back in time also when the terminal has gone', async () => {
    const terminal = onTerminal('apply --rollback-after 3s')
    let said = ''
    terminal.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    // Not its socket: that may have come and gone by the time it is looked for.
    await until('the apply waits', async () => said.includes('The changes will be rolled back at'))
    terminal.kill('SIGKILL')
    await until('it is taken back', async () => (await lab.snapshotText()) === first)
  })
})

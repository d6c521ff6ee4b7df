/** What becomes of a watch whose programs are killed or stopped, and of its programs when it is killed. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { childrenOf, stateOf } from '../lab/commands/child-processes.ts'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { labEnvironment } from '../lab/programs.ts'
import { expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'
import { hostNamespace, switchNamespace } from '../lab/sweep.ts'

let lab: Lab
let first: string

const spans = 'spans: {span0: {sources: [{interface: ens192, direction: ingress}]}}'

beforeAll(async () => {
  lab = await createLab()
  await writeSpans(lab, spans)
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())
afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes', '--defer-docker'])
  await expectRestored(lab, first)
})

async function isMirrored(): Promise<boolean> {
  return (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')
}

async function expectRepair(what: string): Promise<void> {
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await until(`the mirror is back: ${what}`, isMirrored)
}

/** A watch that has made repairs, so that all of its programs are there. */
async function startRepairing(...args: string[]): Promise<Watch> {
  const watch = await startWatch(lab, args)
  for (let count = 0; count < 3; count++) await expectRepair('at first')
  await watch.settle()
  return watch
}

/** It tells repairs, and nothing else. */
function expectRepairsOnly(watch: Watch, since: number): void {
  const others = watch.told
    .slice(since)
    .split('\n')
    .filter((line) => line !== '' && !/ \+ mirror ens192 ingress → span0 .* repaired in /.test(line))
  expect(others).toEqual([])
}

const kept = ['ip -json', 'tc -json', 'bridge -json', 'nft -c -j -i']
const monitors = ['ip -oneline monitor', 'tc monitor', 'nft monitor', 'ethtool --monitor']

test.each(['SIGKILL', 'SIGSTOP'] as const)('%s to each of its programs in turn costs no repair', async (signal) => {
  await using watch = await startRepairing('--interval', '10s')
  const since = watch.told.length
  const commands = new Set(childrenOf(watch.pid).map(({ command }) => command))
  for (const begin of [...kept, ...monitors]) {
    expect([...commands]).toContainEqual(expect.stringMatching(new RegExp(`^${begin}`)))
  }
  for (const command of commands) {
    // So that nothing here is contention. It looks anew, by other programs.
    watch.signal('SIGHUP')
    await watch.settle()
    await expectRepair(`before ${signal} to ${command}`)
    // A program that is killed as it writes fails a step, which is told.
    await watch.settle()
    for (const { pid } of childrenOf(watch.pid).filter((child) => child.command === command)) process.kill(pid, signal)
    await expectRepair(`${signal} to ${command}`)
    for (const { pid } of childrenOf(watch.pid)) if (stateOf(pid) === 'T') process.kill(pid, 'SIGCONT')
  }
  expectRepairsOnly(watch, since)
})

test('once it is killed, none of its programs is left, also not those that are stopped', async () => {
  const watch = await startRepairing()
  const children = childrenOf(watch.pid)
  expect(children.length).toBeGreaterThan(kept.length + monitors.length - 1)
  for (const { pid } of children.filter((_, index) => index % 2 === 0)) process.kill(pid, 'SIGSTOP')
  watch.signal('SIGKILL')
  await expect(watch.end()).rejects.toThrow('SIGKILL')
  await sleep(1000)
  expect(children.filter(({ pid }) => ![null, 'Z'].includes(stateOf(pid)))).toEqual([])
})

test('once it has ended, none of its programs is left', async () => {
  const watch = await startRepairing()
  const children = childrenOf(watch.pid)
  await watch.stop()
  await sleep(1000)
  expect(children.filter(({ pid }) => ![null, 'Z'].includes(stateOf(pid)))).toEqual([])
})

const gro = async (name = 'ens192') =>
  /^generic-receive-offload: (\w+)/m.exec(await lab.run(['ethtool', '-k', name]))?.[1]
const indexOf = async (name: string) => /^\d+/.exec(await lab.run(['ip', '-o', 'link', 'show', 'dev', name]))?.[0]
const setGro = (state: string) => lab.run(['ethtool', '-K', 'ens192', 'gro', state])

async function expectGroBack(what: string, wanted: string | undefined): Promise<void> {
  await setGro(wanted === 'on' ? 'off' : 'on')
  await until(`offloads are back: ${what}`, async () => (await gro()) === wanted)
}

test('offloads that somebody switches are put back, whatever becomes of the monitor that tells them', async () => {
  await writeSpans(lab, `interfaces: {ens192: {dedicated: true}}\n${spans}`)
  await using watch = await startWatch(lab, ['--interval', '3s'])
  await watch.settle()
  const wanted = await gro()
  expect(wanted).toBe('off')
  const monitor = () => childrenOf(watch.pid).find(({ command }) => command.startsWith('ethtool --monitor'))
  for (let count = 0; count < 3; count++) await expectGroBack('at once', wanted)
  await lab.run(['ip', 'link', 'set', 'dev', 'ens192', 'down'])
  await expectGroBack('while it is down, or just up again', wanted)
  await watch.settle()
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
    const child = monitor()
    expect(child).toBeDefined()
    if (child === undefined) return
    process.kill(child.pid, signal)
    await expectGroBack(`after ${signal} to the monitor`, wanted)
    if (signal === 'SIGSTOP') process.kill(child.pid, 'SIGCONT')
    await watch.settle()
  }
})

test('what changes in another namespace, which no monitor tells, is put back when the interface is back', async () => {
  const name = 'moved'
  const far = ['peer', 'name', 'far', 'netns', switchNamespace(lab.name)]
  await lab.run(['ip', 'link', 'add', 'name', name, 'type', 'veth', ...far])
  await writeSpans(lab, `interfaces: {${name}: {dedicated: true}}\n${spans.replace('ens192', name)}`)
  const watch = await startWatch(lab, ['--interval', '1h'])
  await watch.settle()
  const index = await indexOf(name)
  for (let count = 0; count < 5; count++) {
    await lab.run(['ip', 'link', 'set', 'dev', name, 'netns', switchNamespace(lab.name)])
    await lab.run(['ethtool', '-K', name, 'gro', 'on'], { on: 'switch' })
    await lab.run(['ip', 'link', 'set', 'dev', name, 'netns', hostNamespace(lab.name)], { on: 'switch' })
    expect(await indexOf(name)).toBe(index)
    await until('GRO is off again', async () => (await gro(name)) === 'off')
    await watch.settle()
  }
  await watch.stop()
  await spanplan(lab, ['destroy', '--all', '--yes', '--defer-docker'])
  await lab.run(['ip', 'link', 'del', 'dev', name])
})

test('where that monitor cannot run, that is told, and offloads are put back at a regular look', async () => {
  await writeSpans(lab, `interfaces: {ens192: {dedicated: true}}\n${spans}`)
  const folder = await mkdtemp(join(lab.files, 'bin-'))
  await writeFile(join(folder, 'stdbuf'), '#!/bin/sh\necho "no such program" >&2\nexit 127\n', { mode: 0o755 })
  await using watch = await startWatch(lab, ['--interval', '3s'], {
    env: { PATH: `${folder}:${labEnvironment(lab.name).PATH}` }
  })
  await watch.expectTold(
    /changes of offloads and receive rings are found only at the regular interval, because their monitor fails: .*no such program/
  )
  await watch.settle()
  for (let count = 0; count < 2; count++) await expectGroBack('without a monitor', 'off')
})

test('all is read anew at each interval, also where events come all the time', async () => {
  const { options, calls } = await wrapPrograms(lab)
  const looks = async () => (await calls()).filter((call) => call === '$ bpftool -j prog show').length
  await using watch = await startWatch(lab, ['--interval', '2s'], options)
  await watch.settle()
  const before = await looks()
  let flips = 0
  await until('it was read anew three times', async () => {
    await lab.run(['ip', 'link', 'set', 'dev', 'lo', 'alias', `flip ${flips++}`])
    return (await looks()) >= before + 3
  })
  await lab.run(['ip', 'link', 'set', 'dev', 'lo', 'alias', ''])
})

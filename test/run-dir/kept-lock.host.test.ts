import { readdirSync, readFileSync, renameSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runFile } from '../../src/run-dir/folder.ts'
import { type KeptLock, openKeptLock } from '../../src/run-dir/kept-lock.ts'
import { takeLock } from '../../src/run-dir/lock.ts'
import { readHolder, windowLock } from '../../src/run-dir/lock-holder.ts'
import { until } from '../lab/spans.ts'

let folder: string
let kept: KeptLock

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-lock-'))
  vi.stubEnv('SPANPLAN_RUN_DIR', folder)
  kept = openKeptLock()
})
afterEach(async () => {
  kept.close()
  await until('the program has ended', async () => programs().length === 0)
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

const take = (timeout = 0) => kept.take({ timeout, command: 'a test' })
const takeAnother = (timeout = 0) => takeLock({ timeout, command: 'another' })
const locked = expect.objectContaining({ diagnostics: [expect.objectContaining({ code: 'LOCKED' })] })

/** The programs that this process has started, without those that have ended. */
function programs(): { pid: number; command: string }[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean)
  return children.flatMap((pid) => {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? ''
    return command === '' ? [] : [{ pid: Number(pid), command }]
  })
}

/** It is given back a moment after release() has returned. */
async function expectFreeSoon(): Promise<void> {
  const other = await takeAnother(1000)
  expect(readHolder()).toMatchObject({ command: 'another' })
  other.release()
}

test('is one lock with that of others, and started for it is one program, once', async () => {
  let first: number | undefined
  for (let count = 0; count < 10; count++) {
    const lock = await take()
    expect(readHolder()).toMatchObject({ command: 'a test' })
    await expect(takeAnother()).rejects.toEqual(locked)
    lock.release()
    await expectFreeSoon()
    const [program, ...others] = programs()
    expect(others).toEqual([])
    expect(program).toMatchObject({ command: 'perl' })
    first ??= program?.pid
    expect(program?.pid).toBe(first)
  }
  const other = await takeAnother(1000)
  await expect(take()).rejects.toEqual(locked)
  await expect(take(100)).rejects.toEqual(locked)
  const waiting = take(10_000)
  other.release()
  ;(await waiting).release()
  await expectFreeSoon()
})

test('is had by one in this process after the other', async () => {
  const lock = await take()
  await expect(take(50)).rejects.toEqual(locked)
  const order: number[] = []
  const others = [1, 2, 3].map(async (which) => {
    const other = await take(10_000)
    order.push(which)
    await expect(takeAnother()).rejects.toEqual(locked)
    other.release()
  })
  lock.release()
  await Promise.all(others)
  expect(order).toEqual([1, 2, 3])
  await expectFreeSoon()
})

test.each([
  ['killed', 'SIGKILL'],
  ['stopped', 'SIGSTOP']
] as const)('a program that is %s costs a moment, and nobody the lock', async (_, signal) => {
  ;(await take()).release()
  await expectFreeSoon()
  const [before] = programs()
  process.kill(before?.pid ?? 0, signal)
  const began = performance.now()
  const lock = await take()
  expect(performance.now() - began).toBeLessThan(2000)
  await expect(takeAnother()).rejects.toEqual(locked)
  lock.release()
  await expectFreeSoon()
  await until('it is ended', async () => programs().length === 0)
})

test.each([
  ['killed', 'SIGKILL'],
  ['stopped', 'SIGSTOP']
] as const)('one that is %s while the lock is held leaves it held until it is given back', async (_, signal) => {
  const lock = await take()
  const [program] = programs()
  process.kill(program?.pid ?? 0, signal)
  await expect(takeAnother()).rejects.toEqual(locked)
  lock.release()
  const next = await take(5000)
  await expect(takeAnother()).rejects.toEqual(locked)
  next.release()
  await expectFreeSoon()
})

test.each([
  ['mute', 'cat >/dev/null'],
  ['broken', 'exit 2'],
  ['mad', 'yes no']
])('one that is %s is done without', async (_, script) => {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'perl'), `#!/bin/sh\n${script}\n`)
  await chmod(join(bin, 'perl'), 0o755)
  vi.stubEnv('PATH', `${bin}:${process.env.PATH}`)
  for (let count = 0; count < 3; count++) {
    const lock = await take(1000)
    await expect(takeAnother()).rejects.toEqual(locked)
    lock.release()
    await expectFreeSoon()
  }
  await until('it has been ended', async () => programs().length === 0)
})

test('where none can be started, there is a lock all the same', async () => {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'setpriv'), '#!/bin/sh\nexit 127\n')
  await chmod(join(bin, 'setpriv'), 0o755)
  vi.stubEnv('PATH', `${bin}:${process.env.PATH}`)
  const lock = await take(1000)
  await expect(takeAnother()).rejects.toEqual(locked)
  expect(programs()).toEqual([])
  lock.release()
  await expectFreeSoon()
})

test.each([
  ['removed', (path: string) => rm(path)],
  ['renamed', async (path: string) => renameSync(path, `${path}.old`)],
  ['replaced', async (path: string) => rm(path).then(() => writeFile(path, '', { mode: 0o600 }))],
  [
    'replaced by one for all to write',
    async (path: string) =>
      rm(path)
        .then(() => writeFile(path, ''))
        .then(() => chmod(path, 0o666))
  ]
])('a file that is %s is another lock', async (_, change) => {
  ;(await take()).release()
  await expectFreeSoon()
  await change(runFile('lock'))
  const lock = await take(1000)
  expect(readHolder()).toMatchObject({ command: 'a test' })
  await expect(takeAnother()).rejects.toEqual(locked)
  lock.release()
  await expectFreeSoon()
})

test('is not taken while a window is open, but by whoever may', async () => {
  await expectFreeSoon()
  const window = await takeLock({ kind: windowLock, timeout: 0 })
  await expect(take()).rejects.toEqual(locked)
  const during = await kept.take({ timeout: 0, duringWindow: true })
  during.release()
  window.release()
  ;(await take(1000)).release()
})

test('leaves no descriptor open', async () => {
  ;(await take()).release()
  const count = () => readdirSync('/proc/self/fd').length
  const before = count()
  for (let round = 0; round < 20; round++) {
    ;(await take(1000)).release()
    await expectFreeSoon()
    await rm(runFile('lock'))
  }
  ;(await take(1000)).release()
  await until('all others are closed', async () => count() <= before)
})

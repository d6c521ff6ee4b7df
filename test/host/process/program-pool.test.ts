/** Programs that are kept, and what can become of them. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keepProgram } from '../../../src/host/process/kept-program.ts'
import {
  askProgram,
  endPrograms,
  forgetNames,
  keepPrograms,
  namesForgotten,
  noteName,
  noteNames,
  runStarted
} from '../../../src/host/process/program-pool.ts'
import { type FakeProgram, makeFakeProgram } from '../../lab/commands/fake-program.ts'

let fake: FakeProgram

keepPrograms()
beforeEach(() => {
  fake = makeFakeProgram()
})
afterEach(() => {
  endPrograms()
  rmSync(fake.folder, { recursive: true })
})

const ask = (...lines: string[]) => askProgram(fake.argv, lines.map((line) => `${line}\n`).join(''))
const start = (...lines: string[]) => runStarted(fake.argv, lines.map((line) => `${line}\n`).join(''))
const answer = (...texts: string[]) => ({
  stdout: texts.map((text) => `["${text}"]\n`).join(''),
  stderr: '',
  status: 0
})
const pidIn = ({ stdout }: { readonly stdout: string }) => Number(JSON.parse(stdout)[0])

function stateOf(pid: number): string | null {
  try {
    return /^\d+ \(.*\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? null
  } catch {
    return null
  }
}

const expectEnded = (pid: number) => expect.poll(() => stateOf(pid), { timeout: 10_000 }).toBe(null)

/** A process is still what it was for a moment after the signal. */
async function signalAndWait(pid: number, signal: NodeJS.Signals): Promise<void> {
  process.kill(pid, signal)
  await expect.poll(() => stateOf(pid) ?? 'Z').toMatch(/[TZ]/)
}

/** A spare is there, and has begun. */
async function makeSpare(): Promise<number> {
  const started = pidIn(await start('pid'))
  // Where the one that was started and its spare begin at once, either may be the first.
  const spare = () => fake.pids().find((pid) => pid !== started)
  await expect.poll(spare).toBeDefined()
  return spare() ?? 0
}

describe('answers', () => {
  test('are of one program, in the order of the questions, also where several ask at once', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(`say ${index}`, 'pid')))
    expect(all.map(({ stdout }) => stdout.split('\n')[0])).toEqual(all.map((_, index) => `["${index}"]`))
    expect(new Set(all.map(({ stdout }) => stdout.split('\n')[1])).size).toBe(1)
  })

  test('number the lines that failed as a run does, at each question', async () => {
    for (let count = 0; count < 3; count++) {
      expect(await ask('say 1', 'wrong', 'say 2', 'wrong too')).toEqual({
        stdout: '["1"]\n["2"]\n',
        stderr:
          'Object "wrong" is unknown, try "fake help".\nCommand failed -:2\n' +
          'Object "wrong too" is unknown, try "fake help".\nCommand failed -:4\n',
        status: 1
      })
      expect(await ask('# a comment', '', 'say 1', 'wrong')).toMatchObject({
        stdout: '["1"]\n',
        stderr: expect.stringContaining('\nCommand failed -:4\n')
      })
    }
    expect(pidIn(await ask('pid'))).toBe(fake.pids()[0])
  })

  test('have the bytes that are no UTF-8', async () => {
    expect(await ask('say \udcffé\udc80')).toEqual(answer('\udcffé\udc80'))
    expect((await ask('\udcfe')).stderr).toContain('"\udcfe"')
  })

  test('may be longer than a pipe', async () => {
    const { stdout } = await ask('long 3000000', 'say end')
    expect(stdout).toHaveLength(3_000_005 + '["end"]\n'.length)
  })

  test('are no more than 1,000 of one program', async () => {
    const pids = new Set<number>()
    for (let count = 0; count <= 1000; count++) pids.add(pidIn(await ask('pid')))
    expect(pids.size).toBe(2)
    const [first = 0] = pids
    await expectEnded(first)
  })

  test('that are too long end the program, and the next one is asked', async () => {
    await expect(askProgram(fake.argv, 'endless\n', { bytes: 100_000 })).rejects.toThrow(/printed more than/)
    const [pid = 0] = fake.pids()
    await expectEnded(pid)
    expect(await ask('say 1')).toEqual(answer('1'))
  })
})

describe('a program that', () => {
  test.each([
    ['ends', 'exit 3'],
    ['is killed', 'kill -KILL $$'],
    ['is killed after half a document', `printf '["ha'; kill -KILL $$`],
    ['is stopped', 'kill -STOP $$'],
    ['is stopped after half a document', `printf '["ha'; kill -STOP $$`],
    ['says nothing', 'sleep 600'],
    ['closes stderr', 'exec 2>&-'],
    ['closes stdout and stderr', 'exec >&- 2>&-'],
    ['closes stdin', 'exec <&-'],
    ['says that a line failed, and nothing more', 'echo "Command failed -:9" >&2; sleep 600']
  ])('%s amid an answer is replaced, and the answer is whole', async (_, words) => {
    const pid = pidIn(await ask('pid'))
    expect(await ask('say 1', `once ${words}`, 'say 2')).toEqual(answer('1', 'again', '2'))
    expect(await ask('say 3')).toEqual(answer('3'))
    await expectEnded(pid)
  })

  test('is as slow as the one that is run beside it is not interrupted', async () => {
    const pid = pidIn(await ask('pid'))
    expect(pidIn(await ask('slow'))).toBe(pid)
    expect(await ask('say 1')).toEqual(answer('1'))
    await expectEnded(pid)
  })

  test.each(['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const)(
    'gets %s between answers is replaced at once',
    async (signal) => {
      for (let count = 0; count < 5; count++) {
        const pid = pidIn(await ask('pid'))
        await signalAndWait(pid, signal)
        expect(await ask('say 1')).toEqual(answer('1'))
        await expectEnded(pid)
      }
    }
  )

  test('was upgraded since is not asked', async () => {
    const pid = pidIn(await ask('pid'))
    // The interpreter of the script is its program.
    const copy = join(fake.folder, 'bash')
    writeFileSync(copy, readFileSync('/bin/bash'), { mode: 0o755 })
    expect(pid).toBeGreaterThan(0)
    const argv = [copy, join(fake.folder, 'fake')] as const
    const first = pidIn(await askProgram(argv, 'pid\n'))
    expect(pidIn(await askProgram(argv, 'pid\n'))).toBe(first)
    rmSync(copy)
    writeFileSync(copy, readFileSync('/bin/bash'), { mode: 0o755 })
    expect(pidIn(await askProgram(argv, 'pid\n'))).not.toBe(first)
    await expectEnded(first)
  })

  test('ends at its start is told of as a run of it is', async () => {
    writeFileSync(join(fake.folder, 'at-start'), 'echo "no such library" >&2; exit 127\n')
    for (let count = 0; count < 3; count++) {
      expect(await ask('say 1')).toEqual({ stdout: '', stderr: 'no such library\n', status: 127 })
      expect(await start('say 1')).toEqual({ stdout: '', stderr: 'no such library\n', status: 127 })
    }
  })

  test('is missing is told of by its name', async () => {
    for (let count = 0; count < 2; count++) {
      await expect(askProgram(['no-such-program'], 'x\n')).rejects.toThrow('the program no-such-program cannot be run')
      await expect(runStarted(['no-such-program'], 'x\n')).rejects.toThrow('the program no-such-program cannot be run')
    }
  })

  test('talks without being asked is not asked', async () => {
    const pid = pidIn(await ask('pid'))
    expect(await ask('once (sleep 0.1; echo "[\\"late\\"]") & echo "[1]"')).toMatchObject({ stdout: '[1]\n' })
    await sleep(400)
    expect(await ask('say 1')).toEqual(answer('1'))
    expect(pidIn(await ask('pid'))).not.toBe(pid)
  })

  test('never stops to talk is ended', async () => {
    const pid = pidIn(await ask('pid'))
    await ask('once (sleep 0.1; exec yes) & echo "[1]"')
    await expectEnded(pid)
  })
})

describe('a program that was started before it is needed', () => {
  test('does what it is told, once', async () => {
    const spare = await makeSpare()
    expect(pidIn(await start('pid'))).toBe(spare)
    await expectEnded(spare)
    expect(pidIn(await start('pid'))).not.toBe(spare)
  })

  test('is for one, also where several need one at once', async () => {
    const spare = await makeSpare()
    const all = await Promise.all([start('pid'), start('pid'), ask('pid'), start('pid')])
    const pids = all.map(pidIn)
    expect(new Set(pids).size).toBe(4)
    expect(pids).toContain(spare)
    const texts = await Promise.all([start('say 1'), start('say 2'), start('say 3')])
    expect(texts).toEqual([answer('1'), answer('2'), answer('3')])
  })

  test.each(['SIGKILL', 'SIGSTOP'] as const)('and gets %s is replaced', async (signal) => {
    const spare = await makeSpare()
    await signalAndWait(spare, signal)
    expect(await start('say 1')).toEqual(answer('1'))
    await expectEnded(spare)
  })

  test('is told of as a run is where it is killed half-way', async () => {
    await makeSpare()
    expect(await start('say 1', 'once kill -KILL $$', 'say 2')).toEqual({ stdout: '["1"]\n', stderr: '', status: 137 })
  })

  test('is told of as a run is where it hangs', async () => {
    const spare = await makeSpare()
    const hanging = runStarted(fake.argv, 'once kill -STOP $$\n', { milliseconds: 300 })
    await expect(hanging).rejects.toThrow('did not end within 0.3 s, and was stopped')
    await expectEnded(spare)
  })

  test('says which line failed', async () => {
    await makeSpare()
    expect(await start('say 1', 'wrong')).toMatchObject({ stderr: expect.stringContaining('failed -:2\n'), status: 1 })
  })

  test('may not print more than a run', async () => {
    const kept = await keepProgram(fake.argv, true)
    const finished = kept.finish('endless\n', { milliseconds: 10_000, bytes: 100_000 })
    await expect(finished).rejects.toThrow(/printed more than/)
  })

  test('is not started once the programs were ended', async () => {
    await makeSpare()
    await start('pid')
    endPrograms()
    const before = fake.pids().length
    await sleep(200)
    expect(fake.pids()).toHaveLength(before)
    for (const pid of fake.pids()) await expectEnded(pid)
  })
})

describe('names that are forgotten', () => {
  test('while answers are under way cost a program, and no answer', async () => {
    await ask('say 0')
    const before = performance.now()
    for (let count = 0; count < 5; count++) {
      const answers = Promise.all([ask('say 1', 'long 1000000'), ask('say 2'), ask('say 3')])
      forgetNames()
      await sleep(2)
      forgetNames()
      const texts = (await answers).map(({ stdout }) => stdout.slice(0, 5))
      expect(texts).toEqual(['["1"]', '["2"]', '["3"]'])
    }
    expect(performance.now() - before).toBeLessThan(9000)
  })

  let rows = 0
  test.each<[string, [string, number][], boolean]>([
    [
      'nothing',
      [
        ['a', 1],
        ['b', 2]
      ],
      false
    ],
    [
      'a rename',
      [
        ['c', 1],
        ['b', 2]
      ],
      true
    ],
    ['a rename to what was another one', [['b', 1]], true],
    [
      'two that swap',
      [
        ['a', 2],
        ['b', 1]
      ],
      true
    ],
    [
      'one made again',
      [
        ['a', 3],
        ['b', 2]
      ],
      true
    ],
    ['one that is gone', [['a', 1]], false],
    [
      'a new one',
      [
        ['a', 1],
        ['b', 2],
        ['c', 3]
      ],
      false
    ],
    [
      'one whose index is used again',
      [
        ['a', 1],
        ['c', 2]
      ],
      true
    ]
  ])('are those of %s', async (_, links, differs) => {
    // Names and indexes of no row before: what these had is remembered.
    const row = ++rows
    const named = (pairs: [string, number][]) =>
      pairs.map(([name, index]) => ({ name: `${name}${row}`, index: 10 * row + index }))
    noteNames(
      named([
        ['a', 1],
        ['b', 2]
      ])
    )
    const pid = pidIn(await ask('pid'))
    expect(noteNames(named(links))).toBe(differs)
    expect(noteNames(named(links))).toBe(false)
    expect(pidIn(await ask('pid')) !== pid).toBe(differs)
  })
})

test('of two names that are swapped, and swapped back, before the links are read again, only events tell', async () => {
  const links = [
    { name: 'a', index: 1 },
    { name: 'b', index: 2 }
  ]
  noteNames(links)
  const first = pidIn(await ask('pid'))
  noteName({ name: 'a', index: 1 })
  expect(pidIn(await ask('pid'))).toBe(first)
  noteName({ name: 'a', index: 2 })
  // It may have learned the names as they are for this moment.
  const second = pidIn(await ask('pid'))
  expect(second).not.toBe(first)
  const before = namesForgotten()
  noteName({ name: 'a', index: 1 })
  expect(namesForgotten()).toBeGreaterThan(before)
  noteName({ name: 'b', index: 2 })
  expect(noteNames(links)).toBe(false)
  expect(pidIn(await ask('pid'))).not.toBe(second)
})

test('descriptors and processes stay as they are', async () => {
  const descriptors = () => readdirSync('/proc/self/fd').length
  const work = async () => {
    for (let count = 0; count < 40; count++) {
      await ask('say 1')
      forgetNames()
      await start('say 2')
    }
  }
  await work()
  await sleep(300)
  const before = descriptors()
  await work()
  await sleep(300)
  expect(Math.abs(descriptors() - before)).toBeLessThan(4)
  expect(fake.pids().filter((pid) => existsSync(`/proc/${pid}`)).length).toBeLessThan(3)
})

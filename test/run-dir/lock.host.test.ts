import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { chmod, chown, link, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'

import { takeLock } from '../../src/run-dir/lock.ts'
import { readHolder } from '../../src/run-dir/lock-holder.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, spanplan, until, writeSpans } from '../lab/spans.ts'
import { hostNamespace } from '../lab/sweep.ts'

let lab: Lab
let folder: string
let file: string

beforeAll(async () => {
  lab = await createLab()
  folder = join(lab.files, '../run')
  file = join(folder, `net-${statSync(hostNamespace(lab.name)).ino}.lock`)
})
afterAll(() => lab?.close())

beforeEach(async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await spanplan(lab, ['destroy', '--yes'])
})

/** An apply that is at work until it is let go on: its tc waits. */
async function heldUp(through: readonly string[] = []) {
  const place = await mkdtemp(join(lab.files, 'held-'))
  const gate = join(place, 'gate')
  const child = join(place, 'child')
  await lab.run(['mkfifo', gate])
  const wait = `case "$input" in *mirred*) echo $$ >${child}.new; mv ${child}.new ${child}; read -r _ <${gate} ;; esac`
  const { options } = await wrapPrograms(lab, { tc: wait })
  const process = lab.startSpanplan(['apply'], { ...options, through })
  await until('it is at work', async () => existsSync(child))
  return { process, child: Number(readFileSync(child, 'utf8')), goOn: () => writeFile(gate, '\n') }
}

/** Whether a process waits for the lock, as the kernel knows it. */
async function isWaitedFor(): Promise<boolean> {
  const { ino } = statSync(file)
  return new RegExp(`-> FLOCK .*:${ino} `).test(readFileSync('/proc/locks', 'utf8'))
}

describe('of two at once', () => {
  test('the second waits a moment, exits with 75, and says who is at work; a plan needs no lock', async () => {
    const first = await heldUp()
    const second = lab.startSpanplan(['apply'])
    await until('it waits', isWaitedFor)
    const { exitCode, stdout, stderr } = await second
    expect(exitCode).toBe(75)
    const who = `another spanplan is running: pid ${first.process.pid}, "spanplan apply", since`
    expect(stderr).toMatch(new RegExp(`^error: ${who} \\d\\d:\\d\\d:\\d\\d\n.*--lock-timeout 2m\n$`))
    expect(stdout).toBe('')
    const json = await spanplan(lab, ['destroy', '--yes', '--json'], 75)
    expect(JSON.parse(json.stdout)).toMatchObject({ type: 'error', exit: 75, errors: [{ code: 'LOCKED' }] })
    await spanplan(lab, ['apply', '--lock-timeout', '20ms'], 75)
    await spanplan(lab, ['plan', '--detailed-exitcode'], 2)
    await first.goOn()
    expect(await first.process).toMatchObject({ exitCode: 0 })
    expect(await readFile(file, 'utf8')).toBe('')
    await expectConverged(lab)
  })

  test('the second waits if it is told to, and finds nothing left to do', async () => {
    const first = await heldUp()
    const second = lab.startSpanplan(['apply', '--lock-timeout', '1m'])
    await until('it waits', isWaitedFor)
    await first.goOn()
    expect(await first.process).toMatchObject({ exitCode: 0 })
    const { exitCode, stdout } = await second
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('No changes') })
  })

  test.each([
    ['apply', ['apply', '--yes']],
    ['hook', ['hook', '--interface', 'ens192', '--phase', 'up', '--strict']]
  ])('%s that has waited takes the file as it is by then', async (_, args) => {
    const first = await heldUp()
    const second = lab.startSpanplan([...args, '-f', 'spans.yaml', '--lock-timeout', '1m'])
    await until('it waits', isWaitedFor)
    await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, filter: udp}]}}')
    await first.goOn()
    expect(await first.process).toMatchObject({ exitCode: 0 })
    expect(await second).toMatchObject({ exitCode: 0 })
    await expectConverged(lab)
  })

  test('a watch that has waited takes the file that was installed, and undoes nothing', async () => {
    await using watch = await startWatch(lab)
    await watch.settle()
    const since = watch.told.length
    const { options } = await wrapPrograms(lab, { tc: 'sleep 0.5' })
    const input = 'version: 1\nspans: {span1: {sources: [{interface: ens192, filter: udp}]}}\n'
    await spanplan(lab, ['apply', '-f', '-', '--install', 'spans.yaml', '--yes'], 0, { ...options, input })
    await watch.expectTold(/ file .*: span1\n/, since)
    await watch.settle()
    expect(watch.told.slice(since)).not.toMatch(/ [-+~] /)
    await expectConverged(lab)
  })

  test('a signal ends the waiting', async () => {
    const first = await heldUp()
    const second = lab.startSpanplan(['apply', '--lock-timeout', '1h'])
    await until('it waits', isWaitedFor)
    second.kill('SIGTERM')
    const { exitCode, stderr } = await second
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 143, stderr: expect.stringContaining('interrupted') })
    await first.goOn()
    await first.process
  })

  test('one that is killed leaves no lock behind, though its child goes on', async () => {
    const first = await heldUp()
    const descriptors = `/proc/${first.child}/fd`
    expect(readdirSync(descriptors).map((name) => readlinkSync(join(descriptors, name)))).not.toContain(file)
    first.process.kill('SIGKILL')
    await first.process
    await spanplan(lab, ['apply'])
    expect(existsSync(`/proc/${first.child}`)).toBe(true)
    process.kill(first.child, 'SIGKILL')
    await expectConverged(lab)
  })

  test('one that asks a person holds up nobody', async () => {
    await spanplan(lab, ['apply'])
    const terminal = ['sh', '-c', 'exec script -qec "$*" /dev/null', 'sh']
    const first = lab.startSpanplan(['destroy', '--color', 'never'], { through: terminal })
    let shown = ''
    first.stdout.on('data', (chunk) => {
      shown += chunk
    })
    await until('it asks', async () => shown.includes('[y/N]'))
    await spanplan(lab, ['destroy', '--yes'])
    first.stdin.end('y\n')
    expect(await first).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('the host has changed') })
  })
})

/** Runs spanplan while another process has the lock, and has written this about itself. */
async function refused(text: string, ...args: string[]): Promise<string> {
  await mkdir(folder, { recursive: true })
  const holder = lab.start(['flock', file, 'sh', '-c', 'echo locked; exec sleep infinity'])
  try {
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await writeFile(file, text.replace('PID', String(holder.pid)))
    return await expectRefusal(lab, ['apply', ...args], 75)
  } finally {
    process.kill(childOf(holder.pid ?? 0), 'SIGKILL')
    await holder.catch(() => undefined)
  }
}

/** flock waits for the command that it runs. */
function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
}

describe('what a holder says of itself', () => {
  test('that waits for confirmation: it is not waited for', async () => {
    const [since, until] = [-60_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString())
    const text = JSON.stringify({ pid: 1, command: 'spanplan apply', since, waits_until: until })
    const stderr = await refused(text.replace('1', 'PID'), '--lock-timeout', '1h')
    expect(stderr).toMatch(
      /running: pid \d+, "spanplan apply", since .*\. It waits for confirmation, for another \d+ s\n/
    )
    expect(stderr).toContain('  to end the wait: spanplan confirm, or spanplan rollback\n')
  })

  test('is printed so that it does no harm', async () => {
    const text = `{"pid": PID, "command": "a\\u001b[31m\\nb", "since": "2001-02-03T12:00:00.000Z"}`
    expect(await refused(text)).toMatch(/, "a\\u001b\[31m\\u000ab", since 2001-02-0\d \d\d:00:00\n/)
  })

  test.each([
    ['nothing', ''],
    ['half of it', '{"pid": PID, "comm'],
    ['of another kind', '[null]'],
    ['of one that has gone', '{"pid": 4194305, "command": "x", "since": "2001-02-03T12:00:00.000Z"}']
  ])('may be missing: %s', async (_, text) => {
    expect(await refused(text)).toMatch(/^error: another spanplan is running\n/)
  })

  test('can be read without the lock', async () => {
    vi.stubEnv('SPANPLAN_RUN_DIR', join(lab.files, 'own'))
    try {
      expect(readHolder()).toBeNull()
      const lock = await takeLock({ command: 'a test', timeout: 0 })
      expect(readHolder()).toMatchObject({ pid: process.pid, command: 'a test' })
      lock.announce({ waits_until: '2001-02-03T12:00:00.000Z' })
      expect(readHolder()).toMatchObject({ command: 'a test', waits_until: '2001-02-03T12:00:00.000Z' })
      lock.release()
      expect(readHolder()).toBeNull()
    } finally {
      vi.unstubAllEnvs()
    }
  })
})

describe('the file', () => {
  beforeEach(() => rm(file, { recursive: true, force: true }))

  /** As one that has gone has left it, or anybody who once might write there. */
  const left: Readonly<Record<string, (path: string, other: string) => Promise<unknown>>> = {
    'a symbolic link': (path, other) => symlink(other, path),
    'a link that leads nowhere': (path, other) => symlink(`${other}-none`, path),
    'a second name': (path, other) => link(other, path),
    'a pipe': (path) => lab.run(['mkfifo', path]),
    "another user's": async (path) => {
      await writeFile(path, '')
      await chown(path, 65534, 65534)
    },
    'for all to write': async (path) => {
      await writeFile(path, '')
      await chmod(path, 0o666)
    }
  }

  test.each(Object.entries(left))('is another one where there was %s, and nobody held it', async (_, lay) => {
    const other = join(lab.files, 'other')
    await writeFile(other, 'precious')
    await mkdir(folder, { recursive: true })
    await lay(file, other)
    await spanplan(lab, ['apply'])
    expect(await readFile(other, 'utf8')).toBe('precious')
    expect(existsSync(`${other}-none`)).toBe(false)
    expect(lstatSync(file)).toMatchObject({ mode: 0o100600, uid: 0, nlink: 1, size: 0 })
  })

  test("is held by whoever holds it, though it is another user's", async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(file, '')
    await chown(file, 65534, 65534)
    await refused(JSON.stringify({ pid: 1, command: 'x', since: '2001-02-03T12:00:00.000Z' }))
    await spanplan(lab, ['apply'])
  })

  test('that is a folder is an error', async () => {
    await mkdir(file, { recursive: true })
    expect(await expectRefusal(lab, ['apply'], 77)).toContain(`the lock file ${file} cannot be used: it is a folder`)
    await rm(file, { recursive: true })
  })

  test('is for its owner alone, and the folder for all to see, whatever the umask', async () => {
    await rm(folder, { recursive: true, force: true })
    const gate = await heldUp(['sh', '-c', 'umask 077; exec "$@"', 'sh'])
    expect(statSync(folder).mode & 0o7777).toBe(0o755)
    expect(statSync(file).mode & 0o7777).toBe(0o600)
    await gate.goOn()
    await gate.process
  })

  test('that cannot be made is no error where there is nothing to do', async () => {
    await spanplan(lab, ['apply'])
    await writeFile(join(lab.files, 'no-folder'), '')
    for (const SPANPLAN_RUN_DIR of ['/nowhere/run', join(lab.files, 'no-folder')]) {
      await spanplan(lab, ['apply'], 0, { env: { SPANPLAN_RUN_DIR } })
      const stderr = await expectRefusal(lab, ['destroy', '--yes'], 77, { env: { SPANPLAN_RUN_DIR } })
      expect(stderr).toContain(`cannot be created in the folder ${SPANPLAN_RUN_DIR}`)
      expect(stderr).toContain(`install -d -o USER ${SPANPLAN_RUN_DIR}`)
    }
  })
})

test.each(['30', 'soon', '5x', '-1s', '1m1h', ''])('a timeout of "%s" is wrong usage', async (text) => {
  const { stderr } = await spanplan(lab, ['apply', `--lock-timeout=${text}`], 64)
  expect(stderr).toContain('A duration must have a unit')
})

/** A watch has the lock while it looks and changes something, and not while it waits. */
import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { runFile } from '../lab/commands/ask-watch.ts'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { type FaultyDocker, startFaultyDocker } from '../lab/docker/faulty-docker.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { findProgram, labEnvironment } from '../lab/programs.ts'
import { expectConverged, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let docker: FaultyDocker
let first: string

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  docker = await startFaultyDocker(lab)
  await lab.startSensor('suricata')
  await lab.startSensor('zeek')
  await writeFile(
    join(lab.files, 'other.yaml'),
    'version: 1\nname: other\nspans: {span5: {sources: [{interface: ens192, direction: egress}], sensors: [zeek]}}\n'
  )
  first = await lab.snapshotText()
})
afterAll(async () => {
  await docker?.close()
  await lab?.close()
})

beforeEach(() => writeSpans(lab, spans('tcp')))
afterEach(async () => {
  docker.tamper(null)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
})

const spans = (filter: string) => `
spans:
  span0: {sources: [{interface: ens192, direction: ingress}], sensors: [suricata]}
  span1: {sources: [{interface: ens224, direction: ingress, filter: ${filter}}]}`

const mirrorsOf = (card: string) => lab.run(['tc', 'filter', 'show', 'dev', card, 'ingress'])
const isMirrored = async (card: string) => (await mirrorsOf(card)).includes('mirred')

/** The watch puts the mirror back. */
async function repair(card: string): Promise<void> {
  await lab.run(['tc', 'filter', 'del', 'dev', card, 'ingress'])
  await until(`${card} is mirrored`, () => isMirrored(card))
}

/** A run of the watch waits for Docker from now on. */
async function awaitDocker(): Promise<void> {
  await repair('ens224')
  await expectFree()
}

/** Within the time that a run without Docker takes. */
async function expectFree(): Promise<void> {
  await lab.run(['flock', '--wait', '2', runFile(lab, 'lock'), 'true'])
}

const apply = (...args: string[]) => spanplan(lab, ['apply', '--yes', '--lock-timeout', '2s', ...args])

test('while Docker hangs, an apply and a hook beside it wait for nothing', async () => {
  await writeFile(
    join(lab.files, 'plain.yaml'),
    'version: 1\nname: plain\nspans: {span6: {sources: [{interface: ens192}]}}\n'
  )
  await using watch = await startWatch(lab)
  await watch.settle()
  await lab.silenceDocker(async () => {
    await awaitDocker()
    await spanplan(lab, [
      'hook',
      '--interface',
      'ens192',
      '--phase',
      'up',
      '--strict',
      '--lock-timeout',
      '2s',
      '-f',
      'plain.yaml'
    ])
    await until('it is mirrored', async () => (await mirrorsOf('ens192')).split('mirred').length > 2)
    await repair('ens224')
  })
  await watch.settle()
  await expectConverged(lab)
})

test('a span that is resumed while Docker hangs is kept in sync at once', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  await lab.silenceDocker(async () => {
    await awaitDocker()
    await spanplan(lab, ['pause', 'span1', '--for', '30m'])
    // A run that leaves the span out waits for Docker.
    await repair('ens192')
    await expectFree()
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens224', 'ingress'])
    await spanplan(lab, ['resume', 'span1'])
    await until('ens224 is mirrored', () => isMirrored('ens224'))
    await spanplan(lab, ['pause', 'span1', '--for', '3s'])
    await repair('ens192')
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens224', 'ingress'])
    await until('ens224 is mirrored again', () => isMirrored('ens224'))
  })
  await watch.settle()
  await expectConverged(lab)
})

test('a file that comes while Docker hangs is in force before Docker answers', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  const before = await mirrorsOf('ens224')
  await lab.silenceDocker(async () => {
    await awaitDocker()
    await writeSpans(lab, spans('udp'))
    await until(
      'there is another filter',
      async () => (await isMirrored('ens224')) && (await mirrorsOf('ens224')) !== before
    )
  })
  await watch.settle()
  await expectConverged(lab)
})

test('what Docker has answered is not used where another spanplan has changed something of Docker since', async () => {
  await using watch = await startWatch(lab, [], { env: docker.env })
  await watch.settle()
  docker.tamper(() => null)
  await awaitDocker()
  const runs = await watch.runs()
  await apply('-f', 'other.yaml')
  docker.tamper(null)
  // The answer that the run had waited for takes a minute yet.
  await repair('ens224')
  await until('another run has asked anew, and ended', async () => (await watch.runs()) > runs)
  await watch.settle()
  expect((await watch.state()).degraded).toEqual([])
  await expectConverged(lab)
})

test('a lock that cannot be had again ends the run: what was done is told, and the rest is done soon', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  const { length } = watch.told
  await lab.silenceDocker(async () => {
    await awaitDocker()
    const holder = lab.start(['flock', runFile(lab, 'lock'), 'sh', '-c', 'echo locked; exec sleep 4'])
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens224', 'ingress'])
    await watch.expectTold(/ \+ mirror ens224 /, length)
    expect(await isMirrored('ens224')).toBe(false)
    expect((await watch.state()).degraded).toEqual([])
    await holder
    await until('it is mirrored', () => isMirrored('ens224'))
  })
  await watch.settle()
  expect(watch.told.slice(length)).not.toContain('!')
  await expectConverged(lab)
})

test('while tcpdump compiles, the lock is free, and the old file is in force', async () => {
  const [slow, compiles] = [join(lab.files, 'slow'), join(lab.files, 'compiles')]
  const { options } = await wrapPrograms(lab, {
    tcpdump: `[ -e ${slow} ] && { echo >${compiles}; while [ -e ${slow} ]; do sleep 0.1; done; }`
  })
  await using watch = await startWatch(lab, [], options)
  await watch.settle()
  await writeFile(slow, '')
  await writeSpans(lab, spans('udp'))
  await until('it compiles', async () => existsSync(compiles))
  await expectFree()
  await repair('ens192')
  await expectFree()
  await rm(slow)
  await watch.expectTold(/ ~ mirror ens224 /)
  await watch.settle()
  await expectConverged(lab)
})

/** The perl that a watch has started. */
function findPerl({ pid }: Watch): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return children.map(Number).filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').startsWith('perl\0'))
}

test('a watch that is killed while it has the lock leaves none behind', async () => {
  const place = await mkdtemp(join(lab.files, 'held-'))
  const { options } = await wrapPrograms(lab, {
    tc: `case "$input" in *mirred*) echo $$ >>${place}/at; sleep 1 ;; esac`
  })
  const watch = await startWatch(lab, [], options)
  await watch.settle()
  const [perl, ...others] = findPerl(watch)
  expect(others).toEqual([])
  await rm(join(place, 'at'))
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens224', 'ingress'])
  await until('it is at work', async () => existsSync(join(place, 'at')))
  await expect(lab.run(['flock', '--nonblock', runFile(lab, 'lock'), 'true'])).rejects.toThrow()
  watch.signal('SIGKILL')
  await watch.end().catch(() => undefined)
  await lab.run(['flock', '--wait', '0.5', runFile(lab, 'lock'), 'true'])
  await until('perl has ended', async () => !existsSync(`/proc/${perl}`))
  await apply('-f', 'spans.yaml')
})

test('to take the lock starts no program, in ten runs', async () => {
  const folder = await mkdtemp(join(lab.files, 'bin-'))
  const log = join(folder, 'calls')
  await writeFile(log, '')
  for (const program of ['flock', 'perl']) {
    await writeFile(join(folder, program), `#!/bin/sh\necho ${program} >>${log}\nexec ${findProgram(program)} "$@"\n`)
    await chmod(join(folder, program), 0o755)
  }
  await using watch = await startWatch(lab, [], { env: { PATH: `${folder}:${labEnvironment(lab.name).PATH}` } })
  await watch.settle()
  const before = await readFile(log, 'utf8')
  expect(before.split('\n')).toContain('perl')
  for (let count = 0; count < 10; count++) {
    const runs = await watch.runs()
    // More repairs in a minute are contention.
    if (count < 3) await repair('ens192')
    else await watch.ask('resume')
    await until('a run has ended', async () => (await watch.runs()) > runs)
  }
  expect(await readFile(log, 'utf8')).toBe(before)
})

/** What goes wrong with one part of a watch costs the others nothing, and is told. Here without Docker. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

beforeEach(() => writeSpans(lab, two()))
afterEach(async () => {
  await spanplan(lab, ['destroy', '--all', '--yes', '--defer-docker'])
  await expectRestored(lab, first)
})

const two = (more = '') => `
spans:
  span0: {sources: [{interface: ens192, direction: ingress}]}
  span1: {sources: [{interface: ens224, direction: ingress${more}}]}`

async function isMirrored(card: string): Promise<boolean> {
  return (await lab.run(['tc', 'filter', 'show', 'dev', card, 'ingress'])).includes('mirred')
}

async function expectPutBack(card: string): Promise<void> {
  await lab.run(['tc', 'filter', 'del', 'dev', card, 'ingress'])
  await until(`the mirror of ${card} is back`, () => isMirrored(card))
}

test('a filter that tcpdump does not finish is compiled once, and keeps no other span waiting', async () => {
  await writeSpans(lab, two(', filter: tcp'))
  const { options, calls } = await wrapPrograms(lab, { tcpdump: 'exec sleep 300' })
  await using watch = await startWatch(lab, [], options)
  await watch.expectTold(/ span1 +\.\.\. mirror ens224 ingress → span1 waits for tcpdump, which is compiling "tcp"\n/)
  for (let count = 0; count < 3; count++) await expectPutBack('ens192')
  expect(await isMirrored('ens224')).toBe(false)
  expect((await calls()).filter((call) => call.startsWith('$ tcpdump'))).toHaveLength(1)
  expect(await watch.state()).toMatchObject({ degraded: [] })
  // Its end does not wait for tcpdump.
  await watch.stop()
})

test('a filter that takes long is taken once it is compiled; a text that is known is compiled no second time', async () => {
  const go = join(lab.files, 'compiles')
  await writeSpans(lab, two(', filter: tcp'))
  const { options, calls } = await wrapPrograms(lab, { tcpdump: `until [ -e ${go} ]; do sleep 0.1; done` })
  await using watch = await startWatch(lab, [], options)
  await watch.expectTold(/ waits for tcpdump/)
  await writeFile(go, '')
  await watch.expectTold(/ span1 +\+ mirror ens224 ingress → span1 \(tcp\) .*\n[\s\S]* no longer waits\n/)
  for (let count = 0; count < 3; count++) await expectPutBack('ens224')
  expect((await calls()).filter((call) => call.startsWith('$ tcpdump'))).toHaveLength(1)
  watch.signal('SIGHUP')
  await until('it is compiled again', async () => {
    return (await calls()).filter((call) => call.startsWith('$ tcpdump')).length === 2
  })
  await rm(go)
})

test('a filter that was refused is tried again later: a name in it may be known by then', async () => {
  const go = join(lab.files, 'known')
  await writeSpans(lab, two())
  const refuse = `[ -e ${go} ] || { echo "tcpdump: unknown port 'ids'" >&2; exit 1; }
[ -z "$input" ]; printf '2\\n6 0 0 262144\\n6 0 0 0\\n'; exit 0`
  const { options } = await wrapPrograms(lab, { tcpdump: refuse })
  await using watch = await startWatch(lab, ['--interval', '1s'], options)
  await writeSpans(lab, two(', filter: port ids'))
  await watch.expectTold(/ file +the file is invalid; [\s\S]*: tcpdump does not understand the filter: unknown port/)
  await expectPutBack('ens224')
  await writeFile(go, '')
  await watch.expectTold(/ span1 +~ mirror ens224 ingress → span1 \(filter: every frame → port ids\)/)
  await rm(go)
})

test('an interface that is waited for, and may be a slip of the pen, is told with what may be meant', async () => {
  await writeSpans(lab, two().replace('ens224', 'ens242'))
  await using watch = await startWatch(lab)
  expect(watch.told).toMatch(/ waits for the interface ens242 \(did you mean "ens224"\?\)\n/)
  await watch.stop()
  await writeSpans(lab, two().replace('ens224', 'ens193'))
  // One that the file has already is not meant.
  await using other = await startWatch(lab)
  expect(other.told).toMatch(/ waits for the interface ens193( \(did you mean "ens224"\?\))?\n/)
})

test.each([
  ['link', 'ip', '[ "$2" = monitor ] && { echo "Cannot open netlink socket: made up" >&2; exit 1; }'],
  ['filter', 'tc', '[ "$1" = monitor ] && exit 3']
] as const)(
  'a monitor of %s that cannot start is told once, and once that it is back',
  async (trigger, tool, script) => {
    const broken = join(lab.files, 'broken')
    await writeFile(broken, '')
    const { options } = await wrapPrograms(lab, { [tool]: `[ -e ${broken} ] && ${script}` })
    await using watch = await startWatch(lab, ['--interval', '1s'], options)
    await watch.expectTold(
      / warning +changes of .* are found only at the regular interval, because their monitor fails: /
    )
    expect(await watch.state()).toMatchObject({ failedMonitors: [{ trigger, diagnostic: { code: 'MONITOR_FAILED' } }] })
    const { watch: told } = JSON.parse((await spanplan(lab, ['status', '--json'])).stdout)
    expect(told).toMatchObject({ failed_monitors: [{ trigger }] })
    await expectPutBack('ens192')
    await rm(broken)
    await watch.expectTold(new RegExp(` ${trigger} +the monitor works again\n`))
    expect(watch.told.match(/are found only at the regular interval/g)).toHaveLength(1)
    expect(await watch.state()).toMatchObject({ failedMonitors: [] })
  }
)

/** What fails the third time in a row is left alone for 18 s: what is tried before that is tried on demand. */
async function expectLeftAlone(watch: Watch): Promise<void> {
  const isLeft = async () => {
    const { degraded, last } = await watch.state()
    const end = Math.max(...degraded.map(({ until: time }) => Date.parse(time)))
    // A run tries twice, and tells after the first time: it has to have ended.
    return end - Date.now() > 10_000 && Date.parse(last?.at ?? '') > end - 19_000
  }
  await until('it is left alone', isLeft).catch(() => undefined)
  await until('it is left alone', isLeft)
}

/** A clock that is an hour late for as long as the file is there, for the process that loads this. */
const steppedClock = (path: string) => `
import { existsSync } from 'node:fs'
const now = Date.now
Date.now = () => now() - (existsSync(${JSON.stringify(path)}) ? 3_600_000 : 0)
globalThis.Date = class extends Date {
  constructor(...words) {
    if (words.length > 0) super(...words)
    else super(Date.now())
  }
}`

test('a clock that is set back makes nothing that failed wait for longer', async () => {
  const inLab = (name: string) => join(lab.files, name)
  const [stepped, blind, script] = [inLab('stepped'), inLab('out-of-sight'), inLab('clock.mjs')]
  await writeFile(script, steppedClock(stepped))
  const { options } = await wrapPrograms(lab, { tc: failReading(blind) })
  await using watch = await startWatch(lab, [], {
    env: { ...options.env, NODE_OPTIONS: `--import=file://${script}` }
  })
  await watch.settle()
  await writeFile(blind, '')
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await watch.expectTold(/ all +! tc -json .* made up/)
  await writeFile(stepped, '')
  await rm(blind)
  await watch.expectTold(/ all +is in sync again\n/)
  await until('the mirror is back', () => isMirrored('ens192'))
  await rm(stepped)
})

/** What tc is asked fails for as long as the file is there. */
const failReading = (path: string) => `case "$*" in *-json*) [ -e ${path} ] && { echo "made up" >&2; exit 1; } ;; esac`

/** The kernel cannot be read for as long as the file is there: all is left alone, for longer and longer. */
async function startBlind() {
  const blind = join(lab.files, 'blind')
  const { options } = await wrapPrograms(lab, { tc: failReading(blind) })
  const watch = await startWatch(lab, [], options)
  await watch.settle()
  await writeFile(blind, '')
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
  await watch.expectTold(/ all +! tc -json .* failed with status 1: made up/)
  await expectLeftAlone(watch)
  await rm(blind)
  return watch
}

test('SIGHUP tries at once what is left alone, also where that is all', async () => {
  await using watch = await startBlind()
  const runs = await watch.runs('hangup')
  watch.signal('SIGHUP')
  await until('it has tried', async () => (await watch.runs('hangup')) > runs)
  await until('the mirror is back', () => isMirrored('ens192'))
  await watch.expectTold(/ all +is in sync again\n/)
  expect(await watch.state()).toMatchObject({ degraded: [] })
})

test('a hook has the watch look at once, also where all is left alone', async () => {
  await using watch = await startBlind()
  const env = { IFACE: 'ens192', PHASE: 'post-up', MODE: 'start' }
  await spanplan(lab, ['hook', '-f', 'spans.yaml'], 0, { env })
  await until('the mirror is back', () => isMirrored('ens192'))
  await watch.expectTold(/ all +is in sync again\n/)
})

test('SIGHUP tries at once a span that is left alone', async () => {
  const broken = join(lab.files, 'broken')
  await writeFile(broken, '')
  const fails = `[ -e ${broken} ] && case "$input" in *"dev ens192"*mirred*) exit 1 ;; esac`
  const { options } = await wrapPrograms(lab, { tc: fails })
  await using watch = await startWatch(lab, [], options)
  await watch.expectTold(/ span0 +! could not /)
  await expectLeftAlone(watch)
  await rm(broken)
  watch.signal('SIGHUP')
  await watch.expectTold(/ span0 +is in sync again\n/)
  expect(await isMirrored('ens192')).toBe(true)
})

/** What a watch starts to repair something: each program is 2 ms of a process of its size, and several more until it has answered. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { childrenOf } from '../lab/commands/child-processes.ts'
import { traceStarts } from '../lab/commands/started-programs.ts'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.startSensor('zeek')
})
afterAll(() => lab?.close())

/** Programs that may be started, and how often for a repair at the most, on the average. */
type Allowed = Readonly<Record<string, number>>

/** Looks at Docker for it. Measured: 2. */
const dockerLooks = 4
/** As often as the clock asks for it, whatever is repaired: what sensors have lost is read every few seconds. */
const byClock = Number.POSITIVE_INFINITY

const repairs = 10

/** Once, and then it stays: what counts for the history, a minute after the start of the watch, which a slow machine gets to. */
const once = 1 / repairs

/** For a span whose sources are interfaces, and that has no sensor: the program that will carry out the next batch. */
const ofKernel: Allowed = {
  'setpriv --pdeathsig KILL -- tc -s -json -force -batch -': once,
  'tc -s -json -force -batch -': once,
  'setpriv --pdeathsig KILL -- tc -batch -': 1,
  'tc -batch -': 1
}

/** For one that has a sensor. */
const ofSensor: Allowed = {
  ...ofKernel,
  'unshare --mount -- sh -c mount --rbind … sh FOLDER ip -json -details -force -batch -': dockerLooks,
  'sh -c mount --rbind … sh FOLDER ip -json -details -force -batch -': dockerLooks,
  'mount --rbind FOLDER /run': dockerLooks,
  'ip -json -details -force -batch -': dockerLooks,
  'nsenter --net=SANDBOX -- tc -json -force -batch -': dockerLooks,
  'tc -json -force -batch -': dockerLooks,
  'nsenter --net=SANDBOX -- ss --packet --numeric --memory --extended --oneline --no-header … or …': byClock,
  'ss --packet --numeric --memory --extended --oneline --no-header … or …': byClock
}

/** The words without what differs from one run to the next. */
const nameOf = (words: readonly string[]) =>
  words
    .join(' ')
    .replaceAll(/\/\S*\/netns\/\w+/g, 'SANDBOX')
    .replaceAll(/\/tmp\/\S+/g, 'FOLDER')
    .replaceAll(/'.*'|".*"|dev = \S+/g, '…')

test.each([
  { what: 'of a span without sensors', sensors: '', allowed: ofKernel },
  { what: 'of a span with a sensor', sensors: ', sensors: [zeek]', allowed: ofSensor }
])('ten repairs $what start no other program', async ({ sensors, allowed }) => {
  /** With another comment each time: what was put back before is not held against anybody. */
  const write = (edition: number) =>
    writeSpans(lab, `# ${edition}\nspans: {span0: {sources: [{interface: ens192, direction: ingress}]${sensors}}}`)
  await write(0)
  const { options, starts } = traceStarts(lab)
  /** Until then, its start may come before or after what is counted. */
  const spareStands = (watch: number) =>
    until('the program that will carry out the next batch stands, and strace has told of all of them', async () => {
      const words = (await starts()).map(nameOf)
      const started = (name: string) => words.filter((one) => one === name).length
      return (
        childrenOf(watch).some(({ command }) => command === 'tc -batch -') &&
        started('setpriv --pdeathsig KILL -- tc -batch -') <= started('tc -batch -')
      )
    })
  const found: string[] = []
  {
    await using watch = await startWatch(lab, ['--interval', '1h'], options)
    for (let repair = 1; repair <= repairs; repair++) {
      await write(repair)
      await watch.expectTold(/./)
      await watch.settle()
      await spareStands(watch.pid)
      const before = (await starts()).length
      await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress'])
      await until('the mirror is back', async () =>
        (await lab.run(['tc', 'filter', 'show', 'dev', 'ens192', 'ingress'])).includes('mirred')
      )
      await watch.settle()
      await spareStands(watch.pid)
      found.push(...(await starts()).slice(before).map(nameOf))
    }
  }
  await spanplan(lab, ['destroy', '--all', '--yes'])
  const counts = new Map<string, number>()
  for (const name of found) counts.set(name, (counts.get(name) ?? 0) + 1)
  const perRepair = Object.fromEntries([...counts].sort().map(([name, count]) => [name, count / repairs]))
  const over = Object.entries(perRepair).filter(([name, count]) => count > (allowed[name] ?? 0))
  expect(Object.fromEntries(over)).toEqual({})
})

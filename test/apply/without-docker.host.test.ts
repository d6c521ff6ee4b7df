/** Spans without Docker: bridges and mirrors alone, in a kernel of their own. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
/** Before the first apply. */
let before: string

const ip = (...argv: string[]) => lab.run(['ip', ...argv])
const tc = (...argv: string[]) => lab.run(['tc', ...argv])

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }, { card: 'ens256', mtu: 1500 }] })
  await tc('qdisc', 'replace', 'dev', 'ens192', 'root', 'tbf', 'rate', '1gbit', 'burst', '128k', 'limit', '1m')
  await ip('link', 'set', 'dev', 'ens224', 'down')
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())

async function destroyAll(): Promise<void> {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, before)
}

const states = {
  plain: 'spans: {span0: {sources: [{interface: ens192}]}}',
  filtered: 'spans: {span0: {sources: [{interface: ens192, filter: vlan 10}, {interface: ens256, direction: egress}]}}',
  open: 'spans: {span0: {sources: [{interface: ens192, direction: ingress}], sealed: false, wire: false, mtu: 1600}}',
  dedicated: 'interfaces: {ens224: {dedicated: true}}\nspans: {span0: {sources: [{interface: ens224}]}}',
  shared:
    'spans: {span0: {sources: [{interface: ens224}]}, span1: {sources: [{interface: ens192}, {interface: ens224}]}}',
  another: 'name: another\nspans: {span2: {sources: [{interface: ens192, filter: not port 22}, {interface: ens224}]}}'
}
const names = Object.keys(states) as (keyof typeof states)[]

test('a script of the plan does the same as an apply', async () => {
  for (const name of names) {
    await writeSpans(lab, states[name])
    const { stdout } = await spanplan(lab, ['plan', '--commands'])
    await lab.run(['sh'], { input: stdout })
    await expectConverged(lab)
    await destroyAll()
  }
})

test('a bridge without ports that somebody has renamed is replaced, and goes with a destroy', async () => {
  await writeSpans(lab, states.plain)
  for (const args of [['apply'], ['destroy']]) {
    await spanplan(lab, ['apply', '--yes'])
    await ip('link', 'set', 'dev', 'span0', 'name', 'elsewhere')
    await spanplan(lab, [...args, '--yes'])
    if (args[0] === 'apply') await expectConverged(lab)
  }
  await expectRestored(lab, before)
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143]
] as const)('%s ends an apply that waits for a Docker that does not answer', async (signal, exit) => {
  const socket = join(lab.files, `silent-${signal}.sock`)
  const silent = createServer(() => undefined).listen(socket)
  try {
    await writeSpans(lab, states.plain)
    const running = lab.startSpanplan(['apply'], { env: { DOCKER_HOST: `unix://${socket}` } })
    // Without the signal, spanplan gives up after 60 s, and says that.
    await once(silent, 'request')
    running.kill(signal)
    const { exitCode, stderr } = await running
    expect(stderr).toBe('error: interrupted\nNothing was changed.\n')
    expect(exitCode).toBe(exit)
    await expectRestored(lab, before)
  } finally {
    silent.closeAllConnections()
    silent.close()
  }
})

test.each([['apply'], ['destroy']])('^C of a terminal, again and again, takes back all of an %s', async (command) => {
  await writeSpans(lab, states.plain)
  if (command === 'destroy') await spanplan(lab, ['apply', '--yes'])
  const then = await lab.snapshotText()
  const running = lab.startSpanplan([command, '--yes'], { through: ['setsid', '--wait'] })
  const began = new Promise((resolve) => running.stdout.once('data', resolve))
  const group = running.pid
  if (group === undefined) throw new Error('it has not started')
  expect((await lab.run(['ps', '-o', 'pgid=', '-p', `${group}`])).trim()).toBe(`${group}`)
  await began
  let isRunning = true
  const ended = running.finally(() => {
    isRunning = false
  })
  // A terminal signals its whole process group, and with that what has just been started.
  while (isRunning) {
    process.kill(-group, 'SIGINT')
    await sleep(15)
  }
  const { exitCode, stderr } = await ended
  expect(stderr).toMatch(
    /error: interrupted\n(Everything was rolled back: the host is as it was before|Nothing was changed)/
  )
  expect(exitCode).toBe(130)
  expect(await lab.snapshotText()).toBe(then)
  await destroyAll()
  await expectRestored(lab, before)
})

test('a span of more cards than its mark has room for', async () => {
  const cards = Array.from({ length: 45 }, (_, index) => `card${index}`)
  const line = (card: string) =>
    `link add name ${card} type veth peer name x${card}\nlink set dev ${card} addrgenmode none\n`
  await lab.run(['ip', '-batch', '-'], { input: cards.map(line).join('') })
  // A card that has never been up has no qdisc, and gets one for good when it first comes up.
  for (const state of ['up', 'down']) {
    await lab.run(['ip', '-batch', '-'], { input: cards.map((card) => `link set dev ${card} ${state}\n`).join('') })
  }
  const first = await lab.snapshotText()
  await writeSpans(lab, `spans: {span0: {sources: [${cards.map((card) => `{interface: ${card}}`).join(', ')}]}}`)
  await spanplan(lab, ['apply'])
  await expectConverged(lab)
  await spanplan(lab, ['destroy', '--yes'])
  await expectRestored(lab, first)
  await lab.run(['ip', '-batch', '-'], { input: cards.map((card) => `link del dev ${card}\n`).join('') })
})

test('a card whose filters come from a shared block is refused', async () => {
  await tc('qdisc', 'add', 'dev', 'ens256', 'ingress_block', '7', 'clsact')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens256}]}}')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('takes its filters from the shared block 7')
  await tc('qdisc', 'del', 'dev', 'ens256', 'clsact')
})

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failAt, isReading, wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
})
afterAll(() => lab.close())

/** The programs that a command starts, in no order: some run side by side. */
async function callsOf(...args: string[]): Promise<string[]> {
  const { options, calls } = await wrapPrograms(lab)
  await spanplan(lab, args, 0, options)
  // Whether there are eBPF programs to ask for depends on the whole host.
  return (await calls()).filter((line) => line.startsWith('$ ') && !line.startsWith('$ bpftool -j batch')).sort()
}

async function writeMany(count: number): Promise<void> {
  const spans = Array.from({ length: count }, (_, n) => `  tap${n}: {sources: [{interface: ens192, filter: udp}]}\n`)
  await writeSpans(lab, `spans:\n${spans.join('')}`)
}

test('a plan starts the same programs for 30 spans as for one, and none that changes anything', async () => {
  await writeMany(1)
  await spanplan(lab, ['apply'])
  const one = await callsOf('plan')
  await writeMany(30)
  await spanplan(lab, ['apply'])
  expect(await callsOf('plan')).toEqual(one)
  // For the links, their forwarding entries and offloads, the qdiscs and, of the same program, their filters, eBPF, nftables, and the
  // expression.
  expect(one).toHaveLength(8)
  expect(one.filter((call) => !isReading(call))).toEqual([])
})

test('the host is read after a file that comes late', async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  const plan = lab.startSpanplan(['plan', '-f', '-', '--json'])
  // Long enough for a plan that does not wait for its file.
  await sleep(1000)
  await lab.run(['ip', 'link', 'add', 'name', 'late', 'type', 'bridge'])
  plan.stdin.end('version: 1\nspans: {late: {sources: [{interface: ens192}]}}\n')
  expect(await plan).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('a bridge late already exists') })
  await lab.run(['ip', 'link', 'del', 'dev', 'late'])
})

test('a second apply starts no program but those that read', async () => {
  await writeMany(30)
  await spanplan(lab, ['apply'])
  expect(await callsOf('apply')).toEqual(await callsOf('plan'))
})

test('a hook starts one program where no span concerns the interface', async () => {
  await writeMany(1)
  const calls = await callsOf('hook', '--interface', 'lo', '--phase', 'up', '--strict', '-f', 'spans.yaml')
  expect(calls).toEqual(['$ ip -json -details -force -batch -'])
})

test('an apply changes all spans in few batches; only ethtool knows none', async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await writeMany(30)
  const changing = (await callsOf('apply')).filter((call) => !isReading(call))
  expect(changing.filter((call) => call.startsWith('$ ethtool'))).toHaveLength(30)
  expect(changing.filter((call) => !call.startsWith('$ ethtool'))).toEqual([
    '$ bridge -batch -',
    '$ ip -batch -',
    '$ ip -batch -',
    '$ tc -batch -'
  ])
  await expectConverged(lab)
})

/** The groups of the host's links, without those of the cable. */
async function readGroups(): Promise<(string | undefined)[]> {
  const links: { ifname: string; group?: string }[] = JSON.parse(await lab.run(['ip', '-json', 'link', 'show']))
  return links.flatMap(({ ifname, group }) => (ifname.startsWith('tap') ? [group] : []))
}

describe('bridges that are removed together', () => {
  beforeAll(async () => {
    await writeMany(30)
    await spanplan(lab, ['apply'])
  })

  test('leave the group in which they were, where their removal fails', async () => {
    const { options } = await wrapPrograms(lab, { ip: failAt('link del group') })
    const { stderr } = await spanplan(lab, ['destroy', '--yes'], 5, options)
    expect(stderr).toMatch(/ip link del group \d+ failed with status 1: RTNETLINK answers: made up/)
    expect(await readGroups()).toEqual(Array.from({ length: 30 }, () => 'default'))
    await expectConverged(lab)
  })

  test('are removed as a group, and no other link with them', async () => {
    await lab.run(['ip', 'link', 'add', 'other', 'group', '1', 'type', 'bridge'])
    const { options, calls } = await wrapPrograms(lab)
    await spanplan(lab, ['destroy', '--yes'], 0, options)
    const lines = await calls()
    expect(lines.filter((line) => line.startsWith('link del'))).toEqual([
      expect.stringMatching(/^link del group \d{10}$/)
    ])
    expect(await readGroups()).toEqual([])
    await lab.run(['ip', 'link', 'del', 'dev', 'other'])
  })
})

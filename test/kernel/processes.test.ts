import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../e2e/lab.ts'
import { expectConverged, spanplan, writeSpans } from '../e2e/spans.ts'
import { wrapPrograms } from '../e2e/wrapped.ts'

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

const isReading = (call: string) => /-json|--json|tcpdump|bpftool -j prog show|nft -j list|nft -c/.test(call)

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
  // For the links, their forwarding entries and offloads, the qdiscs and their filters, eBPF, nftables, and the expression.
  // Where there is no table, nft is asked whether there can be one.
  expect(one.filter((call) => !call.startsWith('$ nft -c'))).toHaveLength(8)
  expect(one.filter((call) => !isReading(call))).toEqual([])
})

test('a second apply starts no program but those that read', async () => {
  await writeMany(30)
  await spanplan(lab, ['apply'])
  expect(await callsOf('apply')).toEqual(await callsOf('plan'))
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

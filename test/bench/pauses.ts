/** What the card's own traffic notices of spans that come and go: datagrams that are lost, and the longest time without one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FlowEnd, startFlow } from '../lab/frames/flow.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { makeRow, type Row, type Table } from './measure.ts'

const rounds = 20
const addresses = { host: '192.0.2.1', switch: '192.0.2.2' } as const

/** The rounds of each case, beside the same time in which nothing happens. */
export async function* benchPauses(): AsyncGenerator<Table> {
  await using lab = await createLab()
  await lab.run(['ip', 'addr', 'add', `${addresses.host}/24`, 'dev', 'ens192'])
  await lab.run(['ip', 'addr', 'add', `${addresses.switch}/24`, 'dev', 'sw0'], { on: 'switch' })
  writeFileSync(join(lab.files, 'spans.yaml'), 'version: 1\nspans: {span0: {sources: [{interface: ens192}]}}\n')
  const first = await measure(lab, () => applyAndDestroy(lab))
  await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'clsact'])
  const more = await measure(lab, () => applyAndDestroy(lab))
  const nothing = await measure(lab, () => lab.run(['sleep', '0.5']).then(() => undefined))
  const cases = [
    ['nothing happens', nothing],
    ['first span comes, last one goes', first],
    ['the same, and clsact is there', more]
  ] as const
  const floor = null
  const title = `Longest pause of the interface's own traffic in ${rounds} rounds`
  yield { title, floor, rows: cases.flatMap(pauseRows) }
  yield { title: `Datagrams lost in ${rounds} rounds`, floor, rows: cases.flatMap(lossRows) }
}

interface Both {
  readonly received: FlowEnd
  readonly sent: FlowEnd
}

async function measure(lab: Lab, round: () => Promise<void>): Promise<Both> {
  const [sent, received] = await Promise.all([
    startFlow(lab, 'host', addresses.switch),
    startFlow(lab, 'switch', addresses.host)
  ])
  for (let count = 0; count < rounds; count++) await round()
  return { received: await received.end(), sent: await sent.end() }
}

async function applyAndDestroy(lab: Lab): Promise<void> {
  for (const args of [['apply'], ['destroy', '--yes']]) {
    const { exitCode, stderr } = await lab.spanplan(args)
    if (exitCode !== 0) throw new Error(`spanplan ${args.join(' ')} exited with ${exitCode}: ${stderr}`)
  }
}

function pauseRows([what, { received, sent }]: readonly [string, Both]): Row[] {
  return [makeRow(`${what}: received`, [received.pause]), makeRow(`${what}: sent`, [sent.pause])]
}

function lossRows([what, { received, sent }]: readonly [string, Both]): Row[] {
  const row = (way: string, flow: FlowEnd) => makeRow(`${what}: ${way} ${flow.sent}`, [flow.lost], { unit: 'lost' })
  return [row('received of', received), row('sent of', sent)]
}

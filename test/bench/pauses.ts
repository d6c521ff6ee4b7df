/** What the card's own traffic notices of spans that come and go: datagrams that are lost, and the longest time without one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FlowEnd, startFlow } from '../e2e/flow.ts'
import { createLab, type Lab } from '../e2e/lab.ts'

const rounds = 20
const addresses = { host: '192.0.2.1', switch: '192.0.2.2' } as const

/** The rounds of each case, beside the same time in which nothing happens. */
export async function benchPauses(): Promise<string> {
  await using lab = await createLab()
  await lab.run(['ip', 'addr', 'add', `${addresses.host}/24`, 'dev', 'ens192'])
  await lab.run(['ip', 'addr', 'add', `${addresses.switch}/24`, 'dev', 'sw0'], { on: 'switch' })
  writeFileSync(join(lab.files, 'spans.yaml'), 'version: 1\nspans: {span0: {sources: [{interface: ens192}]}}\n')
  const first = await measure(lab, () => applyAndDestroy(lab))
  await lab.run(['tc', 'qdisc', 'add', 'dev', 'ens192', 'clsact'])
  const more = await measure(lab, () => applyAndDestroy(lab))
  const nothing = await measure(lab, () => lab.run(['sleep', '0.5']).then(() => undefined))
  return [
    `the card's own traffic in ${rounds} rounds: datagrams lost, longest pause`,
    row('the first span comes, the last one goes', first),
    row('the same on a card that has clsact', more),
    row('nothing happens', nothing)
  ].join('\n')
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

function row(what: string, { received, sent }: Both): string {
  const say = (name: string, flow: FlowEnd) =>
    `${name} ${flow.lost} of ${flow.sent} lost, ${flow.pause.toFixed(1).padStart(5)} ms`
  return `  ${what.padEnd(40)} ${say('received', received)};  ${say('sent', sent)}`
}

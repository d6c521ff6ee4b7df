/** A watch hears of each change of an offload, however much of other interfaces is told at the same time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, test } from 'vitest'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { remakeCard } from '../lab/remake-card.ts'
import { runnersOf } from '../lab/restored.ts'
import { expectConverged, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let watch: Watch

const { onHost } = runnersOf(() => lab)

const spans = `
interfaces: {ens192: {dedicated: true}}
spans: {span0: {sources: [{interface: ens192, direction: ingress}]}}`

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
})
afterAll(() => lab?.close())
beforeEach(async () => {
  await writeSpans(lab, spans)
  await spanplan(lab, ['apply'])
  watch = await startWatch(lab, ['--interval', '1h'])
  // Each tells all features of its interface.
  for (const value of Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? 'off' : 'on')))
    for (const card of ['ens192', 'ens224']) await onHost(`ethtool -K ${card} txvlan ${value}`)
  await watch.settle()
})
afterEach(async () => {
  await watch[Symbol.asyncDispose]()
  await spanplan(lab, ['destroy', '--yes'])
})

const setGro = (card: string, value: 'on' | 'off') => onHost(`ethtool -K ${card} gro ${value}`)

const isOff = async () => (await onHost('ethtool -k ens192')).includes('generic-receive-offload: off')

/** While this is done, the watch reads no event; then it reads all at once. */
async function whileBusy(act: () => Promise<unknown>): Promise<void> {
  watch.signal('SIGSTOP')
  await act()
  await sleep(300)
  watch.signal('SIGCONT')
  await watch.settle()
}

async function expectRepair(): Promise<void> {
  await setGro('ens192', 'on')
  await until('GRO is off again', isOff)
}

test('each event of several that come at once is known', async () => {
  for (let round = 0; round < 3; round++) {
    // The watch has read no value between: the last one is as it was.
    await whileBusy(async () => {
      await setGro('ens192', 'on')
      await setGro('ens192', 'off')
      await setGro('ens224', round % 2 === 0 ? 'on' : 'off')
    })
    await expectRepair()
    await watch.settle()
  }
  await expectConverged(lab)
})

test('an interface that was made anew is another one, whatever was told of the one before', async () => {
  await whileBusy(async () => {
    await setGro('ens192', 'on')
    await remakeCard(lab, 0)
  })
  await until('GRO is off', isOff)
  await watch.settle()
  await expectRepair()
  await watch.settle()
  await expectConverged(lab)
})

/** What takes a watch as long as its limits: Docker that drips, and a filter that tcpdump does not finish. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startWatch, type Watch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { type FaultyDocker, startFaultyDocker } from '../lab/docker/faulty-docker.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRestored, spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab
let docker: FaultyDocker
let first: string

beforeAll(async () => {
  lab = await createLab({ docker: true, cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  docker = await startFaultyDocker(lab)
  await lab.startSensor('suricata')
  first = await lab.snapshotText()
})
afterAll(async () => {
  await docker?.close()
  await lab?.close()
})

afterEach(async () => {
  docker.tamper(null)
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
})

async function isMirrored(card: string): Promise<boolean> {
  return (await lab.run(['tc', 'filter', 'show', 'dev', card, 'ingress'])).includes('mirred')
}

async function expectPutBack(card: string): Promise<void> {
  await lab.run(['tc', 'filter', 'del', 'dev', card, 'ingress'])
  await until(`the mirror of ${card} is back`, () => isMirrored(card))
}

/** As long as the limit, and then as long as anything else. */
const expectToldLate = (watch: Watch, pattern: RegExp) =>
  expect.poll(() => watch.told, { timeout: 400_000 }).toMatch(pattern)

test('Docker that answers a byte a second is given up, told, and asked again', async () => {
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, direction: ingress}], sensors: [suricata]}}')
  await using watch = await startWatch(lab, [], { env: docker.env })
  await watch.settle()
  docker.tamper((url, body) => (/^\/networks(\?|$)/.test(url) ? null : body))
  await expectPutBack('ens192')
  await expectToldLate(
    watch,
    / all +! .*Docker's answer to GET \/networks did not end within 60 s, so spanplan gave up /
  )
  await expectPutBack('ens192')
  docker.tamper(null)
  await expectToldLate(watch, / all +is in sync again\n/)
  await expectConverged(lab)
})

test('a filter that tcpdump does not finish is told once its time is over, and not compiled again', async () => {
  // 14 s for 400 of them, and growing with the square of their number, at the least.
  const networks = Array.from({ length: 1500 }, (_, index) => `net 10.${index >> 8}.${index & 255}.0/24`)
  const filter = `not (${networks.join(' or ')})`
  await writeSpans(
    lab,
    `spans:
  span0: {sources: [{interface: ens192, direction: ingress}]}
  span1: {sources: [{interface: ens224, direction: ingress, filter: "${filter}"}]}`
  )
  const { options, calls } = await wrapPrograms(lab)
  await using watch = await startWatch(lab, [], options)
  await expectPutBack('ens192')
  await expectToldLate(watch, / span1 +! tcpdump did not finish compiling the filter within 30 s/)
  for (let count = 0; count < 3; count++) await expectPutBack('ens192')
  expect((await calls()).filter((call) => call.startsWith('$ tcpdump'))).toHaveLength(1)
})

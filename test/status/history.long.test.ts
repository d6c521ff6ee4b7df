/** status --since over some minutes of a watch: a silence that ends, a loss, and what the watch did meanwhile. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { wrapPrograms } from '../lab/commands/wrapped-programs.ts'
import { ether, filler } from '../lab/frames/frames.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab({ docker: true })
  await lab.startListener('suricata')
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, max_idle: 10s}], sensors: [suricata]}}')
})
afterAll(() => lab?.close())

const startSending = () => lab.keepSending(ether('02:00:00:00:0a:02', '02:00:00:00:0a:01', filler(200)))

interface Told {
  readonly periods: readonly unknown[]
  readonly spans: readonly {
    readonly silences: readonly { readonly from: string; readonly to: string | null; readonly title: string }[]
    readonly losses: readonly { readonly cause: string; readonly kind: string; readonly frames: number }[]
    readonly hops: readonly { readonly kind: string; readonly frames_per_second: readonly (number | null)[] }[]
  }[]
}

const read = async (): Promise<Told> => {
  const { stdout } = await spanplan(lab, ['status', '--since', '1h', '--json'])
  return JSON.parse(stdout).watches[0]
}
const text = async () => (await spanplan(lab, ['status', '--since', '1h'])).stdout
const waitFor = (what: string, isThere: (told: Told) => boolean) => until(what, async () => isThere(await read()))

test('where the mirrors cannot be read, nothing is counted, and the sensors are followed all the same', async () => {
  const { options } = await wrapPrograms(lab, { tc: 'case " $* " in *" -s "*) exit 1;; esac' })
  await using watch = await startWatch(lab, [], options)
  await until('it has looked at the sensors', async () => (await watch.state()).sensors.length > 0)
  expect(await read()).toMatchObject({ began: null, periods: [] })
})

test('a silence begins and ends, frames are lost, and the watch repairs', async () => {
  await using watch = await startWatch(lab)
  await watch.settle()
  const end = await startSending()
  await waitFor('a period was counted', ({ periods }) => periods.length >= 1)
  expect(await text()).toMatch(
    /^span0 {2}since \d\d:\d\d\n {2}[▁-█]+\n {2}no silence, no loss on the way; [\d.]+( to [\d.]+)? frames\/s\n/
  )
  const idleLines = async () => (await text()).match(/no frame has come from ens192/g)?.length ?? 0
  const before = await idleLines()
  await end()
  const stopped = Date.now()
  await waitFor('it is silent', ({ spans }) => spans[0]?.silences[0]?.to === null)
  const { from = '' } = (await read()).spans[0]?.silences[0] ?? {}
  // tc tells it to the second.
  expect(Math.abs(Date.parse(from) - stopped)).toBeLessThan(5000)
  expect(await text()).toMatch(
    / {2}\d\d:\d\d–now +silent: no frame at ens192 \(before: [\d.]+\/s\)\n +is the switch's mirror session still there\?\n/
  )
  // Its own line says it once.
  expect(await idleLines()).toBe(before)
  const [{ ifname: port }] = JSON.parse(await lab.run(['ip', '-json', 'link', 'show', 'master', 'span0']))
  // It drops all, beside the kernel's counters of losses.
  const filter = ['dev', port, 'egress', 'pref', '1']
  await lab.run(['tc', 'filter', 'add', ...filter, 'protocol', 'all', 'bpf', 'bytecode', '1,6 0 0 2', 'da'])
  const endAgain = await startSending()
  await waitFor('it is over', ({ spans }) => spans[0]?.silences[0]?.to != null)
  await waitFor('frames are lost', ({ spans }) => (spans[0]?.losses.length ?? 0) > 0)
  await lab.run(['tc', 'filter', 'del', ...filter])
  await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress', 'pref', '8'])
  await watch.expectTold(/mirror ens192 ingress → span0 .*repaired/)
  const told = await text()
  await endAgain()
  expect(told).toMatch(/ {2}\d\d:\d\d(–\d\d:\d\d)? +silent: no frame at ens192 \(before: [\d.]+\/s\)\n/)
  expect(told).toMatch(
    / {2}\d\d:\d\d(–now|–\d\d:\d\d)? +lost \d+ frames \([\d.]+ %\) at suricata \(veth\w+\): unexplained|dropped/
  )
  expect(told).toMatch(/\+ mirror ens192 ingress → span0 .*repaired in \d+ ms\n/)
  const [span] = (await read()).spans
  expect(span?.hops.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['interface', 'mirror', 'bridge', 'port']))
  expect(span?.hops.flatMap((hop) => hop.frames_per_second).every((rate) => rate === null || rate >= 0)).toBe(true)
})

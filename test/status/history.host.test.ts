/** status --since: what the watches of this host have kept. What they find in minutes: test/status/history.long.test.ts. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWatch } from '../lab/commands/watch.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { spanplan, until, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}, span1: {sources: [{interface: ens224}]}}')
})
afterAll(() => lab?.close())

const history = async (...args: string[]) => (await spanplan(lab, ['status', '--since', '1h', ...args])).stdout

test('without a watch, it says that only a watch keeps rates', async () => {
  const { stderr } = await spanplan(lab, ['status', '--since', '1h'], 1)
  expect(stderr).toContain('no watch is running: only a watch keeps rates\n  start one with spanplan watch')
  const { stdout } = await spanplan(lab, ['status', '--since', '1h', '--json'], 1)
  expect(JSON.parse(stdout)).toMatchObject({ type: 'error', errors: [{ code: 'WATCH_MISSING' }] })
})

test.each([['--for', '10s'], ['--live'], ['--brief'], ['-f', 'spans.yaml'], ['--insecure-file']])(
  'what reads the host now is refused beside it: %s %s',
  async (...words) => {
    const { stderr } = await spanplan(
      lab,
      ['status', '--since', '1h', ...words.filter((word) => word !== undefined)],
      64
    )
    expect(stderr).toMatch(/'--since <duration>' cannot be used with option '-/)
  }
)

test('a watch tells what it has done, from its first minute on', async () => {
  const before = await lab.snapshotText()
  {
    await using watch = await startWatch(lab)
    await watch.settle()
    await lab.run(['tc', 'filter', 'del', 'dev', 'ens192', 'ingress', 'pref', '8'])
    await watch.expectTold(/mirror ens192 ingress → span0 .*repaired/)
    const text = await history()
    const span0 =
      /^span0\n {2}nothing was counted yet: a watch counts about once a minute\n {2}\d\d:\d\d {2}start +span0 +\+ bridge/
    expect(text).toMatch(span0)
    expect(text).toMatch(
      /\n\nspan1\n[\s\S]*\n\nhost\n {2}\d\d:\d\d {2}start +default keeps the spans of this name in sync\n/
    )
    expect(text).toMatch(
      / {2}\d\d:\d\d {2}(filter|link) +span0 +\+ mirror ens192 ingress → span0 .*repaired in \d+ ms\n/
    )
    const one = await history('--span', 'span1')
    expect(one).toMatch(/^span1\n/)
    expect(one).not.toMatch(/span0|host/)
    const document = JSON.parse(await history('--json', '--span', 'span0'))
    expect(document).toMatchObject({
      format_version: '1.0',
      since: expect.any(String),
      watches: [{ name: 'default', dropped: null, spans: [{ name: 'span0', silences: [], losses: [] }] }]
    })
    expect(document.watches[0].spans[0].events).toContainEqual(
      expect.objectContaining({ type: 'changed', repaired: true, at: expect.any(String) })
    )
    const { stderr } = await spanplan(lab, ['status', '--since', '1h', '--span', 'span9'], 64)
    expect(stderr).toContain('--span span9: neither the file nor this host has such a span')
    // Nothing of a request is believed.
    for (const request of ['rates', 'rates x', 'rates -1 every', `rates ${'9'.repeat(400)} every`]) {
      expect(await watch.ask(request)).toMatchObject({ spans: ['span0', 'span1'] })
    }
  }
  await spanplan(lab, ['destroy', '--yes'])
  expect(await lab.snapshotText()).toBe(before)
})

test('of several watches, all', async () => {
  const other = join(lab.files, 'other.yaml')
  await lab.run([
    'sh',
    '-c',
    `printf 'version: 1\\nname: b\\nspans: {span2: {sources: [{interface: ens224}]}}\\n' >${other}`
  ])
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}')
  await using _default = await startWatch(lab)
  await using _b = await startWatch(lab, ['-f', other], { name: 'b' })
  await until('both have begun to count', async () => {
    const { watches } = JSON.parse(await history('--json'))
    return watches.length === 2 && watches.every(({ began }: { began: string | null }) => began !== null)
  })
  const text = await history()
  expect(text).toMatch(/span0 {2}\(the watch of default\)/)
  expect(text).toMatch(/span2 {2}\(the watch of b\)/)
})

/** What is gone from the file goes from the host, and nothing else does. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRefusal, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let first: string

const source = 'sources: [{interface: ens192}]'
const both = `spans: {span0: {${source}}, span1: {${source}}}`
const one = `spans: {span0: {${source}}}`

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  first = await lab.snapshotText()
})
afterAll(() => lab?.close())

beforeEach(async () => {
  await writeSpans(lab, `name: other\nspans: {span2: {${source}}}`)
  await spanplan(lab, ['apply'])
  await writeSpans(lab, both)
  await spanplan(lab, ['apply'])
})
afterEach(async () => {
  expect(await bridges()).toContain('span2')
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, first)
})

async function bridges(): Promise<string[]> {
  const links: { ifname: string }[] = JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'type', 'bridge']))
  return links.map(({ ifname }) => ifname).sort()
}

test('a span that is gone from the file is removed, after a question; not one of another name', async () => {
  await writeSpans(lab, one)
  expect(await expectRefusal(lab, ['apply'])).toContain('this would remove 3, and there is no terminal')
  await spanplan(lab, ['apply', '--yes'])
  expect(await bridges()).toEqual(['span0', 'span2'])
  await expectConverged(lab)
})

test('--no-prune leaves it, and says so', async () => {
  await writeSpans(lab, one)
  const { stdout, stderr } = await spanplan(lab, ['apply', '--no-prune'])
  expect(stdout).toContain('No changes')
  expect(stderr).toContain('span span1 is live, but not in the file')
  expect(await bridges()).toEqual(['span0', 'span1', 'span2'])
})

test('with --span, only what is named is removed', async () => {
  await writeSpans(lab, 'spans: {}')
  const words = 'the file has no spans: apply would remove everything of span1 that belongs to the name default'
  expect((await spanplan(lab, ['plan', '--span', 'span1'])).stderr).toContain(words)
  expect(await expectRefusal(lab, ['apply', '--span', 'span1', '--yes'])).toContain(
    'the file has no spans: this would remove everything of span1 that belongs to the name default (3)'
  )
  // Whoever allows it need not be told.
  expect((await spanplan(lab, ['apply', '--span', 'span1', '--allow-empty', '--yes'])).stderr).not.toContain('no spans')
  expect(await bridges()).toEqual(['span0', 'span2'])
})

test('a --span that neither the file nor the host knows is a slip of the pen', async () => {
  for (const command of ['plan', 'apply', 'destroy']) {
    const stderr = await expectRefusal(lab, [command, '--span', 'span3'], 64)
    expect(stderr).toContain('--span span3: neither the file nor this host has such a span')
  }
})

test('a file without spans is not taken at its word', async () => {
  await writeSpans(lab, 'spans: {}')
  const { stdout, stderr } = await spanplan(lab, ['plan'])
  expect(stdout).toContain('6 to remove')
  expect(stderr).toContain('the file has no spans: apply would remove everything that belongs to the name default')
  expect(await expectRefusal(lab, ['apply', '--yes'])).toContain('the file has no spans: this would remove everything')
  await spanplan(lab, ['apply', '--yes', '--allow-empty'])
  expect(await bridges()).toEqual(['span2'])
  await spanplan(lab, ['apply'])
})

test('a source that moves to another card leaves the first as it was', async () => {
  await writeSpans(lab, both.replaceAll('ens192', 'ens224'))
  await spanplan(lab, ['apply', '--yes'])
  await expectConverged(lab)
  await writeSpans(lab, 'spans: {}')
  await spanplan(lab, ['apply', '--yes', '--allow-empty'])
  await spanplan(lab, ['plan', '--detailed-exitcode'])
})

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectRefusal, expectRestored, spanplan } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
  await write('plain.yaml', 'name: plain\nspans:\n  span0:\n    sources: [{interface: ens192}]\n')
  await write(
    'capture.yaml',
    'name: capture\ninterfaces:\n  ens192: {dedicated: true}\nspans:\n  span1:\n    sources: [{interface: ens192}]\n'
  )
})
afterAll(() => lab.close())

async function write(name: string, text: string): Promise<void> {
  await writeFile(join(lab.files, name), `version: 1\n${text}`)
}

async function flagsOf(device: string): Promise<string[]> {
  return JSON.parse(await lab.run(['ip', '-j', 'link', 'show', 'dev', device]))[0].flags
}

async function expectNothingToDo(): Promise<void> {
  for (const file of ['plain.yaml', 'capture.yaml']) {
    await spanplan(lab, ['plan', '-f', file, '--detailed-exitcode'])
  }
}

/** The orders in which two names may come to a card, and leave it. */
const orders = [
  ['plain', 'capture', 'plain', 'capture'],
  ['plain', 'capture', 'capture', 'plain'],
  ['capture', 'plain', 'plain', 'capture'],
  ['capture', 'plain', 'capture', 'plain']
] as const

test.each(orders)('%s, then %s come to a card; %s, then %s leave it as it was', async (first, second, leaves, last) => {
  const before = await lab.snapshotText()
  await spanplan(lab, ['apply', '-f', `${first}.yaml`])
  await spanplan(lab, ['apply', '-f', `${second}.yaml`])
  expect(await flagsOf('ens192')).toEqual(expect.arrayContaining(['PROMISC', 'NOARP']))
  await expectNothingToDo()

  await spanplan(lab, ['destroy', '--name', leaves, '--yes'])
  const flags = await flagsOf('ens192')
  expect(flags).toContain('PROMISC')
  // Only the capture spans took ARP away, so it is back once they are gone.
  expect(flags.includes('NOARP')).toBe(leaves === 'plain')
  await spanplan(lab, ['plan', '-f', `${last}.yaml`, '--detailed-exitcode'])

  await spanplan(lab, ['destroy', '--name', last, '--yes'])
  await expectRestored(lab, before)
})

test('what another name made is not ours: neither its bridge nor its spans', async () => {
  const before = await lab.snapshotText()
  await spanplan(lab, ['apply', '-f', 'plain.yaml'])
  await write('taken.yaml', 'name: other\nspans:\n  span0:\n    sources: [{interface: ens192}]\n')
  const stderr = await expectRefusal(lab, ['apply', '-f', 'taken.yaml', '--yes'])
  expect(stderr).toContain('the bridge span0 belongs to another spans.yaml (name: plain)')
  const { stdout } = await spanplan(lab, ['destroy', '--name', 'other', '--yes'])
  expect(stdout).toContain('No changes')
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, before)
})

test('a mirror without its cookie is known by its handle: in the way of no other name, and gone with all', async () => {
  const before = await lab.snapshotText()
  await write('other.yaml', 'name: other\nspans:\n  span2:\n    sources: [{interface: ens192}]\n')
  await spanplan(lab, ['apply', '-f', 'plain.yaml'])
  const rows = JSON.parse(await lab.run(['tc', '-j', 'filter', 'show', 'dev', 'ens192', 'egress']))
  const { handle } = rows[1].options
  const place = ['dev', 'ens192', 'egress', 'protocol', 'all', 'pref', '8', 'handle', handle, 'bpf'] as const
  const action = ['action', 'mirred', 'egress', 'mirror', 'dev', 'span0', 'continue']
  await lab.run(['tc', 'filter', 'replace', ...place, 'bytecode', '1,6 0 0 4294967295', ...action])
  await spanplan(lab, ['apply', '-f', 'other.yaml'])
  await spanplan(lab, ['plan', '-f', 'other.yaml', '--detailed-exitcode'])
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, before)
})

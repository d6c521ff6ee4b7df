import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLab, type Lab } from '../e2e/lab.ts'
import { expectConverged, spanplan, writeSpans } from '../e2e/spans.ts'

let lab: Lab
/** Each tool under its own name, writing down that it was called before it does what it was asked. */
let wrappers: string
let log: string

beforeAll(async () => {
  lab = await createLab()
  wrappers = join(lab.files, 'wrappers')
  log = join(lab.files, 'calls')
  await mkdir(wrappers)
  for (const tool of ['ip', 'tc', 'bridge', 'ethtool', 'sysctl', 'tcpdump']) {
    const real = (await lab.run(['sh', '-c', `command -v ${tool}`])).trim()
    await writeFile(join(wrappers, tool), `#!/bin/sh\necho "${tool} $*" >>'${log}'\nexec ${real} "$@"\n`)
    await chmod(join(wrappers, tool), 0o755)
  }
})
afterAll(() => lab.close())

/** The programs that a command starts. */
async function callsOf(...args: string[]): Promise<string[]> {
  await writeFile(log, '')
  await spanplan(lab, args, 0, { env: { PATH: `${wrappers}:/usr/sbin:/usr/bin:/sbin:/bin` } })
  return (await readFile(log, 'utf8')).trim().split('\n')
}

async function writeMany(count: number): Promise<void> {
  const spans = Array.from({ length: count }, (_, index) => `  tap${index}:\n    sources: [{interface: ens192}]\n`)
  await writeSpans(lab, `spans:\n${spans.join('')}`)
}

test('a plan starts the same programs for 30 spans as for one, and none that changes anything', async () => {
  await writeMany(1)
  await spanplan(lab, ['apply'])
  const one = await callsOf('plan')
  await writeMany(30)
  await spanplan(lab, ['apply'])
  const thirty = await callsOf('plan')
  expect(thirty.sort()).toEqual(one.sort())
  expect(one).toHaveLength(5)
  expect(one.filter((call) => !/-json|--json/.test(call))).toEqual([])
})

test('a second apply starts no program but those that read', async () => {
  await writeMany(30)
  await spanplan(lab, ['apply'])
  expect((await callsOf('apply')).sort()).toEqual((await callsOf('plan')).sort())
})

test('an apply changes all spans in few batches; only ethtool knows none', async () => {
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await writeMany(30)
  const calls = await callsOf('apply')
  const changing = calls.filter((call) => !/-json|--json/.test(call))
  expect(changing.filter((call) => call.startsWith('ethtool'))).toHaveLength(30)
  expect(changing.filter((call) => !call.startsWith('ethtool'))).toEqual([
    'ip -batch -',
    'bridge -batch -',
    'tc -batch -',
    'ip -batch -'
  ])
  await expectConverged(lab)
})

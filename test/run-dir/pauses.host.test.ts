/** What watches and hooks are told to leave alone for a while. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createLab, type Lab } from '../lab/lab.ts'
import { labEnvironment } from '../lab/programs.ts'
import { spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab

beforeAll(async () => {
  lab = await createLab()
})
afterAll(() => lab?.close())
beforeEach(() => writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192}]}}'))

interface Pause {
  readonly span: string | null
  readonly until: string
}

/** What is written of them; null where nothing is held. */
async function readPauses(): Promise<readonly Pause[] | null> {
  const folder = labEnvironment(lab.name).SPANPLAN_RUN_DIR ?? ''
  const file = (await readdir(folder)).find((name) => name.endsWith('.pauses'))
  if (file === undefined) return null
  const { pauses }: { readonly pauses: readonly Pause[] } = JSON.parse(await readFile(join(folder, file), 'utf8'))
  return pauses
}

test('a pause of one span, and of all, each until it is taken back', async () => {
  const { stdout } = await spanplan(lab, ['pause', 'span0', '--for', '30m'])
  expect(stdout).toMatch(
    /^span0 is paused until [\d :-]+: watch and hook leave it alone\. To resume earlier: spanplan resume span0\n$/
  )
  const { stdout: json } = await spanplan(lab, ['pause', '--for', '1h', '--json'])
  expect(JSON.parse(json)).toEqual({ type: 'paused', span: null, until: expect.any(String) })
  expect((await readPauses())?.map(({ span }) => span)).toEqual(['span0', null])

  expect((await spanplan(lab, ['resume', 'span0'])).stdout).toMatch(
    /^Resumed: span0\.\nspan0 is still paused until [\d :-]+, as all spans are\. To resume: spanplan resume\n$/
  )
  const { stderr } = await spanplan(lab, ['resume', 'span0'], 1)
  expect(stderr).toMatch(/span0 is not paused, but all spans together are, until [\d :-]+\n {2}spanplan resume\n$/)
  expect((await spanplan(lab, ['resume'])).stdout).toBe('Resumed: all spans.\n')
  expect(await readPauses()).toBeNull()
  expect((await spanplan(lab, ['resume'])).stdout).toBe('Nothing was paused.\n')
})

test('a pause that is made again ends when the last one says', async () => {
  await spanplan(lab, ['pause', 'span0', '--for', '30m'])
  await spanplan(lab, ['pause', 'span0', '--for', '2h'])
  const left = (await readPauses())?.map(({ until }) => Date.parse(until) - Date.now()) ?? []
  expect(left).toHaveLength(1)
  expect(left[0]).toBeGreaterThan(3_600_000)
  await spanplan(lab, ['resume'])
})

test('a pause of one span that ends before that of all says when the span is kept in sync again', async () => {
  const ending = /paused until ([\d :-]+)(, as all spans are)?: .* To resume earlier: (.+)\n/
  const [, all] = ending.exec((await spanplan(lab, ['pause', '--for', '1h'])).stdout) ?? []
  const { stdout } = await spanplan(lab, ['pause', 'span0', '--for', '2m'])
  expect(ending.exec(stdout)?.slice(1)).toEqual([all, ', as all spans are', 'spanplan resume'])
  await spanplan(lab, ['pause', 'span0', '--for', '2h'])
  expect((await spanplan(lab, ['resume'])).stdout).toBe('Resumed: all spans, span0.\n')
})

test('a span that neither the file nor the host knows is not paused', async () => {
  const { stderr } = await spanplan(lab, ['pause', 'spam0', '--for', '30m'], 64)
  expect(stderr).toContain('error: spam0: neither the file nor this host has such a span\n  did you mean "span0"?')
  expect(await readPauses()).toBeNull()
})

test('one that only the host knows is, also where the file is broken', async () => {
  await spanplan(lab, ['apply'])
  await writeSpans(lab, 'spans: {')
  await spanplan(lab, ['pause', 'span0', '--for', '30m'])
  await spanplan(lab, ['resume', 'span0'])
  await spanplan(lab, ['destroy', '--name', 'default', '--yes'])
})

test('without saying for how long, it is refused', async () => {
  expect((await spanplan(lab, ['pause'], 64)).stderr).toContain('--for <duration>')
})

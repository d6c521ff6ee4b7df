/** Whatever step of an output fails, or is the last before spanplan is killed: an apply finishes the work, and a destroy gives all back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FaultyPrograms, installFaultyPrograms, type Mishap } from '../lab/commands/faulty-programs.ts'
import { createLab, type Lab } from '../lab/lab.ts'
import { expectConverged, expectRestored, spanplan, writeSpans } from '../lab/spans.ts'

let lab: Lab
let programs: FaultyPrograms
let before: string

const span = (outputs: string) =>
  writeSpans(lab, `spans: {span0: {sources: [{interface: ens192}], outputs: [${outputs}]}}`)

/** What the commands of an output name, besides its kind. */
const outputs = {
  interface: { file: '{interface: ens224}', device: 'ens224' },
  tunnel: { file: '{vxlan: {id: 42, remote: 10.50.0.1}}', device: 'vxlan-3d98b18a' }
} as const

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224', mtu: 1500 }] })
  await lab.run(['ip', 'addr', 'add', '10.50.0.2/24', 'dev', 'ens192'])
  programs = await installFaultyPrograms(lab)
  before = await lab.snapshotText()
})
afterAll(() => lab?.close())

/** The commands that are about the output. */
async function readLines(kind: keyof typeof outputs) {
  const { file, device } = outputs[kind]
  await span(file)
  const run = await programs.prepare()
  await spanplan(lab, ['apply', '--yes'], 0, { env: run.env })
  const lines = (await run.calls()).flatMap(({ tool, first, lines }) =>
    lines.map((text, at): Mishap & { text: string } => ({ tool, line: first + at, text, how: 'fail' }))
  )
  await spanplan(lab, ['destroy', '--all', '--yes'])
  await expectRestored(lab, before)
  // Where tc cannot add the filter that is the mark, the empty clsact qdisc of a card stays: nothing says whose it is.
  return lines.filter(({ text }) => text.includes(device) && (kind === 'tunnel' || !text.includes('filter')))
}

describe.each(['fail', 'kill before', 'kill after'] as const)('%s', (how) => {
  test.each(['interface', 'tunnel'] as const)('each step that makes the output: %s', async (kind) => {
    const lines = await readLines(kind)
    expect(lines.length).toBeGreaterThan(6)
    for (const { tool, line, text } of lines) {
      const run = await programs.prepare({ tool, line, how })
      const applied = lab.spanplan(['apply', '--yes'], { env: run.env })
      // The span is not lost for its output.
      if (how !== 'fail') await expect(applied).rejects.toThrow('SIGKILL')
      else {
        const { exitCode, stdout, stderr } = await applied
        const said = `${text}\n${stdout}\n${stderr}`
        expect([0, 4], said).toContain(exitCode)
        expect(await lab.run(['ip', '-br', 'link', 'show', 'dev', 'span0']), said).toContain('span0')
        expect(stderr, said).toContain(outputs[kind].device)
      }
      await spanplan(lab, ['destroy', '--all', '--yes'])
      await expectRestored(lab, before)
      const again = await programs.prepare({ tool, line, how })
      await lab.spanplan(['apply', '--yes'], { env: again.env }).catch(() => undefined)
      await spanplan(lab, ['apply', '--yes'])
      await expectConverged(lab)
      await spanplan(lab, ['destroy', '--all', '--yes'])
      await expectRestored(lab, before)
    }
  })
})

/** The kernel has one link for both: the way there makes it again, and so does the way back. */
describe.each([
  { from: 'source', to: 'output' },
  { from: 'output', to: 'source' }
] as const)('a tunnel: $from to $to', ({ from, to }) => {
  const write = (way: 'source' | 'output') =>
    writeSpans(
      lab,
      way === 'source'
        ? 'spans: {span0: {sources: [{interface: ens192}, {vxlan: {id: 7}}]}}'
        : 'spans: {span0: {sources: [{interface: ens192}], outputs: [{vxlan: {id: 7, remote: 10.50.0.1}}]}}'
    )

  test('each step that fails is done later, or all is as it was', async () => {
    await write(from)
    await spanplan(lab, ['apply', '--yes'])
    const first = await programs.prepare()
    await write(to)
    await spanplan(lab, ['apply', '--yes'], 0, { env: first.env })
    const steps = (await first.calls()).flatMap(({ tool, first: at, lines: all }) =>
      all.map((text, index) => ({ tool, line: at + index, text }))
    )
    expect(steps.length).toBeGreaterThan(8)
    for (const { tool, line, text } of steps) {
      await write(from)
      await spanplan(lab, ['apply', '--yes'])
      await write(to)
      const run = await programs.prepare({ tool, line, how: 'fail' })
      const { exitCode, stdout, stderr } = await lab.spanplan(['apply', '--yes'], { env: run.env })
      const said = `${text}\n${stdout}\n${stderr}`
      // What fails once is done in the next round; a tunnel that cannot be had costs nothing else.
      const isRolledBack = exitCode !== 0 && !stderr.includes('Everything else was done')
      if (isRolledBack) expect(stderr, said).toMatch(/Nothing was changed|Everything was rolled back/)
      if (isRolledBack) await write(from)
      if (exitCode !== 4) await expectConverged(lab)
    }
    await spanplan(lab, ['destroy', '--all', '--yes'])
    await expectRestored(lab, before)
  })
})

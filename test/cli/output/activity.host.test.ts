/** What a command says on a terminal while it works for long: in one line, which goes again, and nowhere else. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLab, type Lab } from '../../lab/lab.ts'
import { findProgram, labEnvironment } from '../../lab/programs.ts'
import { spanplan, writeSpans } from '../../lab/spans.ts'

/** What removes the line. */
const clear = '\r\u001b[K'

let lab: Lab
/** The search path by which ip, or tcpdump, is found to be slow. */
let slow: Record<'ip' | 'tcpdump', string>

beforeAll(async () => {
  lab = await createLab({ cables: [{ card: 'ens192' }, { card: 'ens224' }] })
  await writeSpans(lab, 'spans: {span0: {sources: [{interface: ens192, filter: tcp}]}}')
  await spanplan(lab, ['apply'])
  slow = { ip: await slowDown('ip'), tcpdump: await slowDown('tcpdump') }
})
afterAll(() => lab?.close())

/** Puts a program before the real one that takes its time. */
async function slowDown(program: keyof typeof slow): Promise<string> {
  const folder = join(lab.files, `slow-${program}`)
  await mkdir(folder)
  await chmod(folder, 0o755)
  const file = join(folder, program)
  await writeFile(file, `#!/bin/sh\nsleep 1.2\nexec ${findProgram(program)} "$@"\n`)
  await chmod(file, 0o755)
  return `${folder}:${labEnvironment(lab.name).PATH}`
}

/** What a terminal gets, and what stands there in the end. */
async function onTerminal(args: readonly string[], env: Record<string, string> = {}, program: 'ip' | 'tcpdump' = 'ip') {
  const through = ['sh', '-c', 'exec script -qec "stty cols 100; $*" /dev/null', 'sh']
  const { stdout } = await lab.spanplan(args, {
    through,
    env: { PATH: slow[program], SHELL: '/bin/sh', NO_COLOR: '1', ...env }
  })
  const got = stdout.replaceAll('\r\n', '\n')
  const left = got
    .split('\n')
    .map((line) => line.split(clear).at(-1))
    .join('\n')
  return { got, left }
}

describe('a command that takes long', () => {
  test.each([
    ['plan', ['Reading the host …']],
    ['status --for 2s', ['Reading the host …', 'Counting for 2s …']],
    ['graph', ['Reading the host …']],
    ['doctor', ['Checking the host …']],
    ['import', ['Reading the host …']],
    ['validate', ['Checking the filters …']],
    ['init --list', ['Reading the host …', 'Listening for 2 s on ']],
    ['filter test tcp --on ens192 --for 2s', ['Reading the host …', 'Listening on ens192 for 2s …']],
    ['capture span0 --for 10ms', ['Reading the host …', 'Starting to listen …']],
    ['apply', ['Reading the host …']],
    ['destroy --yes', ['Reading the host …', '[1/', 'remove the bridge span0', '] verify']]
  ])('%s says what goes on, and nothing of it is left', async (line, phrases) => {
    await spanplan(lab, ['apply'])
    const { got, left } = await onTerminal(line.split(' '), {}, line === 'validate' ? 'tcpdump' : 'ip')
    for (const phrase of phrases) {
      expect(got).toContain(phrase)
      expect(left).not.toContain(phrase)
    }
    expect(left).not.toContain('\u001b')
    expect(left).not.toMatch(/ …(?: \d+s)?$/m)
  })

  test('no program gets it, no pipe, and no terminal that cannot remove it', async () => {
    await spanplan(lab, ['apply'])
    expect((await onTerminal(['plan', '--json'])).got).not.toContain('…')
    expect((await onTerminal(['plan'], { TERM: 'dumb' })).got).not.toContain('…')
    const { stdout, stderr } = await lab.spanplan(['plan'], { env: { PATH: slow.ip } })
    expect(stdout + stderr).not.toMatch(/…|\r/)
  })
})

/** The plan and its warnings on a terminal: every case's, in lines of its width. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderDiagnostic } from '../../../src/cli/output/render-diagnostic.ts'
import { SpanplanError } from '../../../src/errors.ts'
import { renderPlan } from '../../../src/plan/output/plan-text.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { type Paint, plain } from '../../../src/printable.ts'
import { widthOf } from '../../../src/text-lines.ts'
import { readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readFiles, readSnapshot, readTarget } from '../../lab/fixtures/plan-case.ts'

/** What a terminal of this width shows of a case, or a pipe. */
function show(name: string, width?: number, paint: Paint = plain): string {
  const path = join(casesFolder, name)
  const files = readFiles(path)
  const host = readSnapshot(path, 'host.json')
  try {
    const target = readTarget(path, host.links)
    const { plan } = planTarget(target, readingOf(host))
    const warnings = plan.warnings.map((warning) => `${renderDiagnostic('warning', warning, files, paint, width)}\n`)
    return [...warnings, renderPlan(plan, target.spec.files, paint, width)].join('')
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return error.diagnostics.map((one) => `${renderDiagnostic('error', one, files, paint, width)}\n`).join('')
  }
}

/** A hint may be a command, which is copied in one piece; so is a line of the file. */
const isWhole = (line: string) => /^ {2}\S/.test(line) || /^ *\d* \|/.test(line)

const words = (text: string) => text.split(/\s+/).join(' ')

describe.each([80, 100])('in %i columns', (width) => {
  test('every case says the same, and no line is longer, but for a command or one word', () => {
    for (const name of readdirSync(casesFolder)) {
      const text = show(name, width)
      expect(words(text), name).toBe(words(show(name)))
      const rows = text.split('\n').filter((line) => /^ {2}(?:\+|~|-|-\/\+|=|\.\.\.) /.test(line) || !isWhole(line))
      const long = rows.filter((line) => widthOf(line) > width && line.trim().split(/\s+/).length > 1)
      expect(long, name).toEqual([])
    }
  })
})

test('what a row has no room for stands below its beginning, and each line has the colour', () => {
  const paint: Paint = (tone, text) => `<${tone}>${text}</>`
  expect(show('drift-port', 100, paint)).toContain(`
<update>  ~   port       suricata (vethb6fd04f) → span0  mtu: 1500 → 9000, state: down → up, isolated:</>
<update>                                                 off → on, learning: on → off, flooding: off → on,</>
<update>                                                 IPv6: on → off, keeps frames to its own address:</>
<update>                                                 yes → no, sealed: no → yes</>
`)
})

test('a long title has a line of its own where the rest would find no room', () => {
  expect(show('gre-senders', 60)).toMatch(/^ {2}\+ {3}tunnel {5}\S+\n {19}\S/m)
})

test('a hint is broken between its clauses, and a command never', () => {
  const command = `tc filter del dev ens192 ingress protocol ip pref 3 handle 0x1 bpf ${'x'.repeat(60)}`
  const hint = `look at what it does, who has put it there and when that was, on this host; if nothing needs it: ${command}`
  const message = `${'word '.repeat(30)}end`
  const text = renderDiagnostic('warning', { code: 'BUG', message, hint }, [], plain, 80)
  const lines = text.split('\n')
  expect(lines.slice(0, 2).every((line) => line.length <= 80)).toBe(true)
  expect(lines[1]).toMatch(/^ {4}word/)
  expect(lines).toContain('  look at what it does, who has put it there and when that was, on this host;')
  expect(lines.at(-1)).toBe(`  if nothing needs it: ${command}`)
})

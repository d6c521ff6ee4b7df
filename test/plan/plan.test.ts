import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderDiagnostic } from '../../src/cli/output/render-diagnostic.ts'
import { SpanplanError } from '../../src/errors.ts'
import { sealFile } from '../../src/host/xdp/seal-program.ts'
import { renderChange, renderCommands, renderPlan } from '../../src/plan/output/plan-text.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { planRollback, planTarget } from '../../src/plan/plan-view.ts'
import { plain } from '../../src/printable.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readFiles, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'
import { unprintable } from '../lab/fixtures/unprintable.ts'

/** What is to stand in the text files of a case; null: there is to be no such file. */
type Texts = Readonly<Record<'plan.txt' | 'commands.txt' | 'return.txt', string | null>>

/** The file that ip loads is where spanplan is. */
function commandsOf(plan: Plan): string {
  return renderCommands(plan).replaceAll(sealFile, 'seal.o')
}

function writeTexts(name: string): Texts {
  const path = join(casesFolder, name)
  const files = readFiles(path)
  const host = readSnapshot(path, 'host.json')
  try {
    const target = readTarget(path, host.links)
    const view = planTarget(target, readingOf(host))
    const { plan } = view
    const warnings = plan.warnings.map((warning) => `${renderDiagnostic('warning', warning, files, plain)}\n`)
    const back = existsSync(join(path, 'after.json'))
      ? planRollback(view, readingOf(readSnapshot(path, 'after.json')).host).plan
      : null
    return {
      'plan.txt': [...warnings, renderPlan(plan, target.spec.files, plain)].join(''),
      'commands.txt': plan.changes.length > 0 ? commandsOf(plan) : null,
      'return.txt': back && [...back.changes.map(renderChange), '', commandsOf(back)].join('\n')
    }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    const errors = error.diagnostics.map((diagnostic) => `${renderDiagnostic('error', diagnostic, files, plain)}\n`)
    return { 'plan.txt': errors.join(''), 'commands.txt': null, 'return.txt': null }
  }
}

describe('the plan, its commands, and what a rollback would do', () => {
  const cases = readdirSync(casesFolder)

  test.each(cases)('%s', async (name) => {
    for (const [file, text] of Object.entries(writeTexts(name))) {
      const path = join(casesFolder, name, file)
      if (text === null) expect(existsSync(path), `${path}: there is nothing to say in it`).toBe(false)
      else await expect(text).toMatchFileSnapshot(path)
    }
  })

  test.each(cases)('%s: nothing that a terminal would obey', (name) => {
    const text = Object.values(writeTexts(name)).join('')
    expect(text).not.toMatch(unprintable)
  })
})

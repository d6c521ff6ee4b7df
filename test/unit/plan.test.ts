import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Aim, planFor } from '../../src/apply/refresh.ts'
import { renderNotice } from '../../src/cli/output/terminal.ts'
import { SpanplanError } from '../../src/errors.ts'
import type { Snapshot } from '../../src/host/snapshot.ts'
import { renderPlan } from '../../src/plan/output/text.ts'
import { plain } from '../../src/printable.ts'
import { everySpan } from '../../src/resources/mark-inventory.ts'
import { loadSpec } from '../../src/spec/load.ts'
import type { SourceFile } from '../../src/spec/spec.ts'
import { readHostFile } from './plan/host-file.ts'

const folder = fileURLToPath(new URL('../fixtures/plan/', import.meta.url))

/** What a case's aim.json says, if it is not simply the file that is wanted. */
interface AimFile {
  /** Nothing is wanted of this name (null: of every name), of these spans (null: of all). */
  readonly destroy?: { readonly name: string | null; readonly spans: readonly string[] | null }
  /** What is missing is waited for, and these cards are being taken down. */
  readonly patient?: { readonly away: readonly string[] }
}

function aimOf(path: string, files: readonly SourceFile[], { links }: Snapshot): Aim {
  const aimFile = join(path, 'aim.json')
  // The fixtures are ours, and a wrong one shows in its plan.
  const { destroy, patient } = (existsSync(aimFile) ? JSON.parse(readFileSync(aimFile, 'utf8')) : {}) as AimFile
  if (destroy === undefined) {
    const spec = loadSpec(files)
    const scope = { name: spec.name, spans: everySpan }
    const going = links.filter(({ name }) => patient?.away.includes(name))
    const away = going.map(({ index }) => ({ index, since: 0, settled: false }))
    return { want: 'spec', spec, scope, deferDocker: false, adopt: false, patient: patient !== undefined, away }
  }
  const spans = destroy.spans ? { only: new Set(destroy.spans) } : everySpan
  const scope = { name: destroy.name, spans }
  return { want: 'nothing', owner: destroy.name ?? 'default', scope, known: [], deferDocker: false }
}

/** What a person reads: warnings or errors, then the plan. */
function show(name: string): string {
  const path = join(folder, name)
  const files = [{ path: 'spans.yaml', bytes: readFileSync(join(path, 'spans.yaml')) }]
  try {
    const host = readHostFile(readFileSync(join(path, 'host.json'), 'utf8'))
    const aim = aimOf(path, files, host)
    const { plan } = planFor(aim, host)
    const warnings = plan.warnings.map((warning) => `${renderNotice('warning', warning, files, plain)}\n`)
    return [...warnings, renderPlan(plan, aim.want === 'spec' ? aim.spec.files : [], plain)].join('')
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return error.notices.map((notice) => `${renderNotice('error', notice, files, plain)}\n`).join('')
  }
}

describe('the plan as a person reads it', () => {
  const cases = readdirSync(folder)

  test.each(cases)('%s', async (name) => {
    await expect(show(name)).toMatchFileSnapshot(join(folder, name, 'plan.txt'))
  })

  test.each(cases)('%s: nothing that a terminal would obey', (name) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(show(name)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  })
})

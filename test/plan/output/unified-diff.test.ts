/** The diff of plans: what differs, and little else. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parsePatch } from 'diff'
import { expect, test } from 'vitest'
import { SpanplanError } from '../../../src/errors.ts'
import { renderDiff } from '../../../src/plan/output/unified-diff.ts'
import type { Plan } from '../../../src/plan/plan.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { readingOf } from '../../lab/fixtures/host-file.ts'
import { casesFolder, readSnapshot, readTarget } from '../../lab/fixtures/plan-case.ts'
import { unprintable } from '../../lab/fixtures/unprintable.ts'

/** null: there is no plan. */
function planOf(name: string): Plan | null {
  const path = join(casesFolder, name)
  const host = readSnapshot(path, 'host.json')
  try {
    return planTarget(readTarget(path, host.links), readingOf(host)).plan
  } catch (error) {
    if (error instanceof SpanplanError) return null
    throw error
  }
}

const shown = [
  'fresh',
  'drift-bridge-options',
  'drift-card-mtu-larger',
  'drift-mirror-program',
  'drift-mirror-recompiled',
  'drift-network-mtu',
  'destroy-two-spans',
  'destroy-of-a-span-that-is-gone',
  'hostile-live-names',
  'converged'
]

test('a header a span, a line for what is created or removed, and the fields that differ of the rest', async () => {
  const text = shown.map((name) => {
    const plan = planOf(name)
    return `# ${name}\n${plan && renderDiff(plan)}`
  })
  await expect(text.join('\n')).toMatchFileSnapshot('../../fixtures/diffs.txt')
})

test('each diff has all changes of its plan, is one that programs can read, and nothing that a terminal obeys', () => {
  for (const name of readdirSync(casesFolder)) {
    const plan = planOf(name)
    if (plan === null) continue
    const text = renderDiff(plan)
    expect(text, name).not.toMatch(unprintable)
    // It throws where the lines of a hunk are not as many as its header says.
    const patches = text === '' ? [] : parsePatch(text)
    expect(patches, name).toHaveLength(new Set(plan.changes.map(({ span }) => span)).size)
    for (const { address } of plan.changes)
      expect(text.includes(address.replaceAll('\u001b', '\\u001b')), `${name}: ${address}`).toBe(true)
    // What is unchanged stands at most three lines away.
    expect(text, name).not.toMatch(/^( .*\n){7}/m)
  }
})

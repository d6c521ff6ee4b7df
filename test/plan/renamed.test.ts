/** A span that has another name than its bridge is on the host what it is without: each case is planned again with such spans. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderDiagnostic } from '../../src/cli/output/render-diagnostic.ts'
import { SpanplanError } from '../../src/errors.ts'
import { renderChange, renderCommands, renderPlan } from '../../src/plan/output/plan-text.ts'
import { planRollback, planTarget } from '../../src/plan/plan-view.ts'
import { makeTarget, type Target } from '../../src/plan/target.ts'
import { plain } from '../../src/printable.ts'
import { loadSpec } from '../../src/spec/load.ts'
import type { SpanSelector } from '../../src/spec/scope.ts'
import { readingOf } from '../lab/fixtures/host-file.ts'
import { casesFolder, readFiles, readSnapshot, readTarget } from '../lab/fixtures/plan-case.ts'

/** It is in no case. */
const longer = '-by-name'

/** The target of a case, with this behind the names of the spans of its file. */
function rename(target: Target, path: string, suffix: string): Target {
  const { spans: listed } = target.isDestroy ? loadSpec(readFiles(path)) : target.spec
  const names = new Map(listed.map(({ name }) => [name, `${name}${suffix}`]))
  const renameAll = (spans: ReadonlySet<string>) => new Set([...spans].map((name) => names.get(name) ?? name))
  const select = (spans: SpanSelector) =>
    'only' in spans ? { only: renameAll(spans.only) } : { except: renameAll(spans.except) }
  const renamed = listed.map((span) => ({ ...span, name: `${span.name}${suffix}` }))
  const { spec, names: _, ...rest } = target
  return makeTarget(
    { ...spec, spans: target.isDestroy ? [] : renamed },
    { ...rest, scope: { ...target.scope, spans: select(target.scope.spans) }, known: target.isDestroy ? renamed : [] }
  )
}

/** What a person reads, whatever the width of names is; and the commands. */
function planCase(path: string, suffix: string) {
  const files = readFiles(path)
  const host = readSnapshot(path, 'host.json')
  const say = (kind: 'error' | 'warning', error: SpanplanError['diagnostics']) =>
    error.map((diagnostic) => renderDiagnostic(kind, diagnostic, files, plain)).join('\n')
  const squeeze = (text: string) => text.replaceAll(longer, '').replace(/ +/g, ' ')
  try {
    const target = rename(readTarget(path, host.links), path, suffix)
    const view = planTarget(target, readingOf(host))
    const { plan } = view
    const back = existsSync(join(path, 'after.json'))
      ? planRollback(view, readingOf(readSnapshot(path, 'after.json')).host).plan
      : null
    return {
      commands: renderCommands(plan),
      says: squeeze(`${say('warning', plan.warnings)}\n${renderPlan(plan, target.spec.files, plain)}`),
      back: back && [...back.changes.map(renderChange).map(squeeze), renderCommands(back)]
    }
  } catch (error) {
    if (!(error instanceof SpanplanError)) throw error
    return { commands: '', says: squeeze(say('error', error.diagnostics)), back: null }
  }
}

/** In these, the name of a span is that of another's bridge, or is written for that of its own: with another name it is not. */
const aboutNames = ['span-named-like-bridge-that-goes', 'span-renamed-source-by-name']

describe('the plan, its commands and what a rollback would do are the same', () => {
  test.each(readdirSync(casesFolder).filter((name) => !aboutNames.includes(name)))('%s', (name) => {
    const path = join(casesFolder, name)
    expect(planCase(path, longer)).toEqual(planCase(path, ''))
  })
})

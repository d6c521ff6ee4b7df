/** What is said of a detached window whose unit does not run any more. */
import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { awaitOpenWindow } from '../../../src/apply/window/detached-window.ts'
import { decideWindow, forgetLeftWindow } from '../../../src/apply/window/left-window.ts'
import {
  makeWindow,
  type OpenWindow,
  readWindow,
  recordEvent,
  writeWindow
} from '../../../src/apply/window/window-record.ts'
import { diagnostic, Exit, SpanplanError } from '../../../src/errors.ts'
import { planTarget } from '../../../src/plan/plan-view.ts'
import { makeTarget } from '../../../src/plan/target.ts'
import { runFile } from '../../../src/run-dir/folder.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import { converged } from '../../lab/fixtures/converged.ts'
import { readingOf } from '../../lab/fixtures/host-file.ts'
import { useOwnRunFolder } from '../../lab/fixtures/own-run-dir.ts'

const id = '0a1b2c3d'
useOwnRunFolder()

const failureOf = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => undefined,
    (reason: SpanplanError) => reason
  )
  return { exit: error?.exit, code: error?.diagnostics[0]?.code }
}

function makeOpenWindow(): OpenWindow {
  const files = [
    { path: '/dev/stdin', bytes: Buffer.from('version: 1\nspans: {span0: {sources: [{interface: ens192}]}}') }
  ]
  const spec = loadSpec(files)
  const scope = { name: spec.name, spans: { except: new Set<string>() } }
  const target = makeTarget(spec, { scope, deferDocker: false, adopt: false, subnetSeed: '' })
  const first = planTarget(target, readingOf(converged))
  return { ...makeWindow(id, 60_000, target, first, files, null), phase: 'open' }
}

test('a window that was confirmed as soon as it was open is no failure of the apply', async () => {
  writeWindow({ phase: 'ended', id, confirmed: true, message: 'Confirmed: the changes stay.' })
  expect(await awaitOpenWindow(id)).toBeNull()
})

test('only what was rolled back completely is said to be rolled back', async () => {
  const reason = diagnostic('NOT_CONFIRMED', 'not confirmed in time')
  const window = makeOpenWindow()
  recordEvent(window, { failed: new SpanplanError(reason, Exit.rolledBack) })
  expect(await failureOf(awaitOpenWindow(id))).toEqual({ exit: Exit.rolledBack, code: 'NOT_CONFIRMED' })
  recordEvent(window, { failed: new SpanplanError(reason, Exit.partial) })
  expect(await failureOf(awaitOpenWindow(id))).toEqual({ exit: Exit.partial, code: 'ROLLBACK_PARTIAL' })
  expect(await decideWindow('rollback', id)).toMatchObject({ confirmed: false, code: 'ROLLBACK_PARTIAL' })
  recordEvent(window, { failed: new Error('unexpected') })
  expect(await failureOf(awaitOpenWindow(id))).toEqual({ exit: Exit.bug, code: 'BUG' })
  expect(await decideWindow('rollback', id)).toMatchObject({ confirmed: false, code: 'BUG' })
  // An apply that is rolled back completely because of its file can be rolled back again, and nothing is to do.
  recordEvent(window, { failed: new SpanplanError(diagnostic('FILE_CHANGED', 'it was changed'), Exit.rolledBack) })
  expect(await failureOf(awaitOpenWindow(id))).toEqual({ exit: Exit.rolledBack, code: 'FILE_CHANGED' })
  expect(await decideWindow('rollback', id)).toEqual({
    confirmed: false,
    window: id,
    message: 'it was changed'
  })
  writeWindow(makeOpenWindow())
  expect(await failureOf(awaitOpenWindow(id))).toEqual({ exit: Exit.partial, code: 'DETACH_IMPOSSIBLE' })
  writeFileSync(runFile('window-record'), '')
  expect(await failureOf(awaitOpenWindow(id))).toEqual({ exit: Exit.partial, code: 'WINDOW_UNREADABLE' })
})

test('what another apply has changed meanwhile was not rolled back, and a broken record is of no use any more', async () => {
  writeWindow(makeOpenWindow())
  forgetLeftWindow()
  expect(await decideWindow('rollback', id)).toMatchObject({ confirmed: false, code: 'ROLLBACK_PARTIAL' })
  writeFileSync(runFile('window-record'), '')
  expect(await failureOf(decideWindow('rollback', id))).toMatchObject({ code: 'WINDOW_UNREADABLE' })
  forgetLeftWindow()
  expect(readWindow()).toBeNull()
})

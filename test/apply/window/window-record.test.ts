/** What a unit has to know of an apply to roll it back, written and read again. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { makeWindow, readWindow, restoreWindow, writeWindow } from '../../../src/apply/window/window-record.ts'
import { planRollback, planTarget } from '../../../src/plan/plan-view.ts'
import { makeTarget } from '../../../src/plan/target.ts'
import { runFile } from '../../../src/run-dir/folder.ts'
import { loadSpec } from '../../../src/spec/load.ts'
import { scopeOf } from '../../../src/spec/scope.ts'
import { converged, see } from '../../lab/fixtures/converged.ts'
import { readingOf } from '../../lab/fixtures/host-file.ts'
import { useOwnRunFolder } from '../../lab/fixtures/own-run-dir.ts'

useOwnRunFolder()

const text = `version: 1
spans:
  span0: {sources: [{interface: ens192, filter: not port 22}], network: {name: span, subnet: 198.18.0.0/26}, sensors: [suricata, zeek]}
  span1: {sources: [{interface: ens192}]}
`
const files = [{ path: '/dev/stdin', bytes: Buffer.from(text) }]
const install = { path: '/etc/spanplan/spans.yaml', bytes: new Uint8Array([0, 255]), before: null, insecure: false }

function makeOne() {
  const spec = loadSpec(files)
  const target = makeTarget(spec, {
    scope: scopeOf(spec, { only: new Set(['span0', 'span1']) }),
    deferDocker: false,
    adopt: true,
    subnetSeed: ''
  })
  const first = planTarget(target, readingOf(converged))
  return { target, first, window: makeWindow('0a1b2c3d', 1000, target, first, files, install) }
}

test('what is read again is what was written, for root alone', () => {
  const { target, first, window } = makeOne()
  writeWindow(window)
  expect(statSync(runFile('window-record')).mode & 0o777).toBe(0o600)
  const read = readWindow()
  if (read === null || read.phase === 'ended' || read.phase === 'unreadable') throw new Error('there is no window')
  expect(read).toMatchObject({ id: '0a1b2c3d', phase: 'applying', milliseconds: 1000 })
  expect({ ...read.install, bytes: [...(read.install?.bytes ?? [])] }).toEqual({ ...install, bytes: [0, 255] })
  const restored = restoreWindow(read)
  const { names, ...data } = restored.target
  const { names: before, ...written } = target
  expect(data).toEqual(written)
  expect(['span0', 'span1', 'span2'].map(names.nameOf)).toEqual(['span0', 'span1', 'span2'].map(before.nameOf))
  expect(restored.first.plan.changes.length).toBeGreaterThan(0)
  expect(restored.first.plan).toEqual(first.plan)
  // The way back from what the plan would have made.
  const now = see().host
  expect(planRollback(restored.first, now).plan).toEqual(planRollback(first, now).plan)
})

test('a record of another network namespace is none, and a broken one is known as such', () => {
  expect(readWindow()).toBeNull()
  const { window } = makeOne()
  writeWindow(window)
  const path = runFile('window-record')
  const record: unknown = JSON.parse(readFileSync(path, 'utf8'))
  for (const broken of [
    '',
    '{}',
    JSON.stringify(record).slice(0, 100),
    JSON.stringify({ ...Object(record), window: 1 })
  ]) {
    writeFileSync(path, broken)
    expect(readWindow()).toEqual({ phase: 'unreadable' })
  }
  writeFileSync(path, JSON.stringify({ ...Object(record), namespace: 'other' }))
  expect(readWindow()).toBeNull()
  const other = { ...window, files: [{ path: '/dev/stdin', bytes: Buffer.from('version: 2') }] }
  expect(() => restoreWindow(other)).toThrow('the record of the window 0a1b2c3d cannot be read')
  writeWindow({ phase: 'ended', id: 'a', confirmed: false, message: 'm' })
  expect(readWindow()).toEqual({ phase: 'ended', id: 'a', confirmed: false, message: 'm' })
})

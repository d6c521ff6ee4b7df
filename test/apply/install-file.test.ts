import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findInstallFaults, installFile, isNewFile, planInstallation } from '../../src/apply/install-file.ts'

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync('/tmp/spanplan-install-')
  path = join(folder, 'spans.yaml')
})
afterEach(() => rmSync(folder, { recursive: true }))

const plan = (text: string, at = path) => planInstallation(at, Buffer.from(text), false)

test('a file is put in its place, readable for all, and what a killed process has left goes', () => {
  writeFileSync(join(folder, '.spans.yaml.spanplan'), 'a part')
  const installation = plan('new\n')
  expect(isNewFile(installation)).toBe(true)
  const umask = process.umask(0o077)
  installFile(installation)
  process.umask(umask)
  expect(readFileSync(path, 'utf8')).toBe('new\n')
  expect(statSync(path).mode & 0o7777).toBe(0o644)
  expect(readdirSync(folder)).toEqual(['spans.yaml'])
})

test('a file that is there already is not written again', () => {
  writeFileSync(path, 'same\n')
  chmodSync(path, 0o600)
  const installation = plan('same\n')
  expect(isNewFile(installation)).toBe(false)
  installFile(installation)
  expect(statSync(path).mode & 0o7777).toBe(0o600)
})

test.each<[string, () => void]>([
  ['changed', () => writeFileSync(path, "somebody else's\n")],
  ['removed', () => unlinkSync(path)]
])('one that somebody else has %s meanwhile stays so', (_, change) => {
  writeFileSync(path, 'old\n')
  const installation = plan('new\n')
  change()
  const before = readdirSync(folder)
  expect(() => installFile(installation)).toThrow('was changed by somebody else meanwhile')
  expect(readdirSync(folder)).toEqual(before)
})

test('one that somebody else has made meanwhile stays, but for one that says the same', () => {
  const installation = plan('new\n')
  writeFileSync(path, 'new\n')
  installFile(installation)
  writeFileSync(path, 'other\n')
  expect(() => installFile(installation)).toThrow('was changed by somebody else meanwhile')
})

test('a link, a folder, and what is in no folder are refused', () => {
  symlinkSync('spans.yaml', join(folder, 'link.yaml'))
  mkdirSync(join(folder, 'folder'))
  writeFileSync(path, '')
  for (const [name, reason] of [
    ['link.yaml', 'it is a symbolic link'],
    ['folder', 'not a regular file'],
    ['missing/spans.yaml', 'its folder does not exist'],
    ['spans.yaml/spans.yaml', 'its folder does not exist']
  ] as const) {
    expect(() => plan('new\n', join(folder, name))).toThrow(reason)
  }
})

test('a folder that others may write to is refused for root, before and after', () => {
  const installation = plan('new\n')
  chmodSync(folder, 0o777)
  const isRoot = process.geteuid?.() === 0
  const attempt = () => installFile(installation)
  if (isRoot) expect(attempt).toThrow('can be written by other users than root')
  else attempt()
  planInstallation(path, Buffer.from('new\n'), true)
})

test('the same holds where others may put another folder in its place, also by a link', () => {
  const above = join(folder, 'above')
  const own = join(above, 'own')
  mkdirSync(own, { recursive: true })
  symlinkSync(own, join(folder, 'link'))
  symlinkSync(folder, join(own, 'back'))
  const places = [join(own, 'spans.yaml'), join(folder, 'link/spans.yaml'), join(own, 'back/spans.yaml')]
  const installations = places.map((at) => plan('new\n', at))
  chmodSync(above, 0o1777)
  for (const at of places) plan('new\n', at)
  chmodSync(above, 0o777)
  const isRoot = process.geteuid?.() === 0
  const attempts = [
    ...places.map((at) => () => plan('new\n', at)),
    ...installations.slice(0, 2).map((installation) => () => installFile(installation))
  ]
  for (const attempt of attempts) {
    if (isRoot) expect(attempt).toThrow(`${above} can be written by other users than root`)
    else attempt()
  }
  for (const at of places) planInstallation(at, Buffer.from('new\n'), true)
})

test('a link above that leads elsewhere later is not followed again', () => {
  for (const name of ['judged', 'other']) mkdirSync(join(folder, name))
  const link = join(folder, 'link')
  symlinkSync('judged', link)
  const installation = plan('new\n', join(link, 'spans.yaml'))
  unlinkSync(link)
  symlinkSync('other', link)
  installFile(installation)
  expect(installation.path).toBe(join(folder, 'judged/spans.yaml'))
  expect(readdirSync(join(folder, 'judged'))).toEqual(['spans.yaml'])
  expect(readdirSync(join(folder, 'other'))).toEqual([])
})

test('where the file could be written, or is there already, there is no fault', () => {
  expect(findInstallFaults(plan('new\n'))).toEqual([])
  writeFileSync(path, 'new\n')
  const installation = plan('new\n')
  rmSync(folder, { recursive: true })
  expect(findInstallFaults(installation)).toEqual([])
  mkdirSync(folder)
})

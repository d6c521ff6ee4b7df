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
import { installFile, isNewFile, planInstallation } from '../../../src/apply/install-file.ts'

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

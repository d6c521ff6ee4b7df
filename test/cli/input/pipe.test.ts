/** Real pipes, with short time limits. */
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readPipe } from '../../../src/cli/input/pipe.ts'

let folder: string
let pipe: string
let file: number

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spanplan-pipe-'))
  pipe = join(folder, 'pipe')
  execFileSync('sh', ['-c', 'mkfifo "$0"', pipe])
  file = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
})
afterEach(() => {
  closeSync(file)
  rmSync(folder, { recursive: true })
})

const options = { limit: 1000, awaitWriter: true, timeLimit: 100 }

test('a pipe that nobody writes to is an error after the time limit', async () => {
  await expect(readPipe(file, options)).rejects.toThrow('nothing came from it for 0.1 s')
})

test('so is a pipe that is kept open, or gets a byte now and then', async () => {
  const writer = openSync(pipe, constants.O_WRONLY)
  await expect(readPipe(file, options)).rejects.toThrow('nothing came from it for 0.1 s')
  writeSync(writer, '.')
  const drip = setInterval(() => writeSync(writer, '.'), 5)
  await expect(readPipe(file, options)).rejects.toThrow('it did not end within 0.1 s')
  clearInterval(drip)
  closeSync(writer)
})

test('a pipe that nobody can write to any more has ended, though it was empty', async () => {
  expect(await readPipe(file, { ...options, awaitWriter: false })).toHaveLength(0)
})

test('reading stops once the limit is passed, and timers go on meanwhile', async () => {
  const endless = spawn('sh', ['-c', `exec cat /dev/zero >${pipe}`], { stdio: 'ignore' })
  let turns = 0
  const ticking = setInterval(() => turns++, 1)
  const size = 8 * 1024 * 1024
  const bytes = await readPipe(file, { limit: size, awaitWriter: true, timeLimit: 120_000 })
  clearInterval(ticking)
  endless.kill()
  expect(bytes.length).toBeGreaterThan(size)
  expect(bytes.length).toBeLessThan(2 * size)
  expect(turns).toBeGreaterThan(0)
})

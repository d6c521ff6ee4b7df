/** The cache of compiled code saves time, and has nobody run what another user has written. */
import { execFile } from 'node:child_process'
import {
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { projectRoot } from '../lab/programs.ts'

const execute = promisify(execFile)
const nobody = 65_534
const asNobody = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--inh-caps=-all']

let folder: string
let bundle: string
/** What root sees as /var/cache, and what spanplan makes there. */
let varCache: string
let own: string
let file: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spanplan-cache-'))
  await chmod(folder, 0o755)
  for (const name of ['bin', 'dist']) await cp(join(projectRoot, name), join(folder, name), { recursive: true })
  bundle = join(folder, 'dist/spanplan.cjs')
  varCache = join(folder, 'cache')
  own = join(varCache, 'spanplan')
  file = join(own, 'spanplan.cjs.cache')
  await mkdir(varCache)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** The version that the program says it has, where /var/cache is this test's. */
async function version(env: Readonly<Record<string, string>> = {}, user: readonly string[] = []): Promise<string> {
  return start('--version', env, user)
}

async function start(
  word: string,
  env: Readonly<Record<string, string>> = {},
  user: readonly string[] = []
): Promise<string> {
  const script = 'mount --bind "$0" /var/cache && exec "$@"'
  const program = [process.execPath, join(folder, 'bin/spanplan.js'), word]
  const { stdout } = await execute('unshare', ['--mount', 'sh', '-c', script, varCache, ...user, ...program], {
    env: { PATH: process.env.PATH, NODE_DISABLE_COMPILE_CACHE: '', ...env },
    timeout: 60_000
  })
  return stdout.trimEnd()
}

/** Leaves in a cache the code of another program, as long as the real one: it says that its version is 6.6.6. */
async function poison(path: string): Promise<void> {
  const contents = await readFile(path)
  const source = await readFile(bundle, 'latin1')
  await writeFile(join(folder, 'other.cjs'), source.replace('"0.1.0"', '"6.6.6"'))
  const compile = `
    const { readFileSync, writeFileSync } = require('node:fs')
    const script = new (require('node:vm').Script)(readFileSync('other.cjs', 'latin1'), { filename: '${bundle}' })
    process.on('exit', () => writeFileSync('other.code', script.createCachedData()))
    process.argv = ['', '', '--version']
    script.runInThisContext()({}, require, {}, '', '')`
  const { stdout } = await execute(process.execPath, ['-e', compile], { cwd: folder })
  expect(stdout.trimEnd()).toBe('6.6.6')
  const header = contents.subarray(0, contents.indexOf('\n') + 1)
  await writeFile(path, Buffer.concat([header, await readFile(join(folder, 'other.code'))]))
}

test('is made by the first start, for root alone, and used by the next ones', async () => {
  expect(await version()).toBe('0.1.0')
  expect((await stat(own)).mode & 0o777).toBe(0o700)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const { mtimeMs } = await stat(file)
  expect(await version()).toBe('0.1.0')
  expect((await stat(file)).mtimeMs).toBe(mtimeMs)
  expect(await readdir(own)).toEqual(['spanplan.cjs.cache'])
  await poison(file)
  expect(await version()).toBe('6.6.6')
})

test('words that are no command have no file of their own', async () => {
  for (const word of ['up', 'qwertyuiop']) await expect(start(word)).rejects.toMatchObject({ code: 64 })
  expect((await readdir(own)).sort()).toEqual(['help.cjs.cache', 'spanplan.cjs.cache'])
})

test.each<[string, () => Promise<void>]>([
  ['a file of another user', () => chown(file, nobody, nobody)],
  ['a file that others may write', () => chmod(file, 0o666)],
  ['a file that a group may write', () => chmod(file, 0o620)],
  ['a folder of another user', () => chown(own, nobody, nobody)],
  ['a folder that others may write', () => chmod(own, 0o777)],
  ['a folder in a folder of another user', () => chown(varCache, nobody, nobody)],
  ['a folder in a folder that others may write', () => chmod(varCache, 0o1777)],
  [
    'a link to a file',
    async () => {
      await rename(file, join(folder, 'aside'))
      await symlink(join(folder, 'aside'), file)
    }
  ],
  [
    'a link to a folder',
    async () => {
      await rename(own, join(folder, 'aside'))
      await symlink(join(folder, 'aside'), own)
    }
  ]
])('root does not run what is in %s', async (_, arrange) => {
  await version()
  await poison(file)
  await arrange()
  expect(await version()).toBe('0.1.0')
})

test('root does not wait for a pipe', async () => {
  await version()
  await rm(file)
  await execute('mkfifo', [file])
  expect(await version()).toBe('0.1.0')
})

test('root takes no folder from the environment', async () => {
  await version()
  await poison(file)
  await mkdir(join(folder, 'home/.cache'), { recursive: true })
  for (const place of ['home', 'home/.cache']) await cp(own, join(folder, place, 'spanplan'), { recursive: true })
  await rm(own, { recursive: true })
  const home = join(folder, 'home')
  expect(await version({ HOME: home, XDG_CACHE_HOME: home })).toBe('0.1.0')
  expect(await version({ HOME: home })).toBe('0.1.0')
})

test('another user has a folder of his own, and a damaged file there does no harm', async () => {
  // Every folder above has to be root's, or the user's.
  await mkdir(join(varCache, 'home'))
  await chown(join(varCache, 'home'), nobody, nobody)
  const run = () => version({ HOME: '/var/cache/home' }, asNobody)
  expect(await run()).toBe('0.1.0')
  const users = join(varCache, 'home/.cache/spanplan/spanplan.cjs.cache')
  expect((await stat(users)).uid).toBe(nobody)
  expect(await readdir(varCache)).toEqual(['home'])
  const whole = await readFile(users)
  for (const damaged of [Buffer.alloc(0), Buffer.from('{'), whole.subarray(0, whole.length / 2)]) {
    await writeFile(users, damaged)
    expect(await run()).toBe('0.1.0')
  }
})

test('a user without a home has none', async () => {
  const stranger = ['setpriv', '--reuid=54321', '--clear-groups', 'env', '--unset=HOME']
  expect(await version({}, stranger)).toBe('0.1.0')
})

test('the code of another bundle is not run, though it is as long', async () => {
  await version()
  const source = await readFile(bundle, 'latin1')
  await writeFile(bundle, source.replace('"0.1.0"', '"0.1.1"'))
  expect(await version()).toBe('0.1.1')
  expect(await version()).toBe('0.1.1')
})

test('it can be switched off, and a folder that cannot be made is none', async () => {
  expect(await version({ NODE_DISABLE_COMPILE_CACHE: '1' })).toBe('0.1.0')
  expect(await readdir(varCache)).toEqual([])
  await writeFile(own, '')
  expect(await version()).toBe('0.1.0')
})

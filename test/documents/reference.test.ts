/** The reference is generated from what it is about: it is current, complete, readable by man(1), and its examples are right. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { program } from '../../src/cli/commands-and-flags.ts'
import { commandHelp, commonExits } from '../../src/cli/help/commands.ts'
import { filterExamples, topics } from '../../src/cli/help/topics.ts'
import { messages } from '../../src/codes/explained-codes.ts'
import { Exit } from '../../src/errors.ts'
import { commandDetails, optionDetails } from '../../src/reference/details.ts'
import { writePages } from '../../src/reference/pages.ts'

const execute = promisify(execFile)
const pages = writePages()
const manPages = [...pages.keys()].filter((path) => path.startsWith('man/'))
const names = program.commands.map((command) => command.name())

test.each([...pages])('%s is current: npm run docs writes it', (path, page) => {
  expect(existsSync(path) ? readFileSync(path, 'utf8') : '').toBe(page)
})

test('each test that is run on other hosts is there', () => {
  const rows = readFileSync('test/hosts/tests.tsv', 'utf8').trim().split('\n')
  expect(rows.map((row) => row.split('\t')[1] ?? row).filter((path) => !existsSync(path))).toEqual([])
})

test('the package installs every man page, and no other is there', () => {
  const { man } = JSON.parse(readFileSync('package.json', 'utf8'))
  expect(man.toSorted()).toEqual(manPages.toSorted())
  expect(readdirSync('man').map((name) => `man/${name}`)).toEqual(manPages.toSorted())
})

test('what pages say beside help is of commands and options that there are', () => {
  const flags = program.commands.flatMap((command) =>
    command.options.flatMap(({ long = '' }) => [long, `${command.name()} ${long}`])
  )
  expect(Object.keys(optionDetails).filter((key) => !flags.includes(key))).toEqual([])
  expect(Object.keys(commandDetails).filter((key) => !names.includes(key))).toEqual([])
})

test('the help of a command has each exit status that the command gives itself', () => {
  const folder = 'src/cli/actions'
  // What status does with --live is in a file of its own, and what init does in a folder.
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({ file, name: file.replace(/\/.*|(-live)?-action\.ts$/, '') }))
  expect(files.map(({ name }) => name).filter((name) => !(name in commandHelp))).toEqual([])
  const given = files.flatMap(({ file, name }) => {
    const told = new Set<number>([...commonExits, ...(commandHelp[name]?.exits ?? [])])
    return [...readFileSync(join(folder, file), 'utf8').matchAll(/\bExit\.(\w+)/g)].flatMap(([, exit = '']) =>
      told.has(new Map<string, number>(Object.entries(Exit)).get(exit) ?? -1) ? [] : [`${name}: ${exit}`]
    )
  })
  expect(given).toEqual([])
})

test('man reads every page without a warning', async () => {
  const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80' }
  const { stderr, stdout } = await execute('man', ['--warnings', '-P', 'cat', '-l', ...manPages], { env })
  expect(stderr).toBe('')
  for (const name of names) expect(stdout).toContain(`SPANPLAN-${name.toUpperCase()}(1)`)
})

test('every link leads to a file, and to a heading in it', () => {
  const anchorsOf = (markdown: string) =>
    [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replaceAll(' ', '-')
    )
  const broken = [...pages].flatMap(([path, page]) =>
    [...(path.endsWith('.md') ? page.matchAll(/\]\(([^)#]*)(?:#([^)]*))?\)/g) : [])]
      .map(([, file = '', anchor]) => ({ to: file === '' ? path : join(dirname(path), file), anchor }))
      .filter(({ to, anchor }) => {
        if (!existsSync(to)) return true
        return anchor !== undefined && !anchorsOf(readFileSync(to, 'utf8')).includes(anchor)
      })
  )
  expect(broken).toEqual([])
})

test('every code that stands in src has a text, and every text a code', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !/^(messages\b|reference\/)/.test(name)
  )
  const words = files.flatMap((name) => readFileSync(join('src', name), 'utf8').match(/'[A-Z][A-Z0-9_]{2,}'/g) ?? [])
  const known = new Set(words.map((word) => word.slice(1, -1)).filter((word) => !wordsOfOthers.has(word)))
  expect(messages.map(({ code }) => code).toSorted()).toEqual([...known].sort())
})

/** In quotes and capitals too, but no codes: names of the YAML parser's errors, of errno, of signals and so on. */
const wordsOfOthers: ReadonlySet<string> = new Set([
  ...['BAD_ALIAS', 'BAD_COLLECTION_TYPE', 'BAD_DQ_ESCAPE', 'BAD_INDENT', 'BAD_SCALAR_START'],
  ...['BLOCK_AS_IMPLICIT_KEY', 'DUPLICATE_KEY'],
  ...['MISSING_CHAR', 'MULTILINE_IMPLICIT_KEY', 'TAB_AS_INDENT', 'TAG_RESOLVE_FAILED'],
  ...[
    'EACCES',
    'EAGAIN',
    'ECONNREFUSED',
    'ECONNRESET',
    'EDQUOT',
    'EEXIST',
    'EISDIR',
    'ELOOP',
    'ENOENT',
    'ETIMEDOUT',
    'ENOSPC',
    'ENXIO'
  ],
  ...['EPERM', 'EPIPE', 'CAP_KILL', 'CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SYS_ADMIN'],
  ...['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGTERM', 'KILL', 'EN10MB', 'GET', 'HEAD', 'POST'],
  ...['ARP', 'DOWN', 'GRO', 'LRO', 'LOWER_UP', 'NOARP', 'PROMISC', 'CODE', 'KEY', 'NAME'],
  ...[
    'SPANPLAN_FILE',
    'SPANPLAN_PROGRAMS_OF',
    'SPANPLAN_RUN_DIR',
    'DOCKER_HOST',
    'NO_COLOR',
    'FORCE_COLOR',
    'IFACE',
    'PHASE',
    'MODE'
  ],
  ...['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'JOURNAL_STREAM', 'SUDO_UID', 'XDG_CACHE_HOME'],
  'NODE_DISABLE_COMPILE_CACHE'
])

test('tcpdump compiles every filter that is an example', async () => {
  for (const [filter] of filterExamples) {
    const { stdout } = await execute('tcpdump', ['-y', 'EN10MB', '-d', filter])
    expect(stdout, filter).toContain('ret')
  }
})

describe('help', () => {
  const spanplan = async (...words: readonly string[]) => {
    const { stdout } = await execute('node', ['bin/spanplan.js', ...words], { env: { ...process.env, COLUMNS: '200' } })
    return stdout
  }

  test('has every command, each with two examples at least', () => {
    expect(Object.keys(commandHelp).toSorted()).toEqual(names.toSorted())
    for (const [name, { examples }] of Object.entries(commandHelp)) expect(examples.length, name).toBeGreaterThan(1)
  })

  test('shows examples whose commands and options there are', () => {
    const runs = Object.values(commandHelp).flatMap(({ examples }) => examples.map(([, run]) => run))
    for (const run of runs) {
      const [name = '', ...words] = /\bspanplan ([^|>)]*)/.exec(run)?.[1]?.trim().split(' ') ?? []
      const command = program.commands.find((one) => one.name() === name)
      expect(command?.parseOptions(words).unknown, run).toEqual([])
    }
  })

  test('is no wider than 80 columns, and ends well, for each command, topic and code', async () => {
    const asked = [
      ...['--help', '-h', 'help'].map((word) => [word]),
      ...names.flatMap((name) => [[name, '--help']]),
      ...[...Object.keys(topics), 'LOCKED', 'locked', 'SENSOR_NETWORK_LOST'].map((topic) => ['help', topic])
    ]
    const texts = await Promise.all(asked.map((words) => spanplan(...words)))
    for (const text of texts) expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(texts[0]).toMatch(/Workflow:\n +init [\s\S]*Operate:\n +watch [\s\S]*Safety:[\s\S]*Integrate:/)
    for (const [index, words] of asked.entries()) {
      if (words[1] === '--help')
        expect(texts[index]).toMatch(
          /Examples:[\s\S]*Exit status:[\s\S]*\n\nEnvironment variables: spanplan help environment\n$/
        )
    }
    expect(await spanplan('help', 'plan')).toBe(await spanplan('plan', '--help'))
  })

  test.each(['-V', '--version'])('%s prints the version alone', async (flag) => {
    expect(await spanplan(flag)).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('without a command, says with which to begin', async () => {
    await expect(spanplan()).rejects.toMatchObject({
      code: 64,
      stdout: '',
      stderr: expect.stringMatching(/spanplan validate[\s\S]*spanplan plan[\s\S]*spanplan apply/)
    })
  })

  test('suggests a topic that is meant', async () => {
    const error = { code: 64, stdout: '', stderr: expect.stringContaining('did you mean: spanplan help LOCKED') }
    await expect(spanplan('help', 'lokced')).rejects.toMatchObject(error)
    await expect(spanplan('help', '__proto__')).rejects.toMatchObject({ code: 64 })
  })

  test('is in a bundle of its own: no other start reads it', () => {
    // A long line of a bundle is broken, also within a text.
    const read = (bundle: string) => readFileSync(join('dist', bundle), 'utf8').replaceAll('\\\n', '')
    const { means } = messages.find(({ code }) => code === 'LOCKED') ?? {}
    for (const bundle of ['spanplan.cjs', 'commands.cjs', 'dockerode.cjs']) {
      expect(read(bundle)).not.toContain(means)
    }
    expect(read('help.cjs')).toContain(means)
  })
})

/** README.md's reference is whole: every table is compared with what it is about. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { Exit } from '../../src/errors.ts'
import { causes } from '../../src/status/counters/causes.ts'
import { createLab } from './lab.ts'
import { codesIn, describedLab, readme, readTable, spansYaml } from './readme/document.ts'
import { isSchema, readSchema, type Schema } from './readme/schema.ts'

test('has every flag of --help, and no other', async () => {
  const commands = [
    'plan',
    'apply',
    'destroy',
    'watch',
    'status',
    'capture',
    'pause',
    'resume',
    'hook',
    'validate',
    'confirm',
    'rollback',
    'import',
    'completion'
  ]
  const helps = await Promise.all(commands.map((command) => execa('node', ['bin/spanplan.js', command, '--help'])))
  const flagsOf = (text: string) => [...text.matchAll(/^ +(?:(-\w), )?(--[\w-]+)/gm)].flatMap(([, a, b]) => [a, b])
  const usersOf = new Map<string, string[]>()
  for (const [index, { stdout }] of helps.entries()) {
    for (const flag of flagsOf(stdout)) {
      if (flag) usersOf.set(flag, [...(usersOf.get(flag) ?? []), commands[index] ?? ''])
    }
  }
  usersOf.set('--version', [])
  const groups = new Map([
    ['none', []],
    ['all', commands],
    ['all but hook and completion', commands.filter((command) => !['hook', 'completion'].includes(command))]
  ])
  const documented = readTable('| flag | of | means |').flatMap(([flags = '', users = '']) =>
    codesIn(flags).map((flag) => [flag.split(' ')[0], groups.get(users) ?? users.split(', ')] as const)
  )
  expect(new Map(documented)).toEqual(usersOf)
  const rows = readTable('| command | does |').map(([command = '']) => codesIn(command)[0]?.split(' ')[1])
  expect(rows).toEqual(commands)
})

test('has every code that spanplan may print, and no other', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const words = files.flatMap((name) => readFileSync(join('src', name), 'utf8').match(/'[A-Z][A-Z0-9_]{2,}'/g) ?? [])
  const known = new Set(words.map((word) => word.slice(1, -1)).filter((word) => !wordsOfOthers.has(word)))
  const documented = readTable('| code | means |').map(([code = '']) => codesIn(code)[0] ?? '')
  expect(documented.toSorted()).toEqual([...known].sort())
})

test('has every exit status', () => {
  const documented = readTable('| status | means |').flatMap(([status = '']) => status.split(', ').map(Number))
  expect(documented).toEqual([...new Set(Object.values(Exit))])
})

test('has every cause of loss', () => {
  const rows = readTable('| cause | where | counted by | means | what to do |')
  const documented = rows.map(([cause = '', , counted, , todo = '']) => [codesIn(cause)[0], counted, todo])
  expect(documented).toEqual(Object.entries(causes).map(([cause, { counted, hint }]) => [cause, counted, hint]))
})

test('has every field of spans.yaml', () => {
  const documented = readTable('| field | is | default |').map(([field = '']) => codesIn(field)[0] ?? '')
  const fields = fieldsOf(readSchema(), '')
  expect(documented.toSorted()).toEqual([...new Set(fields)].sort())
})

test('has every key of plan --json', async () => {
  await using lab = await createLab(describedLab)
  await writeFile(join(lab.files, 'spans.yaml'), spansYaml)
  const { stdout } = await lab.spanplan(['plan', '--json'])
  const document = z
    .looseObject({ changes: z.array(z.looseObject({})), summary: z.looseObject({}) })
    .parse(JSON.parse(stdout))
  const rows = readTable('| key | is |')
  expect(rows.flatMap(([key = '']) => codesIn(key)).toSorted()).toEqual(Object.keys(document).sort())
  const change = Object.assign({}, ...document.changes)
  const describing = (key: string) => codesIn(rows.find(([cell = '']) => cell.includes(`\`${key}\``))?.[1] ?? '')
  expect(describing('changes')).toEqual(expect.arrayContaining(Object.keys(change)))
  expect(describing('summary')).toEqual(Object.keys(document.summary))
})

test('has every key of status --json', async () => {
  await using lab = await createLab(describedLab)
  await lab.startSensor('suricata')
  await writeFile(join(lab.files, 'spans.yaml'), spansYaml)
  await lab.spanplan(['apply'])
  const { stdout } = await lab.spanplan(['status', '--json', '--for', '10ms'])
  const objects = z.array(z.looseObject({}))
  const document = z.looseObject({ spans: z.tuple([z.looseObject({ hops: objects })]) }).parse(JSON.parse(stdout))
  const [span] = document.spans
  const documented = (header: string) => readTable(header).flatMap(([key = '']) => codesIn(key))
  expect(documented('| key of status | is |')).toEqual(Object.keys(JSON.parse(stdout)))
  expect(documented('| key of a span | is |').toSorted()).toEqual(Object.keys(span).sort())
  expect(documented('| key of a hop | of | is |').toSorted()).toEqual(
    Object.keys(Object.assign({}, ...span.hops)).sort()
  )
  for (const [key = '', kinds = ''] of readTable('| key of a hop | of | is |')) {
    const users = span.hops.filter((hop) => codesIn(key).every((name) => name in hop)).map(({ kind }) => kind)
    expect([...new Set(users)].join(', '), key).toBe(
      kinds === 'all' ? 'interface, mirror, bridge, port, sensor' : kinds
    )
  }
})

test('links to files that are there', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, path = '']) => path)
  expect(links.filter((path) => !existsSync(path))).toEqual([])
})

/** In quotes and capitals too, but no codes of notices: names of the YAML parser's errors, of errno, of signals and so on. */
const wordsOfOthers: ReadonlySet<string> = new Set([
  ...['BAD_ALIAS', 'BAD_COLLECTION_TYPE', 'BAD_INDENT', 'BLOCK_AS_IMPLICIT_KEY', 'DUPLICATE_KEY'],
  ...['MULTILINE_IMPLICIT_KEY', 'TAB_AS_INDENT', 'TAG_RESOLVE_FAILED'],
  ...[
    'EACCES',
    'EAGAIN',
    'ECONNREFUSED',
    'ECONNRESET',
    'EEXIST',
    'EISDIR',
    'ELOOP',
    'ENOENT',
    'ENXIO',
    'EPERM',
    'EPIPE'
  ],
  ...['CAP_KILL', 'CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SYS_ADMIN'],
  ...['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGTERM', 'KILL', 'EN10MB', 'GET', 'HEAD'],
  ...['ARP', 'GRO', 'LRO', 'LOWER_UP', 'NOARP', 'PROMISC']
])

/** The paths of all fields; a mapping's own keys stand as in the README. */
function fieldsOf(schema: Schema, path: string): string[] {
  const { properties, additionalProperties, items, anyOf } = schema
  const below = Object.entries(isSchema(properties) ? properties : {}).flatMap(([key, value]) => {
    const name = path === '' ? key : `${path}.${key}`
    const fields = isSchema(value) ? fieldsOf(value, name) : []
    // A mapping is described by its entries; a value that is a name, or a mapping, by both.
    const describesItself = !isSchema(value) || value.type !== 'object'
    return describesItself ? [name, ...fields] : fields
  })
  const entry = `${path}.${path === 'spans' ? 'NAME' : 'KEY'}`
  const entries = isSchema(additionalProperties) ? [entry, ...fieldsOf(additionalProperties, entry)] : []
  const branches = [items, ...(Array.isArray(anyOf) ? anyOf : [])].filter(isSchema)
  return [...below, ...entries, ...branches.flatMap((branch) => fieldsOf(branch, path))]
}

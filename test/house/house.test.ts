import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

/** The stages of the pipeline: a file imports from its own stage, and from those before. */
const stages = [
  ['codes'],
  ['codes'],
  ['errors.ts', 'printable.ts', 'text-lines.ts', 'keys.ts', 'local-time.ts', 'versions.ts', 'debian-package.ts'],
  ...[
    ['spec'],
    ['host'],
    ['run-dir'],
    ['resources'],
    ['plan', 'discover'],
    ['look'],
    ['apply'],
    ['capture'],
    ['status'],
    ['probe']
  ],
  ...[['watch', 'graph'], ['doctor'], ['cli'], ['reference']]
]

/** What Node offers that is a function of its arguments alone. */
const pureModules = ['node:buffer', 'node:crypto', 'node:util']

const mostFiles = 14

const codePath = /`((?:src|test|docs|examples|schemas)\/[\w./-]+)`/g

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('src', name))

/** Each file with what it imports, types too: files by their path, packages by their name. */
const imports = new Map(
  files.map((file) => {
    const targets = [...readFileSync(file, 'utf8').matchAll(/\b(?:from |import |import\()'([^']+)'/g)]
    return [file, targets.map(([, to = '']) => (to.startsWith('.') ? normalize(join(dirname(file), to)) : to))]
  })
)
const importsOf = (file: string): readonly string[] => imports.get(file) ?? []

function stageOf(file: string): number {
  return stages.findIndex((names) => names.includes(file.split('/')[1] ?? ''))
}

test('every file belongs to a stage, and imports from its own stage or from those before', () => {
  expect(importsOf('src/cli/commands-and-flags.ts')).toEqual(
    expect.arrayContaining(['src/debian-package.ts', 'src/cli/run-command.ts'])
  )
  expect(files.filter((file) => stageOf(file) === -1)).toEqual([])
  const down = files.flatMap((file) =>
    importsOf(file)
      .filter((to) => to.startsWith('src/') && !isBefore(stageOf(to), file, to))
      .map((to) => `${file} → ${to}`)
  )
  expect(down).toEqual([])
})

/** Of two names in one stage, neither imports from the other. */
function isBefore(stage: number, file: string, to: string): boolean {
  return stage < stageOf(file) || to.split('/')[1] === file.split('/')[1]
}

test('no import circles, of types neither', () => {
  const circles: string[] = []
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]) => {
    if (way.includes(file)) circles.push(way.slice(way.indexOf(file)).join(' → '))
    if (way.includes(file) || done.has(file)) return
    for (const to of importsOf(file)) visit(to, [...way, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})

test('the spec, the resources, the plan and the graph read no file, no clock and no environment', () => {
  const impure = files
    .filter((file) => /^src\/(spec|resources|plan|graph)\//.test(file))
    .filter(
      (file) =>
        /\bawait\b|\bDate\.now\b|\bprocess\./.test(code(file)) ||
        importsOf(file).some((to) => to.startsWith('node:') && !pureModules.includes(to))
    )
  expect(impure).toEqual([])
})

/** Without comments. */
function code(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*\*[\s\S]*?\*\/|\/\/.*/g, '')
}

test(`no folder of src holds more than ${mostFiles} files`, () => {
  const counts = new Map<string, number>()
  for (const file of files) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1)
  expect([...counts].filter(([, count]) => count > mostFiles)).toEqual([])
})

/** In each of these, a file is named after the kind of source or output that it stands for. */
const kindFolders: readonly string[] = [
  'src/spec/sources',
  'src/host/tunnels',
  'src/resources/sources',
  'src/spec/outputs',
  'src/resources/outputs'
]

test('no two files have one name, but the registries, and what stands for one kind in each stage', () => {
  const isOfKind = (file: string) => kindFolders.includes(dirname(file))
  const sameName = (file: string) => files.filter((other) => basename(other) === basename(file))
  const shared = files.filter((file) => basename(file) !== 'registry.ts' && sameName(file).length > 1)
  expect(shared.filter((file) => !sameName(file).every(isOfKind))).toEqual([])
})

const explanations = readdirSync('docs/explanation').map((name) => join('docs/explanation', name))

test.each(explanations)('%s: every path exists, and every function is in a file beside which it is named', (page) => {
  const text = readFileSync(page, 'utf8')
  const linked = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, to = '']) => join(dirname(page), to))
  const named = [...text.matchAll(codePath)].map(([, to = '']) => to)
  expect([...linked, ...named].filter((path) => !existsSync(path))).toEqual([])
  // A row of a table, an item of a list, or a paragraph.
  const strange = text.split(/\n(?:\s*\n|(?=\||- |\d+\. ))/).flatMap((block) => {
    const beside = [...block.matchAll(codePath)].flatMap(([, to = '']) =>
      to.endsWith('.ts') ? [readFileSync(to, 'utf8')] : []
    )
    const functions = [...block.matchAll(/`(\w+)\(\)`/g)].map(([, name = '']) => name)
    return functions.filter(
      (name) => !beside.some((source) => new RegExp(`\\bfunction ${name}\\b|\\bconst ${name} = `).test(source))
    )
  })
  expect(strange).toEqual([])
})

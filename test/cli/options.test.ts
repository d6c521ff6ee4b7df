import { expect, test, vi } from 'vitest'
import { program } from '../../src/cli/commands-and-flags.ts'
import { suggestOptions } from '../../src/cli/shared-flags.ts'

const options = [
  { long: '--file', short: '-f', required: true },
  { long: '--out', required: true },
  { long: '--json', required: false },
  { long: '--span', required: true }
]
const commands = new Map([
  ['plan', options],
  ['hook', options.slice(0, 1)]
])

test.each([
  ['plan spans.yaml', 'plan -f spans.yaml'],
  ['plan --json spans.yaml', 'plan --json -f spans.yaml'],
  ['plan --out a.yaml /etc/spanplan', 'plan --out a.yaml -f /etc/spanplan'],
  ['plan -f a.yaml b.yml', 'plan -f a.yaml -f b.yml'],
  ['plan -', 'plan -f -'],
  ['plan span0 span1', 'plan --span span0 --span span1'],
  ['hook a.yaml', 'hook -f a.yaml'],
  ['hook span0', null],
  ['confirm a.yaml', null],
  ['confirm span0', null]
])('%s → %s', (line, meant) => {
  const given = line.split(' ')
  expect(suggestOptions(given, commands.get(given[0] ?? '') ?? [])).toBe(
    meant === null ? '' : `did you mean: spanplan ${meant}\n`
  )
})

/** What the command line says that refuses these words. It writes to stderr itself, so what it writes is caught there. */
async function refusalOf(words: readonly string[]): Promise<string> {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  try {
    await expect(program.parseAsync(words, { from: 'user' })).rejects.toThrow('error: ')
    return write.mock.calls.join('')
  } finally {
    write.mockRestore()
  }
}

test.each([
  ['plan spans.yaml', true],
  ['plan --jsn spans.yaml', false],
  ['pln spans.yaml', false]
])('%s: a hint %s, for arguments too many alone', async (line, hasHint) => {
  const words = line.split(' ')
  const [node = '', script = ''] = process.argv
  process.argv = [node, script, ...words]
  const text = await refusalOf(words)
  expect(text.includes('did you mean: spanplan plan -f spans.yaml\n(see --help)')).toBe(hasHint)
  expect(text).toContain('(see --help)\n')
})

test.each(['--all', '--name default'])('destroy %s takes no file: what of it would go is not said', async (option) => {
  const text = await refusalOf(['destroy', ...option.split(' '), '-f', 'spans.yaml'])
  expect(text).toContain("cannot be used with option '-f, --file <path>'\n(see --help)\n")
})

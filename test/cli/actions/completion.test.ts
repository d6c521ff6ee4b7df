import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

const scriptFor = (shell: string) =>
  execFileSync('node', ['bin/spanplan.js', 'completion', shell], { encoding: 'utf8' })

const bashScript = scriptFor('bash')

/** What bash would offer for the last of the words. */
function complete(...words: string[]): string[] {
  const list = words.map((word) => `'${word}'`).join(' ')
  const ask = `${bashScript}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _spanplan; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-euc', ask], { encoding: 'utf8' }).trim().split('\n')
}

test('bash completes commands', () => {
  expect(complete('spanplan', '')).toEqual([
    'init',
    'validate',
    'plan',
    'apply',
    'destroy',
    'watch',
    'status',
    'events',
    'capture',
    'probe',
    'filter',
    'pause',
    'resume',
    'confirm',
    'rollback',
    'import',
    'hook',
    'graph',
    'doctor',
    'completion',
    'help'
  ])
  expect(complete('spanplan', 'de')).toEqual(['destroy'])
})

test('bash completes the flags of a command, and the values that are known', () => {
  expect(complete('spanplan', 'plan', '--de')).toEqual(['--defer-docker', '--detailed-exitcode'])
  expect(complete('spanplan', 'plan', '--color', 'a')).toEqual(['auto', 'always'])
  expect(complete('spanplan', 'completion', '')).toEqual(['bash', 'zsh', 'fish'])
})

test('bash offers nothing for a value that nobody can know', () => {
  expect(complete('spanplan', 'watch', '--interval', '')).toEqual([''])
  expect(complete('spanplan', 'pause', 'span0', '--for', '')).toEqual([''])
})

test.each([['plan', '-f'], ['plan', '--out'], ['capture', 'span0', '--write'], ['apply']])(
  'bash completes file names: %s %s',
  (...words) => {
    expect(complete('spanplan', ...words, 'package')).toEqual(expect.arrayContaining(['package.json']))
  }
)

test.each([
  ['zsh', (flag: string) => `*${flag}`],
  ['fish', (flag: string) => ` -l ${flag.replace('--', '')} `]
])('%s gets every command, flag and value that bash gets', (shell, write) => {
  const script = scriptFor(shell)
  for (const command of complete('spanplan', '')) {
    const lines = script
      .split('\n')
      .filter((line) => line.includes(command))
      .join('\n')
    const flags = complete('spanplan', command, '--').filter((flag) => flag !== '')
    for (const flag of flags) expect(lines).toContain(write(flag))
    expect(flags.length).toBeGreaterThan(['completion', 'help'].includes(command) ? -1 : 0)
  }
  for (const words of ['bash zsh fish', 'auto always never']) expect(script).toContain(words)
})

test('another shell is wrong usage', () => {
  expect(() => execFileSync('node', ['bin/spanplan.js', 'completion', 'csh'], { stdio: 'pipe' })).toThrow(
    expect.objectContaining({ status: 64 })
  )
})
